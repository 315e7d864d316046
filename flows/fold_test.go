package flows

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
)

const minute = Time(time.Minute)

// order is placed -> paid (15 m), placed -> picked (60 m), both -> shipped (4 h) -> cash.
func order() *Flow {
	return &Flow{Name: "order", Key: "order_id", Segments: []string{"region"}, Steps: []Step{
		{ID: "placed", Start: true},
		{ID: "paid", After: []int{0}, Within: 15 * time.Minute},
		{ID: "picked", After: []int{0}, Within: time.Hour},
		{ID: "shipped", After: []int{1, 2}, Within: 4 * time.Hour},
		{ID: "cash", After: []int{3}, End: Completed},
		{ID: "cancelled", End: Cancelled},
	}}
}

// at makes an occurrence of a step at a minute.
func at(step int, m Time) Occurrence {
	t := m * minute
	return Occurrence{Step: step, At: t, Start: t, Source: "s", ID: string(rune('a'+step)) + t.String()}
}

func waitingSteps(in Instance) (steps []int) {
	for _, w := range in.WaitingOn {
		steps = append(steps, w.Step)
	}
	return steps
}

func TestFoldDeadlineIsExact(t *testing.T) {
	f := order()
	in := f.Fold([]Occurrence{at(0, 0)}, 15*minute)
	if in.State != Open || in.NextChange != 15*minute+1 || !slices.Equal(waitingSteps(in), []int{1, 2}) {
		t.Fatalf("at the deadline: %v, next change %v, waiting %v", in.State, in.NextChange, waitingSteps(in))
	}
	in = f.Fold([]Occurrence{at(0, 0)}, 15*minute+1)
	if in.State != Stuck || in.Reason != ReasonDeadline || in.ReasonStep != 1 || in.StuckSince != 15*minute {
		t.Fatalf("a nanosecond later: %v %v step %d since %v", in.State, in.Reason, in.ReasonStep, in.StuckSince)
	}
	if in.StuckFor != 1 || in.Recovered || in.NextChange != 60*minute+1 {
		t.Fatalf("stuck for %v, recovered %v, next change %v", in.StuckFor, in.Recovered, in.NextChange)
	}
}

func TestFoldLateSignalRecovers(t *testing.T) {
	in := order().Fold([]Occurrence{at(0, 0), at(1, 20), at(2, 30)}, 40*minute)
	if in.State != Open || !in.Recovered || in.StuckFor != 5*time.Minute {
		t.Fatalf("got %v recovered %v after %v", in.State, in.Recovered, in.StuckFor)
	}
	if got := in.WaitingOn; len(got) != 1 || got[0] != (Waiting{Step: 3, DueAt: 30 * minute, Deadline: 270 * minute, Expected: 1}) {
		t.Fatalf("waiting on %v", got)
	}
}

func TestFoldSkippedOnlyWhenSomethingLaterOccurred(t *testing.T) {
	f := order()
	in := f.Fold([]Occurrence{at(0, 0), at(1, 1)}, 2*minute)
	if in.Steps[2].Skipped {
		t.Fatal("picked is awaited, not skipped")
	}
	in = f.Fold([]Occurrence{at(0, 0), at(1, 1), at(3, 5), at(4, 6)}, 2*minute)
	if !in.Steps[2].Skipped || in.State != Completed || in.Conforming || !slices.Equal(in.Deviations, []Deviation{DeviationSkipped}) {
		t.Fatalf("got %+v", in)
	}
	// The skipped one counts as occurred at the earliest time downstream of it.
	if in.Steps[3].DueAt != 5*minute || in.Steps[3].Latency != 0 {
		t.Fatalf("shipped due at %v, latency %v", in.Steps[3].DueAt, in.Steps[3].Latency)
	}
	if d, ok := in.Latency(); d != 6*time.Minute || !ok {
		t.Fatalf("end to end %v", d)
	}
}

func TestFoldDeviations(t *testing.T) {
	f := func(want []Deviation, occurrences ...Occurrence) {
		t.Helper()
		in := order().Fold(occurrences, 1000*minute)
		if diff := cmp.Diff(want, in.Deviations, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if in.Conforming != (in.State == Completed && len(want) == 0) {
			t.Errorf("conforming %v with %v in state %v", in.Conforming, want, in.State)
		}
	}
	f(nil, at(0, 0), at(1, 1), at(2, 2), at(3, 3), at(4, 4))
	f([]Deviation{DeviationOrder}, at(0, 1), at(1, 0), at(2, 2), at(3, 3), at(4, 4))
	f([]Deviation{DeviationRepeat}, at(0, 0), at(1, 1), at(1, 2), at(2, 2), at(3, 3), at(4, 4))
	f([]Deviation{DeviationAfterEnd}, at(0, 0), at(1, 1), at(2, 2), at(4, 4), at(3, 3), at(5, 5))
	f([]Deviation{DeviationSkipped, DeviationNoStart}, at(1, 1), at(2, 2), at(3, 3), at(4, 4))
	f(nil, at(0, 0), at(5, 1)) // cancelled: what did not occur was not skipped
}

func TestFoldEarliestEndCounts(t *testing.T) {
	in := order().Fold([]Occurrence{at(0, 0), at(4, 9), at(5, 7)}, 10*minute)
	if in.State != Cancelled || in.EndedAt != 7*minute || len(in.WaitingOn) != 0 || in.NextChange != NoTime {
		t.Fatalf("got %v at %v waiting %v next %v", in.State, in.EndedAt, in.WaitingOn, in.NextChange)
	}
	if _, ok := in.Latency(); ok {
		t.Fatal("a cancelled instance has no end-to-end latency")
	}
}

func TestFoldAnyTakesTheEarliest(t *testing.T) {
	f := &Flow{Steps: []Step{{ID: "card"}, {ID: "invoice"}, {ID: "ship", After: []int{0, 1}, Any: true, Within: time.Minute}}}
	in := f.Fold([]Occurrence{at(1, 5), at(0, 3)}, 4*minute)
	if len(in.WaitingOn) != 1 || in.WaitingOn[0].DueAt != 3*minute || in.State != Open {
		t.Fatalf("got %+v", in.WaitingOn)
	}
	if in = f.Fold([]Occurrence{at(1, 5), at(2, 6)}, 9*minute); in.Steps[0].Skipped {
		t.Fatal("a fellow of the one that occurred is not required")
	}
}

func TestFoldChoiceAndOptional(t *testing.T) {
	f := &Flow{Steps: []Step{
		{ID: "start"},
		{ID: "card", After: []int{0}, Choice: "pay", Within: time.Minute},
		{ID: "bill", After: []int{0}, Choice: "pay", Within: time.Hour},
		{ID: "check", After: []int{0}, Optional: true, Within: time.Second},
		{ID: "ship", After: []int{2, 3}, Within: time.Minute},
	}}
	in := f.Fold([]Occurrence{at(0, 0), at(2, 10)}, 10*minute)
	if got := waitingSteps(in); !slices.Equal(got, []int{3, 4}) || in.State != Open || in.Reason != ReasonNone {
		t.Fatalf("waits on %v, state %v", got, in.State)
	}
	if in.WaitingOn[0].Deadline != NoTime || in.WaitingOn[1].Deadline != 11*minute {
		t.Fatalf("an optional step is never overdue, and counts as a predecessor only if it occurred: %+v", in.WaitingOn)
	}
	in = f.Fold([]Occurrence{at(0, 0), at(2, 10), at(3, 12)}, 12*minute)
	if in.WaitingOn[0].DueAt != 12*minute {
		t.Fatalf("due at %v although the optional one occurred later", in.WaitingOn[0].DueAt)
	}
}

func TestFoldIdleAndExpire(t *testing.T) {
	f := &Flow{Idle: time.Hour, Expire: 3 * time.Hour, Steps: []Step{{ID: "a", Repeat: true}}}
	state := func(now Time) (State, Reason, Time) {
		in := f.Fold([]Occurrence{at(0, 0), at(0, 30)}, now)
		return in.State, in.Reason, in.NextChange
	}
	for _, c := range []struct {
		now    Time
		state  State
		reason Reason
		next   Time
	}{
		{90 * minute, Open, ReasonNone, 90*minute + 1},
		{90*minute + 1, Stuck, ReasonIdle, 210*minute + 1},
		{210 * minute, Stuck, ReasonIdle, 210*minute + 1},
		{210*minute + 1, Expired, ReasonNone, NoTime},
	} {
		if s, r, n := state(c.now); s != c.state || r != c.reason || n != c.next {
			t.Errorf("at %v: %v %q next %v", c.now, s, r, n)
		}
	}
	in := f.Fold([]Occurrence{at(0, 0), at(0, 90)}, 91*minute)
	if !in.Recovered || in.StuckFor != 30*time.Minute {
		t.Errorf("a gap longer than idle was a stall: %v %v", in.Recovered, in.StuckFor)
	}
}

func TestFoldFailedTryIsNoOccurrence(t *testing.T) {
	failed := at(1, 1)
	failed.Failed = true
	in := order().Fold([]Occurrence{at(0, 0), failed}, 2*minute)
	if in.Steps[1].Errors != 1 || in.Steps[1].Count != 0 || in.LastAt != minute || !slices.Contains(waitingSteps(in), 1) {
		t.Fatalf("got %+v", in.Steps[1])
	}
}

func TestFoldSpanOccursAtItsEndAndStartsAtItsStart(t *testing.T) {
	span := Occurrence{Step: 0, Start: 0, At: 10 * minute, ID: "span"}
	in := order().Fold([]Occurrence{span, at(1, 12), at(2, 12), at(3, 13), at(4, 20)}, 30*minute)
	if d, _ := in.Latency(); d != 20*time.Minute || in.Steps[1].Latency != 2*time.Minute {
		t.Fatalf("end to end %v, paid after %v", d, in.Steps[1].Latency)
	}
}

func TestFoldValueAndSegmentsFirstInOrder(t *testing.T) {
	a, b, c := at(0, 3), at(1, 1), at(2, 2)
	b.Segments = []string{"EU"}
	a.Segments = []string{"US"}
	c.Amount, c.Currency = NewAmount(decimal.RequireFromString("400.4")), "EUR"
	a.Amount, a.Currency = NewAmount(decimal.RequireFromString("1")), "USD"
	in := order().Fold([]Occurrence{a, b, c}, 10*minute)
	if in.Segments[0] != "EU" || in.Currency != "EUR" || FormatAmount(in.Currency, in.Amount.Decimal()) != "400.40" {
		t.Fatalf("got %v %v %v", in.Segments, in.Amount, in.Currency)
	}
}

// The order law: the fold does not depend on the order of arrival, equal times included.
func TestFoldPermutation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var occurrences []Occurrence
		for i := range 1 + rng.IntN(12) {
			o := at(rng.IntN(6), Time(rng.IntN(8)))
			o.ID, o.Failed = string(rune('a'+i)), rng.IntN(6) == 0
			o.Sequence = []string{"", "2", "10", "1a"}[rng.IntN(4)]
			occurrences = append(occurrences, o)
		}
		now := Time(rng.IntN(600)) * minute
		want := order().Fold(slices.Clone(occurrences), now)
		rng.Shuffle(len(occurrences), func(i, j int) { occurrences[i], occurrences[j] = occurrences[j], occurrences[i] })
		if diff := cmp.Diff(want, order().Fold(occurrences, now)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestCompareSequencesIsATotalOrder(t *testing.T) {
	texts := []string{"", "0", "00", "2", "10", "1a", "a", "9a", "010", "-1", "-01", "-0", "-12", "-5", "-", "99999999999999999999999"}
	for _, a := range texts {
		for _, b := range texts {
			if CompareSequences(a, b) != -CompareSequences(b, a) {
				t.Errorf("%q and %q", a, b)
			}
			for _, c := range texts {
				if CompareSequences(a, b) <= 0 && CompareSequences(b, c) <= 0 && CompareSequences(a, c) > 0 {
					t.Errorf("%q <= %q <= %q", a, b, c)
				}
			}
		}
	}
	ordered := []string{"-12", "-5", "-01", "-0", "2", "10", "-", "1a", "a", ""}
	if !slices.IsSortedFunc(ordered, CompareSequences) || CompareSequences("-0", "00") != 0 || CompareSequences("-12", "-5") == 0 {
		t.Error("numbers go by number, and an absent sequence is last")
	}
}
