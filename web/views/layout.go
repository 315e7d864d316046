package views

import (
	"cmp"
	"slices"

	"throughline/flows"
)

// Graph says where the steps of a flow stand and which edges are drawn, without numbers. It
// is read-only and holds for one version of the flow: laid out anew from other counts, steps
// that `after` does not place may move. See Renewed.
type Graph struct {
	nodes    []graphNode // by position in Flow.Steps
	edges    []graphEdge
	w, h     float64
	observed []flows.EdgeHealth // what it was laid out from
	free     bool               // no step has `after`
}

type graphNode struct {
	layer, slot int
	x, y        float64 // upper left corner
	exit        bool    // ends the flow other than completed
	optional    bool
}

// rank orders the steps of a layer: what every instance passes runs straight on top.
func (n graphNode) rank() int {
	switch {
	case n.exit:
		return 2
	case n.optional:
		return 1
	}
	return 0
}

type graphEdge struct {
	from, to int
	back     bool // against the direction of the layers
	// via are the slots at which a long edge crosses the layers in between.
	via   []int
	model bool // the flow file says so; else observed
}

const (
	nodeWidth, nodeHeight = 152.0, 80.0
	slotHeight            = 128.0 // a row of steps, with room for badges and labels
	passHeight            = 44.0  // a row that only edges pass through
	minGap, maxGap        = 59.0, 110.0
	graphWidth            = 1420.0 // what a wide panel shows unscaled
	graphMargin           = 4.0
	badgeRoom             = 18.0
	// An observed edge is drawn from this share of the most frequent one on; rarer ones only
	// where a step would stand alone otherwise.
	frequentEdge = 0.05
)

// Layout places the steps in layers from left to right: along `after` where the flow has it,
// else along the frequent ones of the observed edges. The longest path decides the layer,
// barycenters the order within a layer. The same flow and edges give the same layout.
func Layout(f *flows.Flow, observed []flows.EdgeHealth) *Graph {
	g := &Graph{nodes: make([]graphNode, len(f.Steps)), observed: observed}
	for i := range f.Steps {
		end := f.Steps[i].End
		g.nodes[i].optional = f.Steps[i].Optional
		g.nodes[i].exit = end == flows.Failed || end == flows.Cancelled
	}
	g.chooseEdges(f, observed)
	g.breakCycles()
	g.assignLayers()
	g.assignSlots(g.order())
	g.place()
	return g
}

// chooseEdges takes the model's edges, and observed ones for what the model leaves open.
func (g *Graph) chooseEdges(f *flows.Flow, observed []flows.EdgeHealth) {
	placed := make([]bool, len(f.Steps)) // the model says where the step stands
	for to, step := range f.Steps {
		for _, from := range step.After {
			g.edges = append(g.edges, graphEdge{from: from, to: to, model: true})
			placed[from], placed[to] = true, true
		}
	}
	free := !slices.Contains(placed, true)
	g.free = free
	candidates := g.observedEdges(f, observed)
	into, out := make([]bool, len(f.Steps)), make([]bool, len(f.Steps))
	for i, e := range candidates {
		if !free && placed[e.to] {
			continue
		}
		frequent := float64(e.count) >= frequentEdge*float64(candidates[0].count)
		if free && frequent || !into[e.to] || free && !out[e.from] {
			g.edges = append(g.edges, candidates[i].graphEdge)
			into[e.to], out[e.from] = true, true
		}
	}
}

type countedEdge struct {
	graphEdge
	count int
}

// observedEdges are the edges between different steps of f, most frequent first.
func (g *Graph) observedEdges(f *flows.Flow, observed []flows.EdgeHealth) []countedEdge {
	index := make(map[string]int, len(f.Steps))
	for i := range f.Steps {
		index[f.Steps[i].ID] = i
	}
	var edges []countedEdge
	for _, e := range observed {
		from, known := index[e.From]
		to, also := index[e.To]
		if known && also && from != to && e.Count > 0 {
			edges = append(edges, countedEdge{graphEdge{from: from, to: to}, e.Count})
		}
	}
	slices.SortStableFunc(edges, func(a, b countedEdge) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return edges
}

// breakCycles marks the edges that lead back, rarest first: an edge is one when the edges
// before it already lead from its end to its start.
func (g *Graph) breakCycles() {
	next := make([][]int, len(g.nodes))
	var reaches func(from, to int, seen []bool) bool
	reaches = func(from, to int, seen []bool) bool {
		if from == to {
			return true
		}
		seen[from] = true
		for _, n := range next[from] {
			if !seen[n] && reaches(n, to, seen) {
				return true
			}
		}
		return false
	}
	for i := range g.edges {
		e := &g.edges[i]
		if e.back = reaches(e.to, e.from, make([]bool, len(g.nodes))); !e.back {
			next[e.from] = append(next[e.from], e.to)
		}
	}
}

// assignLayers puts each step one layer behind its farthest predecessor. A step that no edge
// touches stands at the start, an exit behind it.
func (g *Graph) assignLayers() {
	touched := make([]bool, len(g.nodes))
	for changed := true; changed; { // ends: without the edges back there is no cycle
		changed = false
		for _, e := range g.edges {
			if e.back {
				continue
			}
			touched[e.from], touched[e.to] = true, true
			if l := g.nodes[e.from].layer + 1; l > g.nodes[e.to].layer {
				g.nodes[e.to].layer, changed = l, true
			}
		}
	}
	for i := range g.nodes {
		if g.nodes[i].exit && !touched[i] && len(g.nodes) > 1 {
			g.nodes[i].layer = 1
		}
	}
}

// place turns layers and slots into coordinates.
func (g *Graph) place() {
	layers, slots := 0, 0
	for _, n := range g.nodes {
		layers, slots = max(layers, n.layer+1), max(slots, n.slot+1)
	}
	for _, e := range g.edges {
		for _, slot := range e.via {
			slots = max(slots, slot+1)
		}
	}
	stepsIn := make([]bool, slots)
	for _, n := range g.nodes {
		stepsIn[n.slot] = true
	}
	gap := maxGap
	if layers > 1 {
		gap = min(max((graphWidth-float64(layers)*nodeWidth)/float64(layers-1), minGap), maxGap)
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		n.x, n.y = float64(n.layer)*(nodeWidth+gap), slotTop(stepsIn, n.slot)
	}
	g.w = max(float64(layers)*(nodeWidth+gap)-gap, graphWidth)
	g.h = slotTop(stepsIn, slots)
	if slots > 0 && stepsIn[slots-1] {
		g.h -= slotHeight - nodeHeight
	}
	if g.hasBack() {
		g.h += passHeight
	}
	g.setVia(stepsIn)
}

// slotTop is the upper edge of a slot.
func slotTop(stepsIn []bool, slot int) float64 {
	y := 0.0
	for _, steps := range stepsIn[:slot] {
		if steps {
			y += slotHeight
		} else {
			y += passHeight
		}
	}
	return y
}

// setVia replaces the slots that edges pass by the heights at which they do.
func (g *Graph) setVia(stepsIn []bool) {
	for i := range g.edges {
		for j, slot := range g.edges[i].via {
			top, height := slotTop(stepsIn, slot), passHeight
			if stepsIn[slot] {
				height = nodeHeight
			}
			g.edges[i].via[j] = int(top + height/2)
		}
	}
}

func (g *Graph) hasBack() bool {
	return slices.ContainsFunc(g.edges, func(e graphEdge) bool { return e.back })
}
