package views

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// Waits are how many instances waited for a step over the last hour, oldest first.
type Waits struct {
	From             flows.Time // of the first value
	Every            time.Duration
	Waiting, Overdue []float64 // equally long; empty where nothing is known
}

// chart is what waited for the alert's step over time.
func (v AlertDetail) chart() chart {
	w := v.Waits
	c := chart{
		Clock: v.Clock, id: "alert-chart", title: "Waiting for " + v.Alert.where(), from: w.From, to: w.From.Add(time.Duration(len(w.Waiting)) * w.Every),
		lines: []chartLine{{class: "soft", name: "waiting", values: w.Waiting}, {class: "stuck", name: "past the limit", values: w.Overdue}},
		marks: []chartMark{{at: v.Alert.StartsAt, text: "first past the limit"}},
	}
	for _, ch := range v.Changes {
		if ch.Kind == ChangeReleased {
			c.marks = append(c.marks, chartMark{at: ch.At, text: ch.Release.Service + " " + ch.Release.Version})
		}
	}
	if v.Alert.Ack.Given() {
		c.marks = append(c.marks, chartMark{at: v.Alert.Ack.At, text: "acknowledged"})
	}
	c.note = "every " + limitWords(w.Every) + ", as this process saw it"
	return c
}

// growth is by how many a minute the stuck became more over the last five minutes, or the
// time that is known; false where that is shorter than a minute, or nothing grew.
func (v AlertDetail) growth() (perMinute float64, ok bool) {
	list := v.Waits.Overdue
	if v.Waits.Every <= 0 {
		return 0, false
	}
	back := min(len(list)-1, int(5*time.Minute/v.Waits.Every))
	if span := time.Duration(back) * v.Waits.Every; span >= time.Minute {
		perMinute = (list[len(list)-1] - list[len(list)-1-back]) / span.Minutes()
	}
	return perMinute, perMinute > 0
}

// dueSince is when the first member began to wait: its limit passed so much later.
func (v AlertDetail) dueSince() flows.Time { return v.Alert.StartsAt.Add(-v.Alert.Limit) }

// outcome adds up tries since the first member passed its limit.
type outcome struct {
	tries, failed int
	message       string // what most of the failed said; "" for nothing
	said          int    // how many said so
	lastOK, last  flows.Time
}

func (v AlertDetail) outcome() outcome {
	o := outcome{lastOK: flows.NoTime, last: flows.NoTime}
	said := map[string]int{}
	for _, t := range v.Tries {
		o.last = max(o.last, t.Last)
		if !t.Failed {
			o.lastOK = max(o.lastOK, t.Last)
		}
		if !t.After {
			continue
		}
		o.tries += t.Count
		if t.Failed {
			o.failed += t.Count
			said[t.Message] += t.Count
		}
	}
	for message, n := range said {
		if message != "" && (n > o.said || n == o.said && message < o.message) {
			o.message, o.said = message, n
		}
	}
	return o
}

// release is the one that the step's service had nearest to when the first member began to
// wait, of those that are told.
func (v AlertDetail) release() (flows.Release, bool) {
	for _, ch := range v.Changes { // the nearest first
		if ch.Kind == ChangeReleased && (ch.Release.Service == v.service() || ch.Release.Service == v.Alert.System) {
			return ch.Release, true
		}
	}
	return flows.Release{}, false
}

func (v AlertDetail) service() string {
	if s, ok := v.step(); ok && s.Match.Service != "" {
		return s.Match.Service
	}
	return v.Alert.System
}

// step is the alert's step in the flow as it is now.
func (v AlertDetail) step() (stepNow, bool) {
	if v.Now == nil {
		return stepNow{}, false
	}
	for _, s := range v.Now.steps() {
		if s.ID == v.Alert.Step {
			return s, true
		}
	}
	return stepNow{}, false
}

// cause says what is known of why: how the tries went, and what is new. Empty where nothing
// is.
func (v AlertDetail) cause() []phrase {
	o := v.outcome()
	var said []phrase
	switch {
	case len(v.Tries) == 0:
		return nil
	case o.tries == 0:
		said = sentence(" No try was heard since then; the last one was at ", v.at(o.last), ".")
	case o.failed == 0:
		said = sentence(" The tries since then ended well, so they were of other "+plainNoun(v.Alert.Key)+", or miss the key", "", ".")
	default:
		lead := " " + count(o.failed) + " of " + plural(o.tries, "try", "tries") + " since then failed"
		if o.failed == o.tries {
			lead = " Every try since then failed"
		}
		switch {
		case o.message == "":
			said = sentence(lead + ".")
		case o.said == o.failed:
			said = sentence(lead+" with ", o.message, ".")
		default:
			said = sentence(lead+", most with ", o.message, ".")
		}
	}
	if r, ok := v.release(); ok {
		said = append(said, sentence(" That began "+v.apart(r.At)+" ", r.Service+" "+r.Version, " was first seen.")...)
	}
	return said
}

// logLine is one line of an alert's log.
type logLine struct {
	at               flows.Time
	icon, who, words string
	note             string
}

// logLines are what happened to the alert, the latest first.
func (v AlertDetail) logLines() []logLine {
	a := v.Alert
	opened := "opened: the first passed its limit"
	if a.Limit > 0 {
		opened += " of " + limitWords(a.Limit)
	}
	lines := []logLine{{at: a.StartsAt, icon: "stuck", words: opened}}
	for _, e := range a.Log {
		l := logLine{at: e.At, icon: "ok", who: e.By, note: e.Note}
		switch e.What {
		case flows.LogAcknowledged:
			l.words = "acknowledged"
		case flows.LogTakenBack:
			l.icon, l.words = "ended", "took it back: nobody has it"
		case flows.LogSilenced:
			l.icon, l.words = "mute", "silenced until "+v.at(e.Until)
		case flows.LogSilenceEnded:
			l.icon, l.words = "alerts", "ended the silence"
		case flows.LogTold:
			l.icon, l.words, l.note = "alerts", "was told, by "+e.Note, ""
		case flows.LogToldResolved:
			l.icon, l.words, l.note = "alerts", "was told that it is over, by "+e.Note, ""
		default:
			l.words = string(e.What)
		}
		lines = append(lines, l)
	}
	if !a.open() {
		lines = append(lines, logLine{at: a.ResolvedAt, icon: "ok", words: "resolved: nothing waits past its limit"})
	}
	slices.SortStableFunc(lines, func(x, y logLine) int { return cmp.Compare(y.at, x.at) })
	return append(lines, v.timesBefore()...)
}

// timesShown is how many of the times before a log tells one by one.
const timesShown = 3

// timesBefore say that it came back: when it was open before, the latest first.
func (v AlertDetail) timesBefore() []logLine {
	var lines []logLine
	for i, e := range v.Alert.Earlier {
		if i == timesShown {
			return append(lines, logLine{at: e.StartsAt, icon: "ended", words: "and " + plural(len(v.Alert.Earlier)-i, "time", "times") + " more up to then"})
		}
		words := "was open before, for " + waited(e.ResolvedAt.Sub(e.StartsAt))
		if e.Ack.Given() {
			words += "; " + e.Ack.By + " had it"
		}
		lines = append(lines, logLine{at: e.StartsAt, icon: "ended", words: words})
	}
	return lines
}

// told is who was told of it, and when first.
func (a Alert) told() (receivers []string, first flows.Time) {
	first = flows.NoTime
	for _, e := range a.Log {
		if e.What != flows.LogTold {
			continue
		}
		if first == flows.NoTime {
			first = e.At
		}
		if !slices.Contains(receivers, e.By) {
			receivers = append(receivers, e.By)
		}
	}
	return receivers, first
}

// sharedShown are the values that tell the stuck from the others most, at most five.
func (v AlertDetail) sharedShown() []flows.SharedValue {
	const few = 3 // fewer share nearly everything, by chance
	list := slices.DeleteFunc(slices.Clone(v.Shared), func(s flows.SharedValue) bool { return s.Stuck == 0 || s.StuckAll < few })
	slices.SortStableFunc(list, func(x, y flows.SharedValue) int { return cmp.Compare(telling(y), telling(x)) })
	return list[:min(len(list), 5)]
}

func ratio(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// telling is how far the share among the stuck lies above that among the others.
func telling(s flows.SharedValue) float64 {
	if s.PassedAll == 0 {
		return ratio(s.Stuck, s.StuckAll) / 100
	}
	return math.Max(0, ratio(s.Stuck, s.StuckAll)-ratio(s.Passed, s.PassedAll))
}

func sharedWords(s flows.SharedValue) string {
	words := percent(ratio(s.Stuck, s.StuckAll))
	if s.PassedAll > 0 {
		words += ", " + percent(ratio(s.Passed, s.PassedAll)) + " of those that passed"
	}
	return words
}

// others says how the other steps of the system are.
func (v AlertDetail) others() []phrase {
	var wrong []string
	all := 0
	for _, s := range v.System.Steps {
		if s.Flow.Name == v.Alert.Flow && s.Flow.Steps[s.Step].ID == v.Alert.Step {
			continue
		}
		all++
		if s.Overdue > 0 {
			wrong = append(wrong, s.Flow.Title+", "+s.Flow.Steps[s.Step].Title+": "+count(s.Overdue)+" stuck")
		}
	}
	switch {
	case all == 0:
		return sentence("none")
	case len(wrong) == 0:
		return sentence(plural(all, "other step", "other steps") + ", none past its limit")
	}
	return sentence("", strings.Join(wrong, "; "))
}
