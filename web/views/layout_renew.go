package views

import "throughline/flows"

// Renewed is g while it can stay: steps do not move under the eyes of who looks at them. A flow is laid out anew, from all that
// was ever observed, where instances now lead to a step that stood alone; and, where the flow file names no order at all, each
// time that twice as much was observed as before.
func (g *Graph) Renewed(f *flows.Flow, observed []flows.EdgeHealth) *Graph {
	if g == nil || len(g.nodes) != len(f.Steps) {
		return Layout(f, observed)
	}
	if !g.leadsToLonely(f, observed) && !(g.free && passes(observed) >= 2*passes(g.observed)) {
		return g
	}
	return Layout(f, union(g.observed, observed))
}

// leadsToLonely says whether instances were seen to go to a step that no edge touches.
func (g *Graph) leadsToLonely(f *flows.Flow, observed []flows.EdgeHealth) bool {
	lonely := make(map[string]bool, len(f.Steps))
	for i := range f.Steps {
		lonely[f.Steps[i].ID] = true
	}
	for _, e := range g.edges {
		delete(lonely, f.Steps[e.from].ID)
		delete(lonely, f.Steps[e.to].ID)
	}
	known := make(map[string]bool, len(f.Steps))
	for i := range f.Steps {
		known[f.Steps[i].ID] = true
	}
	for _, e := range observed {
		if lonely[e.To] && known[e.From] && e.From != e.To && e.Count > 0 {
			return true
		}
	}
	return false
}

func passes(edges []flows.EdgeHealth) int {
	sum := 1
	for _, e := range edges {
		sum += e.Count
	}
	return sum
}

// union has each edge once, with the larger of its counts.
func union(a, b []flows.EdgeHealth) []flows.EdgeHealth {
	type pair struct{ from, to string }
	at := make(map[pair]int, len(a)+len(b))
	var all []flows.EdgeHealth
	for _, list := range [][]flows.EdgeHealth{a, b} {
		for _, e := range list {
			i, known := at[pair{e.From, e.To}]
			if !known {
				i = len(all)
				at[pair{e.From, e.To}] = i
				all = append(all, e)
			}
			all[i].Count = max(all[i].Count, e.Count)
		}
	}
	return all
}
