package views

import (
	"strings"

	"throughline/flows"
)

func (v StepDetail) step() stepNow { return v.Now.steps()[v.Step] }

func (v StepDetail) stats() []stat {
	s, window := v.step(), v.Now.window()
	stuck := stat{means: "overdue", label: "Stuck", value: count(s.Stuck), note: "none past its limit", href: v.Now.list(s.ID, flows.Stuck)}
	if s.Stuck > 0 {
		stuck.class, stuck.note = "stuck", "past the limit"
		for _, a := range v.Alerts {
			stuck.note, stuck.worth = valueWords(a.AtRisk, " at risk", stuck.note), a.AtRisk
		}
	}
	limit := stat{means: "limit", label: "Limit", value: "–", note: "never overdue", href: safe(modelURL(v.Now.Flow.Name))}
	if s.Within > 0 {
		limit.value, limit.note = limitWords(s.Within), "from the step before"
	}
	slowest := stat{means: "step-latency", label: "p99", value: spanOrDash(s.Latency.P99), note: "slowest " + spanOrDash(s.Latency.Max), href: v.Now.counted(flows.CountedReached, s.ID)}
	if slow(s.Step, s.StepHealth) {
		slowest.class = "late"
	}
	errors := stat{means: "errors", label: "Errors", value: count(s.Errors), note: "failed tries, " + window, href: v.Now.counted(flows.CountedErrors, s.ID)}
	if s.Errors > 0 {
		errors.class = "late"
	}
	return v.Now.explainedFor(question{step: s.ID}, []stat{
		{means: "reached", label: "Reached", value: count(s.Reached), note: window, href: v.Now.counted(flows.CountedReached, s.ID), usual: v.Now.usually(v.Now.reachedUsually(s.ID))},
		{means: "waiting", label: "Waiting", value: count(s.Waiting), note: v.Now.when(), href: v.Now.list(s.ID, inFlight...)},
		stuck,
		{means: "step-latency", label: "p50", value: spanOrDash(s.Latency.P50), note: "p90 " + spanOrDash(s.Latency.P90), href: v.Now.counted(flows.CountedReached, s.ID), usual: v.Now.usually(stepLatencyUsually(s.ID))},
		slowest,
		limit,
		{means: "skipped", label: "Skipped", value: count(s.Skipped), note: "a later step came without it", href: v.Now.counted(flows.CountedSkipped, s.ID)},
		errors,
	})
}

// joiner stands between the predecessors.
func (v StepDetail) joiner() string {
	if v.step().Any {
		return " or "
	}
	return " and "
}

// kind says in words what the file says of the step.
func (v StepDetail) kind() string {
	s := v.step()
	var words []string
	if s.Start {
		words = append(words, "start")
	}
	switch s.End {
	case flows.Completed, flows.Failed, flows.Cancelled:
		words = append(words, "ends the flow as "+s.End.String())
	}
	if s.Optional {
		words = append(words, "optional")
	}
	if s.Repeat {
		words = append(words, "may repeat")
	}
	if s.Choice != "" {
		words = append(words, "one of choice "+s.Choice)
	}
	if len(words) == 0 {
		return "required"
	}
	return strings.Join(words, ", ")
}
