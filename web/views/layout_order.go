package views

import (
	"cmp"
	"slices"
)

// place in a layer: a step, or a point at which a long edge crosses the layer.
type layerItem struct {
	node int // -1 for a crossing edge
	edge int
	ups  []*layerItem
	down []*layerItem
	slot int
	key  float64 // barycenter
}

// sweeps over the layers; more change nothing on graphs of real flows.
const sweeps = 6

// order arranges each layer so that few edges cross.
func (g *Graph) order() [][]*layerItem {
	layers := g.items()
	renumber(layers)
	for sweep := range sweeps {
		for i := range layers {
			at := i
			neighbours := func(it *layerItem) []*layerItem { return it.ups }
			if sweep%2 == 1 {
				at = len(layers) - 1 - i
				neighbours = func(it *layerItem) []*layerItem { return it.down }
			}
			for _, it := range layers[at] {
				it.key = barycenter(it, neighbours(it))
			}
			slices.SortStableFunc(layers[at], func(a, b *layerItem) int { return cmp.Compare(a.key, b.key) })
			renumberLayer(layers[at])
		}
	}
	return layers
}

// items fills the layers in file order: steps, then branches (optional steps), then exits,
// then crossing edges.
func (g *Graph) items() [][]*layerItem {
	depth := 0
	for _, n := range g.nodes {
		depth = max(depth, n.layer+1)
	}
	layers := make([][]*layerItem, depth)
	steps := make([]*layerItem, len(g.nodes))
	for _, rank := range []int{0, 1, 2} {
		for i, n := range g.nodes {
			if n.rank() == rank {
				steps[i] = &layerItem{node: i}
				layers[n.layer] = append(layers[n.layer], steps[i])
			}
		}
	}
	for i := range g.edges {
		e := &g.edges[i]
		if e.back {
			continue
		}
		before := steps[e.from]
		for l := g.nodes[e.from].layer + 1; l < g.nodes[e.to].layer; l++ {
			it := &layerItem{node: -1, edge: i, ups: []*layerItem{before}}
			before.down = append(before.down, it)
			layers[l] = append(layers[l], it)
			before = it
		}
		before.down = append(before.down, steps[e.to])
		steps[e.to].ups = append(steps[e.to].ups, before)
	}
	return layers
}

// barycenter is the mean place of the neighbours; without any, a step keeps its place. Exits
// and crossing edges give way to steps at the same place.
func barycenter(it *layerItem, neighbours []*layerItem) float64 {
	if len(neighbours) == 0 {
		return float64(it.slot)
	}
	sum := 0.0
	for _, n := range neighbours {
		sum += float64(n.slot)
	}
	return sum / float64(len(neighbours))
}

func renumber(layers [][]*layerItem) {
	for _, layer := range layers {
		renumberLayer(layer)
	}
}

func renumberLayer(layer []*layerItem) {
	for i, it := range layer {
		it.slot = i
	}
}

// assignSlots keeps the order of each layer and puts everything as near to its predecessors'
// height as the order allows: a straight run of steps stays on one line.
func (g *Graph) assignSlots(layers [][]*layerItem) {
	for _, layer := range layers {
		next := 0
		for _, it := range layer {
			it.slot = max(next, highest(it.ups))
			next = it.slot + 1
			if it.node >= 0 {
				g.nodes[it.node].slot = it.slot
			} else {
				g.edges[it.edge].via = append(g.edges[it.edge].via, it.slot)
			}
		}
	}
}

// highest is the uppermost slot of the items; 0 for none.
func highest(items []*layerItem) int {
	if len(items) == 0 {
		return 0
	}
	top := items[0].slot
	for _, it := range items[1:] {
		top = min(top, it.slot)
	}
	return top
}
