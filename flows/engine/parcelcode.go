package engine

import (
	"encoding/binary"
	"errors"
	"slices"

	"throughline/flows"
)

// parcelFormat is the first byte of a written parcel. Parcels of another format are not
// read: the state is made from the stored signals then.
const parcelFormat = 3

// Flags of a written key, group and signal; those of a hit are those of pack, and these.
const (
	keyNode   = 1 << 0
	keyCommon = 1 << 1

	signalComplex = 1 << 0
	signalLinking = 1 << 1
	signalPlaced  = 1 << 2 // has places
	signalNamed   = 1 << 3 // has an identity
	signalSpanID  = 1 << 4
	signalHit     = 1 << 5 // has one hit, as most

	hitHeld   = 1 << 4
	hitTraced = 1 << 5
	hitStale  = 1 << 6
	hitFirst  = 1 << 7 // its only target is the first instance

	placeMember = 1 << 0
	placeLinked = 1 << 1
)

var errParcel = errors.New("not a component as this build writes it")

// write appends a parcel to b.
func (n *names) write(b []byte, e *Engine, p *parcel) []byte {
	b = append(b, parcelFormat)
	b = binary.AppendUvarint(b, uint64(len(p.flows)))
	for _, fs := range p.flows {
		b = n.append(b, fs.flow.Name)
		b = binary.LittleEndian.AppendUint32(b, fs.shape)
	}
	b = binary.AppendUvarint(b, uint64(len(p.keys)))
	for i := range p.keys {
		k := &p.keys[i]
		b = append(b, flag(k.node, keyNode)|flag(k.common, keyCommon))
		b = n.writeClass(b, e, k.class)
		b = appendText(b, k.value)
	}
	b = binary.AppendUvarint(b, uint64(len(p.groups)))
	for i := range p.groups {
		g := &p.groups[i]
		b = append(b, flag(g.void, 1))
		b = n.writeClass(b, e, g.class)
		b = appendText(b, g.id)
	}
	b = binary.AppendUvarint(b, uint64(len(p.instances)))
	for _, in := range p.instances {
		b = binary.AppendUvarint(b, uint64(slices.Index(p.flows, in.fs)))
		b = binary.AppendUvarint(b, uint64(in.key))
	}
	b = binary.AppendUvarint(b, uint64(len(p.signals)))
	before := flows.Time(0)
	for i := range p.signals {
		b = n.writeSignal(b, p, &p.signals[i], before)
		before = p.signals[i].start
	}
	return b
}

func (n *names) writeClass(b []byte, e *Engine, class uint32) []byte {
	c := &e.graph.classes[class]
	return n.append(n.append(b, c.typ), c.environment)
}

func (n *names) writeSignal(b []byte, p *parcel, s *parcelSignal, before flows.Time) []byte {
	spanID, isSpan := packSpanIdentity(s.id.ID)
	named := s.id != flows.Identity{}
	b = append(b, flag(s.complex, signalComplex)|flag(s.linking, signalLinking)|flag(len(s.places) > 0, signalPlaced)|
		flag(named, signalNamed)|flag(isSpan, signalSpanID)|flag(len(s.hits) == 1, signalHit))
	switch {
	case !named:
		b = binary.LittleEndian.AppendUint64(b, s.sig)
	case isSpan:
		b = append(n.append(b, s.id.Source), spanID[:]...)
	default:
		b = appendText(n.append(b, s.id.Source), s.id.ID)
	}
	b = binary.AppendVarint(b, int64(s.start-before))
	b = appendHash(b, s.hash)
	if s.complex {
		b = appendInts(b, s.keys)
	}
	if len(s.places) > 0 {
		b = appendPlaces(appendPlaces(b, s.places), s.parents)
	}
	if len(s.hits) != 1 {
		b = binary.AppendUvarint(b, uint64(len(s.hits)))
	}
	for i := range s.hits {
		b = n.writeHit(b, p, &s.hits[i])
	}
	return b
}

func appendInts(b []byte, list []int) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

func appendPlaces(b []byte, list []parcelPlace) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, p := range list {
		b = binary.AppendUvarint(b, uint64(p.group))
		b = append(b, flag(p.member, placeMember)|flag(p.linked, placeLinked))
		b = binary.LittleEndian.AppendUint64(b, p.self)
	}
	return b
}

func (n *names) writeHit(b []byte, p *parcel, h *parcelHit) []byte {
	o := &h.occurrence
	flags := flag(o.Failed, packFailed) | flag(o.Start != o.At, packSpan) | flag(isRare(o), packRare) |
		flag(h.held, hitHeld) | flag(h.traced, hitTraced) | flag(h.stale, hitStale) |
		flag(len(h.targets) == 1 && h.targets[0] == 0, hitFirst)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(o.Step)<<1|uint64(flag(o.Sampled, 1))) // the flags are all taken
	if flags&hitFirst == 0 {
		b = appendInts(b, h.targets)
	}
	if len(h.targets) == 0 {
		b = binary.AppendUvarint(b, uint64(slices.Index(p.flows, h.fs)))
	}
	if flags&packSpan != 0 {
		b = binary.AppendVarint(b, int64(o.At-o.Start))
	}
	b = n.append(b, o.System)
	if flags&packRare != 0 {
		b = n.appendRare(b, o)
	}
	if h.held {
		b = binary.AppendVarint(b, int64(h.received))
	}
	if h.traced {
		b = appendInts(b, h.inherited)
	}
	return b
}

// read is what write wrote, but for flows that are no more or are filled anew: without
// these. Its texts live as long as the text does. Nothing of it is taken for granted: it
// comes from the store.
func (n *names) read(e *Engine, text string, p *parcel) error {
	return unpacker{names: n, rest: text}.parcel(e, p)
}

// look is read without the hashes of the signals.
func (n *names) look(e *Engine, text string, p *parcel) error {
	return unpacker{names: n, rest: text, unhashed: true}.parcel(e, p)
}

func (r unpacker) parcel(e *Engine, p *parcel) error {
	*p = parcel{
		flows: p.flows[:0], keys: p.keys[:0], groups: p.groups[:0], instances: p.instances[:0], signals: p.signals[:0],
		hits: p.hits[:0], ints: p.ints[:0],
	}
	if r.byte()&^stubMark != parcelFormat {
		return errParcel
	}
	for range r.count() {
		fs := e.flows[r.name()]
		shape := binary.LittleEndian.Uint32([]byte(r.take(4)))
		if fs != nil && fs.fresh {
			fs = nil // its signals are applied anew
		}
		p.partial = p.partial || fs == nil
		if fs != nil && fs.shape != shape {
			return errParcel
		}
		p.flows = append(p.flows, fs)
	}
	for range r.count() {
		flags := r.byte()
		class := r.class(e)
		p.keys = append(p.keys, parcelKey{class, r.text(), flags&keyNode != 0, flags&keyCommon != 0})
	}
	for range r.count() {
		void := r.byte() != 0
		class := r.class(e)
		p.groups = append(p.groups, parcelGroup{class, r.text(), void})
	}
	for range r.count() {
		in := parcelInstance{r.flow(p), r.index(len(p.keys))}
		if r.bad {
			return errParcel
		}
		p.instances = append(p.instances, in)
	}
	before := flows.Time(0)
	for range r.count() {
		p.signals = append(p.signals, parcelSignal{})
		s := &p.signals[len(p.signals)-1]
		r.signal(e, p, s, before)
		before = s.start
		if s.hits = slices.DeleteFunc(s.hits, func(h parcelHit) bool { return h.fs == nil }); !s.complex && len(s.hits) == 0 {
			p.signals = p.signals[:len(p.signals)-1]
		}
	}
	if r.bad || r.rest != "" {
		return errParcel
	}
	return nil
}

// count is a number of things that take at least a byte each.
func (r *unpacker) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(n)
}

// index is a position in a list of some length.
func (r *unpacker) index(length int) int {
	v := r.uvarint()
	if v >= uint64(length) {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(v)
}

func (r *unpacker) class(e *Engine) uint32 {
	typ := r.name()
	return e.graph.class(e.set, r.name(), typ)
}

func (r *unpacker) flow(p *parcel) *flowState {
	if i := r.index(len(p.flows)); !r.bad {
		return p.flows[i]
	}
	return nil
}

func (r *unpacker) ints(p *parcel, limit int) (list []int) {
	list = p.someInts(r.count())
	for i := range list {
		list[i] = r.index(limit)
	}
	if r.bad {
		return nil
	}
	return list
}

func (r *unpacker) places(limit int) (list []parcelPlace) {
	if n := r.count(); n > 0 {
		list = make([]parcelPlace, n)
	}
	for i := range list {
		p := &list[i]
		p.group = r.index(limit)
		flags := r.byte()
		p.member, p.linked = flags&placeMember != 0, flags&placeLinked != 0
		p.self = binary.LittleEndian.Uint64([]byte(r.take(8)))
	}
	return list
}

func (r *unpacker) signal(e *Engine, p *parcel, s *parcelSignal, before flows.Time) {
	flags := r.byte()
	s.complex, s.linking = flags&signalComplex != 0, flags&signalLinking != 0
	if flags&signalNamed == 0 {
		s.sig = binary.LittleEndian.Uint64([]byte(r.take(8)))
	} else {
		s.id.Source = r.name()
		if flags&signalSpanID != 0 {
			s.id.ID = spanIdentity(r.take(24))
		} else {
			s.id.ID = r.text()
		}
		if !r.unhashed {
			s.sig = e.copies.hash(s.id)
		}
	}
	s.start = before + flows.Time(r.varint())
	s.hash = r.hash()
	if s.complex {
		s.keys = r.ints(p, len(p.keys))
	}
	if flags&signalPlaced != 0 {
		s.places = r.places(len(p.groups))
		s.parents = r.places(len(p.groups))
	}
	n := 1
	if flags&signalHit == 0 {
		n = r.count()
	}
	s.hits = p.someHits(n)
	for i := range s.hits {
		if r.hit(p, s, &s.hits[i]); r.bad {
			return
		}
	}
	if !s.complex && (n == 0 || len(s.hits[0].targets) == 0) { // of that it is known by its instance alone
		r.bad = true
	}
}

func (r *unpacker) hit(p *parcel, s *parcelSignal, h *parcelHit) {
	flags := r.byte()
	o := &h.occurrence
	step := r.uvarint()
	sampled := step&1 != 0
	step >>= 1
	switch {
	case flags&hitFirst == 0:
		h.targets = r.ints(p, len(p.instances))
	case len(p.instances) == 0:
		r.bad = true
	default:
		h.targets = p.someInts(1)
	}
	if len(h.targets) > 0 {
		h.fs = p.instances[h.targets[0]].fs
	} else {
		h.fs = r.flow(p)
	}
	if r.bad || (h.fs != nil && step >= uint64(len(h.fs.positions))) {
		r.bad = true
		return
	}
	o.Step, o.Sampled = int(step), sampled
	o.Source, o.ID, o.Hash, o.Failed, o.Start, o.At = s.id.Source, s.id.ID, s.hash, flags&packFailed != 0, s.start, s.start
	if flags&packSpan != 0 {
		o.At += flows.Time(r.varint())
	}
	o.System = r.name()
	if flags&packRare != 0 {
		r.rare(o)
	}
	h.stale = flags&hitStale != 0
	if h.held = flags&hitHeld != 0; h.held {
		h.received = flows.Time(r.varint())
	}
	if h.traced = flags&hitTraced != 0; h.traced {
		h.inherited = r.ints(p, len(p.keys))
	}
}
