package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// TestPlayback holds that a played instant shows what the API answers for it, of the very
// window, and that its links stay at that instant.
func TestPlayback(t *testing.T) {
	h := newHouse(t, nil)
	h.history.health = orderHealth(99, 9)
	publish(t, h.hub, orderHealth(12, 2)) // what is live must not show
	after, acked, over := stuckAlert(), stuckAlert(), stuckAlert()
	after.ID, after.StartsAt, after.StepTitle = "late", noon.Add(time.Minute), "Later"
	acked.Ack = flows.Ack{By: "Anna Weiss", At: noon.Add(time.Minute)}
	over.ID, over.StartsAt, over.ResolvedAt, over.StepTitle = "over", noon.Add(-time.Hour), noon.Add(-time.Second), "Over"
	back := stuckAlert() // was open at the instant, and is again, later
	back.ID, back.StartsAt, back.StepTitle = "back", noon.Add(time.Minute), "Recurring"
	back.Earlier = []flows.Episode{{StartsAt: noon.Add(-time.Minute), ResolvedAt: noon.Add(time.Second), Ack: flows.Ack{By: "Ben", At: noon.Add(-time.Second)}}, {StartsAt: noon.Add(-29 * time.Minute), ResolvedAt: noon.Add(-28 * time.Minute)}}
	if err := h.hub.PublishAlerts([]Alert{after, acked, over, back}); err != nil {
		t.Fatal(err)
	}
	page := h.get(t, "/flows/order-to-cash?at=2026-11-19T12:00:00Z&from=2026-11-19T11:30:00Z&range=24h")
	if page.Code != http.StatusOK || h.history.window != (flows.Window{From: noon.Add(-24 * time.Hour), To: noon, Hindsight: true}) {
		t.Fatalf("%d, asked for %+v", page.Code, h.history.window)
	}
	body := page.Body.String()
	for _, want := range []string{
		`<span class="v">99<small>`, "/flows/order-to-cash/instances?at=2026-11-19T12%3A00%3A00Z&amp;state=open,held,stuck,unknown", "/alerts/a1", "nobody had it", "/alerts/back", "open since 11:59:00, Ben had it", ">11:31:00 " + back.StepTitle,
		"/flows/order-to-cash/steps/paid?at=2026-11-19T12%3A00%3A00Z&amp;range=24h", "window=24h&amp;at=2026-11-19T12%3A00%3A00Z", `max="3600" step="1" value="1800"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, wrong := range []string{"/alerts/late", "/alerts/over", "Anna Weiss", "31,880", "data-since", "hx-ws:connect"} {
		if strings.Contains(body, wrong) {
			t.Errorf("the page of a past instant shows %s", wrong)
		}
	}
	frame := h.get(t, "/flows/order-to-cash/frame?at=2026-11-19T12:00:00Z&range=24h").Body.String()
	if !strings.Contains(frame, `<hx-partial hx-target="#flow-stats"`) || !strings.Contains(frame, `<span class="v">99<small>`) {
		t.Errorf("frame: %.300s", frame)
	}
	f := func(target string, want int) {
		t.Helper()
		if w := h.get(t, target); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	f("/flows/order-to-cash/frame", 400)
	f("/flows/order-to-cash?at=2999-01-01T00:00:00Z", 400)
	f("/flows/order-to-cash?at=2026-11-19T12:00:00Z&from=2026-11-19T10:00:00Z", 400)
	f("/flows/order-to-cash/playback", 303)
	f("/flows/order-to-cash/instances?counted=nothing", 400)
	f("/flows/order-to-cash/instances?window=1h", 400)
	f("/api/v1/flows/order-to-cash/instances?counted=reached&step=paid&window=24h&at=2026-11-19T12:00:00Z", 200)
	if file := h.get(t, "/flows/order-to-cash/steps.csv?at=2026-11-19T12:00:00Z").Body.String(); !strings.Contains(file, "\norder-to-cash,paid,Payment taken,payments,2026-11-19T12:00:00Z,3600,0,99,9,0,0,,,,900\n") {
		t.Errorf("steps:\n%s", file)
	}
	h.history.variants = flows.Variants{Variants: []flows.Variant{{Steps: []string{"placed", "paid"}, Count: 3, Share: 0.75, Median: time.Minute}}, Total: 1}
	if file := h.get(t, "/flows/order-to-cash/variants.csv?range=7d").Body.String(); !strings.HasSuffix(file, "\norder-to-cash,placed paid,3,0.75,60,false\n") {
		t.Errorf("variants:\n%s", file)
	}
	link := "/flows/order-to-cash/instances?counted=started&path=placed,paid&window=7d"
	if page := h.get(t, "/flows/order-to-cash/variants?range=7d").Body.String(); !strings.Contains(page, strings.ReplaceAll(link, "&", "&amp;")) {
		t.Errorf("no link to the instances of a path in\n%s", page)
	}
	listed := h.get(t, link).Body.String()
	for _, want := range []string{"on the path Order placed, Payment taken", `name="path" value="placed,paid"`, "/instances.csv?counted=started&amp;path=placed,paid&amp;window=7d"} {
		if !strings.Contains(listed, want) {
			t.Errorf("no %q in\n%s", want, listed)
		}
	}
	h.get(t, "/api/v1/flows/order-to-cash/instances?counted=reached&step=paid&window=24h&at=2026-11-19T12:00:00Z")
	if q := h.history.query; q.Counted != flows.CountedReached || q.Over != 24*time.Hour || q.Step != "paid" || q.At != noon {
		t.Errorf("asked for %+v", q)
	}
}
