package web

import (
	"testing"

	"throughline/flows"
)

// TestHeardLive: a step whose numbers grow was heard just then, whatever history knows yet.
func TestHeardLive(t *testing.T) {
	var h heard
	f := func(reached, errors int, asOf, want flows.Time) {
		t.Helper()
		if got := h.note("orders", flows.StepHealth{Step: "paid", Reached: reached, Errors: errors}, asOf); got != want {
			t.Errorf("%d reached, %d errors at %s: heard at %s, want %s", reached, errors, asOf, got, want)
		}
	}
	f(5, 0, noon, flows.NoTime) // it may have been reached long ago
	f(5, 0, noon+1, flows.NoTime)
	f(6, 0, noon+2, noon+2)
	f(6, 1, noon+3, noon+3) // a failed try is heard, too
	f(4, 1, noon+4, noon+3) // the window moved on
	f(5, 1, noon+5, noon+5)
	if got := h.note("purchases", flows.StepHealth{Step: "paid", Reached: 9}, noon+6); got != flows.NoTime {
		t.Errorf("another flow's step of that name was heard at %s", got)
	}
}
