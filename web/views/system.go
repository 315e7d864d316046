package views

import (
	"slices"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// WantedName is a name of signals that a step of a system matches.
type WantedName struct {
	Kind flows.Kind
	Name string
	Flow *flows.Flow
	Step int
}

// SystemDetail is the page /systems/{system}.
type SystemDetail struct {
	Clock
	Now    SystemNow
	Known  bool
	Names  []flows.SeenSignal // what it sent in the last hour, most frequent first; nil where not known
	Wanted []WantedName
	Alerts []Alert // open ones that wait for it
}

// Body is the page without its frame.
func (v SystemDetail) Body() templ.Component { return systemBody(v) }

// Parts are the live elements.
func (v SystemDetail) Parts() []Part {
	return []Part{
		{"system-head", SystemHead(v)},
		{"system-say", SystemSay(v)},
		{"system-stats", SystemStats(v)},
		{"system-chart", SystemChart(v)},
		{"system-steps", SystemSteps(v)},
		{"system-names", SystemNames(v)},
	}
}

// sourced gives tiles that rest on stored arrivals, of one system or of all, what explained gives
// those of a flow.
func sourced(list []stat, system string) []stat {
	q := question{system: system}
	for i := range list {
		s := &list[i]
		s.fresh, s.source, s.covers, s.query = freshStored, safe("/api/v1/systems"), coversArrivals, q.query(s.means)
	}
	return list
}

func (v SystemDetail) stats() []stat {
	n, t := &v.Now, &v.Now.Traffic
	heard := stat{means: "system-heard", label: "Last heard", value: n.neverWord(), note: n.why(), href: "#system-names"}
	if known(t.Last) {
		heard.value, heard.since = waited(v.Clock.Now.Sub(t.Last)), t.Last
	}
	due := stat{means: "systems-waiting", label: "Waiting for it", value: count(n.Waiting()), note: "none past its limit", href: "#system-steps"}
	if n.Overdue() > 0 {
		due.class, due.note = "stuck", count(n.Overdue())+" past the limit"
	}
	delay := stat{means: "system-delay", label: "Arrives after", value: "–", note: "nothing arrived", href: "#system-chart"}
	ahead := stat{means: "system-clock", label: "Its clock", value: "–", note: "nothing arrived", href: "#system-chart"}
	if t.Judged > 0 {
		delay.value, delay.note = span(max(t.P50, 0)), "p99 "+span(max(t.P99, 0))
		ahead.value, ahead.note = "not ahead", "as far as arrivals tell"
		if t.Least < -time.Second {
			ahead.class, ahead.value, ahead.note = "late", span(-t.Least), "ahead of ours, at least"
		}
		if t.Skewed > 0 {
			ahead.note = count(t.Skewed) + " far off in time"
		}
	}
	arrived := count(t.Signals) + " in 60" + nb + "min"
	switch {
	case n.State == SystemUnread:
		arrived = n.why()
	case t.LongestGap > 0:
		arrived += ", longest gap " + span(t.LongestGap)
	case t.Resolution > 0:
		arrived += ", no gap over " + span(t.Resolution)
	}
	return sourced([]stat{
		heard,
		{means: "systems-rate", label: "Signals", value: n.rateWord(), unit: "/min", note: arrived, href: "#system-names"},
		due, delay, ahead,
	}, n.Name)
}

func (v SystemDetail) chart() chart {
	end := v.Clock.Now
	return chart{
		Clock: v.Clock, id: "system-chart", title: "Signals per minute", note: "receptions, wanted by a flow or not", from: end.Add(-time.Hour), to: end,
		lines: []chartLine{{name: "received", class: "this", values: v.Now.minutes()}}, marks: alertMarks(v.Alerts),
	}
}

// alertMarks are when alerts began.
func alertMarks(alerts []Alert) []chartMark {
	var marks []chartMark
	for _, a := range alerts {
		marks = append(marks, chartMark{at: a.StartsAt, text: a.where() + " stuck", href: alertURL(a.ID)})
	}
	return marks
}

// wanted are the steps that a name of signals is for.
func (v SystemDetail) wanted(s flows.SeenSignal) []WantedName {
	var list []WantedName
	for _, w := range v.Wanted {
		if w.Kind == s.Kind && w.Name == s.Name {
			list = append(list, w)
		}
	}
	return list
}

// unheard are the names that steps wait for and that did not come in the last hour.
func (v SystemDetail) unheard() []WantedName {
	var list []WantedName
	for _, w := range v.Wanted {
		if !slices.ContainsFunc(v.Names, func(s flows.SeenSignal) bool { return s.Kind == w.Kind && s.Name == w.Name }) {
			list = append(list, w)
		}
	}
	return list
}

// silenceWords end the sentence on when it was heard.
func (v SystemDetail) silenceWords() string {
	switch t := &v.Now.Traffic; {
	case v.Now.State == SystemLive && t.LongestGap > 0:
		return "as usual in this hour, whose longest gap was " + span(t.LongestGap) + "."
	case v.Now.State == SystemLive:
		return "as usual in this hour, which had no gap over " + span(t.Resolution) + "."
	case v.Now.State == SystemStarved:
		return "and nothing is due from it."
	case v.Now.State == SystemUnread:
		return "as live numbers tell; what else it sent is not read from history yet."
	case t.Buckets == nil:
		return "and not in the last hour. Whether that is usual is not known yet."
	}
	return v.Now.why() + " in this hour. Whether that is usual is not known yet."
}

func (v SystemDetail) waitWords() string {
	if v.Now.Waiting() == 1 {
		return "waits for it now,"
	}
	return "wait for it now,"
}
