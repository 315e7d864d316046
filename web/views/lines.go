package views

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

type point struct{ x, y float64 }

func sparkBox(width int) string { return fmt.Sprintf("0 0 %d 22", width) }
func tlBox(width int) string    { return fmt.Sprintf("0 0 %d 24", width) }

// sparkPoints scales values into width times 22 pixels; the last point is the end.
func sparkPoints(values []float64, width int) (string, point) {
	const top, bottom = 2.7, 19.8
	low, high := slices.Min(values), slices.Max(values)
	low = min(low, high*0.5) // a steady line is steady, not noise at full height
	var b strings.Builder
	var p point
	for i, v := range values {
		p.x = float64(i) * float64(width) / float64(max(len(values)-1, 1))
		p.y = bottom
		if high > low {
			p.y = bottom - (v-low)/(high-low)*(bottom-top)
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(number(p.x) + "," + number(p.y))
	}
	return b.String(), p
}

// tlLine is a flow drawn as one line.
type tlLine struct {
	label string
	rails []tlRail
	dots  []tlDot
}

type tlRail struct {
	x1, x2 float64
	off    bool // nothing passed
}

type tlDot struct {
	class, text string
	x, w, r     float64
}

// Steps that one line shows, by its width: more would touch.
const pixelsPerDot = 13.0

// throughline leaves out what ends the flow early, and optional steps, unless something is
// wrong there: they are branches. Of very many steps in order it shows some.
func throughline(f FlowNow, width int) tlLine {
	var steps []stepNow
	for _, s := range f.steps() {
		if wrong := s.state == lookStuck || s.state == lookLate; wrong || !s.exit && !s.Optional {
			steps = append(steps, s)
		}
	}
	line := tlLine{label: f.Flow.Title + ": " + lineWords(f, steps)}
	steps = thinned(steps, int(float64(width)/pixelsPerDot))
	const margin = 12.0
	at := func(i int) float64 {
		if len(steps) == 1 {
			return margin
		}
		return math.Round(margin + float64(i)*(float64(width)-2*margin)/float64(len(steps)-1))
	}
	radius := 3.5
	if len(steps) > 12 {
		radius = 2.5
	}
	for i, s := range steps {
		dot := tlDot{class: s.look().class, x: at(i), r: radius}
		switch s.state {
		case lookQuiet:
			dot.r -= 0.5
		case lookStuck:
			dot.text = short(s.Stuck)
			dot.w = float64(len(dot.text))*7 + 12
			dot.x = min(max(dot.x, dot.w/2), float64(width)-dot.w/2)
		}
		line.dots = append(line.dots, dot)
		if i > 0 {
			line.rails = append(line.rails, tlRail{at(i - 1), at(i), s.Reached == 0})
		}
	}
	// A filled block covers its neighbours' dots, not the other way round.
	slices.SortStableFunc(line.dots, func(a, b tlDot) int { return len(a.text) - len(b.text) })
	return line
}

// lineWords says in words what the line shows.
func lineWords(f FlowNow, steps []stepNow) string {
	var wrong []string
	for i, s := range steps {
		switch s.state {
		case lookStuck:
			wrong = append(wrong, fmt.Sprintf("%s stuck at step %d, %s", count(s.Stuck), i+1, s.Title))
		case lookUnknown:
			wrong = append(wrong, fmt.Sprintf("%s unknown at step %d, %s", count(s.Unknown), i+1, s.Title))
		case lookLate:
			wrong = append(wrong, fmt.Sprintf("step %d, %s, slower than its limit", i+1, s.Title))
		}
	}
	if len(wrong) == 0 {
		if f.Health.InFlight == 0 {
			return plural(len(steps), "step", "steps") + ", nothing in flight"
		}
		return plural(len(steps), "step", "steps") + ", none past its limit"
	}
	return strings.Join(wrong, "; ")
}

// thinned leaves at most n steps: first, last, what is wrong, and others evenly.
func thinned(steps []stepNow, n int) []stepNow {
	if len(steps) <= n {
		return steps
	}
	every := (len(steps) + n - 1) / n
	var kept []stepNow
	for i, s := range steps {
		if i%every == 0 || i == len(steps)-1 || s.state == lookStuck || s.state == lookLate {
			kept = append(kept, s)
		}
	}
	return kept
}

// short is a count in at most four characters: 214, 1.9k, 12k.
func short(n int) string {
	switch {
	case n < 1000:
		return strconv.Itoa(n)
	case n < 9950:
		return decimals(float64(n)/1000, 1) + "k"
	case n < 999500:
		return strconv.Itoa(int(math.Round(float64(n)/1000))) + "k"
	}
	return strconv.Itoa(int(math.Round(float64(n)/1e6))) + "M"
}
