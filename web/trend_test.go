package web

import (
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

func TestTrend(t *testing.T) {
	var tr trend
	at := func(minutes float64) flows.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }
	put := func(minutes float64, inFlight, stuck int) {
		tr.add(flows.Health{AsOf: at(minutes), InFlight: inFlight, Stuck: stuck})
	}
	f := func(minutes float64, inFlight, stuck []float64) {
		t.Helper()
		got := tr.until(at(minutes))
		if !slices.Equal(got.InFlight, inFlight) || !slices.Equal(got.Stuck, stuck) {
			t.Errorf("at %v: %v, want %v and %v", minutes, got, inFlight, stuck)
		}
	}
	f(0, nil, nil)
	tr.add(flows.Health{AsOf: at(0), InFlight: 99, Restoring: true})
	f(0, nil, nil)
	put(0, 1, 0)
	put(0.9, 2, 1) // the end of the minute counts
	f(0.9, []float64{2}, []float64{1})
	put(3.5, 7, 0) // nothing was said meanwhile: it stayed
	put(2, 50, 50) // comes late
	f(3.5, []float64{2, 2, 2, 7}, []float64{1, 1, 1, 0})
	f(5, []float64{2, 2, 2, 7, 7, 7}, []float64{1, 1, 1, 0, 0, 0})
	for m := 4.0; m < 200; m++ {
		put(m, int(m), 0)
	}
	got := tr.until(at(199)).InFlight
	if len(got) != trendMinutes || got[0] != 140 || got[59] != 199 {
		t.Errorf("after long: %v", got)
	}
	if got = tr.until(at(209)).InFlight; len(got) != trendMinutes || got[0] != 150 || got[59] != 199 {
		t.Errorf("ten minutes of silence later: %v", got)
	}
	f(300, nil, nil)
	put(400, 3, 3)
	f(400, []float64{3}, []float64{3})
}

func TestHubKeepsTrends(t *testing.T) {
	hub := NewHub()
	for minute := range 3 {
		h := orderHealth(10+minute, minute)
		h.AsOf = noon.Add(time.Duration(minute) * time.Minute)
		publish(t, hub, h)
	}
	if got := hub.Trend("order-to-cash", noon.Add(2*time.Minute)); !slices.Equal(got.InFlight, []float64{10, 11, 12}) || !slices.Equal(got.Stuck, []float64{0, 1, 2}) {
		t.Errorf("%v", got)
	}
	hub.Drop("order-to-cash")
	if got := hub.Trend("order-to-cash", noon); got.InFlight != nil {
		t.Errorf("of a flow that is gone: %v", got)
	}
}
