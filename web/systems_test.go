package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// TestSystems holds the words that can be told without a learned rhythm, and that none is told
// where none holds.
func TestSystems(t *testing.T) {
	h := newHouse(t, nil)
	h.rules.system = &flows.System{Name: "payments", Title: "Payment service", Owner: "treasury"}
	publish(t, h.hub, orderHealth(12, 2))
	now := flows.At(time.Now())
	heard := func(system string, silent, gap time.Duration) flows.SystemTraffic {
		return flows.SystemTraffic{System: system, Signals: 120, Last: now.Add(-silent), LongestGap: gap, Resolution: 10 * time.Second, Buckets: make([]int, 360), Judged: 120, Least: -time.Minute, P50: time.Second, P99: 2 * time.Second}
	}
	h.history.traffic = []flows.SystemTraffic{heard("crm", 5*time.Second, 0), heard("erp", 10*time.Minute, time.Minute), heard("payments", 10*time.Minute, 9*time.Minute)}
	var answer struct {
		Systems []systemJSON `json:"systems"`
	}
	body := h.get(t, "/api/v1/systems").Body.Bytes()
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	var whole any
	if err := json.Unmarshal(body, &whole); err != nil {
		t.Fatal(err)
	}
	doc := readDocument(t, h)
	for _, fault := range doc.check("systems", doc.Paths["/api/v1/systems"]["get"].Responses["200"].Content["application/json"].Schema, whole) {
		t.Error(fault)
	}
	got := map[string]string{}
	for _, s := range answer.Systems {
		got[s.System] = "none"
		if s.State != nil {
			got[s.System] = *s.State
		}
	}
	// erp waits for what reaches it, and nothing is due from it; 12 orders wait for payments,
	// which is silent for longer than before; webshop was never heard.
	for system, want := range map[string]string{"crm": "live", "erp": "starved", "payments": "none", "webshop": "blind"} {
		if got[system] != want {
			t.Errorf("%s is %q, want %q", system, got[system], want)
		}
	}
	if crm, payments := answer.Systems[0], answer.Systems[2]; crm.Title != "crm" || payments.Title != "Payment service" || payments.Owner != "treasury" {
		t.Errorf("systems.yaml is not followed: %s", body)
	}
	if n := len(answer.Systems); n != 4 || answer.Systems[2].Waiting != 12 || answer.Systems[2].Overdue != 2 || answer.Systems[0].PerMinute != 2 || answer.Systems[0].Delay.Least != -60 {
		t.Errorf("%d systems: %s", n, body)
	}
	page := h.get(t, "/systems/payments").Body.String()
	for _, want := range []string{"Payment service", "payments", "treasury", "/flows/order-to-cash/instances?state=open,held,stuck,unknown&amp;step=paid", "Silent"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of payments has no %s", want)
		}
	}
	grown := orderHealth(12, 2) // the numbers say so before history does
	grown.AsOf = now
	for i := range grown.Steps {
		if grown.Steps[i].Step == "paid" {
			grown.Steps[i].Reached++
		}
	}
	h.hub.Show(Update{Health: grown, Heard: now.Add(-3 * time.Second)})
	grown.AsOf = now.Add(time.Minute) // nobody looked meanwhile
	h.hub.Show(Update{Health: grown, Heard: flows.NoTime})
	if err := json.Unmarshal(h.get(t, "/api/v1/systems").Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if at := answer.Systems[2]; at.LastHeard != now.Add(-3*time.Second) || at.State == nil || *at.State != "live" {
		t.Errorf("payments was heard at %s: %v", at.LastHeard, at.State)
	}
	if w := h.get(t, "/systems/nobody"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "webshop") {
		t.Errorf("an unknown system: %d", w.Code)
	}
	if file := h.get(t, "/systems.csv").Body.String(); strings.Count(file, "\n") != 5 || !strings.Contains(file, "\nwebshop,blind,") {
		t.Errorf("file:\n%s", file)
	}
}
