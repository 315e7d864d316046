package views

import (
	"math"
	"strings"
	"time"

	"throughline/flows"
)

// Usual is how a flow usually is in the hour that now is, by the reader's clock.
type Usual struct {
	flows.Usual
	Clock Clock
}

// usual is what stands beside a number. Its line is kept free while it is not known.
type usual struct {
	of    string // the hour that it is usual for, where that is said; left out where there is little room
	words string // "7.7"; "" for not known
	rows  []silencePreset
	query string // "" for none
}

// measured is a number of which there is a usual one.
type measured struct {
	measure, step string // as roll-ups name them
	of            func(flows.UsualHour) *float64
	write         func(float64) string
	per           string // what it is divided by, in a sentence; "" for nothing
	times         bool   // it is a median of durations
}

func number64(n int) *float64 { f := float64(n); return &f }

// Compared says whether its numbers stand beside the usual ones: those of up to an hour, as they are now.
func (f FlowNow) Compared() bool {
	return !f.played() && (f.Range == "" || f.Range == RangeHour || f.Range == RangeQuarter)
}

// usually is what is usual of a number; nil where it is not compared.
func (f FlowNow) usually(m measured) *usual {
	if !f.Compared() {
		return nil
	}
	u := &usual{rows: f.Usual.rows(m)}
	if v := f.Usual.value(m); v != nil {
		u.words, u.query = m.write(*v), f.usualQuery(m)
	}
	return u
}

func (u *Usual) value(m measured) *float64 {
	if u == nil {
		return nil
	}
	return u.Median(m.of)
}

// The numbers that have a usual one. A count is that of the window.
func startedUsually() measured {
	return measured{measure: "started", of: func(h flows.UsualHour) *float64 { return number64(h.Started) }, write: perMinute, per: "the 60 minutes of each hour"}
}

func (f FlowNow) completedUsually() measured {
	return measured{measure: "completed", of: func(h flows.UsualHour) *float64 { return number64(h.Completed) }, write: f.inWindow, per: f.partOfHour()}
}

func (f FlowNow) reachedUsually(step string) measured {
	return measured{measure: "reached", step: step, of: func(h flows.UsualHour) *float64 { return number64(h.Step(step).Reached) }, write: f.inWindow, per: f.partOfHour()}
}

func latencyUsually() measured {
	return measured{measure: "latency", of: func(h flows.UsualHour) *float64 { return h.Latency }, write: lasting, times: true}
}

func stepLatencyUsually(step string) measured {
	return measured{measure: "step_latency", step: step, of: func(h flows.UsualHour) *float64 { return h.Step(step).Latency }, write: lasting, times: true}
}

// starvedFrom is how many instances reach a step usually, so that none of them is hardly chance.
const starvedFrom = 10

// starve says of a step that nothing reached what is usual there.
func (s *stepNow) starve(f FlowNow) {
	if usual := f.Usual.value(f.reachedUsually(s.ID)); usual != nil {
		inWindow := *usual * f.Range.Span().Hours()
		s.usual, s.starved = &inWindow, inWindow >= starvedFrom && !f.Health.Restoring && s.Waiting == 0 && (s.state == lookOK || s.state == lookQuiet)
	}
}

func perMinute(perHour float64) string { return rate(perHour / 60) }
func lasting(s float64) string         { return span(seconds(s)) }

// inWindow is a count of an hour as one of the range.
func (f FlowNow) inWindow(perHour float64) string {
	return aboutCount(perHour * f.Range.Span().Hours())
}

func (f FlowNow) partOfHour() string {
	if f.Range == RangeQuarter {
		return "four: a quarter of each hour"
	}
	return ""
}

// aboutCount writes a count that may be none of whole things.
func aboutCount(n float64) string {
	if n < 10 {
		return strings.TrimSuffix(decimals(n, 1), markPoint+"0")
	}
	return count(int(math.Round(n)))
}

// rows say of which hours it is made, or when it will be known.
func (u *Usual) rows(m measured) []silencePreset {
	switch {
	case u == nil:
		return []silencePreset{{"Usual", "Being read; it comes by itself."}}
	case u.Torn:
		return []silencePreset{{"Usual", "Not known: a part of this flow's history is in no hourly sum, since instances were folded anew, or an earlier version of its file is in force again. The sums begin anew with the file's next version."}}
	case u.Of == flows.UsualUnknown && known(u.When):
		return []silencePreset{{"Usual", "Not known yet: it takes one complete hour of history. It will be from " + u.Clock.at(u.When) + " on."}}
	case u.Of == flows.UsualUnknown:
		return []silencePreset{{"Usual", "Not known: it takes one complete hour of history."}}
	}
	value, what := u.value(m), ""
	if value == nil {
		what = "Not known: nothing of the kind was in "
	} else {
		what = m.write(*value) + ": the median of "
	}
	empty := "An hour in which nothing happened counts as 0."
	if m.times {
		empty = "An hour without any has no median, and is left out; each hour's own is within 1" + nb + "%."
	}
	if m.per != "" {
		empty += " Divided by " + m.per + "."
	}
	if u.Since > u.Hour.Add(-(28*24+1)*time.Hour) {
		empty += " Hours before " + u.Clock.at(u.Since) + ": up to then not all of what happened is known."
	}
	return []silencePreset{
		{"Usual", what + u.hoursWords() + ". It is counted as the number itself is, by the time of signals."},
		{"Made of", u.hours(m)},
		{"Usual leaves out", empty},
		{"Usual is fresh", "Read at " + u.Clock.at(u.Read) + ", once an hour for all readers, from sums by the hour: what came since counts from the next hour on."},
	}
}

// hoursWords name the hours: "this hour, 03:00 to 04:00 CET, of the last 4 Thursdays".
func (u *Usual) hoursWords() string {
	if u.Of == flows.UsualBefore {
		return "the last complete hour, since no such hour of an earlier day is known yet"
	}
	from := u.Clock.local(u.Hour)
	words := "the hour from " + from.Format("15:04") + " to " + from.Add(time.Hour).Format("15:04") + " " + u.Clock.ZoneName() + " of "
	if u.Of == flows.UsualWeekday {
		return words + plural(len(u.Hours), from.Weekday().String(), from.Weekday().String()+"s") + " of the last 4 weeks"
	}
	return words + plural(len(u.Hours), "day", "days") + " of the last 7, since no such hour of a " + from.Weekday().String() + " is known yet"
}

// hours are those that it is made of, each with its number: "12 Nov 50.9, 5 Nov 51.2".
func (u *Usual) hours(m measured) string {
	day := "2" + nb + "Jan"
	if u.Of == flows.UsualBefore {
		day = "15:04"
	}
	var parts []string
	for _, h := range u.Hours {
		value := "–"
		if v := m.of(h); v != nil {
			value = m.write(*v)
		}
		parts = append(parts, u.Clock.local(h.Start).Format(day)+": "+value)
	}
	return strings.Join(parts, "; ")
}

// usualQuery has one row an hour that is not empty. Hours that begin within one of UTC are made of minutes.
func (f FlowNow) usualQuery(m measured) string {
	var starts []string
	span, hour, where := "3600", "start", "start IN ("
	for _, h := range f.Usual.Hours {
		starts = append(starts, h.Start.Std().Format("'2006-01-02 15:04:05'"))
		if off := h.Start % flows.Time(time.Hour); off != 0 {
			apart := "INTERVAL " + decimals(time.Duration(off).Minutes(), 0) + " MINUTE"
			span, hour = "60", "toStartOfHour(start - "+apart+") + "+apart
			where = "hour IN ("
		}
	}
	from := "FROM rollups\nWHERE flow = " + sqlText(f.Flow.Name) + " AND generation = (SELECT generation FROM rollup_generations FINAL WHERE flow = " + sqlText(f.Flow.Name) + ")\n" +
		"  AND span = " + span + " AND measure = " + sqlText(m.measure)
	if m.step != "" {
		from += " AND step = " + sqlText(m.step)
	}
	from += "\n  AND " + where + strings.Join(starts, ", ") + ")\nGROUP BY hour"
	if !m.times {
		return "SELECT " + hour + " AS hour, sum(count) AS counted\n" + from + "\nORDER BY hour"
	}
	return "SELECT hour, quantileExactWeighted(0.5)(if(bin < 0, 0, 2 * pow(1.01 / 0.99, bin) / (1.01 / 0.99 + 1) / 1e9), toUInt64(counted))\nFROM\n(\n  SELECT " +
		hour + " AS hour, bin, sum(count) AS counted\n  " + strings.ReplaceAll(from, "\n", "\n  ") + ", bin\n  HAVING counted > 0\n)\nGROUP BY hour\nORDER BY hour"
}

// usualTogether is what is usual of several flows together: the sum of what is in each.
func usualTogether(list []FlowNow, m func(FlowNow) measured, write func(float64) string) (*usual, *float64) {
	if len(list) == 0 || !list[0].Compared() {
		return nil, nil
	}
	total, in, reading := 0.0, 0, false
	for _, f := range list {
		reading = reading || f.Usual == nil
		if v := f.Usual.value(m(f)); v != nil {
			total, in = total+*v, in+1
		}
	}
	switch {
	case reading:
		return &usual{rows: []silencePreset{{"Usual", "Being read; it comes by itself."}}}, nil
	case in == 0:
		return &usual{rows: []silencePreset{{"Usual", "Not known: it takes one complete hour of history of one flow."}}}, nil
	}
	of := list[0].Usual
	u := &usual{of: "for " + of.Clock.local(of.Hour).Format("Mon"+nb+"15:04") + ":", words: write(total)}
	u.rows = []silencePreset{
		{"Usual", write(total) + ": the sum of what is usual in each of " + plural(in, "flow", "flows") + " for this hour of the week. Their own pages say of which hours that is made."},
		{"Usual is fresh", "Read once an hour for all readers, from sums by the hour."},
	}
	if without := len(list) - in; without > 0 {
		u.rows = append(u.rows, silencePreset{"Usual leaves out", plural(without, "flow", "flows") + " of which no complete hour of history is known."})
	}
	return u, &total
}

// usualLine is a level line of what is usual in each bucket; its name keeps its place while that is not known.
func usualLine(perHour *float64, buckets int, bucket time.Duration) chartLine {
	l := chartLine{class: "usual", name: "usual for this hour", level: true}
	if perHour != nil {
		l.values = make([]float64, buckets)
		for i := range l.values {
			l.values[i] = *perHour * bucket.Hours()
		}
	}
	return l
}
