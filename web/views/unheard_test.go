package views

import (
	"strings"
	"testing"

	"throughline/flows"
)

// Where nobody can tell, no page says stuck, and each says why.
func TestUnknownIsSaidWithItsReason(t *testing.T) {
	now := FlowNow{Flow: orders(t).Flow, Health: flows.Health{Flow: "orders", Health: flows.HealthUnknown, InFlight: 12, Unknown: 12}}
	for i := range now.Flow.Steps {
		now.Health.Steps = append(now.Health.Steps, flows.StepHealth{Step: now.Flow.Steps[i].ID, Reached: 20})
	}
	s := &now.Health.Steps[6]
	s.Waiting, s.Overdue, s.Unknown = 12, 12, 12
	in := sampleInstance("SO-1", "10.00", sampleNow.Add(-7200e9))
	in.State, in.Reason = flows.Unknown, flows.ReasonSampled
	page := &flows.InstancePage{AsOf: sampleNow, Instances: []flows.InstanceRecord{in}}
	list := InstanceList{Clock: sampleClock(), Now: now, Page: page, Query: flows.InstanceQuery{States: []flows.State{flows.Unknown}}}
	timeline := sampleTimeline(t)
	timeline.Detail.InstanceRecord = in
	detail := FlowDetail{Clock: sampleClock(), Now: now, Stuck: &flows.InstancePage{AsOf: sampleNow}}
	for what, c := range map[string]struct {
		html string
		want []string
	}{
		"list":     {render(t, ListPanel(list)), []string{"Nobody can tell", "proves nothing", "sampling: ok", `<span class="tag">sampled</span>`, "Unknown"}},
		"instance": {render(t, InstanceVerdict(timeline)), []string{"Nobody can tell", "proves nothing", "Invoice posted", "the limit passed at"}},
		"timeline": {render(t, InstanceWaterfall(timeline)), []string{"limit passed at"}},
		"stuck":    {render(t, StuckPanel(detail)), []string{"12 unknown", "proves nothing", "state=unknown"}},
		"stats":    {render(t, FlowStats(detail)), []string{"12 unknown: sampled"}},
		"graph":    {render(t, FlowGraph(detail)), []string{"12 unknown", "node deaf"}},
		"steps":    {render(t, StepsTable(detail)), []string{"12 unknown", "is-deaf"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.html, want) {
				t.Errorf("%s: no %q in %s", what, want, c.html)
			}
		}
		if strings.Contains(c.html, "t-stuck") || strings.Contains(c.html, `class="wait stuck"`) || strings.Contains(c.html, `wf-row sel`) {
			t.Errorf("%s: something is drawn as stuck: %s", what, c.html)
		}
	}
}
