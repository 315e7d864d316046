package main

import (
	"testing"
	"time"

	"throughline/flows"
)

func TestSkew(t *testing.T) {
	now := flows.At(time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC))
	var k skew
	k.count([]flows.Signal{
		{Time: now, Received: now},
		{Time: now.Add(time.Hour), Received: now},
		{Time: now.Add(time.Hour + 1), Received: now},
		{Time: now.Add(30 * time.Minute), Duration: 31 * time.Minute, Received: now},
		{Time: now.Add(-365 * 24 * time.Hour), Received: now},
		{Time: now.Add(-365*24*time.Hour - 1), Received: now},
		{Time: now.Add(-20 * 365 * 24 * time.Hour), Received: now, AsOf: now}, // history
	})
	if k.ahead != 2 || k.old != 1 {
		t.Errorf("%+v", k)
	}
}

// Signals from far off are taken, and counted where an operator looks.
func TestSkewIsOnMetrics(t *testing.T) {
	h := start(t, map[string]string{"orders": ordersFlow})
	for id, at := range map[string]time.Time{"ahead": time.Now().Add(3 * time.Hour), "old": time.Now().Add(-2 * 365 * 24 * time.Hour), "now": time.Now()} {
		h.send(cloudEvent{ID: id, Type: "order.placed", Time: at.UTC().Format(time.RFC3339Nano), Data: map[string]any{"order_id": id}})
	}
	h.eventually("they are counted", 10*time.Second, func() bool {
		return h.counted("throughline_engine_skewed", `time="ahead"`) == 1 && h.counted("throughline_engine_skewed", `time="old"`) == 1
	})
	for _, key := range []string{"ahead", "old", "now"} {
		h.eventually(key+" is taken", 10*time.Second, func() bool { _, ok := h.instance("orders", key); return ok })
	}
}
