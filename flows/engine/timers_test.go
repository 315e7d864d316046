package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"throughline/flows"
)

// TestTimersAreAQueue compares with a sorted list, over sets, moves and removals.
func TestTimersAreAQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var timers timers
	due := map[*instance]flows.Time{}
	var all []*instance
	for range 300 {
		all = append(all, &instance{timer: -1})
	}
	for range 20_000 {
		in := all[rng.IntN(len(all))]
		switch rng.IntN(8) {
		case 0:
			timers.set(in, flows.NoTime)
			delete(due, in)
		case 1:
			timers.remove(in)
			delete(due, in)
		case 2:
			if len(due) > 0 {
				next := timers.next()
				if first := timers.pop(); due[first] != next {
					t.Fatalf("popped one that is due at %d, not %d", due[first], next)
				} else {
					delete(due, first)
				}
			}
		default:
			due[in] = flows.Time(rng.IntN(1000))
			timers.set(in, due[in])
		}
		earliest := flows.Time(math.MaxInt64)
		for _, at := range due {
			earliest = min(earliest, at)
		}
		if timers.next() != earliest || len(timers.queue) != len(due) {
			t.Fatalf("next is %d of %d, not %d of %d", timers.next(), len(timers.queue), earliest, len(due))
		}
	}
	want := make([]flows.Time, 0, len(due))
	for _, at := range due {
		want = append(want, at)
	}
	slices.Sort(want)
	for _, at := range want {
		if timers.next() != at {
			t.Fatalf("next is %d, not %d", timers.next(), at)
		}
		timers.pop()
	}
}
