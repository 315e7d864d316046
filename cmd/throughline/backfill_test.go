package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// checkedFlow is ordersFlow with a step more, which no order had so far.
var checkedFlow = strings.NewReplacer(
	"  - {id: shipped", "  - {id: checked, match: {event: order.checked}, after: paid}\n  - {id: shipped", "after: paid, within: 1h", "after: checked, within: 1h",
).Replace(ordersFlow)

const keptOrders = 40

// sell sends orders whole, or all but their end.
func sell(h *house, from, to int, whole bool) {
	var events []cloudEvent
	for i := from; i < to; i++ {
		data := map[string]any{"order_id": fmt.Sprint(i), "total": "1.00", "currency": "EUR"}
		names := []string{"order.placed", "order.paid", "order.shipped"}
		if !whole {
			names = names[:2]
		}
		for n, name := range names {
			at := time.Now().Add(time.Duration(n-10) * time.Minute / 60).UTC().Format(time.RFC3339Nano)
			events = append(events, cloudEvent{ID: fmt.Sprintf("%s-%d", name, i), Type: name, Time: at, Data: data})
		}
	}
	h.send(events...)
}

// versions counts the instances as they are stored, by state and version.
func (h *house) versions() map[string]int {
	h.t.Helper()
	var a struct {
		Instances []struct{ State, Version string }
	}
	h.get("/api/v1/flows/orders/instances?limit=1000", &a)
	n := map[string]int{}
	for _, i := range a.Instances {
		n[i.State+" "+i.Version]++
	}
	return n
}

// compliant is the share of the completed that conform, of all history.
func (h *house) compliant() float64 {
	h.t.Helper()
	var a struct {
		Rate *float64 `json:"compliance_rate"`
	}
	if h.get("/api/v1/flows/orders/health?window=all", &a); a.Rate == nil {
		return -1
	}
	return *a.Rate
}

// Ended instances keep the version of their file on a change, over a kill and over a file
// that changed meanwhile, until a backfill; open ones are of the version in force.
func TestEndedInstancesKeepTheirVersionUntilBackfill(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the state counts as whole again")
	}
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	p := runProgram(t, dir, nil)
	sell(&p.house, 0, keptOrders, true)
	sell(&p.house, keptOrders, keptOrders+5, false)
	first := p.version("orders")
	is := func(what string, want map[string]int, compliant float64) {
		t.Helper()
		p.eventually(what, 15*time.Second, func() bool {
			return fmt.Sprint(p.versions()) == fmt.Sprint(want) && p.compliant() == compliant && p.health("orders", "window=all").Completed == keptOrders
		})
	}
	is("all are stored", map[string]int{"completed " + first: keptOrders, "open " + first: 5}, 1)

	writeFlow(t, dir, "orders", checkedFlow)
	p.eventually("the other file is in force", 5*time.Second, func() bool { return p.version("orders") != first })
	second := p.version("orders")
	is("the ended keep their version", map[string]int{"completed " + first: keptOrders, "open " + second: 5}, 1)
	if live := p.health("orders", "window=1h"); live.Completed != keptOrders || live.InFlight != 5 {
		t.Errorf("live: %+v", live)
	}
	p.send(cloudEvent{ID: "again", Type: "order.paid", Data: map[string]any{"order_id": "7"}}) // late, and a repeat
	p.eventually("a late signal is judged by the version that is kept", 10*time.Second, func() bool {
		a, _ := p.instance("orders", "7")
		return a.Version == first && slices.Contains(a.Deviations, "repeat") && !slices.Contains(a.Deviations, "skipped")
	})
	compliant := float64(keptOrders-1) / keptOrders
	checkVariantsKept(t, &p.house)

	p.kill()
	third := strings.Replace(checkedFlow, "within: 3s", "within: 2h", 1)
	writeFlow(t, dir, "orders", third)
	p = runProgram(t, dir, map[string]string{runAsMain: settlingSoon})
	p.eventually("the third file is in force", 5*time.Second, func() bool { return p.version("orders") != second })
	version := p.version("orders")
	is("kept after a kill and another file", map[string]int{"completed " + first: keptOrders, "open " + version: 5}, compliant)
	sell(&p.house, keptOrders, keptOrders+1, false) // the same again: nothing new
	p.send(cloudEvent{ID: "third", Type: "order.paid", Data: map[string]any{"order_id": "8"}})
	p.eventually("late again", 10*time.Second, func() bool {
		a, _ := p.instance("orders", "8")
		return a.Version == first && slices.Contains(a.Deviations, "repeat")
	})
	checkBackfillCalls(t, &p.house)

	var out, bar bytes.Buffer
	since := flows.At(time.Now().Add(time.Hour)).String()
	ask := []string{"backfill", "orders", "--server", "http://" + p.addr.HTTP}
	if err := run(t.Context(), append(ask, "--since", since), func(string) string { return "" }, &out, &bar); err != nil {
		t.Fatalf("%v\n%s", err, bar.String())
	}
	if !strings.Contains(out.String(), "orders: 0 ended instances") {
		t.Errorf("nothing ended since then: %s", out.String())
	}
	if err := run(t.Context(), ask, func(string) string { return "" }, &out, &bar); err != nil {
		t.Fatalf("%v\n%s", err, bar.String())
	}
	if !strings.Contains(out.String(), fmt.Sprintf("orders: %d ended instances are of version %s now", keptOrders, version)) || !strings.Contains(bar.String(), "100 %") {
		t.Errorf("%s\n%s", out.String(), bar.String())
	}
	is("all are of the version in force", map[string]int{"completed " + version: keptOrders, "open " + version: 5}, 0)
	if a, _ := p.instance("orders", "9"); !slices.Contains(a.Deviations, "skipped") || len(a.Signals) != 3 {
		t.Errorf("%+v", a)
	}
	if live := p.health("orders", "window=1h"); live.Completed != keptOrders || live.InFlight != 5 {
		t.Errorf("live: %+v", live)
	}
	p.terminate()
}

func checkVariantsKept(t *testing.T, h *house) {
	t.Helper()
	var a struct {
		Variants []struct {
			Steps      []string
			Count      int
			Conforming bool
		}
	}
	h.get("/api/v1/flows/orders/variants", &a)
	if len(a.Variants) != 3 || a.Variants[0].Count != keptOrders-1 || !a.Variants[0].Conforming || len(a.Variants[0].Steps) != 3 {
		t.Errorf("variants: %+v", a.Variants)
	}
}

func checkBackfillCalls(t *testing.T, h *house) {
	t.Helper()
	const path = "/api/v1/flows/orders/backfill"
	var s backfillState
	if h.get(path, &s); s.State != backfillNone || s.Flow != "orders" {
		t.Errorf("%+v", s)
	}
	for body, want := range map[string]int{`{"since": "yesterday"}`: http.StatusBadRequest, `{"sinse": null}`: http.StatusBadRequest, `[`: http.StatusBadRequest} {
		status, answer := h.call(http.MethodPost, path, "application/json", []byte(body))
		var problem struct{ Detail string }
		if err := json.Unmarshal(answer, &problem); err != nil || status != want || !strings.Contains(problem.Detail, "since") {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	if status, _ := h.call(http.MethodPost, strings.Replace(path, "orders", "none", 1), "", nil); status != http.StatusNotFound {
		t.Errorf("of a flow that is not there: %d", status)
	}
}

// A backfill that was under way goes on with the next start.
func TestBackfillIsResumed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the state counts as whole again")
	}
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	p := runProgram(t, dir, nil)
	sell(&p.house, 0, keptOrders, true)
	p.eventually("all are stored", 10*time.Second, func() bool { return p.health("orders", "window=all").Completed == keptOrders })
	p.kill()
	writeFlow(t, dir, "orders", checkedFlow)
	p = runProgram(t, dir, nil)
	version := p.version("orders")
	status, body := p.call(http.MethodPost, "/api/v1/flows/orders/backfill", "", nil)
	var s backfillState
	if err := json.Unmarshal(body, &s); err != nil || status != http.StatusAccepted || s.Total != keptOrders || s.State != backfillRunning {
		t.Fatalf("%d %s", status, body)
	}
	if status, _ := p.call(http.MethodPost, "/api/v1/flows/orders/backfill", "", nil); status != http.StatusConflict {
		t.Errorf("twice at a time: %d", status)
	}
	p.kill() // while it waits until the state is whole
	p = runProgram(t, dir, map[string]string{runAsMain: settlingSoon})
	p.eventually("it goes on", 60*time.Second, func() bool {
		p.get("/api/v1/flows/orders/backfill", &s)
		return s.State == backfillDone
	})
	if s.Total != keptOrders || s.Done != keptOrders || s.Missing != 0 || s.Version != version {
		t.Errorf("%+v", s)
	}
	if n := p.versions(); n["completed "+version] != keptOrders {
		t.Errorf("%v", n)
	}
	p.terminate()
}

func TestBackfillCode(t *testing.T) {
	for _, since := range []flows.Time{flows.NoTime, -1, 0, 1, flows.At(time.Now())} {
		if code := backfillCode(since); code == 0 || backfillSince(code) != since {
			t.Errorf("%d: %d, %d", since, code, backfillSince(code))
		}
	}
	for _, bad := range []string{"yesterday", "2026-13-01", "1500-01-01"} {
		if _, err := parseSince(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if at, err := parseSince("2026-11-01"); err != nil || at.String() != "2026-11-01T00:00:00Z" {
		t.Errorf("%v, %v", at, err)
	}
}
