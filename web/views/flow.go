package views

import (
	"strings"

	"throughline/flows"
)

func (f FlowNow) stats() []stat {
	h := f.Health
	started := stat{means: "started", label: "Started", value: count(h.Started), note: f.window(), href: f.counted(flows.CountedStarted, "")}
	if perMinute, ok := f.perMinute(); ok {
		started.value, started.unit, started.note = rate(perMinute), "/min", count(h.Started)+" in the "+f.window()
		started.usual = f.usually(startedUsually())
	}
	conforming := stat{means: "conforming", label: "Conforming", value: "–", note: "none completed", href: f.counted(flows.CountedConforming, "")}
	if h.ComplianceRate != nil {
		conforming.value, conforming.unit = percentValue(*h.ComplianceRate), " %"
		conforming.note = "of " + count(h.Completed) + " completed"
	}
	errors := stat{means: "errors", label: "Errors", value: count(f.errorCount()), note: "failed tries, " + f.window(), href: f.counted(flows.CountedErrors, "")}
	return f.explained([]stat{
		started,
		{means: "in-flight", label: "In flight", value: count(h.InFlight), note: inFlightNote(h), worth: h.ValueInFlight, href: f.list("", inFlight...), spark: f.InFlight, line: sparkWords("In flight", f.InFlight)},
		f.stuckStat(),
		{means: "completed", label: "Completed", value: count(h.Completed), note: endedNote(h, f.window()), href: f.counted(flows.CountedCompleted, ""), usual: f.usually(f.completedUsually())},
		f.latencyStat(),
		conforming,
		errors,
	})
}

func (f FlowNow) stuckStat() stat {
	h := f.Health
	s := stat{means: "stuck", label: "Stuck", value: count(h.Stuck), note: "none past its limit", href: f.list("", flows.Stuck), spark: f.Stuck, line: sparkWords("Stuck", f.Stuck)}
	switch {
	case h.Restoring && h.Stuck == 0:
		s.value, s.note = "–", "restoring: no verdicts yet"
	case h.Stuck > 0:
		s.class, s.note, s.worth = "stuck", valueWords(h.ValueAtRisk, " at risk", "no value known"), h.ValueAtRisk
	case h.Unknown > 0:
		s.class, s.note, s.href = "deaf", count(h.Unknown)+" unknown: sampled", f.list("", flows.Unknown)
	}
	return s
}

func inFlightNote(h flows.Health) string {
	worth := money(h.ValueInFlight)
	switch {
	case worth == "":
		return "no value known"
	case h.ValueCoverage != nil && *h.ValueCoverage < 0.995:
		return worth + ", " + percent(*h.ValueCoverage) + " carry a value"
	}
	return worth
}

// endedNote counts the ways to end that are not completion, where there were any.
func endedNote(h flows.Health, window string) string {
	var parts []string
	for _, end := range []struct {
		n    int
		word string
	}{{h.Failed, "failed"}, {h.Cancelled, "cancelled"}, {h.Resolved, "resolved"}, {h.Expired, "expired"}} {
		if end.n > 0 {
			parts = append(parts, count(end.n)+" "+end.word)
		}
	}
	if len(parts) == 0 {
		return window
	}
	return strings.Join(parts, ", ")
}

// latencyStat shows the median of the completed and, where the open ones say otherwise, the
// estimate that counts them in.
func (f FlowNow) latencyStat() stat {
	h := f.Health
	s := stat{means: "latency", label: "End to end p50", value: spanOrDash(h.Latency.P50), note: "none completed", href: f.counted(flows.CountedCompleted, ""), usual: f.usually(latencyUsually())}
	if h.Latency.Count > 0 {
		s.note = "p90 " + spanOrDash(h.Latency.P90) + ", p99 " + spanOrDash(h.Latency.P99)
	}
	if e, p := h.Estimate.P50, h.Latency.P50; e != nil && (p == nil || *e > 1.2**p) {
		s.note = "with those in flight " + spanOrDash(e)
	}
	return s
}

// path joins the titles of steps; unknown ones keep their id.
func (f FlowNow) path(ids []string) string {
	titles := make(map[string]string, len(f.Flow.Steps))
	for _, s := range f.Flow.Steps {
		titles[s.ID] = s.Title
	}
	const most = 14
	names := make([]string, 0, min(len(ids), most))
	for i, id := range ids {
		if i == most {
			names = append(names, "and "+plural(len(ids)-most, "step more", "steps more"))
			break
		}
		if title := titles[id]; title != "" {
			id = title
		}
		names = append(names, id)
	}
	return strings.Join(names, ", ")
}

func (v FlowDetail) variantsNote() string {
	n := len(v.Variants.Variants)
	if n < v.Variants.Total {
		return count(n) + " of " + count(v.Variants.Total) + ", most frequent first"
	}
	return plural(n, "path", "paths") + ", most frequent first"
}

// otherVariants are the ones that are not listed, and their share.
func (v FlowDetail) otherVariants() (int, float64) {
	left := 1.0
	for _, variant := range v.Variants.Variants {
		left -= variant.Share
	}
	return v.Variants.Total - len(v.Variants.Variants), max(left, 0)
}

// railNote is the line below a step on the rail.
func (s stepNow) railNote() string {
	parts := nonEmpty(systemWords(s))
	switch {
	case s.state == lookStuck && s.Within > 0:
		parts = append(parts, "limit "+span(s.Within))
	case s.starved:
		parts = append(parts, stepLine(s))
	case s.Latency.P50 != nil:
		parts = append(parts, "p50 "+span(seconds(*s.Latency.P50)))
	}
	return strings.Join(parts, ", ")
}
