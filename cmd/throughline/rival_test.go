package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What other products get wrong, on the running product with its store; the engine's own
// tests of that name hold the rest. Rival 06 is TestRestartChangesNothing here, 08 is
// TestOnePageForAllStalled, 16 TestChildrenHoldsAndResolutionsOnTheRunningProduct.
func TestRivalsWithTheStore(t *testing.T) {
	dir := dataFolder(t, map[string]string{
		"orders": strings.Replace(ordersFlow, "key: order_id\n", "key: order_id\nlinks: [invoice_id]\n", 1),
		"large":  "flow: large\nkey: order_id\nsteps: [{id: a, match: {event: large, where: 'attributes.total > 5'}}]\n",
	})
	if err := os.WriteFile(filepath.Join(dir, "config", keysName), []byte("invoice_id: {partners: 2}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := startIn(t, dir, nil)
	now := time.Now().UTC()
	order := func(id, name, key string, ago time.Duration, more ...string) cloudEvent {
		e := cloudEvent{ID: id, Type: name, Time: now.Add(-ago).Format(time.RFC3339Nano), Data: map[string]any{"order_id": key}}
		for i := 0; i < len(more); i += 2 {
			e.Data[more[i]] = more[i+1]
		}
		return e
	}
	h.send(
		order("1", "order.placed", "open", 3*time.Hour),
		order("2", "order.placed", "done", 3*time.Hour), order("3", "order.paid", "done", time.Minute),
	)
	h.eventually("both are stored", 10*time.Second, func() bool { return h.health("orders", "window=10m").InFlight == 2 })
	h.send(order("4", "order.shipped", "done", 30*time.Second), order("4", "order.shipped", "done", 30*time.Second))

	t.Run("04 an instance across the window's edge is in flight", func(t *testing.T) {
		var a healthAnswer
		h.in(t).eventually("one has ended", 10*time.Second, func() bool { a = h.health("orders", "window=10m"); return a.Completed == 1 })
		if a.InFlight != 1 || a.Started != 0 || a.Steps[1].Waiting != 1 || a.Steps[0].Reached != 0 || a.Latency["max_seconds"] != 3*3600.0-30 {
			t.Errorf("the last ten minutes: %+v", a)
		}
	})
	t.Run("07 a late event restates what was said once", func(t *testing.T) {
		h.in(t).eventually("stuck", 10*time.Second, func() bool { a, _ := h.instance("orders", "open"); return a.State == "stuck" })
		for range 2 {
			h.send(order("5", "order.paid", "open", time.Minute))
		}
		var a instanceAnswer
		h.in(t).eventually("recovered late", 10*time.Second, func() bool { a, _ = h.instance("orders", "open"); return a.RecoveredLate })
		if want := (3*time.Hour - time.Minute - 3*time.Second).Seconds(); a.State != "open" || a.StuckSeconds != want {
			t.Errorf("%s, stuck for %v s, want %v", a.State, a.StuckSeconds, want)
		}
		for _, window := range []string{"10m", "all"} {
			if a := h.health("orders", "window="+window); a.Stuck != 0 || a.InFlight != 1 || a.Completed != 1 || a.Steps[1].Reached != 2 {
				t.Errorf("window %s: %+v", window, a)
			}
		}
	})
	t.Run("12 a limit that is hit is a metric and a count", func(t *testing.T) {
		for _, key := range []string{"a", "b", "c"} {
			h.send(order("placed "+key, "order.placed", key, 0, "invoice_id", "I"))
		}
		h.send(cloudEvent{ID: "paid", Type: "order.paid", Data: map[string]any{"invoice_id": "I"}})
		h.send(cloudEvent{ID: "large", Type: "large", Data: map[string]any{"order_id": "x", "total": "not a number"}})
		h.in(t).eventually("/metrics says what became common, and what waits because of it", 10*time.Second, func() bool {
			status, body := h.call(http.MethodGet, "/metrics", "", nil)
			return status == http.StatusOK && metricOf(string(body), "throughline_engine_common_keys") == "1" && metricOf(string(body), "throughline_engine_waiting") == "1" &&
				metricOf(string(body), "throughline_engine_conditions_failed") == "1"
		})
	})
}

// metricOf is the value of a number without labels of its own; "" where it is not there.
func metricOf(text, name string) string {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && (fields[0] == name || strings.HasPrefix(fields[0], name+"{")) {
			return fields[1]
		}
	}
	return ""
}
