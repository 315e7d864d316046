package flows

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRolledTally compares a tally of roll-ups, of which some are taken back, with one of what is left.
func TestRolledTally(t *testing.T) {
	f := &Flow{Name: "f", Steps: []Step{{ID: "a"}, {ID: "b"}}}
	r := rand.New(rand.NewPCG(1, 2))
	exactly := 0
	for round := range 60 {
		want, got := NewTally(f), NewTally(f)
		rolled := NewRollUps(f)
		values := r.IntN([]int{3000, 250}[round%2])
		for range values {
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
		rows := []RollUp{
			{Measure: MeasureReached, Step: "of another version", Count: 3},
			{Measure: MeasureStepLatency, Step: "of another version", Count: 3},
			{Measure: MeasureEdge, Step: "a", To: "of another version", Count: 3},
		}
		for _, said := range rolled.Take() {
			if said.Span == RollUpHour {
				continue
			}
			if said.Span == RollUpMinute {
				half := said // as two rows, one of which says too much
				half.Count, half.SumLo, half.SumHi = 5, 77, 0
				rows = append(rows, half)
				said.Count -= 5
				if said.SumLo < 77 {
					said.SumHi--
				}
				said.SumLo -= 77
			}
			rows = append(rows, said)
		}
		few := got.FewRolled(f, rows)
		if some := want.Latency.count <= exactValues; some != slices.Contains(few, RolledSeries{Measure: MeasureLatency}) {
			t.Fatalf("round %d: few are %v of %d", round, few, want.Latency.count)
		}
		exact := got.AddRollUps(f, rows, few)
		told := values <= toldSingles.minute
		if told && !exact {
			t.Fatalf("round %d: %d values are not told", round, values)
		}
		var about cmp.Options
		if !exact || len(few) == 0 {
			about = append(about, cmpopts.EquateApprox(0.011, 0))
		} else {
			exactly++
		}
		if diff := cmp.Diff(f.Health(want, NewGauges(f), 0, time.Hour, time.Hour), f.Health(got, NewGauges(f), 0, time.Hour, time.Hour), about); diff != "" {
			t.Fatalf("round %d, exact %v: -counted +rolled\n%s", round, exact, diff)
		}
	}
	if exactly < 25 {
		t.Errorf("only %d rounds are exact", exactly)
	}
}

// TestSinglesAgree refuses single durations that do not say what the bins do.
func TestSinglesAgree(t *testing.T) {
	f := &Flow{Name: "f", Steps: []Step{{ID: "a"}}}
	rolled := NewRollUps(f)
	for _, took := range []time.Duration{0, 0, time.Second, time.Minute, time.Hour} {
		rolled.add(&rolledValue{0, took, MeasureStepLatency, 0, -1}, 1)
	}
	said := rolled.Take()
	if n := len(said); said[n-1].Span != RollUpValue || said[n-1].Took != time.Hour {
		t.Fatalf("told %+v", said)
	}
	few := []RolledSeries{{Measure: MeasureStepLatency, Step: "a"}}
	for name, c := range map[string]struct {
		change func(last *RollUp)
		exact  bool
	}{
		"all":       {func(*RollUp) {}, true},
		"lacking":   {func(last *RollUp) { last.Count = 0 }, false},
		"twice":     {func(last *RollUp) { last.Count = 2 }, false},
		"other":     {func(last *RollUp) { last.Took-- }, false},
		"less":      {func(last *RollUp) { last.Count = -1 }, false},
		"too many":  {func(last *RollUp) { last.Took = Unsaid }, false},
		"of others": {func(last *RollUp) { last.Measure = MeasureLatency }, false},
	} {
		rows := slices.DeleteFunc(slices.Clone(said), func(r RollUp) bool { return r.Span == RollUpHour })
		c.change(&rows[len(rows)-1])
		tally := NewTally(f)
		if exact := tally.AddRollUps(f, rows, few); exact != c.exact {
			t.Errorf("%s: exact is %v", name, exact)
		}
		if d := tally.Steps[0].Latency.Distribution(); d.Count != 5 || c.exact && *d.P99 != 3600 || *d.P99 < 3564 || *d.P99 > 3636 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestSinglesAreBounded adds more durations than are told one by one: it says so, for good.
func TestSinglesAreBounded(t *testing.T) {
	f := &Flow{Name: "f", Steps: []Step{{ID: "a"}}}
	for _, step := range []time.Duration{time.Microsecond, 7 * time.Second} { // of one bin, of many
		rolled := NewRollUps(f)
		add := func(n, sign int) {
			for i := range n {
				rolled.add(&rolledValue{0, time.Hour + time.Duration(i)*step, MeasureStepLatency, 0, -1}, sign)
			}
		}
		add(1000, 1)
		said := rolled.Take()
		if last := said[len(said)-1]; last.Span != RollUpValue || last.Took != Unsaid {
			t.Fatalf("the last is %+v", last)
		}
		if told := slices.IndexFunc(said, func(r RollUp) bool { return r.Span == RollUpValue }); told != len(said)-1 {
			t.Errorf("%d durations are told", len(said)-told)
		}
		add(999, -1)
		said = append(said, rolled.Take()...)
		said = slices.DeleteFunc(said, func(r RollUp) bool { return r.Span == RollUpHour })
		tally := NewTally(f)
		if few := tally.FewRolled(f, said); len(few) != 1 || tally.AddRollUps(f, said, few) || tally.Steps[0].Latency.count != 1 {
			t.Errorf("few %v, count %d", few, tally.Steps[0].Latency.count)
		}
	}
}
