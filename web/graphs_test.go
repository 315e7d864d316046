package web

import (
	"testing"

	"throughline/flows"
)

// TestOneLayoutAVersion: all pages about a flow place its steps alike, until its file changes.
func TestOneLayoutAVersion(t *testing.T) {
	of := func(version string) *flows.Flow {
		return &flows.Flow{Name: "orders", Version: version, Steps: []flows.Step{{ID: "placed"}, {ID: "paid", After: []int{0}}}}
	}
	var g graphs
	first := g.of(of("1"), nil)
	if g.of(of("1"), []flows.EdgeHealth{{From: "placed", To: "paid", Count: 3}}) != first {
		t.Error("the same version is laid out twice")
	}
	if g.of(of("2"), nil) == first {
		t.Error("a changed file keeps the layout of the one before")
	}
}
