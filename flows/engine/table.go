package engine

import "math/bits"

// table is a map by hashes that are taken for the things themselves: 64 bits, spread
// evenly. It takes 16 bytes for 11 to 14 of its slots, half of what a map takes, and
// grows by a half, not by doubling.
type table struct {
	slots []entry
	used  int
}

// entry is one slot; hash 0 is free.
type entry struct {
	hash  uint64
	small uint32
	ref   uint32
}

const smallTable = 16

// home is where the search for a hash begins.
func (t *table) home(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(high)
}

func (t *table) next(i int) int {
	if i++; i == len(t.slots) {
		return 0
	}
	return i
}

// find returns the entry of a hash that matches; nil for none. It is valid until the next
// change.
func (t *table) find(hash uint64, matches func(*entry) bool) *entry {
	if t.used == 0 {
		return nil
	}
	for i := t.home(hash); t.slots[i].hash != 0; i = t.next(i) {
		if e := &t.slots[i]; e.hash == hash && (matches == nil || matches(e)) {
			return e
		}
	}
	return nil
}

// add puts in one more entry, even where there is one of that hash.
func (t *table) add(e entry) {
	if t.used >= len(t.slots)/8*7 {
		old := t.slots
		t.slots = make([]entry, max(smallTable, len(old)/2*3))
		for i := range old {
			if old[i].hash != 0 {
				t.put(old[i])
			}
		}
	}
	t.put(e)
	t.used++
}

func (t *table) put(e entry) {
	i := t.home(e.hash)
	for t.slots[i].hash != 0 {
		i = t.next(i)
	}
	t.slots[i] = e
}

// remove takes out an entry that find returned, and closes the gap.
func (t *table) remove(e *entry) {
	gap := 0
	for gap = t.home(e.hash); &t.slots[gap] != e; gap = t.next(gap) {
	}
	t.used--
	for i := t.next(gap); t.slots[i].hash != 0; i = t.next(i) {
		// What may stand anywhere from its home to i may move into a gap between.
		home := t.home(t.slots[i].hash)
		if between := home <= gap && gap < i || i < home && (home <= gap || gap < i); between {
			t.slots[gap] = t.slots[i]
			gap = i
		}
	}
	t.slots[gap] = entry{}
}
