package views

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"throughline/flows"
)

func overlap(a, b graphNode) bool {
	return a.x < b.x+nodeWidth && b.x < a.x+nodeWidth && a.y < b.y+nodeHeight && b.y < a.y+nodeHeight
}

// checkGraph holds what every layout promises.
func checkGraph(t *testing.T, g *Graph, steps int) {
	t.Helper()
	if len(g.nodes) != steps {
		t.Fatalf("%d steps have %d places", steps, len(g.nodes))
	}
	for i, a := range g.nodes {
		if a.x < 0 || a.y < 0 || a.x+nodeWidth > g.w+0.5 || a.y+nodeHeight > g.h+0.5 {
			t.Fatalf("step %d at %v,%v is outside %v x %v", i, a.x, a.y, g.w, g.h)
		}
		for j, b := range g.nodes[:i] {
			if overlap(a, b) {
				t.Fatalf("steps %d and %d overlap", i, j)
			}
		}
	}
	for _, e := range g.edges {
		from, to := g.nodes[e.from], g.nodes[e.to]
		if !e.back && from.layer >= to.layer {
			t.Fatalf("edge %d to %d does not lead on", e.from, e.to)
		}
		if want := to.layer - from.layer - 1; !e.back && len(e.via) != want {
			t.Fatalf("edge %d to %d crosses %d layers by %d points", e.from, e.to, want, len(e.via))
		}
		for k, y := range e.via { // a long edge passes no step on its way
			for _, n := range g.nodes {
				if n.layer == from.layer+1+k && float64(y) > n.y && float64(y) < n.y+nodeHeight {
					t.Fatalf("edge %d to %d runs through a step", e.from, e.to)
				}
			}
		}
	}
}

func TestLayoutOfModel(t *testing.T) {
	f := orders(t)
	g := Layout(f.Flow, f.Health.Edges)
	checkGraph(t, g, len(f.Flow.Steps))
	for _, straight := range []int{0, 1, 2, 3, 5, 6, 8} { // what every order passes, on one line
		if g.nodes[straight].slot != 0 {
			t.Errorf("step %s is not on the straight line", f.Flow.Steps[straight].ID)
		}
	}
	declined := g.nodes[9]
	if declined.layer != 2 {
		t.Errorf("declined stands in layer %d, not behind the payment", declined.layer)
	}
	if !reflect.DeepEqual(g, Layout(f.Flow, f.Health.Edges)) {
		t.Error("the same flow is laid out in two ways")
	}
}

// TestLayoutWithoutModel uses observed edges: rare ones and the way back do not bend it.
func TestLayoutWithoutModel(t *testing.T) {
	f := &flows.Flow{Name: "mined", Title: "Mined"}
	for _, id := range []string{"c", "a", "b", "d"} {
		f.Steps = append(f.Steps, flows.Step{ID: id, Title: id})
	}
	g := Layout(f, []flows.EdgeHealth{
		{From: "a", To: "b", Count: 100},
		{From: "b", To: "c", Count: 90},
		{From: "c", To: "a", Count: 10},
		{From: "c", To: "d", Count: 80},
		{From: "a", To: "d", Count: 2},
		{From: "b", To: "b", Count: 50},
	})
	checkGraph(t, g, 4)
	layers := []int{g.nodes[1].layer, g.nodes[2].layer, g.nodes[0].layer, g.nodes[3].layer}
	if !reflect.DeepEqual(layers, []int{0, 1, 2, 3}) {
		t.Errorf("a b c d stand in layers %v", layers)
	}
	if len(g.edges) != 4 || !g.hasBack() {
		t.Errorf("%d edges, want the three forward ones and the one back", len(g.edges))
	}
}

func TestLayoutOfAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(20)
		f := &flows.Flow{Name: "random"}
		var edges []flows.EdgeHealth
		for i := range n {
			s := flows.Step{ID: fmt.Sprint(i), Optional: rng.IntN(4) == 0}
			if rng.IntN(6) == 0 {
				s.End = flows.Cancelled
			}
			for range rng.IntN(3) {
				if i > 0 {
					s.After = append(s.After, rng.IntN(i))
				}
			}
			f.Steps = append(f.Steps, s)
			for range rng.IntN(4) {
				edges = append(edges, flows.EdgeHealth{From: fmt.Sprint(rng.IntN(n)), To: fmt.Sprint(i), Count: 1 + rng.IntN(100)})
			}
		}
		checkGraph(t, Layout(f, edges), n)
		for i := range f.Steps {
			f.Steps[i].After = nil
		}
		checkGraph(t, Layout(f, edges), n)
	}
}

// TestLayoutOfManySteps: 200 steps are a flow that a business has.
func TestLayoutOfManySteps(t *testing.T) {
	f := &flows.Flow{Name: "long"}
	for i := range 200 {
		s := flows.Step{ID: fmt.Sprint(i)}
		if i > 0 {
			s.After = []int{i - 1}
		}
		if i > 10 {
			s.After = append(s.After, i-7)
		}
		f.Steps = append(f.Steps, s)
	}
	begun := time.Now()
	checkGraph(t, Layout(f, nil), 200)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("laid out in %v", took)
	}
}
