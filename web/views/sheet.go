package views

import (
	"time"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

// sheet are the values that the component sheet shows.
type sheet struct {
	looks   []look
	since   flows.Time
	flow    FlowNow
	stats   []stat
	alerts  []Alert
	notices Notices
}

func newSheet(c Clock) sheet {
	since := c.Now.Add(-32*time.Minute - 47*time.Second)
	alert := Alert{
		Cohort: flows.Cohort{
			Flow: "sample", Title: "Web order to cash", Owner: "order-platform", Runbook: "https://wiki.example.com/o2c", Step: "invoiced", StepTitle: "Invoice posted",
			System: "ERP", Reason: flows.ReasonDeadline, Count: 214, Since: since, AtRisk: flows.Money{"EUR": decimal.NewFromInt(31880)},
		},
		ID: "sample", StartsAt: since, Key: "order_id", Limit: 5 * time.Minute,
	}
	silenced := alert
	silenced.ID, silenced.Silenced, silenced.Count, silenced.StepTitle = "sample-2", true, 3, "Supplier paid"
	return sheet{
		looks:  []look{lookOK, lookLate, lookStuck, lookUnknown, lookQuiet, lookRestore, stateLook(flows.Completed), stateLook(flows.Cancelled), stateLook(flows.Expired)},
		since:  since,
		flow:   sampleFlow(c),
		alerts: []Alert{alert, silenced},
		notices: Notices{
			Restoring: true, HistoryAway: since, Faults: []flows.Fault{{File: "flows/orders.yaml", Line: 12, Col: 5, Message: `unknown field "befor"; did you mean "after"?`}},
			Bounds: []Bound{{Count: 3, One: "key is linked to too many others", Many: "keys are linked to too many others", Means: "Their links are void.", Advice: "Raise partners of the type in keys.yaml.", Links: []Link{{Text: "customer_id:null", Href: "/entities/customer_id/null"}}}},
		},
		stats: []stat{
			{label: "Stat tile", value: "51.5", unit: "/min", note: "3,090 in the last 60 min", href: "/_/components", spark: sampleSpark},
			{class: "stuck", label: "Stuck", value: "214", note: "€31,880 at risk"},
			{class: "late", label: "Late", value: "1", unit: " of 8", note: "flows"},
			{class: "deaf", label: "Unknown", value: "12", note: "behind sampled spans"},
		},
	}
}

var sampleSpark = []float64{48, 52, 50, 55, 51, 49, 53, 57, 50, 47, 52, 54, 50, 51, 56, 52}

// sampleFlow has a step in every state.
func sampleFlow(c Clock) FlowNow {
	titles := []string{"Order placed", "Payment authorised", "Stock reserved", "Packed", "Invoice posted", "Payment captured"}
	f := &flows.Flow{Name: "sample", Title: "Web order to cash", Capability: "order-fulfilment", Key: "order_id"}
	h := flows.Health{Flow: f.Name, Health: flows.HealthStuck, AsOf: c.Now, InFlight: 558, Stuck: 214}
	for i, title := range titles {
		step := flows.Step{ID: title, Title: title, System: []string{"Web shop", "PSP", "WMS", "WMS", "ERP", "PSP"}[i], Within: 3 * time.Second}
		p50, p99 := 1.3, 2.4
		sh := flows.StepHealth{Step: title, Reached: 474, Latency: flows.Distribution{Count: 474, P50: &p50, P90: &p50, P99: &p99}}
		switch i {
		case 0:
			step.Start = true
		case 1:
			slow := 4.8
			sh.Latency.P99 = &slow
		case 4:
			sh.Reached, sh.Waiting, sh.Overdue, sh.Stuck = 205, 251, 214, 214
		case 5:
			sh = flows.StepHealth{Step: title}
		}
		if i > 0 {
			step.After = []int{i - 1}
		}
		f.Steps, h.Steps = append(f.Steps, step), append(h.Steps, sh)
	}
	f.Steps = append(f.Steps, flows.Step{ID: "declined", Title: "Declined", System: "PSP", End: flows.Failed})
	h.Steps = append(h.Steps, flows.StepHealth{Step: "declined", Reached: 21})
	h.Edges = []flows.EdgeHealth{{From: titles[1], To: "declined", Count: 21}}
	return FlowNow{Flow: f, Health: h, InFlight: sampleSpark}
}
