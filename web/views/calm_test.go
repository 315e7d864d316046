package views

import (
	"strings"
	"testing"

	"throughline/flows"
)

// Filled red is for what nobody has: one acknowledgement calms its step, and the flow once
// every stuck step has somebody.
func TestCalm(t *testing.T) {
	f := func(had map[string]bool, want look) {
		t.Helper()
		now := orders(t)
		now.Had = had
		if got := now.look(); got != want {
			t.Errorf("with %v the flow looks %v, want %v", had, got, want)
		}
		if now.badness() != 5 {
			t.Errorf("with %v the flow moved in the order of flows", had)
		}
	}
	f(nil, lookStuck)
	f(map[string]bool{"invoiced": false}, lookStuck)
	f(map[string]bool{"invoiced": true}, lookStuck.calm())
	f(map[string]bool{"invoiced": true, "": false}, lookStuck)
	f(map[string]bool{"packed": true}, lookStuck)

	whole := simple(t, "whole", "Whole", "", flows.HealthStuck, 3, 4, "A", "B")
	whole.Had = map[string]bool{"": true}
	if got := whole.look(); got != lookStuck.calm() {
		t.Errorf("an alert of the whole flow that somebody has looks %v", got)
	}

	now := orders(t)
	now.Had = map[string]bool{"invoiced": true}
	v := FlowDetail{Clock: sampleClock(), Now: now, Alerts: []Alert{sampleAcked()}}
	for name, html := range map[string]string{
		"graph": render(t, FlowGraph(v)), "line": render(t, Throughline(now, 208)),
		"step": render(t, StepHead(StepDetail{Clock: sampleClock(), Now: now, Step: 6})),
	} {
		if !strings.Contains(html, "acked") {
			t.Errorf("the %s is as loud as before", name)
		}
	}
}
