package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// page is a notification as a webhook gets it.
type page struct {
	Status string
	Alerts []struct {
		Status      string
		Labels      map[string]string
		Annotations map[string]string
	}
}

// pager is the receiver of a person on call.
type pager struct {
	t     *testing.T
	pages chan page
}

// newPager routes the alerts of a folder to a webhook that answers 200.
func newPager(t *testing.T, dir string) *pager {
	t.Helper()
	p := &pager{t: t, pages: make(chan page, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var one page
		if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
			t.Errorf("page: %v", err)
		}
		p.pages <- one
	}))
	t.Cleanup(server.Close)
	config := fmt.Sprintf("route: {receiver: on-call, group_interval: 300ms}\nreceivers:\n"+
		"  - name: on-call\n    webhook_configs: [{url: %q, send_resolved: true}]\n", server.URL)
	if err := os.WriteFile(filepath.Join(dir, "config", "alertmanager.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pager) expect(status string) page {
	p.t.Helper()
	var one page
	select {
	case one = <-p.pages:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("no page says %s", status)
	}
	if one.Status != status || len(one.Alerts) != 1 {
		p.t.Fatalf("page %+v, want one alert that is %s", one, status)
	}
	return one
}

// silent listens for a page that must not come.
func (p *pager) silent(while string, d time.Duration) {
	p.t.Helper()
	select {
	case one := <-p.pages:
		p.t.Fatalf("a page came while %s: %+v", while, one)
	case <-time.After(d):
	}
}

const stalled = 1993

// stall sends orders that nobody pays, all of them before the first one is late.
func stall(h *house) {
	h.t.Helper()
	var batch []cloudEvent
	at := time.Now().Add(2 * slow * time.Second).UTC().Format(time.RFC3339Nano)
	for i := range stalled {
		batch = append(batch, cloudEvent{
			ID: fmt.Sprintf("placed-%d", i), Type: "order.placed", Time: at,
			Data: map[string]any{"order_id": fmt.Sprint(i), "total": "16.00", "currency": "EUR"},
		})
		if len(batch) == 500 || i == stalled-1 {
			h.send(batch...)
			batch = batch[:0]
		}
	}
}

// pay clears the orders from, from+1 ... below to.
func pay(h *house, from, to int) {
	h.t.Helper()
	var batch []cloudEvent
	for i := from; i < to; i++ {
		batch = append(batch, cloudEvent{ID: fmt.Sprintf("paid-%d", i), Type: "order.paid", Data: map[string]any{"order_id": fmt.Sprint(i)}})
	}
	h.send(batch...)
}

// says1993 checks what the one page says.
func says1993(t *testing.T, one page) {
	t.Helper()
	a := one.Alerts[0]
	for _, want := range []string{"Orders: 1,993 stuck at Payment taken (payments) since ", "EUR 31,888.00 at risk"} {
		if !strings.Contains(a.Annotations["summary"], want) {
			t.Errorf("summary %q does not say %q", a.Annotations["summary"], want)
		}
	}
	if a.Annotations["count"] != "1993" || a.Annotations["keys"] == "" || !strings.Contains(a.Annotations["link"], "/flows/orders/steps/paid") {
		t.Errorf("annotations %v", a.Annotations)
	}
	for label, want := range map[string]string{"alertname": "FlowStuck", "flow": "orders", "step": "paid", "system": "payments", "reason": "deadline"} {
		if a.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, a.Labels[label], want)
		}
	}
}

// TestOnePageForAllStalled lets 1,993 orders stall: one page when it begins, one when it
// has ended, none in between.
func TestOnePageForAllStalled(t *testing.T) {
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	pager := newPager(t, dir)
	h := startIn(t, dir, nil)
	stall(h)
	says1993(t, pager.expect("firing"))
	var active []struct {
		Labels, Annotations map[string]string
		Status              struct{ State string }
	}
	counts := func(want string) func() bool {
		return func() bool {
			h.get("/api/v2/alerts", &active)
			return len(active) == 1 && active[0].Annotations["count"] == want && active[0].Status.State == "active"
		}
	}
	h.eventually("Alertmanager's API says 1993", 2*time.Second, counts("1993"))
	pay(h, 0, 500)
	h.eventually("the count has moved", 5*time.Second, counts("1493"))
	pager.silent("the numbers moved", 3*time.Second)
	pay(h, 500, stalled)
	if a := pager.expect("resolved").Alerts[0]; a.Status != "resolved" || a.Labels["step"] != "paid" {
		t.Errorf("resolved: %+v", a)
	}
	pager.silent("all was well again", 2*time.Second)
}

// afterRestart is what must be the same before and after.
type afterRestart struct {
	health    map[string]healthAnswer
	instances []instanceAnswer
	alerts    string
}

func (h *house) picture() (now afterRestart) {
	h.t.Helper()
	now.health = map[string]healthAnswer{}
	for _, window := range []string{"1h", "all"} {
		a := h.health("orders", "window="+window)
		a.AsOf, a.Restoring = time.Time{}, false // of the moment
		now.health[window] = a
	}
	var list struct{ Instances []instanceAnswer }
	h.get("/api/v1/flows/orders/instances?sort=key&limit=1000", &list)
	now.instances = list.Instances
	for i := range now.instances {
		now.instances[i].StuckSeconds = 0 // goes on
		for j := range now.instances[i].WaitingOn {
			now.instances[i].WaitingOn[j].OverdueSeconds = 0
		}
	}
	var active []struct{ Labels, Annotations map[string]string }
	h.get("/api/v2/alerts", &active)
	for _, a := range active {
		now.alerts += fmt.Sprint(a.Labels, a.Annotations["count"], a.Annotations["value_at_risk"], a.Annotations["since"])
	}
	return now
}

// TestRestartChangesNothing kills the program while 1,993 orders are stuck. It takes as
// long as verdicts wait after a restart.
func TestRestartChangesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the state counts as whole again")
	}
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	pager := newPager(t, dir)
	p := runProgram(t, dir, nil)
	stall(&p.house)
	says1993(t, pager.expect("firing"))
	pay(&p.house, 0, 7)
	var before afterRestart
	p.eventually("1,986 are stuck, everywhere", 10*time.Second, func() bool {
		before = p.picture()
		return before.health["1h"].Stuck == stalled-7 && before.health["all"].Stuck == stalled-7 && strings.Contains(before.alerts, "1986")
	})

	p.kill()
	p = runProgram(t, dir, nil)
	began := time.Now()
	p.eventually("the state is read, and what came after it was saved", 10*time.Second, func() bool {
		a := p.health("orders", "window=1h")
		return a.InFlight == stalled && a.Stuck == stalled-7
	})
	if !p.health("orders", "window=1h").Restoring {
		t.Error("health does not say that it restores")
	}
	if state, _ := p.part("engine"); state != "restoring" {
		t.Errorf("readyz says the engine is %s", state)
	}
	live := p.live("orders")
	// The first message may be of the instant before; the next one comes within a tenth of a second.
	if first, _ := live.await("the numbers of before", 5*time.Second, func(a healthAnswer) bool { return a.Stuck == stalled-7 }); !first.Restoring {
		t.Errorf("live begins with %+v", first)
	}
	same := func(when string) {
		t.Helper()
		now := p.picture()
		if !reflect.DeepEqual(now.health, before.health) {
			t.Errorf("health %s:\n%+v\nbefore:\n%+v", when, now.health, before.health)
		}
		if !reflect.DeepEqual(now.instances, before.instances) {
			t.Errorf("instances are not the same %s", when)
		}
		if now.alerts != before.alerts {
			t.Errorf("alerts %s:\n%s\nbefore:\n%s", when, now.alerts, before.alerts)
		}
	}
	same("while restoring")
	p.send(cloudEvent{ID: "new", Type: "order.placed", Data: map[string]any{"order_id": "new"}})
	live.await("a new order", 5*time.Second, func(a healthAnswer) bool { return a.InFlight == stalled+1 })
	whole, at := live.await("the state is whole", 45*time.Second, func(a healthAnswer) bool { return !a.Restoring })
	if took := at.Sub(began); took < 25*time.Second || took > slow*45*time.Second {
		t.Errorf("whole after %v", took)
	}
	if whole.Stuck != stalled-6 {
		live.await("the new order is stuck too", 5*time.Second, func(a healthAnswer) bool { return a.Stuck == stalled-6 })
	}
	pager.silent("the program came back", 6*time.Second)
	p.send(cloudEvent{ID: "new-paid", Type: "order.paid", Data: map[string]any{"order_id": "new"}})
	pay(&p.house, 7, stalled)
	pager.expect("resolved")
	pager.silent("all was well again", 2*time.Second)
	p.terminate()
}
