package views

import "throughline/flows"

// Graph is a flow's layout: positions of steps and the edges that are drawn.
type Graph struct{}

// Layout places the steps of a flow.
func Layout(f *flows.Flow, edges []flows.EdgeHealth) *Graph { return &Graph{} }

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
