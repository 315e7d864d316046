package engine

import "slices"

// Of a component some instances may have ended while others are open, for years maybe: the
// orders of a contract. It leaves memory as one does of which all ended, but for a stub: its
// open instances with what they are made of, at rest, with their timers. A stub is not all that
// is linked to it: whoever names a key or a trace of it has the whole come back before.

// stubMark tells the text of a stub from that of a whole component, in its first byte.
const stubMark = 1 << 7

func isStub(text cell) bool { return text != "" && text[0]&stubMark != 0 }

// fate is what becomes of a component that is at rest for long enough.
type fate uint8

const (
	stays    fate = iota
	leaves        // all of it
	leavesIt      // a stub
)

// fateOf a component at rest.
func (e *Engine) fateOf(p *parcel) fate {
	open, ended := false, len(p.instances) == 0
	for _, want := range p.instances {
		if want.fs == nil {
			continue
		}
		in := e.atRest(p, want)
		if in == nil || in.work != nil {
			return stays
		}
		if in.anyOpen() {
			open = true
			continue
		}
		if ended = true; in.timer >= 0 || slices.ContainsFunc(in.fs.later[in], func(later *instance) bool { return later.timer >= 0 }) {
			return stays // it is to be looked at as time passes
		}
	}
	switch {
	case !open:
		return leaves
	case ended && !p.partial:
		return leavesIt
	}
	return stays
}

// anyOpen says whether an instance, or one that followed on its key, is in flight.
func (in *instance) anyOpen() bool {
	return in.openAt >= 0 || slices.ContainsFunc(in.fs.later[in], func(later *instance) bool { return later.openAt >= 0 })
}

// stub is what stays of a component at rest.
func (e *Engine) stub(p *parcel) *parcel {
	s := stubbing{from: p, keys: map[int]int{}, groups: map[int]int{}, instances: map[int]int{}}
	for i, want := range p.instances {
		if e.atRest(p, want).anyOpen() {
			if s.instances[i] = len(s.to.instances); !slices.Contains(s.to.flows, want.fs) {
				s.to.flows = append(s.to.flows, want.fs)
			}
			s.to.instances = append(s.to.instances, parcelInstance{want.fs, s.key(want.key)})
		}
	}
	for i := range p.signals {
		s.signal(p.signals[i])
	}
	return &s.to
}

// stubbing numbers anew what of a parcel is in a stub.
type stubbing struct {
	from                    *parcel
	to                      parcel
	keys, groups, instances map[int]int
}

func (s *stubbing) key(at int) int { return renumber(at, s.keys, s.from.keys, &s.to.keys) }

func renumber[Part any](at int, numbers map[int]int, from []Part, to *[]Part) int {
	number, ok := numbers[at]
	if !ok {
		number = len(*to)
		numbers[at], *to = number, append(*to, from[at])
	}
	return number
}

func (s *stubbing) signal(sig parcelSignal) {
	var hits []parcelHit
	for _, h := range sig.hits {
		var targets []int
		for _, at := range h.targets {
			if number, stays := s.instances[at]; stays {
				targets = append(targets, number)
			}
		}
		if len(targets) > 0 {
			h.targets, h.inherited = targets, s.list(h.inherited)
			hits = append(hits, h)
		}
	}
	if len(hits) == 0 {
		return
	}
	sig.hits, sig.keys = hits, s.list(sig.keys)
	sig.places, sig.parents = s.places(sig.places), s.places(sig.parents)
	s.to.signals = append(s.to.signals, sig)
}

func (s *stubbing) list(keys []int) []int {
	list := make([]int, len(keys))
	for i, at := range keys {
		list[i] = s.key(at)
	}
	return list
}

func (s *stubbing) places(of []parcelPlace) []parcelPlace {
	list := slices.Clone(of)
	for i := range list {
		list[i].group = renumber(list[i].group, s.groups, s.from.groups, &s.to.groups)
	}
	return list
}

// whole has a component that comes back take the place of the stubs of it.
func (e *Engine) whole(p *parcel, number uint32) {
	for _, want := range p.instances {
		if want.fs == nil {
			continue
		}
		in := e.atRest(p, want)
		if in == nil || !isStub(e.cells.list[in.cell]) {
			continue
		}
		old := in.cell
		if e.names.read(e, string(e.cells.list[old]), &e.other) != nil {
			continue // not reached: it was read or written by this process
		}
		e.save.stubs = append(e.save.stubs, e.other.rowID())
		e.eachPrint(&e.other, func(hash uint64) { e.cells.prints.remove(hash, old) })
		for _, stayed := range e.other.instances {
			if stayed.fs != nil {
				e.atRest(&e.other, stayed).cell = number
			}
		}
		e.cells.remove(old)
	}
}

// alone notes of a stub that is woken by itself, as by another copy of a signal that carries
// other keys, that there is more of it.
func (e *Engine) alone(p *parcel) {
	if e.apart == nil {
		e.apart = map[uint64]struct{}{}
	}
	e.eachPrint(p, func(hash uint64) { e.apart[hash] = struct{}{} })
}

// Asked notes that the store was asked for what is found by some hashes, and that Return was
// given all there is of it: a stub that is left is all of its component.
func (e *Engine) Asked(hashes []uint64) {
	for _, hash := range hashes {
		delete(e.apart, hash)
		e.cells.prints.each(hash, func(number uint32) {
			if text := e.cells.list[number]; isStub(text) {
				e.cells.list[number] = cell([]byte{text[0] &^ stubMark}) + text[1:]
			}
		})
	}
}
