package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
)

// A backfill may open what had ended, by a version that asks for more. What is made of
// imported signals alone is judged as of its import then too, and alerts nobody, however long
// ago its limits passed, until a live signal reaches it; what live signals made is overdue
// by the live clock, as any other that is open, and joins the one cohort of its kind
// (FLOWS.md sections 2 and 6).
func TestBackfillOpensHistory(t *testing.T) {
	before := setOf(t, flows.Refs{}, "", kettle)
	f := newFeed(t, before)
	f.keeping()
	var history []flows.Signal
	for _, order := range []string{"imported", "early", "live"} {
		for i, name := range []string{"placed", "paid", "sent"} {
			s := ev(order+name, name, float64(5*i), "order", order)
			switch order {
			case "imported":
				s.AsOf = morning.Add(time.Hour)
			case "early":
				s.AsOf = morning.Add(12 * time.Minute) // its limit had not passed then
			}
			history = append(history, s)
		}
	}
	f.until(7 * 24 * 60)
	f.send(slices.Clone(history)...)
	more := setOf(t, flows.Refs{}, "", strings.Replace(kettle, "after: paid, end: completed}",
		"after: paid}\n  - {id: received, match: {event: received}, after: sent, within: 15m, end: completed}", 1))
	if kept := f.change(more, history); len(kept) != 3 {
		t.Fatalf("%d of 3 ended and were kept", len(kept))
	}
	for _, order := range []string{"imported", "early", "live"} {
		if !f.e.Move(engine.InstanceID{Flow: "kettle", Key: order}, f.now) {
			t.Fatalf("%s is not there", order)
		}
	}
	f.take()
	check := func(order string, state flows.State, asOf flows.Time) {
		t.Helper()
		if r := f.instance("kettle", order); r.State != state || r.AsOf != asOf || r.Imported != (asOf != f.now) {
			t.Errorf("%s is %v as of %v, imported %v; want %v as of %v", order, r.State, r.AsOf, r.Imported, state, asOf)
		}
	}
	check("imported", flows.Stuck, morning.Add(time.Hour))
	check("early", flows.Open, morning.Add(12*time.Minute))
	check("live", flows.Stuck, f.now)
	cohort := func(want ...string) {
		t.Helper()
		all := f.e.Cohorts()
		if len(all) != 1 || all[0].Step != "received" || !slices.Equal(slices.Sorted(slices.Values(all[0].Keys)), want) {
			t.Errorf("alerts of %+v; want one, of %v", all, want)
		}
	}
	cohort("live")
	f.until(8 * 24 * 60)
	cohort("live")
	check("early", flows.Open, morning.Add(12*time.Minute))

	f.send(ev("again", "paid", 8*24*60, "order", "imported")) // it goes on
	cohort("imported", "live")
}
