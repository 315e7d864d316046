package views

import (
	"strings"
	"testing"

	"throughline/flows"
)

// A proposal is a file that is taken as it is, whatever the names are.
func TestDraft(t *testing.T) {
	seen := func(kind flows.Kind, name string, first flows.Time, fields ...string) flows.SeenSignal {
		return flows.SeenSignal{Kind: kind, Name: name, First: first, Attributes: fields}
	}
	v := FirstRun{Seen: []flows.SeenSignal{
		seen(flows.Event, "case.closed", 30, "case_id", "note"), seen(flows.Span, "POST /case's: {x}\n#", 20, "case_id", "order_id"),
		seen(flows.Event, "case.opened", 10, "case_id", "order_id"), seen(flows.Event, "order.placed", 5, "order_id"), seen(flows.Event, "1", 40, "case_id"), seen(flows.Event, "ü", 50, "case_id"),
	}, Wanted: func(_ flows.Kind, name string) bool { return name == "order.placed" }}
	d, ok := v.draft()
	if !ok || d.key != "case_id" || len(d.steps) != 5 || d.steps[0].Name != "case.opened" {
		t.Fatalf("proposed %+v", d)
	}
	f, faults := flows.Parse("draft.yaml", []byte(d.text()))
	if len(faults) > 0 {
		t.Fatalf("%v in\n%s", faults, d.text())
	}
	if f.Key != "case_id" || !f.Steps[0].Start || f.Steps[4].End != flows.Completed || f.Steps[1].Match.Kind != flows.Span {
		t.Errorf("the file says %+v", f)
	}
	for name, none := range map[string][]flows.SeenSignal{
		"nothing": nil, "one name": {seen(flows.Event, "a", 1, "x_id")}, "nothing shared": {seen(flows.Event, "a", 1, "x_id"), seen(flows.Event, "b", 2, "y_id")},
		"no key": {seen(flows.Event, "a", 1, "note"), seen(flows.Event, "b", 2, "note")},
	} {
		if d, ok := (FirstRun{Seen: none}).draft(); ok {
			t.Errorf("%s gives %+v", name, d)
		}
	}
	first := FirstRun{Clock: sampleClock(), EventsURL: "http://127.0.0.1:8080/api/v1/events", Seen: v.Seen}
	if html := render(t, first.Body()); !strings.Contains(html, "config/flows/case-flow.yaml") {
		t.Error("the page does not say where the proposal goes")
	}
}
