package engine

import (
	"maps"
	"math/bits"
	"testing"

	"throughline/flows"
)

// RolledSums are what a table of roll-ups holds that sums up what it is told: by flow, then
// by all but the count and the sum.
type RolledSums map[string]map[flows.RollUp]flows.RollUp

func (r RolledSums) Take(all []Rolled) {
	for _, rolled := range all {
		if r[rolled.Flow] == nil || rolled.Anew {
			r[rolled.Flow] = map[flows.RollUp]flows.RollUp{}
		}
		for _, change := range rolled.Changes {
			key := change
			key.Count, key.SumHi, key.SumLo = 0, 0, 0
			was := r[rolled.Flow][key]
			var carry uint64
			change.Count += was.Count
			change.SumLo, carry = bits.Add64(change.SumLo, was.SumLo, 0)
			change.SumHi += was.SumHi + int64(carry)
			r[rolled.Flow][key] = change
		}
	}
}

// Clean leaves out what sums up to nothing.
func (r RolledSums) Clean() RolledSums {
	clean := RolledSums{}
	for flow, sums := range r {
		sums = maps.Clone(sums)
		maps.DeleteFunc(sums, func(_, sum flows.RollUp) bool { return sum.Count == 0 && sum.SumHi == 0 && sum.SumLo == 0 })
		if len(sums) > 0 {
			clean[flow] = sums
		}
	}
	return clean
}

// recounted are the roll-ups of all that is in memory, counted anew.
func recounted(e *Engine) RolledSums {
	all := RolledSums{}
	for name, fs := range e.flows {
		counted := flows.NewRollUps(fs.flow)
		for in := range fs.instances.each() {
			if !in.kept {
				counted.Change(&flows.Instance{}, nil, e.occurrences(in))
			}
		}
		all.Take([]Rolled{{Flow: name, Changes: counted.Take()}})
	}
	return all.Clean()
}

// recount compares what the roll-ups say with a recount of all that is saved.
func (s *saved) recount(t *testing.T, set *flows.Set, seed uint64, now flows.Time) {
	t.Helper()
	again := s.reopen(t, set, now)
	if s.evicted != nil {
		s.comeBack(t, again, nil, now)
	}
	equal(t, recounted(again), s.rolled.Clean())
	if t.Failed() {
		t.Fatalf("seed %d", seed)
	}
}
