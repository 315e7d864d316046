package web

import (
	"testing"

	"throughline/flows"
)

// TestHeardLive: a step whose numbers grow by signals was heard when they came, whatever history knows yet and whoever looks.
func TestHeardLive(t *testing.T) {
	h := NewHub()
	show := func(flow string, reached, errors int, received, want flows.Time) {
		t.Helper()
		h.Show(Update{Health: flows.Health{Flow: flow, Steps: []flows.StepHealth{{Step: "paid", Reached: reached, Errors: errors}}}, Heard: received})
		if got := h.heardAt(flow, "paid"); got != want {
			t.Errorf("%d reached, %d errors by what came at %s: heard at %s, want %s", reached, errors, received, got, want)
		}
	}
	if got := h.heardAt("orders", "paid"); got != flows.NoTime {
		t.Errorf("without numbers it was heard at %s", got)
	}
	show("orders", 5, 0, noon, flows.NoTime) // it may have been reached long ago
	show("orders", 5, 0, noon+1, flows.NoTime)
	show("orders", 6, 0, noon+2, noon+2)
	show("orders", 6, 1, noon+3, noon+3)       // a failed try is heard, too
	show("orders", 4, 1, noon+4, noon+3)       // the window moved on
	show("orders", 5, 1, noon+5, noon+5)       //
	show("orders", 9, 1, flows.NoTime, noon+5) // by a changed file or a backfill
	show("orders", 10, 1, noon+4, noon+5)      // what was accepted earlier comes later
	show("purchases", 9, 0, noon+6, flows.NoTime)
	h.Drop("orders")
	show("orders", 11, 1, noon+7, flows.NoTime)
}
