package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const parcelsFlow = `
flow: parcels
key: order_id
holds:
  - {id: on-hold, from: {event: order.held}, until: {event: order.released}}
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: shipped, system: carrier, match: {event: parcel.shipped}, after: placed, within: {business: 1h, calendar: always}, each: parcel_id, expect: parcels}
  - {id: cash, match: {event: cash}, after: shipped, within: 1h, end: completed}
`

// A 1:n step, a calendar, a hold and a person's word, from the port to the page's API.
func TestChildrenHoldsAndResolutionsOnTheRunningProduct(t *testing.T) {
	dir := dataFolder(t, map[string]string{"parcels": parcelsFlow})
	calendars := filepath.Join(dir, "config", calendarsFolder)
	const always = "zone: Europe/Berlin\nhours: {mon-sun: [\"00:00-24:00\"]}\n"
	if err := errors.Join(os.Mkdir(calendars, 0o755), os.WriteFile(filepath.Join(calendars, "always.yaml"), []byte(always), 0o644)); err != nil {
		t.Fatal(err)
	}
	h := startIn(t, dir, nil)
	type answer struct {
		State, Reason, Hold string
		Waiting             []struct {
			Step           string
			Expected, Seen int
			Deadline       time.Time
		} `json:"waiting_on"`
		Signals []struct {
			Name string
			Data map[string]any
		}
	}
	instance := func(what string, holds func(answer) bool) (a answer) {
		t.Helper()
		h.eventually(what, 5*time.Second, func() bool {
			a = answer{}
			if status, _ := h.call(http.MethodGet, "/api/v1/flows/parcels/instances/O1", "", nil); status != http.StatusOK {
				return false
			}
			h.get("/api/v1/flows/parcels/instances/O1", &a)
			return holds(a)
		})
		return a
	}
	at := time.Now().UTC().Truncate(time.Second)
	order := map[string]any{"order_id": "O1", "parcels": 3}
	parcel := func(name string) map[string]any { return map[string]any{"order_id": "O1", "parcel_id": name} }
	h.send(
		cloudEvent{ID: "1", Type: "order.placed", Data: order, Time: at.Format(time.RFC3339)},
		cloudEvent{ID: "2", Type: "parcel.shipped", Data: parcel("A")}, cloudEvent{ID: "3", Type: "parcel.shipped", Data: parcel("B")},
	)
	a := instance("2 of 3", func(a answer) bool { return len(a.Waiting) == 1 && a.Waiting[0].Seen == 2 })
	if w := a.Waiting[0]; w.Step != "shipped" || w.Expected != 3 || !w.Deadline.Equal(at.Add(time.Hour)) || a.State != "open" {
		t.Errorf("got %+v", a)
	}
	h.send(cloudEvent{ID: "4", Type: "order.held", Data: map[string]any{"order_id": "O1"}})
	instance("held", func(a answer) bool { return a.State == "held" && a.Reason == "held" && a.Hold == "on-hold" })
	h.eventually("counted as held", 5*time.Second, func() bool {
		var health struct{ Held int }
		h.get("/api/v1/flows/parcels/health", &health)
		return health.Held == 1
	})
	h.send(cloudEvent{ID: "5", Type: "order.released", Data: map[string]any{"order_id": "O1"}})
	instance("released", func(a answer) bool { return a.State == "open" })

	const path = "/api/v1/flows/parcels/instances/O1/resolve"
	if status, body := h.call(http.MethodPost, path, "application/json", []byte(`{"note": "driven by hand"}`)); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	a = instance("resolved", func(a answer) bool { return a.State == "resolved" && len(a.Signals) == 6 })
	if last := a.Signals[5]; last.Name != "throughline.resolved" || last.Data["note"] != "driven by hand" || len(a.Waiting) != 0 {
		t.Errorf("got %+v", a)
	}
	if status, body := h.call(http.MethodPost, path, "application/json", []byte(`{"note": "again"}`)); status != http.StatusConflict || !strings.Contains(string(body), "resolved") {
		t.Errorf("%d %s", status, body)
	}
	h.eventually("counted as resolved", 5*time.Second, func() bool {
		var health struct {
			Resolved int
			InFlight int `json:"in_flight"`
		}
		h.get("/api/v1/flows/parcels/health?window=all", &health)
		return health.Resolved == 1 && health.InFlight == 0
	})
}
