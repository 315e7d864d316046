package views

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"throughline/flows"
)

// chart is a picture of counts over a span of time, in buckets of equal length.
type chart struct {
	Clock
	id, title, note string
	from, to        flows.Time
	lines           []chartLine
	marks           []chartMark
	low             bool // half as high
	narrow          bool // in a column
}

// chartLine is one series, oldest first; all of a chart have the same length.
type chartLine struct {
	class  string // "", this, soft, other, usual, stuck
	name   string
	values []float64 // none: not known
	level  bool      // all values are the same
}

// chartMark is an instant with a name.
type chartMark struct {
	at   flows.Time
	text string
	href string
}

// The room of the lines inside the picture, in pixels from the top and the bottom, and in
// parts of its width from the left.
const (
	chartTop  = 22
	chartAxis = 26
	chartLeft = 0.06
)

func (c chart) height() float64 {
	if c.low {
		return 92
	}
	return 176
}

func (c chart) floor() float64 { return c.height() - chartAxis }

// top is the end of the scale, at least what is shown; it and its half are easily read.
func (c chart) top() float64 {
	most := 1.0
	for _, l := range c.lines {
		if len(l.values) > 0 {
			most = max(most, slices.Max(l.values))
		}
	}
	for power := 1.0; ; power *= 10 {
		for _, step := range []float64{1, 1.2, 1.6, 2, 3, 4, 5, 6, 8} {
			if top := step * power; top >= most && top == math.Trunc(top) {
				return top
			}
		}
	}
}

// known are the lines that have values.
func (c chart) known() []chartLine {
	return slices.DeleteFunc(slices.Clone(c.lines), func(l chartLine) bool { return len(l.values) == 0 })
}

// points of a line in the box of 1000 by 1000 that is stretched over the room of the lines: a
// value stands in the middle of its bucket.
func (c chart) points(l chartLine) string {
	top := c.top()
	var b strings.Builder
	for i, v := range l.values {
		if i > 0 {
			b.WriteByte(' ')
		}
		x := (float64(i) + 0.5) * 1000 / float64(len(l.values))
		b.WriteString(number(x) + "," + number(1000-v/top*1000))
	}
	return b.String()
}

// rung is a line of the scale with its value.
type rung struct{ y, text string }

func (c chart) rungs() []rung {
	top := c.top()
	var list []rung
	parts := []float64{0, 0.5, 1}
	if c.low || top < 2 { // half a count is none
		parts = []float64{0, 1}
	}
	for _, part := range parts {
		value := top * part
		list = append(list, rung{number(c.floor() - part*(c.floor()-chartTop)), decimals(value, -1)})
	}
	return list
}

func (c chart) place(t flows.Time) float64 {
	return float64(t.Sub(c.from)) / float64(max(c.to.Sub(c.from), 1))
}

// across is a place on the time axis as a part of the picture's width.
func across(part float64) string { return share(chartLeft + part*(1-chartLeft)) }

// tick is a clock time on the axis.
type tick struct{ x, text, anchor, class string }

func (c chart) ticks() []tick {
	length := c.to.Sub(c.from)
	clock := "15:04"
	switch {
	case length <= 5*time.Minute:
		clock = "15:04:05"
	case length > 36*time.Hour:
		clock = "2" + nb + "Jan"
	}
	var list []tick
	for i := range 5 {
		part := float64(i) / 4
		anchor, class := "middle", "axis"
		if i%2 == 1 && clock == "15:04:05" {
			class += " inner" // has no room on a phone
		}
		if i == 0 {
			anchor = "start"
		} else if i == 4 {
			anchor = "end"
		}
		list = append(list, tick{across(part), c.local(c.from.Add(time.Duration(part * float64(length)))).Format(clock), anchor, class})
	}
	return list
}

// Of the width a letter of a mark's name takes about so much, on half a page and in a column.
const letterRoom, letterRoomNarrow = 0.0115, 0.019

// shownMarks are the marks inside, from the first on, each with its name where it stands on no
// other's: on its larger side or the other, in one of two rows. What has no room is in the description.
func (c chart) shownMarks() []drawnMark {
	marks := slices.Clone(c.marks)
	slices.SortStableFunc(marks, func(a, b chartMark) int { return cmp.Compare(a.at, b.at) })
	type taken struct {
		row      int
		from, to float64
	}
	var used []taken
	rows := []string{"1em", "2.1em"}
	if c.low {
		rows = rows[:1]
	}
	var list []drawnMark
	for _, m := range marks {
		part := c.place(m.at)
		if part < 0 || part > 1 {
			continue
		}
		d := drawnMark{chartMark: m, x: across(part)}
		room := float64(letters(c.at(m.at)+" "+m.text)) * letterRoom
		if c.narrow {
			room *= letterRoomNarrow / letterRoom
		}
		type side struct {
			anchor, dx string
			from, to   float64
		}
		sides := []side{{"start", "5", part, part + room}, {"end", "-5", part - room, part}}
		if part > 0.5 { // on a phone names take more than that: the larger side first
			slices.Reverse(sides)
		}
	place:
		for row, y := range rows {
			for _, side := range sides {
				free := !slices.ContainsFunc(used, func(t taken) bool { return t.row == row && t.from < side.to && side.from < t.to })
				if free && side.from >= 0 && side.to <= 1 {
					d.anchor, d.dx, d.y, d.named = side.anchor, side.dx, y, true
					used = append(used, taken{row, side.from, side.to})
					break place
				}
			}
		}
		list = append(list, d)
	}
	return list
}

type drawnMark struct {
	chartMark
	x, y, dx, anchor string
	named            bool
}

// about says in words what the picture shows.
func (c chart) about() string {
	var parts []string
	for _, l := range c.lines {
		if l.level && len(l.values) > 0 {
			parts = append(parts, l.name+": "+rate(l.values[0]))
			continue
		}
		total, least, most := 0.0, math.Inf(1), 0.0
		for _, v := range l.values {
			total, least, most = total+v, min(least, v), max(most, v)
		}
		if len(l.values) > 0 {
			parts = append(parts, l.name+": "+thousands(number(total))+" in all, "+thousands(number(least))+" to "+thousands(number(most))+" at a time, last "+thousands(number(l.values[len(l.values)-1])))
		}
	}
	for _, m := range c.shownMarks() {
		parts = append(parts, c.at(m.at)+" "+m.text)
	}
	return c.title + ", " + c.at(c.from) + " to " + c.at(c.to) + ". " + strings.Join(parts, "; ")
}

// each names the length of a bucket: "per minute", "per 15 s".
func each(bucket time.Duration) string {
	switch bucket {
	case time.Minute:
		return "per minute"
	case time.Hour:
		return "per hour"
	case 24 * time.Hour:
		return "per day"
	}
	return "per " + strings.Replace(span(bucket), markPoint+"0"+nb, nb, 1)
}
