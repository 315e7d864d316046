package store

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"throughline/flows"
)

const (
	// repeatAge is how long a span is known at least, where repeatSpans are enough.
	repeatAge = 5 * time.Minute
	// repeatSpans bound each of the two sets of 8 MB. At 1,700 spans a second they last
	// for all of repeatAge, at 150,000 for some seconds, in which most clients try again.
	repeatSpans = 1 << 19
)

// Repeats knows the spans that were inserted of late, the last 5 to 10 minutes' or half a
// million to a million, so that one that is sent again is not inserted again. It spares
// ClickHouse work and is no promise: repeats that it does not know, above all those from
// before a restart, are rows that the spans table replaces, and queries count distinct.
//
// A repeat has the trace id, span id, start and duration of the one before: spans whose
// producers use an id twice are two. They are told apart by a hash of 64 bits with a seed
// of this process; of ten billion spans one is taken for another with a chance of 1 in 1,000.
//
// The zero value is ready. It is for one goroutine.
type Repeats struct {
	seed       maphash.Seed
	young, old hashes
	since      flows.Time // when young was begun
	added      []uint32   // slots of young, by the call at hand
	block      []uint64   // hashes of the block at hand
	key        []byte
	dropped    atomic.Uint64
}

// Insert calls insert with the blocks less the spans that are known; they are known from
// then on if it succeeds, and only then: what is dropped is stored. received is the clock.
// Called again after a failure it drops the same.
func (r *Repeats) Insert(blocks []flows.SpanBlock, received flows.Time, insert func([]flows.SpanBlock) error) error {
	r.turn(received)
	fresh, dropped := make([]flows.SpanBlock, 0, len(blocks)), 0
	for i := range blocks {
		b := r.fresh(&blocks[i])
		if dropped += blocks[i].Rows - b.Rows; b.Rows > 0 {
			fresh = append(fresh, b)
		}
	}
	err := insert(fresh)
	if err != nil {
		r.young.remove(r.added)
	} else {
		r.dropped.Add(uint64(dropped))
	}
	r.added = r.added[:0]
	return err
}

// Dropped is how many spans were not inserted again. It may be called by others.
func (r *Repeats) Dropped() uint64 { return r.dropped.Load() }

// turn lets young become old when it is full or old enough.
func (r *Repeats) turn(now flows.Time) {
	if r.young.slots == nil {
		r.seed, r.young, r.old, r.since = maphash.MakeSeed(), newHashes(), newHashes(), now
	}
	if age := now.Sub(r.since); r.young.count >= repeatSpans || age >= repeatAge || age < 0 {
		r.young, r.old, r.since = r.old, r.young, now
		r.young.clear()
	}
}

// fresh is b without the spans that are known.
func (r *Repeats) fresh(b *flows.SpanBlock) flows.SpanBlock {
	r.hash(b)
	known := 0
	for i, h := range r.block { // their waits for memory overlap
		if r.old.has(h) {
			r.block[i] = 0
			known++
		}
	}
	for i, h := range r.block {
		if h == 0 {
			continue
		}
		slot, ok := r.young.add(h)
		switch {
		case ok:
			r.added = append(r.added, slot)
		case slot != full:
			r.block[i] = 0
			known++
		}
	}
	switch known {
	case 0:
		return *b
	case b.Rows:
		return flows.SpanBlock{}
	}
	return b.Keep(func(row int) bool { return r.block[row] != 0 })
}

// hash sets r.block; no hash is 0.
func (r *Repeats) hash(b *flows.SpanBlock) {
	r.block = r.block[:0]
	traces, spans := b.Column(flows.SpanTraceIDs), b.Column(flows.SpanIDs)
	starts, durations := b.Column(flows.SpanStarts), b.Column(flows.SpanDurations)
	for row := range b.Rows {
		_, traceRest := flows.SpanText(traces)
		_, spanRest := flows.SpanText(spans)
		key := append(r.key[:0], starts[8*row:8*row+8]...)
		key = append(key, durations[8*row:8*row+8]...)
		key = append(key, traces[:len(traces)-len(traceRest)]...) // with its length
		key = append(key, spans[:len(spans)-len(spanRest)]...)
		r.block = append(r.block, max(1, maphash.Bytes(r.seed, key)))
		r.key, traces, spans = key, traceRest, spanRest
	}
}

// hashes is a set of numbers other than 0, each in the first free slot from its own on. It
// is half empty, so that it is found at once, and in the first line of memory.
type hashes struct {
	slots []uint64
	count int
}

const hashMask = 2*repeatSpans - 1

// full is the slot of what has no room.
const full = math.MaxUint32

func newHashes() hashes { return hashes{slots: make([]uint64, hashMask+1)} }

func (s *hashes) clear() {
	clear(s.slots)
	s.count = 0
}

func (s *hashes) has(h uint64) bool {
	for i := h; ; i++ {
		switch s.slots[i&hashMask] {
		case 0:
			return false
		case h:
			return true
		}
	}
}

// add says whether h was not there, and where it is. One more than the set is for may be
// added as long as a quarter of the slots is empty.
func (s *hashes) add(h uint64) (slot uint32, added bool) {
	for i := h; ; i++ {
		at := i & hashMask
		switch s.slots[at] {
		case 0:
			if s.count >= len(s.slots)/4*3 {
				return full, false
			}
			s.slots[at] = h
			s.count++
			return uint32(at), true
		case h:
			return uint32(at), false
		}
	}
}

// remove undoes the last calls of add, whose slots these are.
func (s *hashes) remove(slots []uint32) {
	for _, at := range slots {
		s.slots[at] = 0
	}
	s.count -= len(slots)
}
