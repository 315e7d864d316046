package alert

import (
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// Incidents, those that are over too, name an erased key no more; others are left alone.
func TestForgetsAnErasedKey(t *testing.T) {
	b, clock := newBook("http://here"), time.Unix(1_800_000_000, 0)
	cohort := func(flow, step string) flows.Cohort {
		return flows.Cohort{Flow: flow, Step: step, Reason: flows.ReasonDeadline, Count: 3, Since: flows.At(clock), Keys: []string{"4711", "4711 (test)", "47110"}}
	}
	b.set([]flows.Cohort{cohort("orders", "paid"), cohort("visits", "seen")}, flows.At(clock), clock)
	for _, in := range b.active {
		in.fired = true
	}
	b.set([]flows.Cohort{cohort("orders", "shipped"), cohort("visits", "seen")}, flows.At(clock), clock)
	if len(b.resolved) != 1 || !b.forget([]string{"orders"}, "4711", "erased-x") || b.forget([]string{"orders"}, "4711", "erased-x") {
		t.Fatalf("%d resolved; it changes something, once", len(b.resolved))
	}
	for _, a := range b.list(func(*incident) (bool, []flows.Silence) { return false, nil }) {
		want, says := []string{"erased-x", "erased-x (test)", "47110"}, "erased-x, erased-x (test), 47110"
		if a.Cohort.Flow == "visits" {
			want, says = []string{"4711", "4711 (test)", "47110"}, "4711, 4711 (test), 47110"
		}
		if !slices.Equal(a.Cohort.Keys, want) || a.Annotations["keys"] != says {
			t.Errorf("%s: %v, %q", a.Cohort.Flow, a.Cohort.Keys, a.Annotations["keys"])
		}
	}
}
