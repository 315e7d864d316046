package views

import (
	"fmt"
	"math"
	"strings"

	"throughline/flows"
)

// drawing is a graph with its numbers, ready to be written as SVG.
type drawing struct {
	box           string
	width, height string
	wide          bool // wider than a panel: drawn unscaled, scrolled
	edges         []drawnEdge
	nodes         []drawnNode
}

type drawnEdge struct {
	path, width string
	class       string // "", none, back, rare
	moves       bool   // something passes: dashes move along
	label       string
	full        string // the label in full where it is short; "" else
	note        string // time to hand over
	bad         bool
	x, y        string // of the label
	noteY       string
	anchor      string // of the label: start, middle, end
}

// drawnText is a line in a step's box. A long one is squeezed into it, whatever the font.
type drawnText struct {
	text    string
	y       float64
	squeeze bool
}

type drawnNode struct {
	class      string
	href       string
	about      string
	x, y       float64
	name       []drawnText // one or two lines
	system     drawnText
	line       drawnText
	badge      string
	badgeClass string
	badgeX     float64
	badgeW     float64
	badgeFull  bool // its text is squeezed into it
}

// draw puts the numbers of v on its graph.
func draw(v FlowDetail) drawing {
	g := v.Graph
	if g == nil || len(g.nodes) != len(v.Now.Flow.Steps) {
		g = Layout(v.Now.Flow, v.Now.Health.Edges)
	}
	d := drawing{
		box:   fmt.Sprintf("%s %s %s %s", number(-graphMargin), number(-badgeRoom), number(g.w+2*graphMargin), number(g.h+badgeRoom+graphMargin)),
		width: number(g.w + 2*graphMargin), height: number(g.h + badgeRoom + graphMargin),
		wide: g.w > graphWidth+1,
	}
	steps := v.Now.steps()
	numbers := edgeNumbers(v.Now, g, steps)
	greatest := 1
	for _, n := range numbers {
		greatest = max(greatest, n.count)
	}
	for i, e := range g.edges {
		d.edges = append(d.edges, drawEdge(g, e, numbers[i], greatest, steps))
	}
	for i, s := range steps {
		n := drawNode(v, g.nodes[i], s)
		n.badgeX = min(n.badgeX, g.w+graphMargin-1-n.badgeW)
		d.nodes = append(d.nodes, n)
	}
	return d
}

// passed are the numbers at an edge.
type passed struct {
	count int
	took  *float64 // median, in seconds; nil where not known
}

// edgeNumbers are, for a step that waits for all its predecessors, the instances that reached
// it; with one predecessor its latency is the hand-over. Else what was observed to follow
// directly.
func edgeNumbers(f FlowNow, g *Graph, steps []stepNow) []passed {
	type pair struct{ from, to string }
	observed := make(map[pair]flows.EdgeHealth, len(f.Health.Edges))
	for _, e := range f.Health.Edges {
		observed[pair{e.From, e.To}] = e
	}
	numbers := make([]passed, len(g.edges))
	for i, e := range g.edges {
		to := steps[e.to]
		o := observed[pair{steps[e.from].ID, to.ID}]
		switch {
		case e.model && len(to.After) == 1:
			numbers[i] = passed{to.Reached, to.Latency.P50}
		case e.model && !to.Any:
			numbers[i] = passed{to.Reached, o.Latency.P50}
		default:
			numbers[i] = passed{o.Count, o.Latency.P50}
		}
	}
	return numbers
}

func drawEdge(g *Graph, e graphEdge, n passed, greatest int, steps []stepNow) drawnEdge {
	path, at, anchor := edgePath(g, e)
	weight := float64(n.count) / float64(greatest)
	d := drawnEdge{
		path: path, width: number(1.5 + 4.5*weight), moves: weight > 0.25 && !e.back,
		x: number(at.x), y: number(at.y - 9), noteY: number(at.y + 19), anchor: anchor,
	}
	if d.label = shortCount(n.count, g.labelRoom(e, anchor)); d.label != count(n.count) {
		d.full = count(n.count)
	}
	if n.took != nil {
		d.note = span(seconds(*n.took))
	}
	switch {
	case e.back:
		d.class = "back"
	case n.count == 0 && (steps[e.to].Stuck > 0 || steps[e.to].starved):
		d.class, d.bad, d.width = "none", true, "1.5"
		if usual := steps[e.to].usual; usual != nil {
			d.note = "usual " + aboutCount(*usual)
		}
	case n.count == 0:
		d.class, d.label, d.full = "rare", "", ""
	}
	return d
}

// trunkOff is how far from a step edges turn to other rows.
const trunkOff = 10.0

// labelOff is how far from its step a label at a bend stands.
const labelOff = 8.0

// edgePath runs from the right of one step to the left of the next, straight through the
// layers in between; an edge back runs below everything. The point is where its label stands.
func edgePath(g *Graph, e graphEdge) (path string, label point, anchor string) {
	from, to := g.nodes[e.from], g.nodes[e.to]
	var b strings.Builder
	if e.back {
		floor := g.h - 6
		x1, x2 := from.x+nodeWidth/2, to.x+nodeWidth/2
		fmt.Fprintf(&b, "M%s %sC%s %s %s %s %s %s", number(x1), number(from.y+nodeHeight), number(x1), number(floor), number(x2), number(floor), number(x2), number(to.y+nodeHeight))
		return b.String(), point{(x1 + x2) / 2, (from.y+to.y)/8 + nodeHeight/4 + floor*0.75}, "middle"
	}
	start := point{from.x + nodeWidth, from.y + nodeHeight/2}
	end := point{to.x, to.y + nodeHeight/2}
	// Edges to other rows leave and arrive below the straight one, clear of its label.
	const below = nodeHeight/2 - 16
	if end.y > start.y {
		start.y += below
	} else if end.y < start.y {
		end.y += below
	}
	fmt.Fprintf(&b, "M%s %s", number(start.x), number(start.y))
	label, anchor = point{(start.x + end.x) / 2, start.y}, "middle"
	switch { // edges fan out and in: their labels stand at the end that is theirs alone
	case end.y > start.y:
		label, anchor = point{end.x - labelOff, end.y}, "end"
	case end.y < start.y:
		label, anchor = point{start.x + labelOff, start.y}, "start"
	}
	at := start
	gap := gapOf(g)
	for i, y := range e.via {
		x := float64(from.layer+1+i) * (nodeWidth + gap)
		curve(&b, at, point{x, float64(y)})
		at = point{x + nodeWidth, float64(y)}
		fmt.Fprintf(&b, "H%s", number(at.x))
		if i == 0 {
			label, anchor = point{x + nodeWidth/2, float64(y)}, "middle"
		}
	}
	curve(&b, at, end)
	return b.String(), label, anchor
}

// labelRoom is how wide a label of an edge may be: it stands between two steps, one at a bend between a step and the trunk.
func (g *Graph) labelRoom(e graphEdge, anchor string) float64 {
	const halo, trunk = 4.0, 3.0
	switch {
	case e.back || len(e.via) > 0:
		return nodeWidth
	case anchor == "middle":
		return gapOf(g) - 2*halo
	}
	return gapOf(g) - trunkOff - trunk - labelOff - halo
}

// curve leads from one layer to the next. Edges that lead down turn right behind the step that they come from, those that
// lead up right before the one they go to: so they share a trunk, and cross nobody's label, which stands on the level piece.
func curve(b *strings.Builder, from, to point) {
	if from.y == to.y {
		fmt.Fprintf(b, "H%s", number(to.x))
		return
	}
	x, bend := from.x+trunkOff, min(trunkOff-1, math.Abs(to.y-from.y)/2)
	if to.y < from.y {
		x, bend = to.x-trunkOff, -bend
	}
	side := math.Abs(bend)
	fmt.Fprintf(b, "H%sQ%s %s %s %s", number(x-side), number(x), number(from.y), number(x), number(from.y+bend))
	fmt.Fprintf(b, "V%sQ%s %s %s %sH%s", number(to.y-bend), number(x), number(to.y), number(x+side), number(to.y), number(to.x))
}

// gapOf is the room between two layers.
func gapOf(g *Graph) float64 {
	for _, n := range g.nodes {
		if n.layer > 0 {
			return n.x/float64(n.layer) - nodeWidth
		}
	}
	return maxGap
}

// What fits into a step's box: 130 px at about 7 px a letter.
const (
	boxLetters = 20
	// Up to so many fit without squeezing, in bold and in regular type.
	easyBold, easyRegular = 16, 19
	// A badge may stand out of the box a little; what is longer is in the table of steps.
	badgeLetters = 27
	badgeLetter  = 8.2 // px at most
)

func drawNode(v FlowDetail, n graphNode, s stepNow) drawnNode {
	d := drawnNode{
		x: n.x, y: n.y,
		href: string(v.Now.link(stepURL(v.Now.Flow.Name, s.ID))),
	}
	switch {
	case s.state == lookStuck:
		d.class, d.badge = s.look().class, count(s.Stuck)+" stuck"
		if s.had {
			d.badgeClass = "acked"
		}
		if worth := money(v.atRisk(s.ID)); worth != "" && letters(d.badge+worth) < badgeLetters {
			d.badge += " " + worth
		}
	case s.state == lookUnknown:
		d.class, d.badgeClass, d.badge = "deaf", "deaf", count(s.Unknown)+" unknown"
	case s.state == lookLate:
		d.class, d.badgeClass, d.badge = "late", "late", "p99 "+spanOrDash(s.Latency.P99)
	case s.exit:
		d.class = "exit"
	case s.starved:
		d.class = "starved"
	case s.state == lookQuiet:
		d.class = "quiet"
	}
	d.write(s)
	d.badgeW = min(float64(letters(d.badge))*badgeLetter+14, nodeWidth+44) // less than to the badge of the step before
	d.badgeFull = float64(letters(d.badge))*badgeLetter > d.badgeW-12
	d.badgeX = max(0, n.x+nodeWidth+6-d.badgeW)
	return d
}

// write fills the box: the name on one or two lines, the system, the numbers.
func (d *drawnNode) write(s stepNow) {
	heights := []float64{27, 45, 65}
	name := folded(s.Title, boxLetters)
	if len(name) == 2 {
		heights = []float64{20, 35, 51, 69}
	}
	texts := append(name, cut(systemWords(s), boxLetters), stepLine(s))
	for i, text := range texts {
		easy := easyRegular
		if i < len(name) {
			easy = easyBold
		}
		line := drawnText{text, d.y + heights[i], letters(text) > easy}
		switch len(texts) - i {
		case 1:
			d.line = line
		case 2:
			d.system = line
		default:
			d.name = append(d.name, line)
		}
	}
	// What is read aloud holds what is to be seen, and the name in full.
	d.about = strings.Join(nonEmpty(append(texts, d.badge)...), ", ")
	if strings.Join(name, " ") != s.Title {
		d.about += ", " + s.Title
	}
}

// folded is text on one line of at most n letters, or on two.
func folded(text string, n int) []string {
	letters := []rune(text)
	if len(letters) <= n {
		return []string{text}
	}
	fold := strings.LastIndex(string(letters[:n+1]), " ")
	if fold <= 0 {
		return []string{cut(text, n)}
	}
	return []string{text[:fold], cut(text[fold+1:], n)}
}

// stepLine is the third line of a node: what waits and how long it usually takes.
func stepLine(s stepNow) string {
	switch {
	case s.starved:
		return "0 in, usual " + aboutCount(*s.usual)
	case s.exit:
		return count(s.Reached) + " ended"
	case len(s.After) == 0 && s.Start:
		return count(s.Reached) + " started"
	case len(s.After) == 0:
		return count(s.Reached) + " reached"
	case s.Latency.P50 != nil:
		return count(s.Waiting) + " waiting, " + span(seconds(*s.Latency.P50))
	}
	return count(s.Waiting) + " waiting"
}

func systemWords(s stepNow) string {
	if s.exit {
		return strings.Join(nonEmpty(s.System, "exit"), ", ")
	}
	return s.System
}

// atRisk is the value of the alert at a step, where there is one.
func (v FlowDetail) atRisk(step string) flows.Money {
	for _, a := range v.Alerts {
		if a.Step == step && a.Reason == flows.ReasonDeadline {
			return a.AtRisk
		}
	}
	return nil
}

func nonEmpty(texts ...string) []string {
	var kept []string
	for _, t := range texts {
		if t != "" {
			kept = append(kept, t)
		}
	}
	return kept
}

// cut shortens text to at most n letters.
func cut(text string, n int) string {
	letters := []rune(text)
	if len(letters) <= n {
		return text
	}
	return strings.TrimRight(string(letters[:n-1]), " ") + "…"
}
