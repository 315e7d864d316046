package flows

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// held is placed -> paid (60 m) -> cash, with two holds: on-hold of at most 10 h, and
// vacation.
func held() *Flow {
	return &Flow{
		Name: "held", Key: "order_id", Idle: 5 * time.Hour, Expire: 20 * time.Hour,
		Holds: []Hold{
			{ID: "on-hold", From: Match{Name: "held"}, Until: Match{Name: "released"}, AtMost: 10 * time.Hour},
			{ID: "vacation", From: Match{Name: "left"}, Until: Match{Name: "back"}},
		},
		Steps: []Step{{ID: "placed"}, {ID: "paid", System: "psp", After: []int{0}, Within: time.Hour}, {ID: "cash", After: []int{1}, End: Completed}},
	}
}

// Positions of held's signals.
const (
	onHold = 3 + iota
	released
	left
	back
	resolved
)

func TestHeldTime(t *testing.T) {
	f := func(want []Interval, occurrences ...Occurrence) {
		t.Helper()
		for i := range want {
			want[i].From *= minute
			if want[i].To != endless {
				want[i].To *= minute
			}
		}
		SortOccurrences(occurrences)
		if diff := cmp.Diff(want, held().heldTime(occurrences), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	failed := at(onHold, 5)
	failed.Failed = true
	f(nil, at(0, 0))
	f([]Interval{{5, 9}}, at(onHold, 5), at(released, 9))
	f([]Interval{{5, 605}}, at(onHold, 5))
	f([]Interval{{5, 605}}, at(onHold, 5), at(released, 700))                                // at most that long
	f([]Interval{{5, 605}}, at(onHold, 5), at(onHold, 300))                                  // it is on already
	f([]Interval{{5, 605}, {700, 1300}}, at(onHold, 5), at(onHold, 700))                     // it was off again
	f([]Interval{{5, 1205}}, at(onHold, 5), at(onHold, 605))                                 // on again at once
	f([]Interval{{5, 9}}, at(released, 1), at(onHold, 5), at(released, 9), at(released, 11)) // ignored
	f(nil, at(onHold, 5), at(released, 5))
	f([]Interval{{5, endless}}, at(left, 5))
	f([]Interval{{5, 12}}, at(onHold, 5), at(left, 7), at(released, 9), at(back, 12)) // the union
	f(nil, failed)
}

func TestHeldInstanceIsNeitherStuckNorExpired(t *testing.T) {
	type verdict struct {
		State    State
		Reason   Reason
		Hold     string
		Since    Time // of stuck or held
		Until    Time
		Deadline Time // of paid
		Next     Time
		StuckFor time.Duration
		Recover  bool
	}
	f := func(now Time, want verdict, occurrences ...Occurrence) {
		t.Helper()
		in := held().Fold(occurrences, now)
		got := verdict{in.State, in.Reason, in.Hold, max(in.StuckSince, in.HeldSince), in.HeldUntil, in.Steps[1].Deadline, in.NextChange, in.StuckFor, in.Recovered}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at %v: %s", now, diff)
		}
	}
	const h = 60 * minute
	placed := at(0, 0)
	// A hold in good time: the deadline waits for its end, at first for the latest one.
	f(29*minute, verdict{Open, "", "", NoTime, NoTime, 11 * h, 30 * minute, 0, false}, placed, at(onHold, 30))
	f(2*h, verdict{Held, ReasonHeld, "on-hold", 30 * minute, 30*minute + 10*h, 11 * h, 30*minute + 10*h, 0, false}, placed, at(onHold, 30))
	f(2*h, verdict{Open, "", "", NoTime, NoTime, 2*h + 10*minute, 2*h + 10*minute + 1, 0, false}, placed, at(onHold, 30), at(released, 100))
	f(3*h, verdict{Stuck, ReasonDeadline, "", 2*h + 10*minute, NoTime, 2*h + 10*minute, 100*minute + 5*h + 1, 50 * time.Minute, false}, placed, at(onHold, 30), at(released, 100))
	// A hold without an end: nothing is ever due, idle or expired.
	f(9000*h, verdict{Held, ReasonHeld, "vacation", 30 * minute, NoTime, NoTime, NoTime, 0, false}, placed, at(left, 30))
	// A hold that begins after the deadline: held, and overdue at once on release.
	f(2*h, verdict{Held, ReasonHeld, "vacation", 90 * minute, NoTime, h, NoTime, 30 * time.Minute, false}, placed, at(left, 90))
	f(2*h, verdict{Stuck, ReasonDeadline, "", h, NoTime, h, 110*minute + 5*h + 1, 40 * time.Minute, false}, placed, at(left, 90), at(back, 110))
	// Cleared while held.
	f(3*h, verdict{Held, ReasonHeld, "vacation", 90 * minute, NoTime, h, NoTime, 30 * time.Minute, true}, placed, at(left, 90), at(1, 120))
	// Idle counts from the last signal, a hold's too, and outside it.
	f(9*h, verdict{Stuck, ReasonIdle, "", 8 * h, NoTime, h, 3*h + 20*h + 1, time.Hour, false}, placed, at(1, 50), at(left, 60), at(back, 180))
}

func TestHoldSignalsAreNoSteps(t *testing.T) {
	in := held().Fold([]Occurrence{at(0, 0), at(onHold, 10), at(1, 20), at(released, 30), at(2, 40), at(onHold, 50)}, 60*minute)
	if in.State != Completed || !in.Conforming || !slices.Equal(in.Path, []int{0, 1, 2}) || in.LastAt != 50*minute || in.StartedAt != 0 {
		t.Fatalf("got %+v", in)
	}
	in = held().Fold([]Occurrence{at(onHold, 10)}, 60*minute)
	if in.State != Held || in.StartedAt != 10*minute || len(in.Path) != 0 {
		t.Fatalf("got %+v", in)
	}
	started := 0
	tally := NewTally(held())
	CountInstance(&in, 1, func(Time) *Tally { return tally })
	if started = tally.Started; started != 0 {
		t.Fatal("a hold alone starts nothing")
	}
}

func TestDowntimePausesWhatWaitsOnThatSystem(t *testing.T) {
	const h = 60 * minute
	f := &Flow{Idle: 10 * time.Hour, Steps: []Step{
		{ID: "placed"},
		{ID: "paid", System: "psp", After: []int{0}, Within: 2 * time.Hour, Downtime: []Interval{{h, 5 * h}, {20 * h, 21 * h}}},
		{ID: "picked", System: "wms", After: []int{0}, Within: 90 * time.Minute},
	}}
	in := f.Fold([]Occurrence{at(0, 0), at(2, 30)}, 2*h)
	if in.State != Held || in.Hold != "downtime" || in.ReasonStep != 1 || in.HeldSince != h || in.HeldUntil != 5*h || in.NextChange != 5*h {
		t.Fatalf("paid alone is awaited: got %+v", in)
	}
	if in = f.Fold([]Occurrence{at(0, 0), at(2, 30)}, 5*h); in.State != Open || in.Steps[1].Deadline != 6*h || in.NextChange != 6*h+1 {
		t.Fatalf("got %+v", in)
	}
	if in = f.Fold([]Occurrence{at(0, 0), at(2, 30)}, 6*h+1); in.State != Stuck || in.StuckFor != 1 {
		t.Fatalf("got %+v", in)
	}
	// Another system that is up is not excused.
	if in = f.Fold([]Occurrence{at(0, 0)}, 80*minute); in.State != Open || in.NextChange != 90*minute+1 {
		t.Fatalf("got %+v", in)
	}
	if in = f.Fold([]Occurrence{at(0, 0)}, 90*minute+1); in.State != Stuck || in.ReasonStep != 2 {
		t.Fatalf("got %+v", in)
	}
	// Idle pauses, then and in hindsight.
	if in = f.Fold([]Occurrence{at(0, 0), at(2, 30)}, 15*h); in.StuckFor != 9*time.Hour {
		t.Fatalf("overdue since 6 h, idle since 14:30: got %v", in.StuckFor)
	}
	if in = f.Fold([]Occurrence{at(0, 0), at(2, 30), at(1, 13*60)}, 15*h); in.StuckFor != 7*time.Hour || !in.Recovered {
		t.Fatalf("got %v", in.StuckFor)
	}
}

func TestResolvedByAPerson(t *testing.T) {
	in := held().Fold([]Occurrence{at(0, 0), at(resolved, 90)}, 200*minute)
	if in.State != Resolved || in.EndedAt != 90*minute || in.LastAt != 0 || len(in.WaitingOn) != 0 || in.StuckFor != 30*time.Minute || in.NextChange != NoTime {
		t.Fatalf("got %+v", in)
	}
	in = held().Fold([]Occurrence{at(0, 0), at(onHold, 5), at(resolved, 90)}, 9000*minute)
	if in.State != Resolved {
		t.Fatalf("resolved comes before expired and held: got %v", in.State)
	}
	in = held().Fold([]Occurrence{at(0, 0), at(1, 50), at(resolved, 90), at(2, 95)}, 200*minute)
	if in.State != Completed || !in.Conforming {
		t.Fatalf("the outcome of an end comes before: got %v %v", in.State, in.Deviations)
	}
	if held().Exists([]Occurrence{at(resolved, 1)}) || !held().Exists([]Occurrence{at(resolved, 1), at(back, 1)}) {
		t.Fatal("a resolution alone makes no instance")
	}
}

func TestPositionsAreDistinctAndComeBack(t *testing.T) {
	f := held()
	want := []string{"placed", "paid", "cash", "from:on-hold", "until:on-hold", "from:vacation", "until:vacation", "resolved:"}
	if !slices.Equal(f.Positions(), want) {
		t.Fatal(f.Positions())
	}
	for i, id := range want {
		o, ok := f.Occurrence(OccurrenceRecord{StepID: id})
		if f.Position(i) != id || !ok || o.Step != i {
			t.Errorf("%s: %d", id, o.Step)
		}
	}
}

func TestSetMatchesHoldsAndResolutions(t *testing.T) {
	f := mustParse(t, `
flow: held
key: order_id
holds: [{id: on-hold, from: {event: order.held}, until: {event: order.released}, at_most: 10d}]
steps: [{id: placed, match: {event: order.placed}}]
`)
	set, err := NewSet([]*Flow{f})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sig  Signal
		step int
	}{
		{Signal{Name: "order.placed"}, 0},
		{Signal{Name: "order.held"}, 1},
		{Signal{Name: "order.released"}, 2},
		{Signal{Name: ResolvedName, Source: ResolvedSource, Data: map[string]any{"flow": "held"}}, 3},
		{Signal{Name: ResolvedName, Source: "somebody", Data: map[string]any{"flow": "held"}}, -1},
		{Signal{Name: ResolvedName, Source: ResolvedSource, Data: map[string]any{"flow": "another"}}, -1},
	} {
		hits := set.Match(&c.sig, nil)
		if c.step < 0 {
			if len(hits) > 0 {
				t.Errorf("%+v: %v", c.sig, hits)
			}
			continue
		}
		if len(hits) != 1 || hits[0].Step != c.step || !set.Wants(&c.sig) {
			t.Errorf("%+v: %v", c.sig, hits)
		}
	}
}
