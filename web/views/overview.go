package views

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// flowGroup are the flows of one capability.
type flowGroup struct {
	name  string
	flows []FlowNow
}

// groups puts flows below their capability, worst first; the capability with the worst flow
// comes first, flows without one last.
func groups(list []FlowNow) []flowGroup {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b FlowNow) int {
		return cmp.Or(cmp.Compare(b.badness(), a.badness()), cmp.Compare(b.Health.Stuck, a.Health.Stuck), strings.Compare(a.Flow.Title, b.Flow.Title), strings.Compare(a.Flow.Name, b.Flow.Name))
	})
	var out []flowGroup
	for _, f := range sorted {
		name := f.capability()
		i := slices.IndexFunc(out, func(g flowGroup) bool { return g.name == name })
		if i < 0 {
			i = len(out)
			out = append(out, flowGroup{name: name})
		}
		out[i].flows = append(out[i].flows, f)
	}
	slices.SortStableFunc(out, func(a, b flowGroup) int {
		return cmp.Compare(min(len(b.name), 1), min(len(a.name), 1))
	})
	if len(out) > 1 && out[len(out)-1].name == "" {
		out[len(out)-1].name = "No capability"
	}
	return out
}

// capability is the title of what the flow belongs to, or its id as one.
func (f FlowNow) capability() string {
	if f.Capability != "" && f.Capability != f.Flow.Capability {
		return f.Capability
	}
	return capability(f.Flow.Capability)
}

// capability is an id as a title: order-fulfilment is "Order fulfilment".
func capability(id string) string {
	text := strings.ReplaceAll(id, "-", " ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// Link leads to the flow.
func (f FlowNow) Link() Link {
	return Link{Text: f.Flow.Title, Href: flowURL(f.Flow.Name), Note: f.capability()}
}

// started is the rate of starts, or their number where the window has no length.
func (f FlowNow) started() string {
	if perMinute, ok := f.perMinute(); ok {
		return rate(perMinute)
	}
	return count(f.Health.Started)
}

// sums are the numbers of several flows together.
type sums struct {
	started, completed, inFlight, stuck, unknown, errors, needing int
	conforming, perMinute                                         float64
	inFlightValue, atRisk                                         flows.Money
	inFlightLine, stuckLine                                       []float64
	rated, restoring                                              bool
	coverage                                                      *Coverage
}

func sum(list []FlowNow) sums {
	s := sums{inFlightValue: flows.Money{}, atRisk: flows.Money{}}
	for _, f := range list {
		h := f.Health
		s.started += h.Started
		s.completed += h.Completed
		s.inFlight += h.InFlight
		s.stuck += h.Stuck
		s.unknown += h.Unknown
		s.errors += f.errorCount()
		if h.ComplianceRate != nil {
			s.conforming += *h.ComplianceRate * float64(h.Completed)
		}
		if perMinute, ok := f.perMinute(); ok {
			s.perMinute, s.rated = s.perMinute+perMinute, true
		}
		if f.badness() >= needsCare {
			s.needing++
		}
		s.restoring = s.restoring || h.Restoring
		s.coverage = s.coverage.and(f.Coverage)
		for currency, amount := range h.ValueInFlight {
			s.inFlightValue.Add(currency, amount)
		}
		for currency, amount := range h.ValueAtRisk {
			s.atRisk.Add(currency, amount)
		}
		s.inFlightLine, s.stuckLine = together(s.inFlightLine, f.InFlight), together(s.stuckLine, f.Stuck)
	}
	return s
}

func (v Overview) stats() []stat {
	s, window := sum(v.Flows), v.Range.window()
	here := withRange("/#flows-title", v.Range)
	throughput := stat{means: "started", label: "Started, all flows", value: count(s.started), note: window, href: here}
	if s.rated {
		throughput.value, throughput.unit = rate(s.perMinute), "/min"
		throughput.note = count(s.started) + " in the " + window
		throughput.usual, _ = v.startedUsually()
	}
	stuck := stat{means: "stuck", label: "Stuck instances", value: count(s.stuck), note: "none past its limit", href: safe("/alerts"), spark: s.stuckLine, line: sparkWords("Stuck", s.stuckLine)}
	if s.stuck > 0 {
		stuck.class, stuck.note, stuck.worth = "stuck", valueWords(s.atRisk, " at risk", "no value known"), s.atRisk
	} else if s.restoring {
		stuck.value, stuck.note = "–", "restoring: no verdicts yet"
	}
	needing := stat{means: "needing", label: "Flows that need attention", value: count(s.needing), unit: " of " + count(len(v.Flows)), note: "stuck, late or unknown", href: here}
	if s.needing > 0 {
		needing.class = "late"
	} else if s.restoring {
		needing.value, needing.unit, needing.note = "–", "", "restoring: no new verdicts yet"
	}
	conforming := stat{means: "conforming", label: "Conforming", value: "–", note: "none completed", href: here}
	if s.completed > 0 {
		conforming.value, conforming.unit = percentValue(s.conforming/float64(s.completed)), " %"
		conforming.note = "of " + count(s.completed) + " completed"
	}
	completed, _ := usualTogether(v.Flows, FlowNow.completedUsually, FlowNow{Range: v.Range}.inWindow)
	return FlowNow{Range: v.Range, Coverage: s.coverage}.explained([]stat{
		throughput,
		{means: "in-flight", label: "In flight", value: count(s.inFlight), note: valueWords(s.inFlightValue, " in flight", plural(len(v.Flows), "flow", "flows")), worth: s.inFlightValue, href: here, spark: s.inFlightLine, line: sparkWords("In flight", s.inFlightLine)},
		stuck,
		needing,
		{means: "completed", label: "Completed", value: count(s.completed), note: window, href: here, usual: completed},
		conforming,
	})
}

// together adds two lines that end now; what one does not know counts as nothing.
func together(a, b []float64) []float64 {
	if len(a) < len(b) {
		a, b = b, a
	}
	sum := slices.Clone(a)
	for i, v := range b {
		sum[len(a)-len(b)+i] += v
	}
	return sum
}

// sparkWords say what a line of minutes shows: "In flight, last 60 min: 20 to 31, now 28".
func sparkWords(what string, line []float64) string {
	if len(line) == 0 {
		return what
	}
	low, high := slices.Min(line), slices.Max(line)
	return what + ", last" + nb + count(len(line)) + nb + "min: " + thousands(number(low)) + " to " + thousands(number(high)) + ", now " + thousands(number(line[len(line)-1]))
}

// valueWords is money with what it is, or other words where there is none.
func valueWords(m flows.Money, what, none string) string {
	if text := money(m); text != "" {
		return text + what
	}
	return none
}

func (v Overview) startedUsually() (*usual, *float64) {
	return usualTogether(v.Flows, func(FlowNow) measured { return startedUsually() }, perMinute)
}

func (v Overview) chart() chart {
	s := v.Started
	c := chart{
		Clock: v.Clock, id: "overview-chart", narrow: true, title: "Started, all flows", note: each(s.Bucket), from: s.From, to: s.From.Add(time.Duration(len(s.Started)) * s.Bucket),
		lines: []chartLine{{name: "started", values: floats(s.Started)}, {name: "completed", class: "this", values: floats(s.Ended[flows.Completed])}},
	}
	if _, usual := v.startedUsually(); (FlowNow{Range: v.Range}).Compared() {
		c.lines = append(c.lines, usualLine(usual, len(s.Started), s.Bucket))
	}
	for _, a := range v.Alerts {
		c.marks = append(c.marks, chartMark{at: a.StartsAt, text: a.where(), href: alertURL(a.ID)})
	}
	return c
}
