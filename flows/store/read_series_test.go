package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// TestListsHoldWhatIsCounted asks for the instances behind each number.
func TestListsHoldWhatIsCounted(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 300)
	for _, over := range []time.Duration{0, 6 * 24 * time.Hour} {
		at := w.now.Add(-40 * time.Hour)
		from := flows.NoTime
		if over > 0 {
			from = at.Add(-over)
		}
		h, err := s.Health(t.Context(), w.flow, flows.Window{From: from, To: at, Hindsight: true}, "")
		if err != nil {
			t.Fatal(err)
		}
		some := 0
		f := func(counted flows.Counted, step string, want int) {
			t.Helper()
			got, cursor := 0, ""
			for {
				page, err := s.Instances(t.Context(), w.flow, flows.InstanceQuery{Counted: counted, Over: over, Step: step, Since: flows.NoTime, At: at, Limit: 40, Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				got += len(page.Instances)
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			equal(t, fmt.Sprintf("%s at %q over %s", counted, step, over), got, want)
			some += want
		}
		f(flows.CountedStarted, "", h.Started)
		f(flows.CountedCompleted, "", h.Completed)
		f(flows.CountedFailed, "", h.Failed)
		f(flows.CountedCancelled, "", h.Cancelled)
		f(flows.CountedCancelled, "cancelled", h.Cancelled)
		f(flows.CountedResolved, "", h.Resolved)
		f(flows.CountedExpired, "", h.Expired)
		if h.ComplianceRate != nil {
			conforming := int(*h.ComplianceRate*float64(h.Completed) + 0.5)
			f(flows.CountedConforming, "", conforming)
			f(flows.CountedDeviating, "", h.Completed-conforming)
		}
		for _, step := range h.Steps {
			f(flows.CountedReached, step.Step, step.Reached)
			f(flows.CountedSkipped, step.Step, step.Skipped)
		}
		if some < 100 {
			t.Errorf("over %s only %d are counted: the test shows nothing", over, some)
		}
		w.each(at, true, func(key string, _ flows.Time, _ bool, in *flows.Instance) {
			failed := slices.ContainsFunc(in.Failures, func(o flows.Failure) bool { return o.Step == 1 && o.At >= from && o.At < at })
			if got := flows.CountedErrors.Counts(in, 1, from, at); got != failed {
				t.Errorf("%s: failed tries counted: %v, want %v", key, got, failed)
			}
		})
	}
}

func TestSeries(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 300)
	from, to := epoch.Add(3*time.Hour), w.now // inside the first bucket
	first := from - from%flows.Time(7*time.Hour)
	series, err := s.Series(t.Context(), w.flow, from, to, 7*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "first bucket", series.From, first)
	var want flows.Series
	want.Started, want.Ended = make([]int, len(series.Started)), map[flows.State][]int{}
	left := 0
	w.each(w.now, false, func(_ string, _ flows.Time, _ bool, in *flows.Instance) {
		if flows.CountedStarted.Counts(in, -1, first, to) {
			want.Started[in.StartedAt.Sub(first)/(7*time.Hour)]++
		}
		if !in.State.InFlight() && in.EndedAt >= first && in.EndedAt < to {
			if want.Ended[in.State] == nil {
				want.Ended[in.State] = make([]int, len(series.Started))
			}
			want.Ended[in.State][in.EndedAt.Sub(first)/(7*time.Hour)]++
			if in.State != flows.Completed && in.EndedAt >= from {
				left++
			}
		}
	})
	if !slices.Equal(want.Started, series.Started) {
		t.Errorf("started: %v, want %v", series.Started, want.Started)
	}
	for state, counts := range want.Ended {
		if !slices.Equal(counts, series.Ended[state]) {
			t.Errorf("%s: %v, want %v", state, series.Ended[state], counts)
		}
	}
	equal(t, "ways to end", len(series.Ended), len(want.Ended))
	for _, l := range series.Left {
		left -= l.Count
	}
	equal(t, "left, unaccounted for", left, 0)
	if _, err := s.Series(t.Context(), w.flow, from, to, time.Second); err == nil {
		t.Error("more than a million buckets are taken")
	}
}
