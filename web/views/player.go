package views

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// Player is the hour that a page plays back.
type Player struct{ From, To flows.Time }

// picker keeps the instant along, where there is one.
func (f FlowNow) picker(path string) templ.Component {
	return pickRange(path, f.Range, f.At)
}

func rangeLink(path string, r Range, at flows.Time) templ.SafeURL {
	ask := url.Values{"range": {string(r)}}
	if known(at) {
		ask.Set("at", at.String())
	}
	return templ.SafeURL(path + "?" + ask.Encode())
}

// seconds is how far the instant shown is from the beginning, as the slider counts.
func (v FlowDetail) seconds() string {
	return strconv.Itoa(int(v.Now.At.Sub(v.Player.From) / time.Second))
}

func (v FlowDetail) length() string {
	return strconv.Itoa(int(v.Player.To.Sub(v.Player.From) / time.Second))
}

// jump is the page so much later or earlier, inside the hour.
func (v FlowDetail) jump(by time.Duration) templ.SafeURL {
	at := min(max(v.Now.At.Add(by), v.Player.From), v.Player.To)
	return v.playedAt(at, v.Player.From)
}

// hours is the page an hour earlier or later, in another hour.
func (v FlowDetail) hours(by time.Duration) templ.SafeURL {
	return v.playedAt(v.Now.At.Add(by), v.Player.From.Add(by))
}

func (v FlowDetail) playedAt(at, from flows.Time) templ.SafeURL {
	ask := url.Values{"at": {at.String()}, "from": {from.String()}}
	if v.Now.Range != RangeHour && v.Now.Range != "" {
		ask.Set("range", string(v.Now.Range))
	}
	return templ.SafeURL(flowURL(v.Now.Flow.Name) + "?" + ask.Encode())
}

// playerSpeeds are how many seconds of the past pass in one.
var playerSpeeds = []int{1, 10, 60, 300, 1200}

// hourChart is what started and ended in the hour that is played, as the ground of the slider.
func (v FlowDetail) hourChart() chart {
	c := v.seriesChart(v.Hour, "player-chart", v.Player.From, v.Player.To)
	c.low = true
	for _, a := range v.Opened {
		c.marks = append(c.marks, chartMark{at: a.StartsAt, text: a.where(), href: alertURL(a.ID)})
	}
	c.marks = append(c.marks, releaseMarks(v.Releases)...)
	return c
}

// chart is what started and ended over the page's range.
func (v FlowDetail) chart() chart {
	to := v.Clock.Now
	if v.Now.played() {
		to = v.Now.At
	}
	c := v.seriesChart(v.Series, "flow-chart", to.Add(-v.Now.Range.Span()), to)
	for _, a := range v.Alerts {
		c.marks = append(c.marks, chartMark{at: a.StartsAt, text: a.where() + " stuck", href: alertURL(a.ID)})
	}
	c.marks = append(c.marks, releaseMarks(v.Releases)...)
	return c
}

func (v FlowDetail) seriesChart(s *flows.Series, id string, from, to flows.Time) chart {
	c := chart{Clock: v.Clock, id: id, title: "Started against completed", from: from, to: to}
	if s == nil {
		return c
	}
	c.note = each(s.Bucket)
	c.from, c.to = s.From, s.From.Add(time.Duration(len(s.Started))*s.Bucket)
	c.lines = []chartLine{{name: "started", values: floats(s.Started)}, {name: "completed", class: "this", values: floats(s.Ended[flows.Completed])}}
	if len(s.Ended[flows.Completed]) == 0 {
		c.lines[1].values = make([]float64, len(s.Started))
	}
	if other := otherEnds(s); slices.Max(append(other, 0)) > 0 {
		c.lines = append(c.lines, chartLine{name: "ended otherwise", class: "other", values: other})
	}
	if v.Now.Compared() {
		c.lines = append(c.lines, usualLine(v.Now.Usual.value(startedUsually()), len(s.Started), s.Bucket))
	}
	return c
}

func floats(list []int) []float64 {
	out := make([]float64, len(list))
	for i, n := range list {
		out[i] = float64(n)
	}
	return out
}

func otherEnds(s *flows.Series) []float64 {
	out := make([]float64, len(s.Started))
	for state, counts := range s.Ended {
		if state != flows.Completed {
			for i, n := range counts {
				out[i] += float64(n)
			}
		}
	}
	return out
}

// endedInWindow is how many ended, in whatever way.
func (f FlowNow) endedInWindow() int {
	h := f.Health
	return h.Completed + h.Failed + h.Cancelled + h.Resolved + h.Expired
}

// leftWords say how instances left: "Payment rejected, failed".
func (v FlowDetail) leftWords(l flows.LeftAt) string {
	if i := stepIndex(v.Now.Flow, l.Step); i >= 0 {
		return v.Now.Flow.Steps[i].Title
	}
	return listWord(l.State)
}

// alertWords say what was known of an alert at the instant that is shown.
func (v FlowDetail) alertWords(a Alert) string {
	words := "open since " + v.Clock.at(a.StartsAt)
	if a.Ack.Given() {
		words += ", " + a.Ack.By + " had it"
	} else {
		words += ", nobody had it"
	}
	return words
}
