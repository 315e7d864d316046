package main

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"throughline/cmd/throughline/bench"
	"throughline/flows"
	"throughline/web"
)

// TestShows moves a flow's numbers and looks at what pages have and when programs are told: at once
// after a quiet time, then as often as promised, and always the last.
func TestShows(t *testing.T) {
	flow, faults := flows.Parse("bench.yaml", bench.FlowFile)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := flows.NewSet([]*flows.Flow{flow})
	if err != nil {
		t.Fatal(err)
	}
	hub := web.NewHub()
	r := newRunner(set, nil, nil, nil, hub, nil, func(string) string { return "" }, slog.New(slog.DiscardHandler))
	begin := time.Now()
	r.engine.Roll(flows.At(begin))
	sent, told := 0, time.Time{}
	at := func(after time.Duration, more, shown int, announced bool) {
		t.Helper()
		now := begin.Add(after)
		for range more {
			sent++
			id := fmt.Sprint(sent)
			r.engine.Apply([]flows.Signal{{
				Name: "bench.begun", Source: "test", ID: id, Time: flows.At(begin), Received: flows.At(now), Keys: []flows.Key{{Type: "bench_id", Value: id}},
			}}, flows.At(now))
		}
		for _, flow := range r.engine.Changed() {
			r.shows.changed[flow] = true
		}
		r.publish(now)
		health, _ := hub.Health("bench")
		if was := told; health.InFlight != shown || (r.shows.announced["bench"] != was) != announced {
			t.Errorf("after %v: pages show %d, want %d; announced: %v", after, health.InFlight, shown, !announced)
		}
		told = r.shows.announced["bench"]
		if next := r.shows.next(now.Add(time.Hour)); len(r.shows.changed)+len(r.shows.owed) > 0 && next.After(now.Add(announceEvery)) {
			t.Errorf("after %v: nothing is due before %v", after, next.Sub(begin))
		}
	}
	at(0, 1, 1, true) // at once
	at(showEvery-1, 1, 1, false)
	at(showEvery, 0, 2, false)
	at(showEvery+1, 1, 2, false)
	at(2*showEvery, 0, 3, false)
	at(announceEvery-1, 0, 3, false)
	at(announceEvery, 0, 3, true) // the last, though nothing moved since
	at(3*announceEvery, 0, 3, false)
	at(4*announceEvery, 5, 8, true)
	if len(r.shows.changed)+len(r.shows.owed) > 0 {
		t.Error("something is left to tell")
	}
}

// TestNothingTurnsWhileNoVerdictsAreGiven: what may not be alerted yet does not keep the loop from resting.
func TestNothingTurnsWhileNoVerdictsAreGiven(t *testing.T) {
	set, err := flows.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(set, nil, nil, nil, web.NewHub(), nil, func(string) string { return "" }, slog.New(slog.DiscardHandler))
	now := time.Now()
	r.ticked, r.alertsDue = now, true
	f := func(restoring bool, unfilled []string, want time.Duration) {
		t.Helper()
		if r.restoring, r.unfilled = restoring, unfilled; r.wait(now) != want {
			t.Errorf("restoring %v, without the history of %q: it rests for %v, not %v", restoring, unfilled, r.wait(now), want)
		}
	}
	f(true, nil, tickEvery)
	f(false, []string{"orders"}, tickEvery)
	f(false, nil, 0)
}
