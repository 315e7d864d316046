package flows

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRolledTally compares a tally of roll-ups, of which some are taken back, with one of what is left.
func TestRolledTally(t *testing.T) {
	f := &Flow{Name: "f", Steps: []Step{{ID: "a"}, {ID: "b"}}}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		want, got := NewTally(f), NewTally(f)
		rolled := NewRollUps(f)
		for range r.IntN(3000) {
			took, left := time.Duration(r.Int64N(int64(time.Hour)))*time.Duration(r.IntN(2)), r.IntN(3) > 0
			values := []rolledValue{
				{0, took, MeasureLatency, -1, -1}, {0, took, MeasureStepLatency, 1, -1}, {0, took, MeasureEdge, 0, 1}, {0, 0, MeasureCompleted, 1, -1}, {0, 0, MeasureErrors, 0, -1},
			}
			for i := range values {
				rolled.add(&values[i], 1)
				if !left {
					rolled.add(&values[i], -1)
				}
			}
			if left {
				want.Latency.Add(took)
				want.Steps[1].Latency.Add(took)
				want.edge(0, 1, took, 1)
				want.Ended[Completed]++
				want.Steps[0].Errors++
			}
		}
		for _, said := range rolled.Take() {
			if said.Span != RollUpMinute {
				continue
			}
			half := said // as two rows, one of which says too much
			half.Count, half.SumLo, half.SumHi = 5, 77, 0
			got.AddRollUp(f, &half)
			said.Count -= 5
			if said.SumLo < 77 {
				said.SumHi--
			}
			said.SumLo -= 77
			got.AddRollUp(f, &said)
		}
		got.AddRollUp(f, &RollUp{Measure: MeasureReached, Step: "of another version", Count: 3})
		got.Settle()
		if diff := cmp.Diff(f.Health(want, NewGauges(f), 0, time.Hour, time.Hour), f.Health(got, NewGauges(f), 0, time.Hour, time.Hour), cmpopts.EquateApprox(0.011, 0)); diff != "" {
			t.Fatalf("round %d: -counted +rolled\n%s", round, diff)
		}
	}
}
