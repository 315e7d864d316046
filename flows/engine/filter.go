package engine

import "slices"

// filter is a Bloom filter over hashes: it forgets none, and takes about one in a thousand
// of the others for one of its own, at 16 bits each. It grows by parts that are four times
// the one before: few, since each is asked.
type filter struct {
	parts []filterPart
	used  int
}

type filterPart struct {
	bits []uint64
	room int
}

const (
	filterBits   = 16 // a hash
	filterProbes = 8
	filterFirst  = 1 << 18 // hashes of the first part: half a megabyte
)

func (f *filter) add(hash uint64) {
	if f.has(hash) {
		return
	}
	last := len(f.parts) - 1
	if last < 0 || f.parts[last].room == 0 {
		room := filterFirst << (2 * len(f.parts))
		f.parts = append(f.parts, filterPart{bits: make([]uint64, room*filterBits/64), room: room})
		last++
	}
	p := &f.parts[last]
	p.room--
	f.used++
	step := hash>>32 | 1
	for range filterProbes {
		bit := hash % uint64(len(p.bits)*64)
		p.bits[bit/64] |= 1 << (bit % 64)
		hash += step
	}
}

// clone is a filter of the same hashes.
func (f *filter) clone() filter {
	c := filter{parts: slices.Clone(f.parts), used: f.used}
	for i := range c.parts {
		c.parts[i].bits = slices.Clone(c.parts[i].bits)
	}
	return c
}

func (f *filter) has(hash uint64) bool {
	for i := range f.parts {
		if f.parts[i].has(hash) {
			return true
		}
	}
	return false
}

func (p *filterPart) has(hash uint64) bool {
	step := hash>>32 | 1
	for range filterProbes {
		bit := hash % uint64(len(p.bits)*64)
		if p.bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		hash += step
	}
	return true
}
