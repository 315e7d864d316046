package engine

import (
	"slices"

	"throughline/flows"
)

// Components that nothing has happened to for a while are at rest: of their keys, links,
// signals and traces only the written parcel is kept, and prints to find it by. Their
// instances stay counted, with their timers. Whatever refers to one wakes it before.

// cell is a component at rest: its parcel.
type cell string

// cells are the components at rest, by number; 0 is none.
type cells struct {
	list   []cell
	vacant []uint32
	prints prints
}

func (c *cells) add(text string) uint32 {
	if last := len(c.vacant) - 1; last >= 0 {
		number := c.vacant[last]
		c.vacant = c.vacant[:last]
		c.list[number] = cell(text)
		return number
	}
	if len(c.list) == 0 {
		c.list = append(c.list, "")
	}
	c.list = append(c.list, cell(text))
	return uint32(len(c.list) - 1)
}

// remove forgets a cell that no instance is in any more.
func (c *cells) remove(number uint32) {
	c.list[number] = ""
	c.vacant = append(c.vacant, number)
}

// eachPrint calls f with the hashes of all that a parcel is found by.
func (e *Engine) eachPrint(p *parcel, f func(uint64)) {
	for i := range p.keys {
		if k := &p.keys[i]; !k.common { // those never rest
			f(e.graph.hash(k.class, k.value))
		}
	}
	for i := range p.groups {
		f(e.graph.hash(p.groups[i].class, p.groups[i].id))
	}
	for i := range p.signals {
		f(p.signals[i].sig)
	}
}

// rest brings a component to rest, and returns its cell; 0 where something in it is under
// way, or known from elsewhere.
func (e *Engine) restComponent(m *members) uint32 {
	if !m.restable() {
		return 0
	}
	p := e.describe(m)
	refs := 0
	for i := range p.signals {
		for _, at := range p.signals[i].keys {
			if at < len(m.nodes) {
				refs++
			}
		}
	}
	for _, id := range m.nodes {
		refs -= int(e.graph.at(id).refs)
	}
	if refs != 0 {
		return 0 // some signal of it is found by way of a common key only
	}
	if len(p.signals) == 0 { // all it had turned out to belong elsewhere
		e.forgetParts(m, p)
		return 0
	}
	if row := e.otherRow(p); row != nil { // it became one by waking: the next save makes one row of it
		e.touchSeen(row)
		return 0
	}
	e.buffer = e.names.write(e.buffer[:0], e, p)
	number := e.cells.add(string(e.buffer))
	e.eachPrint(p, func(hash uint64) { e.cells.prints.add(hash, number) })
	e.forgetParts(m, p)
	for _, in := range m.instances {
		e.copies.leave(in)
		in.packed, in.cell = "", number
	}
	return number
}

// otherRow is a signal by which the store has a part of a component in a row of its own; nil
// for none.
func (e *Engine) otherRow(p *parcel) *entry {
	id := p.rowID()
	for i := range p.signals {
		if sig := p.signals[i].sig; sig != id {
			if seen := e.copies.seen.find(sig, nil); seen != nil && seen.small&isRow != 0 {
				return seen
			}
		}
	}
	return nil
}

// forgetParts forgets all of a component but its instances.
func (e *Engine) forgetParts(m *members, p *parcel) {
	for i := range p.signals {
		sig := p.signals[i].sig
		if seen := e.copies.seen.find(sig, nil); seen != nil {
			e.dropRecord(seen.ref)
			e.copies.seen.remove(seen)
		}
		if e.bySig != nil {
			delete(e.bySig, sig)
		}
	}
	for _, h := range m.helds {
		h.gone = true
		for _, id := range h.keys {
			if e.graph.at(id).common {
				e.graph.unhang(h, id)
			}
		}
	}
	for _, id := range m.nodes {
		e.graph.remove(id)
	}
	for _, g := range m.groups {
		e.traces.remove(g)
		*g = group{gone: true} // a group may still count it among those that follow it
	}
}

// wakeAt wakes the components at rest that may have what a hash is of, and says whether
// there was one.
func (e *Engine) wakeAt(hash uint64) bool {
	woken := false
	for {
		number := e.cells.prints.find(hash)
		if number == 0 {
			return woken
		}
		if e.wake(number); e.cells.prints.find(hash) == number { // it cannot be read, or is not what it was
			e.cells.prints.drop(number)
		}
		woken = true
	}
}

// wake puts a component at rest back to where it was.
func (e *Engine) wake(number uint32) {
	w := &waking{e: e, number: number}
	if err := e.names.read(e, string(e.cells.list[number]), &w.p); err != nil {
		return // not reached: it was read or written by this process
	}
	e.eachPrint(&w.p, func(hash uint64) { e.cells.prints.remove(hash, number) })
	if isStub(e.cells.list[number]) {
		e.alone(&w.p)
	}
	w.all()
	if len(w.p.signals) > 0 {
		w.noteRow()
		w.noteWoken()
	}
	e.cells.remove(number)
}

// waking is a component on its way back.
type waking struct {
	e         *Engine
	number    uint32
	p         parcel
	nodes     []nodeID
	instances []*instance
	groups    []*group
	overlap   bool // some of it is known already
}

func (w *waking) all() {
	e := w.e
	touched, dirty := len(e.graph.touched), len(e.traces.dirty)
	for i := range w.p.instances {
		w.instance(i)
	}
	for i := range w.p.keys {
		w.key(&w.p.keys[i])
	}
	for i := range w.p.groups {
		w.group(&w.p.groups[i])
	}
	for i := range w.p.signals {
		w.signal(&w.p.signals[i])
	}
	if w.overlap {
		return // what was apart is together now, and may lead elsewhere
	}
	e.graph.touched = e.graph.touched[:touched]
	for _, g := range e.traces.dirty[dirty:] {
		g.dirty = false
	}
	e.traces.dirty = e.traces.dirty[:dirty]
}

func (w *waking) instance(number int) {
	e, want := w.e, w.p.instances[number]
	if want.fs == nil {
		w.instances = append(w.instances, nil)
		return
	}
	k := &w.p.keys[want.key]
	in := want.fs.instances.get(flows.InstanceKey(k.value, e.graph.classes[k.class].environment))
	if in != nil && in.cell == w.number {
		e.read = w.p.of(number, e.read[:0])
		e.buffer = e.names.pack(e.buffer[:0], e.read)
		in.packed, in.cell = packed(e.buffer), 0
		e.copies.enter(in)
	} else {
		w.overlap = true
		in = e.instance(want.fs, k.value, e.graph.classes[k.class].environment)
		for _, o := range w.p.of(number, nil) {
			e.own(want.fs, &o)
			e.insert(in, &o)
		}
	}
	w.instances = append(w.instances, in)
}

func (w *waking) key(k *parcelKey) {
	switch {
	case !k.node:
		w.nodes = append(w.nodes, 0)
		return
	case k.common:
		w.nodes = append(w.nodes, w.e.commonNode(k))
		return
	}
	g := &w.e.graph
	before := g.byKey.used
	id := w.e.node(k.class, k.value)
	w.overlap = w.overlap || g.byKey.used == before
	w.nodes = append(w.nodes, id)
}

// commonNode is the node of a key that became common.
func (e *Engine) commonNode(k *parcelKey) nodeID {
	id := e.node(k.class, k.value)
	if n := e.graph.at(id); !n.common {
		e.affect([]nodeID{id}, false)
		n.common = true
		e.graph.keep(id, n, nil)
		e.noteCommon(n)
	}
	return id
}

func (w *waking) group(p *parcelGroup) {
	t := &w.e.traces
	before := len(t.byID)
	c := &w.e.graph.classes[p.class]
	g := t.group(w.e, c.typ, c.environment, p.id)
	w.overlap = w.overlap || len(t.byID) == before
	g.void = g.void || p.void
	w.groups = append(w.groups, g)
}

func (w *waking) ids(list []int) []nodeID {
	ids := make([]nodeID, len(list))
	for i, at := range list {
		ids[i] = w.nodes[at]
	}
	return ids
}

func (w *waking) signal(s *parcelSignal) {
	e := w.e
	ids := w.ids(s.keys)
	if e.copies.seen.find(s.sig, nil) != nil {
		w.overlap = true
		return
	}
	w.remember(s, ids)
	sorted := slices.Sorted(slices.Values(ids))
	if len(sorted) > 1 {
		e.graph.link(e, sorted)
	}
	w.parts(s, ids)
}

// parts puts back where a signal stands and hangs, as far as it is not there.
func (w *waking) parts(s *parcelSignal, ids []nodeID) {
	e := w.e
	sorted := slices.Sorted(slices.Values(ids))
	lineage := w.join(s, ids)
	if s.linking {
		e.hangLink(s.sig, sorted)
	}
	for i := range s.hits {
		h := &s.hits[i]
		if h.held {
			w.held(s, h, sorted, lineage)
		}
	}
}

// remember puts back what copies knew of a signal.
func (w *waking) remember(s *parcelSignal, ids []nodeID) {
	e := w.e
	known := entry{hash: s.sig, small: smallOf(s.hash)}
	if s.complex {
		effects := e.effects[:0]
		for _, id := range ids {
			effects = append(effects, effect(id))
		}
		for _, p := range s.places {
			effects = append(effects, effect(w.groups[p.group].index|isGroup))
		}
		e.effects = effects
		known.ref = e.addRecord(record{start: s.start, hash: s.hash}, effects)
	} else {
		known.ref = w.instances[s.hits[0].targets[0]].index
	}
	e.copies.seen.add(known)
}

// join puts a signal back into its traces.
func (w *waking) join(s *parcelSignal, ids []nodeID) *lineage {
	if len(s.places) == 0 {
		return nil
	}
	l := &lineage{}
	for _, p := range s.parents {
		l.parents = append(l.parents, ancestor{w.groups[p.group], p.self})
	}
	for _, p := range s.places {
		g := w.groups[p.group]
		if p.linked {
			l.linked = append(l.linked, g)
		} else {
			l.own = append(l.own, ancestor{g, p.self})
		}
		if p.member && !g.void {
			g.add(w.e, groupMember{sig: s.sig, self: p.self, parents: l.parents, keys: ids})
		}
	}
	return l
}

// held puts back a signal that is where its keys lead.
func (w *waking) held(s *parcelSignal, hit *parcelHit, ids []nodeID, l *lineage) {
	e := w.e
	h := &held{sig: s.sig, fs: hit.fs, step: uint16(hit.occurrence.Step)}
	if hit.traced {
		h.keys = slices.Sorted(slices.Values(w.ids(hit.inherited)))
	} else {
		for _, id := range ids {
			if hit.fs.role(&e.graph, e.graph.at(id).class) == roleLink {
				h.keys = append(h.keys, id)
			}
		}
	}
	for _, target := range hit.targets {
		if id := w.nodes[w.p.instances[target].key]; id != 0 { // as it is for all that something leads to
			h.targets = append(h.targets, id)
		}
	}
	slices.Sort(h.targets)
	if hit.traced || len(h.targets) == 0 {
		o := hit.occurrence
		h.rest = &unsettled{producer: e.producer(h.fs, &o), received: hit.received, at: -1}
		if len(hit.targets) == 0 {
			h.rest.occurrence = e.packOne(&o)
			if e.back(h, o.At) && e.returning {
				return
			}
		}
		if hit.traced {
			h.rest.trace = l
		}
	}
	for _, id := range h.keys {
		e.graph.hang(h, id)
	}
	if hit.traced {
		l.hang(e, h)
	}
	if e.bySig != nil {
		e.bySig[h.sig] = append(e.bySig[h.sig], h)
	}
	if len(h.targets) == 0 || hit.stale || w.overlap {
		e.markStale(h)
	}
}
