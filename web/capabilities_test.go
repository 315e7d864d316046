package web

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// The capability map names what runs, with the systems that a flow waits for.
func TestCapabilities(t *testing.T) {
	f := orderFlow()
	h := newHouse(t, func(o *Options) {
		o.Capabilities = func() []flows.Capability {
			return []flows.Capability{
				{Name: "care", Title: "care"},
				{Name: "sales", Title: "Sales", Owner: "shop", Systems: []string{"webshop"}, Flows: []string{f.Name, "not-there"}},
			}
		}
	})
	publish(t, h.hub, flows.Health{Flow: f.Name, Stuck: 3, InFlight: 5, Health: flows.HealthStuck})
	w := h.get(t, "/api/v1/capabilities")
	var got struct{ Capabilities []capabilityJSON }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	systems := []string{"webshop"}
	for i := range f.Steps {
		if f.Steps[i].System != "" && f.Steps[i].System != "webshop" {
			systems = append(systems, f.Steps[i].System)
		}
	}
	want := []capabilityJSON{
		{Capability: "care", Title: "care", Systems: []string{}, Flows: []flowJSON{}},
		{Capability: "sales", Title: "Sales", Owner: "shop", Systems: systems, Flows: []flowJSON{{f.Name, f.Title, f.Capability, f.Version, 5, 3, 0, flows.HealthStuck}}},
	}
	if diff := cmp.Diff(want, got.Capabilities); diff != "" {
		t.Error(diff)
	}
	for _, page := range []string{"/", "/flows", "/flows/" + f.Name, "/search?q=" + f.Name} {
		if body := h.get(t, page).Body.String(); !strings.Contains(body, ">Sales<") || strings.Contains(body, "Order fulfilment") {
			t.Errorf("%s does not show the capability's title alone", page)
		}
	}
	if w := h.get(t, "/api/v1/capabilities?x=1"); w.Code != 400 {
		t.Errorf("an unknown parameter: %d", w.Code)
	}
}
