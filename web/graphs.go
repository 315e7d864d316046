package web

import (
	"sync"

	"throughline/flows"
	"throughline/web/views"
)

// graphs keeps how each flow is laid out, so that its pages show steps at the same place whatever their counts are.
type graphs struct {
	mu   sync.Mutex
	kept map[string]keptGraph // by flow
}

type keptGraph struct {
	version string
	graph   *views.Graph
}

// of is the layout of f's version in force, renewed where what was observed asks for it.
func (g *graphs) of(f *flows.Flow, observed []flows.EdgeHealth) *views.Graph {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.kept[f.Name]
	if before.version != f.Version {
		before.graph = nil
	}
	graph := before.graph.Renewed(f, observed)
	if graph != before.graph {
		if g.kept == nil {
			g.kept = make(map[string]keptGraph)
		}
		g.kept[f.Name] = keptGraph{f.Version, graph}
	}
	return graph
}
