package main

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/web"
)

// The numbers of now wait for the state that is being taken in, and are its; nobody waits
// for a store that is not there, or once there are numbers.
func TestLivePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, err := flows.NewSet(nil)
		if err != nil {
			t.Fatal(err)
		}
		ready := make(chan struct{})
		hub := web.NewHub()
		r := newRunner(set, nil, nil, ready, hub, nil, func(string) string { return "" }, slog.New(slog.DiscardHandler))
		if r.awaitLive(t.Context()) {
			t.Error("waits for a store that is not there")
		}
		close(ready)
		began := time.Now()
		if !r.awaitLive(t.Context()) || time.Since(began) != livePatience {
			t.Errorf("waited %v for numbers that do not come", time.Since(began))
		}
		now := flows.At(time.Now())
		window := flows.Window{From: now.Add(-engine.Window), To: now}
		got := make(chan flows.Health)
		go func() {
			h, err := livePast{hub: hub, runner: r}.Health(t.Context(), &flows.Flow{Name: "orders"}, window, "")
			if err != nil {
				t.Error(err)
			}
			got <- h
		}()
		synctest.Wait()
		hub.Show(web.Update{Health: flows.Health{Flow: "orders", InFlight: 7}, Heard: flows.NoTime})
		r.isLive()
		if h := <-got; h.InFlight != 7 {
			t.Errorf("%+v", h)
		}
		if r.awaitLive(t.Context()) {
			t.Error("waits though there are numbers")
		}
	})
}
