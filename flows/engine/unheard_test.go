package engine_test

import (
	"testing"

	"throughline/flows"
)

// What nobody can tell is no incident: no alert, nothing at risk, and it is counted as what
// it is. What an event would have told is one.
func TestUnknownIsNobodysIncident(t *testing.T) {
	f := newFeed(t, setOf(t, flows.Refs{}, "", `flow: made
key: order
steps:
- {id: placed, match: {span: place}, start: true}
- {id: paid, match: {span: pay}, after: placed, within: 15m}
- {id: packed, match: {event: packed}, after: placed, within: 1h}
`))
	s := ev("1", "place", 0)
	s.Kind, s.Sampled = flows.Span, true
	f.send(s)
	check := func(minutes flows.Time, unknown, stuck, overdue, unheard, cohorts int) {
		t.Helper()
		f.at(morning + minutes*minute)
		h := f.health("made")
		if h.Unknown != unknown || h.Stuck != stuck || h.Steps[1].Overdue != overdue || h.Steps[1].Unknown != unheard || len(f.e.Cohorts()) != cohorts {
			t.Errorf("after %d minutes: %d unknown, %d stuck, paid %+v, %v", minutes, h.Unknown, h.Stuck, h.Steps[1], f.e.Cohorts())
		}
	}
	check(14, 0, 0, 0, 0, 0)
	check(16, 1, 0, 1, 1, 0)
	check(61, 0, 1, 1, 0, 1)
	if c := f.e.Coverage(); len(c) != 1 || c[0].Sampled != 1 {
		t.Errorf("who samples: %+v", c)
	}
}
