package engine

import (
	"slices"
	"time"

	"throughline/flows"
)

// maxWaiting bounds the signals that wait for a link in memory, of all flows together. Where it
// is reached, the signal that would have been given up next is given up now, and counted.
const maxWaiting = 2 * SpillFrom

// SpillFrom is how many signals wait in memory before those beyond leave it.
const SpillFrom = 250_000

// waitFor is how long signals wait for a link in a flow without `expire`.
const waitFor = 30 * 24 * time.Hour

// held is an occurrence whose signal carries no primary key of the flow: it hangs on link
// keys, its own or those that its trace gives it, and is where these lead to now. One of no
// flow is a signal that only links its keys.
type held struct {
	sig     uint64 // copies.hash of the signal's identity
	fs      *flowState
	keys    []nodeID  // it hangs on; sorted
	targets []nodeID  // primary keys of the instances that have it; sorted
	inline  [2]nodeID // of keys and targets that are one
	rest    *unsettled
	step    uint16
	mark    uint32 // round of the last look at its component
	stale   bool   // is to be placed anew
	lost    bool   // and there is no instance for it
	gone    bool   // withdrawn, or given up
}

// unsettled is what is kept of a held signal only while it waits, or because it came by a
// trace.
type unsettled struct {
	occurrence packed // where no instance has it
	trace      *lineage
	producer   *producer
	expires    flows.Time
	received   flows.Time
	at         int // in waiting; -1 for not waiting
	ambiguous  bool
}

// hung are the signals that hang on one key, where they are more than one.
type hung struct {
	list  []*held
	gone  int // of list
	first [2]*held
}

// hang makes h hang on a key.
func (g *graph) hang(h *held, id nodeID) {
	n := g.at(id)
	switch {
	case n.hung != nil:
		n.hung.list = append(n.hung.list, h)
	case n.held != nil:
		n.hung = &hung{first: [2]*held{n.held, h}}
		n.hung.list = n.hung.first[:]
		n.held = nil
	default:
		n.held = h
	}
}

// unhang takes h off a key. Of many, those that are gone are taken off together.
func (g *graph) unhang(h *held, id nodeID) {
	n := g.at(id)
	list := n.hung
	switch {
	case n.held == h:
		n.held = nil
	case list == nil:
	case h.gone && len(list.list) > manyMembers:
		if list.gone++; list.gone > len(list.list)/2 {
			list.list = slices.DeleteFunc(list.list, func(o *held) bool { return o.gone })
			list.gone = 0
		}
	default:
		list.list = slices.DeleteFunc(list.list, func(o *held) bool { return o == h })
	}
	if list != nil && len(list.list) == 0 {
		n.hung = nil
	}
}

// hanging calls f with each that hangs on a key.
func (g *graph) hanging(id nodeID, f func(*held)) {
	n := g.at(id)
	if n.held != nil {
		f(n.held)
	}
	if n.hung != nil {
		for _, h := range n.hung.list {
			if !h.gone {
				f(h)
			}
		}
	}
}

// place gives an occurrence to the instances of its signal's primary keys, or else to
// those that its link keys, or its trace, lead to, now or later.
func (e *Engine) place(fs *flowState, a *arrival, o *flows.Occurrence) {
	linked, direct, fresh := a.scratch[:0], false, false
	for i, k := range a.signal.Keys {
		switch fs.role(&e.graph, a.classes[i]) {
		case rolePrimary:
			in := e.instance(fs, k.Value, a.signal.Environment)
			if in.full && !a.repeated {
				e.overfull(in)
			} else {
				fresh = e.insert(in, o) || fresh
			}
			a.note(in)
			direct, a.placed = true, true
		case roleLink:
			if !direct {
				linked = append(linked, a.key(e, i))
			}
		}
	}
	a.scratch = linked
	p := e.newProducer(fs, o, a.signal.Name)
	e.stats.Applied++
	if o.Sampled && !a.repeated {
		p.Sampled++
	}
	switch {
	case direct:
		if fresh {
			p.Signals, p.Keyed, p.Joined = p.Signals+1, p.Keyed+1, p.Joined+1
		}
	case len(linked) > 0:
		a.placed = true
		e.hold(fs, a, o, p, linked, nil)
	case a.lineage != nil:
		e.hold(fs, a, o, p, nil, a.lineage)
	default:
		e.stats.Applied--
		e.stats.Ignored++
		if !a.repeated || fs.fresh {
			p.Signals, p.Keyless = p.Signals+1, p.Keyless+1
		}
	}
}

// hold keeps an occurrence for the keys it hangs on. It is placed by flush, or at once
// where its own keys lead to an instance already.
func (e *Engine) hold(fs *flowState, a *arrival, o *flows.Occurrence, p *producer, keys []nodeID, from *lineage) {
	a.complex, a.held = true, true
	if a.repeated {
		if h := e.heldBefore(fs, a, o.Step); h != nil {
			e.repeat(h, o)
			return
		}
	}
	if p.Signals++; from == nil {
		p.Keyed++
	}
	h := &held{sig: a.sig, fs: fs, step: uint16(o.Step)}
	h.setKeys(keys)
	for _, id := range h.keys {
		e.graph.hang(h, id)
	}
	if e.bySig != nil {
		e.bySig[h.sig] = append(e.bySig[h.sig], h)
	}
	if from == nil && e.placeNow(h, o) {
		p.Joined++
		return
	}
	h.rest = &unsettled{
		occurrence: e.packOne(o), trace: from, producer: p, received: a.signal.Received, at: -1,
	}
	if from != nil {
		from.hang(e, h)
	}
	e.markStale(h)
}

func (h *held) setKeys(keys []nodeID) {
	if h.keys = h.inline[:0:1]; len(keys) > 1 {
		h.keys = make([]nodeID, 0, len(keys))
	}
	h.keys = append(h.keys, keys...)
	slices.Sort(h.keys)
}

func (h *held) setTargets(targets []nodeID) {
	if h.targets = h.inline[1:1:2]; len(targets) > 1 {
		h.targets = make([]nodeID, 0, len(targets))
	}
	h.targets = append(h.targets, targets...)
}

// placeNow puts a new held signal where its keys lead already; false for nowhere. What
// changes these ways later has it placed anew.
func (e *Engine) placeNow(h *held, o *flows.Occurrence) bool {
	targets := e.targets(h)
	if len(targets) == 0 {
		return false
	}
	e.touchHeld(h)
	h.setTargets(targets)
	for _, id := range h.targets {
		e.insert(e.target(h.fs, id), o)
	}
	return true
}

// hangLink keeps a signal that only links its keys where a walk over these finds it.
func (e *Engine) hangLink(sig uint64, keys []nodeID) {
	hangs := false
	e.graph.hanging(keys[0], func(h *held) { hangs = hangs || (h.fs == nil && h.sig == sig) })
	if hangs {
		return
	}
	h := &held{sig: sig}
	h.setKeys(keys)
	for _, id := range h.keys {
		e.graph.hang(h, id)
	}
}

func (e *Engine) packOne(o *flows.Occurrence) packed {
	e.buffer = e.names.packOne(e.buffer[:0], o, 0)
	return packed(e.buffer)
}

// heldBefore finds what a copy of the signal made. The index it takes for that is kept
// while there may be more to find.
func (e *Engine) heldBefore(fs *flowState, a *arrival, step int) *held {
	if e.bySig == nil {
		e.bySig = map[uint64][]*held{}
		note := func(h *held) {
			if !slices.Contains(e.bySig[h.sig], h) {
				e.bySig[h.sig] = append(e.bySig[h.sig], h)
			}
		}
		for id := nodeID(1); id <= e.graph.last; id++ {
			e.graph.hanging(id, note)
		}
		for _, h := range e.waiting {
			note(h)
		}
		for _, h := range e.stale {
			note(h)
		}
	}
	for _, h := range e.bySig[a.sig] {
		if h.fs == fs && int(h.step) == step && !h.gone {
			return h
		}
	}
	return nil
}

// repeat takes a second copy of a held signal to where the first one is.
func (e *Engine) repeat(h *held, o *flows.Occurrence) {
	if len(h.targets) == 0 {
		have := e.occurrenceOf(h)
		have.AsOf = clockOf(have.AsOf, o.AsOf)
		h.rest.occurrence = e.packOne(&have)
		e.stats.Duplicates++
	}
	for _, id := range h.targets {
		e.insert(e.target(h.fs, id), o)
	}
}

// occurrenceOf is what a held signal is: kept with it, or in the first instance that has
// it.
func (e *Engine) occurrenceOf(h *held) flows.Occurrence {
	if h.rest != nil && h.rest.occurrence != "" {
		return e.names.unpack(h.rest.occurrence, nil)[0]
	}
	for _, o := range e.open(e.target(h.fs, h.targets[0])).occurrences {
		if o.Step == int(h.step) && e.copies.hash(identity(&o)) == h.sig {
			return o
		}
	}
	return flows.Occurrence{} // not reached: what is placed is there
}

// target is the instance of a primary key.
func (e *Engine) target(fs *flowState, id nodeID) *instance {
	n := e.graph.at(id)
	environment := e.graph.classes[n.class].environment
	if environment != "" {
		return e.instance(fs, n.value, environment)
	}
	if i := int(n.instance) - 1; i >= 0 && i < len(e.copies.instances) {
		if in := e.copies.instances[i]; in != nil && in.fs == fs && in.cell == 0 && in.key == n.value {
			return in
		}
	}
	in := e.instance(fs, n.value, "")
	n.value, n.instance = in.key, in.index+1 // one text of both, which compares at once
	return in
}

// retractHeld withdraws a signal that does not count, as if it had never been.
func (e *Engine) retractHeld(h *held) {
	if h.gone {
		return
	}
	if h.fs == nil {
		e.unhook(h)
		return
	}
	o := e.occurrenceOf(h)
	p := e.producer(h.fs, &o)
	if p.Signals--; h.rest == nil || h.rest.trace == nil {
		p.Keyed--
	}
	e.withdraw(h)
}

// withdraw takes a held signal out of everything.
func (e *Engine) withdraw(h *held) {
	if h.gone {
		return
	}
	h.gone = true
	if len(h.targets) > 0 {
		o := e.occurrenceOf(h)
		for _, id := range h.targets {
			e.remove(e.target(h.fs, id), &o)
		}
		e.producer(h.fs, &o).Joined--
	}
	e.unhook(h)
}

// unhook takes a held signal off what it hangs on, and out of the queue.
func (e *Engine) unhook(h *held) {
	h.gone = true
	for _, id := range h.keys {
		e.graph.unhang(h, id)
	}
	if r := h.rest; r != nil {
		if r.trace != nil {
			r.trace.unhang(h)
			r.setAmbiguous(e, false)
		}
		e.stopWaiting(h)
	}
}

// forgetHeld drops the signals held for a flow.
func (e *Engine) forgetHeld(fs *flowState) {
	for id := nodeID(1); id <= e.graph.last; id++ {
		var mine []*held
		e.graph.hanging(id, func(h *held) {
			if h.fs == fs {
				mine = append(mine, h)
			}
		})
		if m := e.members(part{nodePart, uint32(id)}); len(mine) > 0 && m != nil {
			e.unsave(m)
		}
		for _, h := range mine {
			e.unhook(h)
		}
	}
	e.traces.forget(e, fs)
}
