package engine

import "math/bits"

// prints finds the components at rest that have a key, a trace or a signal, by its hash:
// 8 bytes each, of 44 bits of the hash. A component that is found for nothing, one in a
// million times, is woken for nothing.
type prints struct {
	parts [][]print
	used  []int
}

// print is one slot; cell 0 is free.
type print struct {
	hash uint32
	cell uint32
}

const printParts = 1 << 12 // so that growing one is short

func (p *prints) part(hash uint64) int { return int(hash >> (64 - 12)) }

func homeOf(hash uint32, slots int) int {
	high, _ := bits.Mul32(hash, uint32(slots))
	return int(high)
}

// find returns a cell that may have what a hash is of; 0 for none.
func (p *prints) find(hash uint64) uint32 {
	if p.parts == nil {
		return 0
	}
	slots := p.parts[p.part(hash)]
	if len(slots) == 0 {
		return 0
	}
	for i := homeOf(uint32(hash), len(slots)); slots[i].cell != 0; i = after(i, len(slots)) {
		if slots[i].hash == uint32(hash) {
			return slots[i].cell
		}
	}
	return 0
}

// each calls f with the cells that may have what a hash is of.
func (p *prints) each(hash uint64, f func(cell uint32)) {
	if p.parts == nil {
		return
	}
	slots := p.parts[p.part(hash)]
	if len(slots) == 0 {
		return
	}
	for i := homeOf(uint32(hash), len(slots)); slots[i].cell != 0; i = after(i, len(slots)) {
		if slots[i].hash == uint32(hash) {
			f(slots[i].cell)
		}
	}
}

func after(i, slots int) int {
	if i++; i == slots {
		return 0
	}
	return i
}

// add notes that a cell has what a hash is of. It says whether find would have found one
// before.
func (p *prints) add(hash uint64, cell uint32) (known bool) {
	if p.parts == nil {
		p.parts, p.used = make([][]print, printParts), make([]int, printParts)
	}
	part := p.part(hash)
	if old := p.parts[part]; p.used[part] >= len(old)*7/8 {
		grown := make([]print, len(old)+max(4, len(old)/8))
		for _, s := range old {
			if s.cell != 0 {
				putPrint(grown, s)
			}
		}
		p.parts[part] = grown
	}
	p.used[part]++
	return putPrint(p.parts[part], print{uint32(hash), cell})
}

// putPrint says whether another of the same hash is there.
func putPrint(slots []print, s print) (known bool) {
	i := homeOf(s.hash, len(slots))
	for ; slots[i].cell != 0; i = after(i, len(slots)) {
		known = known || slots[i].hash == s.hash
	}
	slots[i] = s
	return known
}

// drop takes back all adds of a cell, by looking at everything.
func (p *prints) drop(cell uint32) {
	for part, old := range p.parts {
		kept := make([]print, len(old))
		p.used[part] = 0
		for _, s := range old {
			if s.cell != 0 && s.cell != cell {
				putPrint(kept, s)
				p.used[part]++
			}
		}
		p.parts[part] = kept
	}
}

// remove takes back one add, and closes the gap.
func (p *prints) remove(hash uint64, cell uint32) {
	if p.parts == nil {
		return
	}
	part := p.part(hash)
	slots := p.parts[part]
	if len(slots) == 0 {
		return
	}
	gap := homeOf(uint32(hash), len(slots))
	for ; slots[gap] != (print{uint32(hash), cell}); gap = after(gap, len(slots)) {
		if slots[gap].cell == 0 {
			return
		}
	}
	p.used[part]--
	for i := after(gap, len(slots)); slots[i].cell != 0; i = after(i, len(slots)) {
		// What may stand anywhere from its home to i may move into a gap between.
		home := homeOf(slots[i].hash, len(slots))
		if between := home <= gap && gap < i || i < home && (home <= gap || gap < i); between {
			slots[gap] = slots[i]
			gap = i
		}
	}
	slots[gap] = print{}
}
