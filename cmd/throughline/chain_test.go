package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// ordersFlow waits three seconds for a payment.
const ordersFlow = `flow: orders
title: Orders
key: order_id
value: {amount: total, currency: currency}
steps:
  - {id: placed, title: Order placed, system: shop, match: {event: order.placed}, start: true}
  - {id: paid, title: Payment taken, system: payments, match: {event: order.paid}, after: placed, within: 3s}
  - {id: shipped, title: Order shipped, system: carrier, match: {event: order.shipped}, after: paid, within: 1h, end: completed}
`

// liveSocket is an open /api/v1/live with all that it was sent, merged.
type liveSocket struct {
	t       *testing.T
	updates chan map[string]json.RawMessage // each of one message, fields of health merged so far
}

// live opens the websocket of one flow.
func (h *house) live(flow string) *liveSocket {
	h.t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(h.t.Context(), "ws://"+h.addr.HTTP+"/api/v1/live?flow="+flow, nil)
	if err != nil {
		h.t.Fatalf("open live: %v", err)
	}
	_ = response.Body.Close()
	l := &liveSocket{t: h.t, updates: make(chan map[string]json.RawMessage, 10_000)}
	done := make(chan struct{})
	go func() { // ended by the close below
		defer close(done)
		defer close(l.updates)
		merged := map[string]json.RawMessage{}
		for {
			var message map[string]json.RawMessage
			if err := conn.ReadJSON(&message); err != nil {
				return
			}
			if string(message["type"]) == `"health"` {
				maps.Copy(merged, message)
				l.updates <- maps.Clone(merged)
			}
		}
	}()
	h.t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return l
}

// await reads until the merged health fits, and returns when that was read.
func (l *liveSocket) await(what string, within time.Duration, fits func(healthAnswer) bool) (healthAnswer, time.Time) {
	l.t.Helper()
	within = max(within, standsStill)
	deadline := time.After(within)
	for {
		select {
		case update, ok := <-l.updates:
			if !ok {
				l.t.Fatalf("the socket ended before it said: %s", what)
			}
			body, err := json.Marshal(update)
			if err != nil {
				l.t.Fatal(err)
			}
			var a healthAnswer
			if err := json.Unmarshal(body, &a); err != nil {
				l.t.Fatalf("%v in %s", err, body)
			}
			if fits(a) {
				return a, time.Now()
			}
		case <-deadline:
			l.t.Fatalf("the socket did not say within %v: %s", within, what)
		}
	}
}

// TestStuckWithinASecond lets a deadline pass, and looks at an open socket and at the API.
func TestStuckWithinASecond(t *testing.T) {
	h := start(t, map[string]string{"orders": ordersFlow})
	if a := h.health("orders", "window=1h"); a.Health != "quiet" {
		t.Errorf("health before anything flows is %q", a.Health)
	}
	live := h.live("orders")
	h.send(cloudEvent{ID: "1", Type: "order.placed", Data: map[string]any{"order_id": "A1", "total": "19.90", "currency": "EUR"}})
	open, _ := live.await("one in flight", 2*time.Second, func(a healthAnswer) bool { return a.InFlight == 1 })
	if open.Health != "ok" || open.Stuck != 0 {
		t.Errorf("before the deadline: %+v", open)
	}
	var waiting instanceAnswer
	h.eventually("the instance is stored", 3*time.Second, func() (ok bool) { waiting, ok = h.instance("orders", "A1"); return ok })
	if len(waiting.WaitingOn) != 1 || waiting.WaitingOn[0].Step != "paid" || waiting.WaitingOn[0].System != "payments" {
		t.Fatalf("waits for %+v", waiting.WaitingOn)
	}
	deadline := waiting.WaitingOn[0].Deadline
	if got := deadline.Sub(waiting.WaitingOn[0].DueAt); got != 3*time.Second {
		t.Errorf("deadline %v after it was due", got)
	}

	onAPI := make(chan time.Time, 1)
	go func() { // ends with the condition, or with the test's failure
		h.eventually("stuck on the API", 10*time.Second, func() bool { a, _ := h.instance("orders", "A1"); return a.State == "stuck" })
		onAPI <- time.Now()
	}()
	pushed, at := live.await("stuck", 10*time.Second, func(a healthAnswer) bool { return a.Stuck == 1 })
	if late := at.Sub(deadline); late < 0 || late > slow*time.Second {
		t.Errorf("the socket said it %v after the deadline", late)
	}
	if late := (<-onAPI).Sub(deadline); late < 0 || late > slow*time.Second {
		t.Errorf("the API said it %v after the deadline", late)
	}
	if pushed.Health != "stuck" || pushed.AtRisk["EUR"] != "19.90" || pushed.Steps[1].Overdue != 1 {
		t.Errorf("pushed %+v", pushed)
	}
	stuck, _ := h.instance("orders", "A1")
	if stuck.Reason != "deadline" || stuck.RecoveredLate || stuck.WaitingOn[0].OverdueSeconds <= 0 {
		t.Errorf("stuck instance: %+v", stuck)
	}

	paidAt := time.Now()
	h.send(cloudEvent{ID: "2", Type: "order.paid", Time: paidAt.UTC().Format(time.RFC3339Nano), Data: map[string]any{"order_id": "A1"}})
	cleared, _ := live.await("cleared", 2*time.Second, func(a healthAnswer) bool { return a.Stuck == 0 })
	if cleared.Health != "late" || cleared.InFlight != 1 || len(cleared.AtRisk) != 0 || cleared.Steps[1].Overdue != 0 {
		t.Errorf("after the late payment: %+v", cleared)
	}
	var recovered instanceAnswer
	h.eventually("recovered late", 2*time.Second, func() bool { recovered, _ = h.instance("orders", "A1"); return recovered.RecoveredLate })
	want := paidAt.Sub(deadline).Seconds()
	if got := recovered.StuckSeconds; recovered.State != "open" || got < want-0.001 || got > want+0.001 {
		t.Errorf("recovered: state %s, stuck for %v s, want %v", recovered.State, got, want)
	}
	h.send(cloudEvent{ID: "3", Type: "order.shipped", Data: map[string]any{"order_id": "A1"}})
	live.await("completed", 2*time.Second, func(a healthAnswer) bool { return a.Completed == 1 && a.InFlight == 0 })
}

// TestDefinitionChange writes flow files while the program runs.
func TestDefinitionChange(t *testing.T) {
	h := start(t, map[string]string{"orders": ordersFlow})
	var events []cloudEvent
	for i := range 50 { // older than any flow that will want them
		data := map[string]any{"order_id": fmt.Sprint(i), "parcel_id": fmt.Sprintf("P%d", i)}
		events = append(events,
			cloudEvent{ID: fmt.Sprintf("p%d", i), Type: "order.placed", Data: data},
			cloudEvent{ID: fmt.Sprintf("q%d", i), Type: "order.paid", Data: data},
			cloudEvent{ID: fmt.Sprintf("c%d", i), Type: "parcel.packed", Data: data})
	}
	h.send(events...)
	h.eventually("all are counted", 5*time.Second, func() bool { return h.health("orders", "window=1h").InFlight == 50 })

	t.Run("a new file is in force within a second, with history", func(t *testing.T) {
		h := h.in(t)
		written := time.Now()
		writeFlow(t, h.dir, "parcels", "flow: parcels\nkey: order_id\nsteps:\n"+
			"  - {id: packed, match: {event: parcel.packed}, start: true}\n  - {id: sent, match: {event: parcel.sent}, after: packed, within: 1h, end: completed}\n")
		h.eventually("parcels have their history", 5*time.Second, func() bool {
			status, body := h.call(http.MethodGet, "/api/v1/flows/parcels/health?window=1h", "", nil)
			var a healthAnswer
			return status == http.StatusOK && json.Unmarshal(body, &a) == nil && a.Started == 50 && a.InFlight == 50
		})
		if took := time.Since(written); took > 2*slow*time.Second { // twice, for a machine that does other things
			t.Errorf("in force with history after %v", took)
		}
		h.eventually("its instances are stored", 5*time.Second, func() bool { return h.health("parcels", "window=all").InFlight == 50 })
		h.send(cloudEvent{ID: "s0", Type: "parcel.sent", Data: map[string]any{"order_id": "0"}})
		h.eventually("it goes on live", 5*time.Second, func() bool { return h.health("parcels", "window=1h").Completed == 1 })
	})
	t.Run("a bad file is refused and shown, the old one runs on", func(t *testing.T) {
		h := h.in(t)
		before := h.version("orders")
		writeFlow(t, h.dir, "orders", strings.Replace(ordersFlow, "after: placed", "after: plced", 1))
		var answer struct {
			Ready   bool
			Refused []map[string]any
		}
		h.eventually("the fault is on /readyz", 2*slow*time.Second, func() bool { h.get("/readyz", &answer); return len(answer.Refused) > 0 })
		if text := fmt.Sprint(answer.Refused); !answer.Ready || !strings.Contains(text, "orders.yaml") || !strings.Contains(text, "plced") {
			t.Errorf("readyz says %+v", answer)
		}
		if _, page := h.call(http.MethodGet, "/", "", nil); !strings.Contains(string(page), "plced") {
			t.Error("the overview does not show the fault")
		}
		h.send(cloudEvent{ID: "p50", Type: "order.placed", Data: map[string]any{"order_id": "50"}})
		h.eventually("the old version runs on", 2*time.Second, func() bool { return h.health("orders", "window=1h").InFlight == 51 })
		if after := h.version("orders"); after != before {
			t.Errorf("version %s became %s", before, after)
		}
		writeFlow(t, h.dir, "orders", ordersFlow)
		h.eventually("the fault is gone", slow*time.Second, func() bool { h.get("/readyz", &answer); return len(answer.Refused) == 0 })
	})
	t.Run("a changed deadline judges what is open again", func(t *testing.T) {
		h := h.in(t)
		before := h.version("orders")
		live := h.live("orders")
		changed := time.Now()
		writeFlow(t, h.dir, "orders", strings.Replace(ordersFlow, "within: 1h", "within: 1ms", 1))
		_, at := live.await("50 wait too long for a shipment", 5*time.Second, func(a healthAnswer) bool { return a.Stuck >= 50 })
		if took := at.Sub(changed); took > slow*time.Second {
			t.Errorf("judged again after %v", took)
		}
		if after := h.version("orders"); after == before {
			t.Error("the version is the same")
		}
		var stuck instanceAnswer
		h.eventually("the store has the new verdict", 5*time.Second, func() bool { stuck, _ = h.instance("orders", "7"); return stuck.State == "stuck" })
		if stuck.Version != h.version("orders") {
			t.Errorf("instance of version %s", stuck.Version)
		}
		writeFlow(t, h.dir, "orders", ordersFlow)
		live.await("they wait in time again", 5*time.Second, func(a healthAnswer) bool { return a.Stuck <= 1 && a.InFlight == 51 })
		h.eventually("the store has it too", 5*time.Second, func() bool { stuck, _ = h.instance("orders", "7"); return stuck.State == "open" })
	})
}

// in is the house for a subtest.
func (h *house) in(t *testing.T) *house { return &house{t: t, dir: h.dir, addr: h.addr} }

func (h *house) version(flow string) string {
	h.t.Helper()
	var a struct {
		Flows []struct{ Flow, Version string }
	}
	h.get("/api/v1/flows", &a)
	i := slices.IndexFunc(a.Flows, func(f struct{ Flow, Version string }) bool { return f.Flow == flow })
	if i < 0 {
		h.t.Fatalf("no flow %s in %+v", flow, a.Flows)
	}
	return a.Flows[i].Version
}
