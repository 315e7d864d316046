package engine

import (
	"slices"

	"throughline/flows"
)

// parcel is a component in words that outlive its place in memory: what is written of it,
// and all it is built from again.
type parcel struct {
	flows     []*flowState
	keys      []parcelKey
	groups    []parcelGroup
	instances []parcelInstance
	signals   []parcelSignal
	partial   bool // read without what was of flows that are no more or are filled anew

	hits []parcelHit // memory of the lists above, given out piece by piece and used again by the next read
	ints []int
}

// someHits is a list of n empty ones.
func (p *parcel) someHits(n int) []parcelHit {
	from := len(p.hits)
	p.hits = slices.Grow(p.hits, n)[:from+n]
	list := p.hits[from : from+n : from+n]
	clear(list)
	return list
}

// someInts is a list of n zeros.
func (p *parcel) someInts(n int) []int {
	from := len(p.ints)
	p.ints = slices.Grow(p.ints, n)[:from+n]
	list := p.ints[from : from+n : from+n]
	clear(list)
	return list
}

// parcelKey is a key; those of nodes come first, in the order of members.nodes.
type parcelKey struct {
	class  uint32
	value  string
	node   bool // links or hangs
	common bool
}

// parcelGroup is a trace.
type parcelGroup struct {
	class uint32
	id    string
	void  bool
}

// parcelInstance is an instance by its flow and its primary key.
type parcelInstance struct {
	fs  *flowState
	key int // in parcel.keys
}

// parcelSignal is what counts of one signal.
type parcelSignal struct {
	sig     uint64
	id      flows.Identity // zero where no occurrence says it
	start   flows.Time
	hash    uint64
	complex bool // has a record
	linking bool // only links: hangs on its keys for no flow
	keys    []int
	places  []parcelPlace
	parents []parcelPlace
	hits    []parcelHit
}

// parcelPlace is where a signal, or a parent of it, stands in a trace.
type parcelPlace struct {
	group  int
	self   uint64
	member bool // of that group
	linked bool // by a span link
}

// parcelHit is a signal as a step of a flow, and the instances that have it.
type parcelHit struct {
	occurrence flows.Occurrence
	fs         *flowState
	targets    []int
	held       bool
	stale      bool // to be placed anew
	traced     bool // held for what its trace gives
	received   flows.Time
	inherited  []int // the keys that its trace gives, where traced
}

// packer describes a component; it is scratch of one owner.
type packer struct {
	e       *Engine
	m       *members
	p       parcel
	keyAt   map[nodeID]int
	groupAt map[*group]int
	signals map[uint64]int
}

// describe puts a component into words. Texts are shared with the state.
func (e *Engine) describe(m *members) *parcel {
	d := &e.packer
	if d.e == nil {
		*d = packer{e: e, keyAt: map[nodeID]int{}, groupAt: map[*group]int{}, signals: map[uint64]int{}}
	}
	clear(d.keyAt)
	clear(d.groupAt)
	clear(d.signals)
	d.m = m
	d.p = parcel{flows: d.p.flows[:0], keys: d.p.keys[:0], groups: d.p.groups[:0], instances: d.p.instances[:0], signals: d.p.signals[:0]}
	for _, id := range m.nodes {
		d.key(id)
	}
	for _, g := range m.groups {
		d.group(g)
	}
	for _, in := range m.instances {
		d.instance(in)
	}
	for _, h := range m.helds {
		d.held(h)
	}
	for i, g := range m.groups {
		d.members(i, g)
	}
	return &d.p
}

func (d *packer) key(id nodeID) int {
	if at, ok := d.keyAt[id]; ok {
		return at
	}
	n := d.e.graph.at(id)
	d.p.keys = append(d.p.keys, parcelKey{class: n.class, value: n.value, node: true, common: n.common})
	d.keyAt[id] = len(d.p.keys) - 1
	return len(d.p.keys) - 1
}

func (d *packer) keys(ids []nodeID) []int {
	list := make([]int, len(ids))
	for i, id := range ids {
		list[i] = d.key(id)
	}
	return list
}

func (d *packer) group(g *group) int {
	if at, ok := d.groupAt[g]; ok {
		return at
	}
	d.p.groups = append(d.p.groups, parcelGroup{class: g.class, id: g.id, void: g.void})
	d.groupAt[g] = len(d.p.groups) - 1
	return len(d.p.groups) - 1
}

func (d *packer) flow(fs *flowState) {
	if !slices.Contains(d.p.flows, fs) {
		d.p.flows = append(d.p.flows, fs)
	}
}

func (d *packer) instance(in *instance) {
	d.flow(in.fs)
	at := -1
	if id := d.e.nodeOf(in); id != 0 {
		at = d.key(id)
	} else {
		class, value := d.e.keyOf(in)
		d.p.keys = append(d.p.keys, parcelKey{class: class, value: value})
		at = len(d.p.keys) - 1
	}
	d.p.instances = append(d.p.instances, parcelInstance{in.fs, at})
	number := len(d.p.instances) - 1
	d.e.read = d.e.unpacked(in, d.e.read[:0])
	for i := range d.e.read {
		o := &d.e.read[i]
		s := d.signal(d.e.copies.hash(identity(o)))
		s.id, s.start, s.hash = identity(o), o.Start, o.Hash
		h := s.hit(in.fs, o.Step)
		h.occurrence = *o
		h.targets = append(h.targets, number)
	}
}

// signal finds or adds what is said of a signal. It is valid until the next call.
func (d *packer) signal(sig uint64) *parcelSignal {
	at, ok := d.signals[sig]
	if ok {
		return &d.p.signals[at]
	}
	s := parcelSignal{sig: sig}
	if seen := d.e.copies.seen.find(sig, nil); seen != nil && seen.ref&isRecord != 0 {
		r := d.e.copies.record(seen.ref)
		s.complex, s.start, s.hash = true, r.start, r.hash
		for _, f := range d.e.copies.effects(seen.ref) {
			if f&isGroup == 0 {
				s.keys = append(s.keys, d.key(nodeID(f)))
			}
		}
	}
	d.signals[sig] = len(d.p.signals)
	d.p.signals = append(d.p.signals, s)
	return &d.p.signals[len(d.p.signals)-1]
}

// hit finds or adds a signal as a step of a flow.
func (s *parcelSignal) hit(fs *flowState, step int) *parcelHit {
	for i := range s.hits {
		if h := &s.hits[i]; h.fs == fs && h.occurrence.Step == step {
			return h
		}
	}
	s.hits = append(s.hits, parcelHit{fs: fs, occurrence: flows.Occurrence{Step: step}})
	return &s.hits[len(s.hits)-1]
}

func (d *packer) held(h *held) {
	s := d.signal(h.sig)
	if h.fs == nil {
		s.linking = true
		return
	}
	d.flow(h.fs)
	hit := s.hit(h.fs, int(h.step))
	hit.held, hit.stale = true, h.stale
	r := h.rest
	if r == nil {
		return
	}
	if r.occurrence != "" {
		hit.occurrence = d.e.names.unpack(r.occurrence, nil)[0]
		s.id, s.start, s.hash = identity(&hit.occurrence), hit.occurrence.Start, hit.occurrence.Hash
	}
	hit.received = r.received
	if r.trace != nil {
		hit.traced, hit.inherited = true, d.keys(h.keys)
		d.lineage(s, r.trace)
	}
}

func (d *packer) lineage(s *parcelSignal, l *lineage) {
	for _, own := range l.own {
		s.place(d.group(own.group)).self = own.self
	}
	for _, g := range l.linked {
		s.place(d.group(g)).linked = true
	}
	d.parents(s, l.parents)
}

// place finds or adds where a signal stands.
func (s *parcelSignal) place(group int) *parcelPlace {
	for i := range s.places {
		if s.places[i].group == group {
			return &s.places[i]
		}
	}
	s.places = append(s.places, parcelPlace{group: group})
	return &s.places[len(s.places)-1]
}

func (d *packer) parents(s *parcelSignal, parents []ancestor) {
	if len(s.parents) > 0 {
		return // the same in each group
	}
	for _, a := range parents {
		s.parents = append(s.parents, parcelPlace{group: d.group(a.group), self: a.self})
	}
}

func (d *packer) members(number int, g *group) {
	for i := range g.members {
		member := &g.members[i]
		s := d.signal(member.sig)
		p := s.place(number)
		p.self, p.member = member.self, true
		d.parents(s, member.parents)
	}
}

// of appends the occurrences that an instance of the parcel has, in order.
func (p *parcel) of(number int, into []flows.Occurrence) []flows.Occurrence {
	sorted := true
	for i := range p.signals {
		for j := range p.signals[i].hits {
			h := &p.signals[i].hits[j]
			if slices.Contains(h.targets, number) {
				into = append(into, h.occurrence)
				last := len(into) - 1
				sorted = sorted && (last == 0 || flows.CompareOccurrences(&into[last-1], &into[last]) <= 0)
			}
		}
	}
	if !sorted {
		slices.SortFunc(into, func(a, b flows.Occurrence) int { return flows.CompareOccurrences(&a, &b) })
	}
	return into
}
