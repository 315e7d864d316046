package engine

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// Percentiles of a window that held more than 1,000 values are exact at once when so many of
// these are withdrawn that fewer are left (FLOWS.md section 8): they are those of an engine
// that never saw more.
func TestPercentilesAreExactAgainOnceFewAreLeft(t *testing.T) {
	const all, left = 1200, 900
	s := keyedSet(t, "", leavingSale)
	now := 60 * minute
	begun := make([]flows.Signal, 0, all)
	var ended, withdrawn []flows.Signal
	for i := range flows.Time(all) {
		order := map[string]any{"order": fmt.Sprint(i)}
		begun = append(begun, event(fmt.Sprint("sold", i), "sold", 1, order))
		paid := event(fmt.Sprint("paid", i), "paid", 2, order)
		paid.Time += i*minute/40 + i*i*500_003
		ended = append(ended, paid)
		if i >= left {
			paid.Name, paid.Time = "noise", 0 // a smaller copy, which counts
			withdrawn = append(withdrawn, paid)
		}
	}
	for _, signals := range [][]flows.Signal{begun, ended, withdrawn} {
		for i := range signals {
			if err := s.AssignKeys(&signals[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	many, few := New(s), New(s)
	few.Roll(now)
	few.Apply(begun, now)
	few.Apply(ended[:left], now)
	many.Roll(now)
	many.Apply(begun, now)
	many.Apply(ended, now)
	if h := health(many, "sale", now); h.Latency.Count != all {
		t.Fatalf("%d ended, not %d", h.Latency.Count, all)
	}
	many.Apply(withdrawn, now)
	want, got := health(few, "sale", now), health(many, "sale", now)
	if want.Latency.Count != left {
		t.Fatalf("%d are left, not %d", want.Latency.Count, left)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-of what is left +of what held more\n%s", diff)
	}
}

// What Ages returned stays as it was, whatever the engine does then.
func TestAgesStay(t *testing.T) {
	s := keyedSet(t, "", leavingSale)
	e, now := New(s), 60*minute
	apply := func(n int) {
		signal := event(fmt.Sprint("sold", n), "sold", flows.Time(n), map[string]any{"order": fmt.Sprint(n)})
		if err := s.AssignKeys(&signal); err != nil {
			t.Fatal(err)
		}
		e.Apply([]flows.Signal{signal}, now)
	}
	apply(1)
	want := health(e, "sale", now).OpenAge
	ages := e.Ages("sale")
	if diff := gocmp.Diff(want, ages.Distribution()); diff != "" || want.Count != 1 {
		t.Fatalf("%d are in flight: -shown +ages\n%s", want.Count, diff)
	}
	for n := 2; n < 100; n++ {
		apply(n)
		health(e, "sale", now+flows.Time(n)*minute)
	}
	if diff := gocmp.Diff(want, ages.Distribution()); diff != "" {
		t.Errorf("later they are others: -before +after\n%s", diff)
	}
	if e.Ages("none") != nil {
		t.Error("of no flow there are ages")
	}
}
