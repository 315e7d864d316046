package views

import (
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// triesRow stands for all failed tries of a step: each is a tick.
func (v InstanceTimeline) triesRow(s scale, group []flows.Signal) wfRow {
	last := group[len(group)-1]
	times := make([]time.Duration, len(group))
	r := wfRow{class: "sub", system: last.System, title: last.Name + ", tries 1 to " + count(len(group)), at: v.fine(group[0].Time), mark: markTries, tone: "err", x: s.place(group[0].Time)}
	for i, try := range group {
		times[i] = try.Duration
		r.tries = append(r.tries, s.place(try.Time))
	}
	r.w = s.place(last.Time) - r.x
	slices.Sort(times)
	r.took = "event"
	if last.Kind == flows.Span {
		r.took = exact(times[len(times)/2]) + " each"
	}
	r.short = "failed " + plural(len(group), "time", "times")
	r.label = cut(strings.Join(nonEmpty(r.short, v.said(last)), ", "), 64)
	r.about = strings.Join(nonEmpty(r.title, last.System, "from "+r.at+" to "+v.fine(last.Time), r.took, r.label), ", ")
	return r
}

// labelled is what is said beside a row's mark, and whether to its left: to the right where it has room, else
// to the left; else its short form, else cut where it has more, if that leaves words. The row's description has all of it.
func (r wfRow) labelled() (text string, left bool) {
	right := 1 - r.x - r.w
	for _, label := range nonEmpty(r.label, r.short) {
		switch need := labelRoom(label); {
		case need <= right:
			return label, false
		case need <= r.x:
			return label, true
		}
	}
	if room := int((max(right, r.x) - labelApart) / labelLetter); room >= leastCut && r.short == "" {
		return cut(r.label, room), r.x > right
	}
	return "", false
}

// leastCut is of how many letters a cut label still says something.
const leastCut = 8

// What a label stands apart and a letter of it takes, of the width of a phone's track; a desk has more room.
const labelApart, labelLetter = 0.03, 0.018

func labelRoom(label string) float64 { return float64(letters(label))*labelLetter + labelApart }

// gapRow says that nothing was heard up to a signal, where that is a good part of the time.
func (v InstanceTimeline) gapRow(s scale, heard flows.Time, next flows.Signal) (wfRow, bool) {
	const part = 0.07
	gap := next.Time.Sub(heard)
	if !known(heard) || float64(gap) < part*float64(s.span) || gap < time.Second {
		return wfRow{}, false
	}
	r := wfRow{
		class: "gap", system: next.System, title: "waiting for " + next.Name, at: v.fine(heard), took: exact(gap),
		mark: markWait, tone: "silent", x: s.place(heard), w: s.place(next.Time) - s.place(heard), label: "nothing heard",
	}
	step := v.stepIDOf(next)
	if title := v.stepOf(next); title != "" {
		r.title = "waiting for " + title
	}
	if usual := v.usual(step); usual != nil {
		r.label += ", usual " + spanOrDash(usual)
	}
	r.about = strings.Join([]string{r.title, "from " + r.at, r.took, r.label}, ", ")
	return r, true
}

// heldRow is a time in which the instance waited on purpose: deadlines pause.
func (v InstanceTimeline) heldRow(s scale, h flows.HeldTime) wfRow {
	to, until := h.To, "no end known"
	if known(to) {
		until = "until " + v.at(to)
	} else {
		to = max(v.now(), h.From)
	}
	end := min(to, max(v.now(), v.Detail.LastAt))
	r := wfRow{
		class: "held", title: "on hold: " + h.Hold, at: v.fine(h.From), took: waited(max(0, end.Sub(h.From))),
		mark: markWait, tone: "held", x: s.place(h.From), w: max(0, s.place(end)-s.place(h.From)), label: "deadlines pause, " + until,
	}
	r.about = strings.Join([]string{r.title, "from " + r.at, r.took, r.label}, ", ")
	return r
}

// usual is how long a step takes in half of the instances, in seconds; nil where not known.
func (v InstanceTimeline) usual(step string) *float64 {
	if v.Usual == nil || step == "" {
		return nil
	}
	for _, h := range v.Usual.Health.Steps {
		if h.Step == step {
			return h.Latency.P50
		}
	}
	return nil
}
