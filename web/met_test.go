package web

import (
	"strings"
	"testing"

	"throughline/flows"
	"throughline/web/views"
)

// TestBoundsAreLoud holds that every bound which was reached is on every page, with what it
// touched, and that nothing is said where none was.
func TestBoundsAreLoud(t *testing.T) {
	var met Met
	h := newHouse(t, func(o *Options) { o.Met = func() Met { return met } })
	publish(t, h.hub, orderHealth(12, 2))
	if body := h.get(t, "/flows/order-to-cash").Body.String(); strings.Contains(body, "reached</b> since") {
		t.Error("a bound is named, and none was reached")
	}
	met = Met{
		Common: 1312, CommonKeys: []CommonKey{{Key: flows.Key{Type: "customer_id", Value: "a/<b>"}}}, Unfit: true, CommonTraces: 1, TracesForgotten: 2, Overfull: 3, GivenUp: 4, Far: 5, Missed: 6,
		Full:     []FullInstance{{Flow: "order-to-cash", Key: flows.Key{Type: "order_id", Value: "null"}, Environment: "prod"}},
		Coverage: map[string]views.Coverage{"order-to-cash": {Signals: 100, Joined: 75, Waiting: 25}},
	}
	for _, path := range []string{"/", "/flows/order-to-cash", "/alerts", "/flows/order-to-cash/model", "/nothing"} {
		body := strings.ReplaceAll(h.get(t, path).Body.String(), "\u00a0", " ")
		for _, want := range []string{
			"8 bounds were reached", "1,312 keys are linked to too many others", `href="/entities/customer_id/a%2F%3Cb%3E">customer_id:a/&lt;b&gt;</a>`,
			"own key is among them", "1 trace has too many signals", "2 traces made room", "3 signals came to instances that are full",
			`href="/instances/order-to-cash/null?environment=prod"`, "4 signals waited in vain", "5 times links led too far", "6 changes of keys",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not say %s", path, want)
			}
		}
	}
	if body := h.get(t, "/flows/order-to-cash").Body.String(); !strings.Contains(body, "75.0\u00a0% of the signals that steps match, since Throughline was started, are in an instance, 25 wait for a link.") {
		t.Error("the numbers do not say what they cover")
	}
}
