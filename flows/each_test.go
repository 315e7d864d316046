package flows

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// parcels is placed -> shipped (each, 60 m) -> billed, which completes it.
func parcels() *Flow {
	return &Flow{Name: "parcels", Key: "order_id", Steps: []Step{
		{ID: "placed", Start: true},
		{ID: "shipped", After: []int{0}, Within: time.Hour, Each: "shipment_id", Expect: "shipments"},
		{ID: "billed", After: []int{1}, Within: time.Hour, End: Completed},
	}}
}

// kid makes the occurrence of one child; expecting n children, where n is not negative.
func kid(step int, m Time, name string, n int) Occurrence {
	o := at(step, m)
	o.ID += name
	o.Child = name
	if n >= 0 {
		o.Expect = []string{strconv.Itoa(n)}
	}
	return o
}

// An order with three shipments, two of them delivered, is in flight, "2 of 3", and never
// complete (PEERS.md, fault 11).
func TestEachIsNotDoneBeforeTheLastChild(t *testing.T) {
	occurrences := []Occurrence{kid(0, 0, "", 3), kid(1, 5, "A", -1), kid(1, 6, "B", -1)}
	in := parcels().Fold(occurrences, 10*minute)
	want := []Waiting{{Step: 1, DueAt: 0, Deadline: 60 * minute, Expected: 3, Seen: 2}}
	if diff := cmp.Diff(want, in.WaitingOn); diff != "" || in.State != Open || in.Steps[1].At != NoTime {
		t.Fatal(in.State, diff)
	}
	in = parcels().Fold(append(occurrences, kid(1, 70, "C", -1)), 80*minute)
	if in.Steps[1].At != 70*minute || !in.Recovered || !slices.Equal(waitingSteps(in), []int{2}) || in.WaitingOn[0].DueAt != 70*minute {
		t.Fatalf("got %+v", in)
	}
	if !slices.Equal(in.Path, []int{0, 1, 1, 1}) || len(in.Deviations) != 0 {
		t.Fatalf("path %v, deviations %v", in.Path, in.Deviations)
	}
}

func TestEachCountsAsExpectedInTheEnd(t *testing.T) {
	type result struct {
		Shipped        Time
		Expected, Seen int
		Deviations     []Deviation
	}
	f := func(want result, occurrences ...Occurrence) {
		t.Helper()
		in := parcels().Fold(occurrences, 30*minute)
		got := result{NoTime, in.Steps[1].Expected, in.Steps[1].Seen, in.Deviations}
		if at := in.Steps[1].At; at != NoTime {
			got.Shipped = at / minute
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	placed, a, b, again := at(0, 0), kid(1, 5, "A", -1), kid(1, 6, "B", -1), kid(1, 7, "A", -1)
	again.ID += "again"
	f(result{5, 1, 1, nil}, placed, a)                                                        // unknown is one
	f(result{5, 1, 2, []Deviation{DeviationSurplus}}, placed, a, b)                           // more than that is too many
	f(result{6, 2, 2, nil}, kid(0, 0, "", 2), a, b)                                           // known early
	f(result{6, 2, 2, nil}, placed, a, kid(1, 6, "B", 2))                                     // known with the last
	f(result{5, 1, 2, []Deviation{DeviationSurplus}}, kid(0, 0, "", 3), a, kid(1, 6, "B", 1)) // the last value counts
	f(result{NoTime, 3, 2, nil}, kid(0, 0, "", 1), a, kid(1, 6, "B", 3))                      // it grew
	f(result{NoTime, 2, 1, []Deviation{DeviationRepeat}}, kid(0, 0, "", 2), a, again)         // the same child twice
	f(result{7, 3, 3, nil}, kid(0, 0, "", 3), kid(1, 5, "", -1), kid(1, 6, "", -1), kid(1, 7, "", -1))
	f(result{NoTime, 0, 0, nil}, kid(0, 0, "", 0))
	f(result{5, 0, 1, []Deviation{DeviationSurplus}}, kid(0, 0, "", 0), a)
}

func TestEachOfNoneIsNotWaitedFor(t *testing.T) {
	in := parcels().Fold([]Occurrence{kid(0, 0, "", 0)}, 1000*minute)
	if in.State != Open || len(in.WaitingOn) != 0 || in.NextChange != NoTime {
		t.Fatalf("got %v waiting on %v, next change %v", in.State, in.WaitingOn, in.NextChange)
	}
	in = parcels().Fold([]Occurrence{kid(0, 0, "", 0), at(2, 9)}, 1000*minute)
	if in.State != Completed || !in.Conforming {
		t.Fatalf("got %v with %v", in.State, in.Deviations)
	}
}

func TestEachEndIsWithdrawnWhenMoreIsExpected(t *testing.T) {
	f := &Flow{Steps: []Step{{ID: "placed"}, {ID: "delivered", After: []int{0}, Within: time.Hour, Each: "e", Expect: "n", End: Completed}}}
	occurrences := []Occurrence{kid(0, 0, "", 1), kid(1, 5, "A", -1)}
	if in := f.Fold(occurrences, 9*minute); in.State != Completed || in.Reopened || in.EndedAt != 5*minute {
		t.Fatalf("got %+v", in)
	}
	occurrences = append(occurrences, kid(0, 7, "more", 2))
	in := f.Fold(occurrences, 9*minute)
	if in.State != Open || !in.Reopened || in.EndedAt != NoTime || !slices.Equal(waitingSteps(in), []int{1}) {
		t.Fatalf("got %+v", in)
	}
	in = f.Fold(append(occurrences, kid(1, 8, "B", -1)), 9*minute)
	if in.State != Completed || !in.Reopened || in.EndedAt != 8*minute {
		t.Fatalf("got %+v", in)
	}
}

// The model found it: a person's word is no end that more children could take back.
func TestResolutionBeforeMoreIsExpectedReopensNothingElse(t *testing.T) {
	f := &Flow{Steps: []Step{{ID: "placed"}, {ID: "returned", Each: "e", Expect: "n", Repeat: true, End: Cancelled}}}
	in := f.Fold([]Occurrence{kid(1, 38, "C", -1), at(2, 49), kid(0, 123, "", 3)}, 304*minute)
	if in.State != Resolved || in.EndedAt != 49*minute || !in.Reopened {
		t.Fatalf("got %+v", in)
	}
}

func TestEachWithManyChildren(t *testing.T) {
	occurrences := []Occurrence{kid(0, 0, "", 10_000)}
	for i := range 10_000 {
		occurrences = append(occurrences, kid(1, 1, "child "+strconv.Itoa(i), -1), kid(1, 2, "child "+strconv.Itoa(i), -1))
	}
	in := parcels().Fold(occurrences, 3*minute)
	if in.Steps[1].At != minute || in.Steps[1].Seen != 10_000 || !slices.Equal(in.Deviations, []Deviation{DeviationRepeat}) {
		t.Fatalf("got %+v, %v", in.Steps[1], in.Deviations)
	}
}

func TestOccurReadsChildrenAndExpectations(t *testing.T) {
	f := parcels()
	for _, c := range []struct {
		sig    Signal
		step   int
		child  string
		expect []string
	}{
		{Signal{Data: map[string]any{"shipment_id": " S1 ", "shipments": int64(3)}}, 1, "S1", []string{"3"}},
		{Signal{Data: map[string]any{"shipment_id": "s1"}, Keys: []Key{{"shipment_id", "S1"}}}, 1, "S1", nil}, // its normal form
		{Signal{Data: map[string]any{"shipment_id": "S1", "shipments": "007"}}, 0, "", []string{"7"}},
		{Signal{Attributes: map[string]any{"shipments": 2.0}}, 0, "", []string{"2"}},
		{Signal{Attributes: map[string]any{"shipments": 2.5}}, 0, "", nil},
		{Signal{Attributes: map[string]any{"shipments": int64(-1)}}, 0, "", nil},
		{Signal{Attributes: map[string]any{"shipments": int64(1 << 40)}}, 0, "", nil},
		{Signal{Attributes: map[string]any{"shipments": "many", "shipment_id": []any{"a"}}}, 1, "", nil},
	} {
		o := f.Occur(&c.sig, c.step, false)
		if o.Child != c.child || !slices.Equal(o.Expect, c.expect) {
			t.Errorf("%+v: child %q, expect %q", c.sig, o.Child, o.Expect)
		}
		back, ok := f.Occurrence(f.OccurrenceRecord("k", o))
		if diff := cmp.Diff(o, back); diff != "" || !ok {
			t.Error(diff)
		}
	}
}
