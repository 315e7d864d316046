package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// rollAll writes the roll-ups of a whole world, of which nothing keeps another version.
func (w *world) rollAll(t *testing.T, s *Store, whole bool) {
	t.Helper()
	rolled := flows.NewRollUps(w.flow)
	for _, occurrences := range w.all {
		rolled.Change(&flows.Instance{}, nil, slices.Clone(occurrences))
	}
	var rows []RollUpRow
	for _, change := range rolled.Take() {
		rows = append(rows, RollUpRow{w.flow.Name, 9, change})
	}
	if err := s.WriteRollUps(t.Context(), "all", rows); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteRollUpGenerations(t.Context(), 1, []RollUpGeneration{{w.flow.Name, 9, w.flow.Version, whole}}); err != nil {
		t.Fatal(err)
	}
}

// TestUsualIsARecount holds that every hour of what is usual has the numbers of that hour, counted one by one.
func TestUsualIsARecount(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 600)
	w.rollAll(t, s, true)
	rng := rand.New(rand.NewPCG(11, 12))
	compared, began, durations, of := 0, 0, 0, map[flows.UsualOf]int{}
	for i := range 24 {
		zone, err := time.LoadLocation([]string{"UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"}[i%4])
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.Usual(t.Context(), w.flow, flows.UsualHoursAt(epoch.Add(time.Duration(rng.Int64N(int64(20*24*time.Hour)))), zone))
		if err != nil {
			t.Fatal(err)
		}
		of[u.Of]++
		for _, h := range u.Hours {
			want := w.health(flows.Window{From: h.Start, To: h.Start.Add(time.Hour)}, "")
			if h.Started != want.Started || h.Completed != want.Completed || !within1(h.Latency, want.Latency.P50) {
				t.Errorf("the hour from %v: %+v, counted %+v", h.Start, h, want)
			}
			for _, step := range want.Steps {
				got := h.Step(step.Step)
				if got.Reached != step.Reached || !within1(got.Latency, step.Latency.P50) {
					t.Errorf("the hour from %v, %s: %+v, counted %+v", h.Start, step.Step, got, step)
				}
				if got.Latency != nil {
					durations++
				}
			}
			compared, began = compared+1, began+h.Started
		}
	}
	if compared < 30 || began < 20 || durations < 20 || of[flows.UsualWeekday] < 5 || of[flows.UsualDays] < 3 {
		t.Errorf("compared %d hours with %d starts and %d durations, of kinds %v", compared, began, durations, of)
	}
}

func within1(a, b *float64) bool {
	return a == nil && b == nil || a != nil && b != nil && math.Abs(*a-*b) <= 0.01**b
}

// TestUsualKnowsWhatItDoesNot holds that nothing is said of hours of which the roll-ups do not hold everything.
func TestUsualKnowsWhatItDoesNot(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 300)
	hours := flows.UsualHoursAt(epoch.Add(18*24*time.Hour), time.UTC)
	ask := func(hours flows.UsualHours) flows.Usual {
		t.Helper()
		u, err := s.Usual(t.Context(), w.flow, hours)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := ask(hours); u.Of != flows.UsualUnknown || !u.Torn || len(u.Hours) != 0 {
		t.Errorf("without roll-ups: %+v", u)
	}
	w.rollAll(t, s, false)
	if u := ask(hours); u.Of != flows.UsualUnknown || !u.Torn {
		t.Errorf("with torn roll-ups: %+v", u)
	}
	if err := s.WriteRollUpGenerations(t.Context(), 2, []RollUpGeneration{{w.flow.Name, 9, w.flow.Version, true}}); err != nil {
		t.Fatal(err)
	}
	if u := ask(hours); u.Of != flows.UsualWeekday || u.Torn || len(u.Hours) != 2 {
		t.Errorf("with 18 days of history: %+v", u)
	}
	if u := ask(flows.UsualHoursAt(epoch.Add(-40*24*time.Hour), time.UTC)); u.Of != flows.UsualUnknown || u.Torn {
		t.Errorf("before all history: %+v", u)
	}
	// Of an hour up to which instances ended that keep another version, a part is in no roll-up.
	if err := s.SaveFlowVersion(t.Context(), FlowVersion{Flow: w.flow.Name, Version: "old", Definition: "-"}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveFlowVersion(t.Context(), FlowVersion{Flow: w.flow.Name, Version: w.flow.Version, Definition: orders}); err != nil {
		t.Fatal(err)
	}
	if u := ask(hours); u.Of != flows.UsualWeekday {
		t.Errorf("with another version that nothing keeps: %+v", u)
	}
	kept := w.records(w.now, false)
	i := slices.IndexFunc(kept, func(r flows.InstanceRecord) bool {
		return !r.State.InFlight() && r.EndedAt > hours.Weeks[0] && r.EndedAt < hours.Days[0]
	})
	kept[i].Version = "old"
	if err := s.WriteInstances(t.Context(), math.MaxInt64, kept[i:i+1]); err != nil {
		t.Fatal(err)
	}
	if u := ask(hours); u.Since != kept[i].EndedAt || u.Of != flows.UsualDays || u.Hours[len(u.Hours)-1].Start < kept[i].EndedAt {
		t.Errorf("with one that ended under another version at %v: %+v", kept[i].EndedAt, u)
	}
}
