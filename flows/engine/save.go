package engine

import (
	"math"
	"slices"

	"throughline/flows"
)

// State is one component as it is stored. Of the states of one ID the one written last
// counts. They are written all or none of a save, so that no signal is in none.
type State struct {
	ID      uint64 // hash of one of its signals
	Text    string // parcel
	Deleted bool
}

// saving writes down, in rounds, what changed since the round before.
type saving struct {
	round                uint32   // that is under way for changes: 1 is the first
	unfit                bool     // see Unfit
	changed              []part   // in this round, one of each component at least
	left                 []part   // of the round that is being saved
	saved                []part   // of it, one of each component
	gone                 []uint64 // rows that are no more, once what took their place is saved
	orphans              []uint64 // rows that are no more since this round
	states               []State
	again                bool     // what changed since the save under way began goes with it
	returned, unreturned []uint64 // rows of what came back: since this round, and once it is saved
	stubs                []uint64 // rows of stubs in place of which the whole is coming back
	woken                []part   // since the last save that was done
	quiet                []quietRound
}

// quietRound are components that changed in one round, and may go to rest after a while.
type quietRound struct {
	round uint32
	at    flows.Time
	parts []part
}

// savedRound is the round of what did not change since it was saved.
const savedRound = 0

// restAfter is how long nothing happens to a component before it goes to rest.
const restAfter = 60e9

// touchPart notes that the component of a part changed.
func (e *Engine) touchPart(p part) {
	touched := e.touched(p)
	if touched != nil && *touched != e.save.round {
		if p.kind == instancePart {
			e.noteBase(e.copies.instances[p.number])
		}
		*touched = e.save.round
		e.save.changed = append(e.save.changed, p)
	}
}

// touchEffects notes that a signal changed the components of its effects and instance.
func (e *Engine) touchEffects(in *instance, effects []effect) {
	if in != nil {
		e.touchPart(part{instancePart, in.index})
	}
	for _, f := range effects {
		e.touchPart(partOf(f))
	}
}

// touchSignal notes that what a signal with a key that became common belongs to changed. It
// may belong to nothing any more.
func (e *Engine) touchSignal(sig uint64) {
	seen := e.copies.seen.find(sig, nil)
	if seen == nil || seen.ref&isRecord == 0 {
		return
	}
	effects := e.copies.effects(seen.ref)
	e.touchEffects(nil, effects)
	alone := !slices.ContainsFunc(effects, func(f effect) bool { return f&isGroup != 0 || !e.graph.at(nodeID(f)).common })
	if alone && seen.small&isRow != 0 {
		seen.small &^= isRow
		e.save.orphans = append(e.save.orphans, sig)
	}
}

// touched is where the round of a part's last change stands; nil for a part that is no more.
func (e *Engine) touched(p part) *uint32 {
	switch p.kind {
	case nodePart:
		if n := e.graph.at(nodeID(p.number)); !n.common { // those belong to no component
			return &n.touched
		}
	case groupPart:
		if g := e.traces.groups[p.number]; g != nil {
			return &g.touched
		}
	case instancePart:
		if in := e.copies.instances[p.number]; in != nil {
			return &in.touched
		}
	}
	return nil
}

func (e *Engine) touchHeld(h *held) {
	for _, id := range h.keys {
		e.touchPart(part{nodePart, uint32(id)})
	}
	if h.rest != nil && h.rest.trace != nil {
		e.touchPart(part{groupPart, h.rest.trace.all()[0].index})
	}
}

// Unfit says that a primary key of a flow became common: what belongs to its instance is
// in no one component then. Such a state is not saved any more, and goes to rest no more; a
// restart makes it from the stored signals.
func (e *Engine) Unfit() bool { return e.save.unfit }

// BeginSave has the next calls of Save write down all that was applied until now.
func (e *Engine) BeginSave() {
	e.forgetLarge()
	s := &e.save
	s.left, s.changed = append(s.changed, s.left...), nil // something is left where a save was not gone on with
	s.gone, s.orphans = append(s.gone, s.orphans...), nil
	s.unreturned, s.returned = append(s.unreturned, s.returned...), nil
	e.rolling.leftVanished, e.rolling.vanished = append(e.rolling.leftVanished, e.rolling.vanished...), nil
	s.round, s.again = s.round+1, false
}

// Save writes down a part of what BeginSave meant, looking at about so many keys, signals
// and links, and says whether that was all. Then Take returns it.
func (e *Engine) Save(now flows.Time, work int) (done bool) {
	s := &e.save
	if s.again {
		e.BeginSave()
	}
	if e.saveLeft(work); len(s.left) > 0 {
		return false
	}
	for _, id := range s.gone {
		if seen := e.copies.seen.find(id, nil); seen == nil || seen.small&isRow == 0 { // else it is one again
			s.states = append(s.states, State{ID: id, Deleted: true})
		}
	}
	for _, id := range s.unreturned {
		e.out.evicted = append(e.out.evicted, Evicted{State: State{ID: id, Deleted: true}})
	}
	e.out.states = append(e.out.states, s.states...)
	e.takeRolled()
	if len(s.saved) > 0 {
		s.quiet = append(s.quiet, quietRound{s.round - 1, now, s.saved})
	}
	if len(s.woken) > 0 { // for nothing, as by a copy, they are in no save
		s.quiet = append(s.quiet, quietRound{savedRound, now, s.woken})
	}
	s.gone, s.states, s.saved, s.unreturned, s.woken = nil, nil, nil, nil, nil
	return true
}

func (e *Engine) saveLeft(work int) {
	s := &e.save
	for len(s.left) > 0 && work > 0 {
		p := s.left[len(s.left)-1]
		s.left = s.left[:len(s.left)-1]
		work -= 1 + e.savePart(p)
	}
}

// beforeSplit saves all that is left of a save under way. What is one component now may be
// two, of which the save would have one without the other.
func (e *Engine) beforeSplit() {
	if len(e.save.left) > 0 {
		e.flush()
		e.saveLeft(math.MaxInt)
	}
}

// savePart writes down the component of a part, unless that was done in this round.
func (e *Engine) savePart(p part) (work int) {
	touched := e.touched(p)
	if touched == nil || *touched == savedRound {
		return 0
	}
	m := e.members(p)
	if m == nil {
		return 0
	}
	e.roll(m)
	e.markSaved(m)
	e.rolledTo(m)
	parcel := e.describe(m)
	if len(parcel.signals) == 0 { // all it had turned out to belong elsewhere
		return m.work
	}
	e.buffer = e.names.write(e.buffer[:0], e, parcel)
	id := parcel.rowID()
	for i := range parcel.signals {
		e.setRow(parcel.signals[i].sig, id)
	}
	e.save.states = append(e.save.states, State{ID: id, Text: string(e.buffer)})
	e.save.saved = append(e.save.saved, p)
	return m.work
}

// markSaved notes of all parts of a component that what changed before this round is saved.
func (e *Engine) markSaved(m *members) {
	mark := func(touched *uint32) {
		if *touched < e.save.round {
			*touched = savedRound
		}
	}
	for _, id := range m.nodes {
		mark(&e.graph.at(id).touched)
	}
	for _, in := range m.instances {
		mark(&in.touched)
	}
	for _, g := range m.groups {
		mark(&g.touched)
	}
}

// rowID is what the row of a parcel is known by: the least hash of its signals.
func (p *parcel) rowID() uint64 {
	id := p.signals[0].sig
	for i := range p.signals {
		id = min(id, p.signals[i].sig)
	}
	return id
}

// unsave removes the row of a component of which a flow is forgotten, and has the rest saved
// anew.
func (e *Engine) unsave(m *members) {
	p := e.describe(m)
	for i := range p.signals {
		if seen := e.copies.seen.find(p.signals[i].sig, nil); seen != nil && seen.small&isRow != 0 {
			seen.small &^= isRow
			e.save.orphans = append(e.save.orphans, p.signals[i].sig)
		}
	}
	for _, id := range m.nodes {
		e.touchPart(part{nodePart, uint32(id)})
	}
	for _, in := range m.instances {
		e.touchPart(part{instancePart, in.index})
	}
	for _, g := range m.groups {
		e.touchPart(part{groupPart, g.index})
	}
}

// setRow notes whether a signal is what a row is known by, and owes the removal of the row
// that is no more.
func (e *Engine) setRow(sig, id uint64) {
	seen := e.copies.seen.find(sig, nil)
	switch {
	case seen == nil:
	case sig == id:
		seen.small |= isRow
	case seen.small&isRow != 0:
		seen.small &^= isRow
		e.save.gone = append(e.save.gone, sig)
	}
}

// noteWoken notes one part of the component that is woken.
func (w *waking) noteWoken() {
	woken := &w.e.save.woken
	for _, in := range w.instances {
		if in != nil {
			*woken = append(*woken, part{instancePart, in.index})
			return
		}
	}
	for _, id := range w.nodes {
		if id != 0 && !w.e.graph.at(id).common {
			*woken = append(*woken, part{nodePart, uint32(id)})
			return
		}
	}
	if len(w.groups) > 0 {
		*woken = append(*woken, part{groupPart, w.groups[0].index})
	}
}

// noteRow notes by what the store has the component that is woken.
func (w *waking) noteRow() {
	if seen := w.e.copies.seen.find(w.p.rowID(), nil); seen != nil {
		seen.small |= isRow
	}
	if w.overlap { // what was two is one
		for _, in := range w.instances {
			if in != nil {
				w.e.touchPart(part{instancePart, in.index})
			}
		}
		for _, id := range w.nodes {
			if id != 0 {
				w.e.touchPart(part{nodePart, uint32(id)})
			}
		}
		for _, g := range w.groups {
			w.e.touchPart(part{groupPart, g.index})
		}
	}
}

// Rest brings to rest what nothing happened to for a while before now, looking at about so
// many keys, signals and links.
func (e *Engine) Rest(now flows.Time, work int) {
	for len(e.save.quiet) > 0 && work > 0 && !e.save.unfit {
		q := &e.save.quiet[0]
		if now.Sub(q.at) < restAfter {
			return
		}
		if len(q.parts) == 0 {
			e.save.quiet = slices.Delete(e.save.quiet, 0, 1)
			continue
		}
		p := q.parts[len(q.parts)-1]
		q.parts = q.parts[:len(q.parts)-1]
		work--
		if touched := e.touched(p); touched == nil || *touched > q.round {
			continue
		}
		if m := e.members(p); m != nil {
			if work -= m.work; e.lastTouched(m) <= q.round {
				ended := len(m.instances) == 0 || slices.ContainsFunc(m.instances, func(in *instance) bool { return in.openAt < 0 })
				if number := e.restComponent(m); ended { // else once one of them ends
					e.leaveSoon(number, now)
				}
			}
		}
	}
}

// leaveSoon notes that a component at rest may leave memory after a while.
func (e *Engine) leaveSoon(number uint32, now flows.Time) {
	if number != 0 {
		e.leaving = append(e.leaving, leaving{number, e.cells.list[number], now})
	}
}

func (e *Engine) lastTouched(m *members) (round uint32) {
	for _, id := range m.nodes {
		round = max(round, e.graph.at(id).touched)
	}
	for _, in := range m.instances {
		round = max(round, in.touched)
	}
	for _, g := range m.groups {
		round = max(round, g.touched)
	}
	return round
}
