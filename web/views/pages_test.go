package views

import (
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// samplePage is a page with everything on it.
type samplePage struct {
	name  string
	shell Shell
	body  templ.Component
	parts []Part
}

func samplePages(t testing.TB) []samplePage {
	c := sampleClock()
	overview := Overview{Clock: c, Range: RangeHour, Flows: sampleFlows(t), Alerts: sampleAlerts(), Started: sampleSeries("2026-11-19T01:15:00Z"), Systems: sampleSystems(t), Changes: sampleChanges()}
	list := FlowList{Clock: c, Range: RangeDay, Flows: sampleFlows(t)}
	detail := sampleFlowDetail(t)
	step := StepDetail{Clock: c, Now: orders(t), Step: 6, Instances: sampleInstances(), Alerts: sampleAlerts()[:1]}
	over := sampleAlerts()[0]
	over.ResolvedAt = sampleNow.Add(-time.Minute)
	over.Ack = sampleAcked().Ack
	alerts := AlertList{Clock: c, Open: append(sampleAlerts(), sampleAcked()), Resolved: []Alert{over}}
	now := orders(t)
	alert := sampleAlertDetail(t)
	acked := AlertDetail{Clock: c, Alert: sampleAcked(), Now: &now, Instances: sampleInstances(), Reader: "Ben"}
	acked.Alert.Silenced, acked.Alert.Silences = true, sampleAlerts()[1].Silences
	resolved := AlertDetail{Clock: c, Alert: over, Now: &now}
	timeline := sampleTimeline(t)
	first := FirstRun{
		Clock: c, EventsURL: "http://127.0.0.1:8080/api/v1/events", OTLPHTTP: "127.0.0.1:4318", OTLPGRPC: "127.0.0.1:4317", ConfigDir: "config",
		Accepted: 3, Last: sampleNow.Add(-4 * time.Second),
		Seen: []flows.SeenSignal{
			{Kind: flows.Event, Name: "order.placed", Source: "webshop", Count: 2, Last: sampleNow, Attributes: []string{"currency", "order_id", "total"}},
			{Kind: flows.Span, Name: "POST /capture", Source: "payments", Count: 1, Last: sampleNow, Attributes: []string{"http.route", "order_id"}},
		},
	}
	instances := InstanceList{
		Clock: c, Now: now, Page: sampleInstances(), Since: "24h",
		Query: flows.InstanceQuery{States: []flows.State{flows.Stuck}, Step: "invoiced", Sort: flows.SortValue, At: flows.NoTime, Since: flows.NoTime, Cursor: "c2"},
	}
	variants := VariantList{Clock: c, Now: now, Variants: &flows.Variants{Total: 42, Variants: []flows.Variant{
		{Steps: []string{"placed", "authorised", "authorised", "reserved"}, Count: 1312, Share: 0.66, Median: 33 * time.Minute}, {Steps: []string{"placed", "gone<b>"}, Count: 500, Share: 0.25, Median: 4 * time.Second, Conforming: true},
	}}}
	busy := sampleShell(PlaceOverview, "Overview")
	busy.Notices = Notices{Restoring: true, HistoryAway: sampleNow.Add(-time.Minute), Faults: []flows.Fault{{File: "flows/orders.yaml", Line: 12, Col: 5, Message: `unknown field "befor"; did you mean "after"?`}}}
	return []samplePage{
		{"overview", sampleShell(PlaceOverview, "Overview"), overview.Body(), overview.Parts()},
		{"flows", busy, list.Body(), list.Parts()},
		{"flow", sampleShell(PlaceFlows, "Web order to cash"), detail.Body(), detail.Parts()},
		{"flow-played", sampleShell(PlaceFlows, "Web order to cash"), samplePlayed(t).Body(), samplePlayed(t).Parts()},
		{"variants", sampleShell(PlaceFlows, "Variants"), variants.Body(), variants.Parts()},
		{"step", sampleShell(PlaceFlows, "Invoice posted"), step.Body(), step.Parts()},
		{"systems", sampleShell(PlaceSystems, "Systems"), SystemList{Clock: c, Systems: sampleSystems(t), Known: true, Bus: sampleBacklog()}.Body(), SystemList{Clock: c, Systems: sampleSystems(t), Known: true, Bus: sampleBacklog()}.Parts()},
		{"system", sampleShell(PlaceSystems, "ERP"), sampleSystem(t).Body(), sampleSystem(t).Parts()},
		{"alerts", sampleShell(PlaceAlerts, "Alerts"), alerts.Body(), alerts.Parts()},
		{"alert", sampleShell(PlaceAlerts, "Invoice posted is stuck"), alert.Body(), alert.Parts()},
		{"alert-acked", sampleShell(PlaceAlerts, "Invoice posted is stuck"), acked.Body(), acked.Parts()},
		{"alert-resolved", sampleShell(PlaceAlerts, "Invoice posted was stuck"), resolved.Body(), resolved.Parts()},
		{"instance", sampleShell(PlaceFlows, "SO-104711"), timeline.Body(), timeline.Parts()},
		{"instances", sampleShell(PlaceFlows, "Instances"), instances.Body(), instances.Parts()},
		{"first-run", sampleShell(PlaceOverview, ""), first.Body(), first.Parts()},
		{"search", sampleShell(PlaceSearch, "4711"), sampleSearch(t).Body(), nil},
		{"entity", sampleShell(PlaceSearch, "C-20518"), sampleEntity(t).Body(), nil},
		{"model", sampleShell(PlaceFlows, "Flow model"), FlowModel{
			Clock: c, Name: now.Flow.Name, Flow: now.Flow, File: "config/flows/order-to-cash.yaml", Text: orderFile,
			Draft: strings.Replace(orderFile, "after: placed", "after: placd", 1), Versions: []flows.FlowText{{Version: now.Flow.Version, Text: orderFile, Loaded: stuckSince}, {Version: "0011223344", Text: "flow: order-to-cash\n", Loaded: stuckSince.Add(-time.Hour)}},
			Trial:  &FlowTrial{Name: now.Flow.Name, Text: orderFile + "# more\n", Base: orderFile},
			Faults: []flows.Fault{{File: "config/flows/order-to-cash.yaml", Line: 12, Col: 7, Message: `unknown step "placd"; did you mean "placed"?`}},
		}.Body(), nil},
		{"problem", sampleShell(PlaceNone, "Not found"), Problem{
			Status: 404, Title: "There is no flow orders", Text: "Its file may have been renamed or refused.",
			There: []Link{{"Web order to cash", "/flows/order-to-cash", "558 in flight"}},
		}.Body(), nil},
		{"components", sampleShell(PlaceNone, "Components"), Components{Clock: c}.Body(), nil},
	}
}

func sampleSearch(t testing.TB) SearchResults {
	return SearchResults{
		Clock: sampleClock(), Query: "4711", Flows: sampleFlows(t)[:1], Known: []*flows.Flow{orders(t).Flow}, Took: 41 * time.Millisecond,
		Found: flows.Found{
			Instances: []flows.FoundInstance{{Flow: "order-to-cash", Key: "SO-104711", State: flows.Stuck}, {Flow: "order-to-cash", Key: "SO-094711", State: flows.Completed}, {Flow: "returns", Key: "RT-4711", State: flows.Unknown}},
			Keys:      []flows.Key{{Type: "payment_id", Value: "PA-4711"}},
		},
	}
}

func sampleEntity(t testing.TB) EntityTimeline {
	signals := sampleTimeline(t).Detail.Signals
	old := signals[0]
	old.Time = old.Time.Add(-49 * time.Hour)
	return EntityTimeline{
		Clock: sampleClock(), Key: flows.Key{Type: "customer_id", Value: "C-20518"}, Signals: append([]flows.Signal{old}, signals...), Next: "c2",
		Known: []*flows.Flow{orders(t).Flow},
	}
}
