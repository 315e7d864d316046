package views

import (
	"strings"

	"throughline/flows"
)

// resolvable says whether a person can end it by their word.
func (v InstanceTimeline) resolvable() bool {
	return v.Resolves && !v.AtPast && (v.Detail.State.InFlight() || v.Detail.State == flows.Expired)
}

// failure is a failed try, ready to be shown.
type failure struct {
	title, what, said string
	version, missing  string
	signal            flows.Signal
}

// lastFailure is the last failed try of a step that is still waited for.
func (v InstanceTimeline) lastFailure() (failure, bool) {
	tries := v.tries()
	for _, w := range v.Detail.WaitingOn {
		group := tries[w.Step]
		if len(group) == 0 {
			continue
		}
		last := group[len(group)-1]
		f := failure{title: v.title(w.Step) + ", try " + count(len(group)), what: last.Name + "\n", said: v.said(last), signal: last, missing: "a " + last.Kind.String() + " " + last.Name + " that ends well"}
		if f.said == "" {
			f.said = "failed, and did not say why"
		}
		for _, name := range []string{"service.version", "app.version"} {
			if value, ok := last.Lookup(name); ok {
				f.version, _ = flows.Text(value)
				break
			}
		}
		return f, true
	}
	return failure{}, false
}

// against is one time of the instance beside the usual one.
type against struct {
	step, took, usual string
	slow              bool
}

// mostAgainst bounds the comparison.
const mostAgainst = 8

// slowBy is how many times the usual a time must be to be called slow.
const slowBy = 3

func (v InstanceTimeline) against() []against {
	var rows []against
	for _, s := range v.Detail.Steps {
		usual := v.usual(s.Step)
		if usual == nil || !known(s.At) || !known(s.DueAt) || len(rows) == mostAgainst {
			continue
		}
		rows = append(rows, against{titleOf(s), exact(s.Latency), spanOrDash(usual), s.Latency.Seconds() > slowBy**usual && known(s.Deadline) && s.At > s.Deadline})
	}
	for _, w := range v.Detail.WaitingOn {
		if usual := v.usual(w.Step); usual != nil && known(w.DueAt) {
			took := v.now().Sub(w.DueAt)
			rows = append(rows, against{"At " + v.title(w.Step), waited(took), spanOrDash(usual), took.Seconds() > slowBy**usual && v.Detail.State != flows.Held})
		}
	}
	return rows
}

func (v InstanceTimeline) usualWindow() string {
	if v.Usual == nil {
		return ""
	}
	return v.Usual.window()
}

// noun1 is what one instance with this key is called: "order".
func noun1(key string) string { return strings.TrimPrefix(noun(key, 1), "1"+nb) }
