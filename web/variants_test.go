package web

import (
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// TestVariantsPage holds that the page names each path once, with its share, and leads on.
func TestVariantsPage(t *testing.T) {
	h := newHouse(t, nil)
	publish(t, h.hub, orderHealth(12, 2))
	h.history.variants = flows.Variants{Total: 3, Variants: []flows.Variant{
		{Steps: []string{"placed", "placed", "paid"}, Count: 8, Share: 0.8, Median: 3 * time.Second, Conforming: true}, {Steps: []string{"<i>"}, Count: 2, Share: 0.2},
	}}
	w := h.get(t, "/flows/order-to-cash/variants?range=24h")
	body := strings.ReplaceAll(w.Body.String(), "\u00a0", " ")
	for _, want := range []string{"2 times", `href="/flows/order-to-cash/steps/paid?range=24h"`, "80.0 %", "&lt;i&gt;", "the 2 most frequent of 3", "view=variants", "conforms, the usual way", "80.0 %</b> went all the way"} {
		if w.Code != 200 || !strings.Contains(body, want) {
			t.Errorf("%d: the page has no %s", w.Code, want)
		}
	}
	if w := h.get(t, "/flows/none/variants"); w.Code != 404 {
		t.Errorf("an unknown flow: %d", w.Code)
	}
	if body := h.get(t, "/flows/order-to-cash?range=24h").Body.String(); !strings.Contains(body, `href="/flows/order-to-cash/variants?range=24h"`) {
		t.Error("the flow's page does not lead there")
	}
}
