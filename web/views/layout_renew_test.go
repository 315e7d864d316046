package views

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"throughline/flows"
)

// TestGraphStays: what was laid out once stays as it is while counts come and go, until a step that stood alone is reached.
func TestGraphStays(t *testing.T) {
	f := &flows.Flow{Name: "orders", Steps: []flows.Step{
		{ID: "placed"}, {ID: "paid", After: []int{0}}, {ID: "packed", After: []int{1}}, {ID: "cancelled", End: flows.Cancelled},
	}}
	g := (*Graph)(nil).Renewed(f, nil)
	passed := []flows.EdgeHealth{{From: "placed", To: "paid", Count: 9}, {From: "paid", To: "packed", Count: 8}}
	if g.Renewed(f, passed) != g {
		t.Error("what the file says is laid out anew for a count")
	}
	left := append(passed, flows.EdgeHealth{From: "paid", To: "cancelled", Count: 1})
	reached := g.Renewed(f, left)
	if reached == g || reached.nodes[3].layer != 2 {
		t.Fatalf("a step that is reached for the first time stands in layer %d, not behind the one before", reached.nodes[3].layer)
	}
	if reached.Renewed(f, passed) != reached {
		t.Error("a step moves because nobody came there lately")
	}
	checkGraph(t, reached, 4)
}

// TestGraphWithoutOrderSettles: without `after` a layout is given up when twice as much was seen, and not before.
func TestGraphWithoutOrderSettles(t *testing.T) {
	f := &flows.Flow{Name: "mined", Steps: []flows.Step{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
	seen := func(ab, bc int) []flows.EdgeHealth {
		return []flows.EdgeHealth{{From: "a", To: "b", Count: ab}, {From: "b", To: "c", Count: bc}}
	}
	g := (*Graph)(nil).Renewed(f, seen(10, 10))
	if g.Renewed(f, seen(15, 15)) != g {
		t.Error("laid out anew for a few more")
	}
	if g.Renewed(f, seen(50, 50)) == g {
		t.Error("a first guess stays for ever")
	}
}

// TestEdgesPassLabels: where a step leads to several others, no edge runs through what is written at another.
func TestEdgesPassLabels(t *testing.T) {
	f := &flows.Flow{Name: "fan", Steps: []flows.Step{{ID: "packed", Start: true}}}
	h := flows.Health{Steps: []flows.StepHealth{{Step: "packed", Reached: 4000}}}
	p50 := 4.0
	for i := range 7 { // seven layers make the gaps as small as they get
		f.Steps = append(f.Steps, flows.Step{ID: fmt.Sprint("s", i), After: []int{i}})
	}
	for i := range 3 {
		f.Steps = append(f.Steps, flows.Step{ID: fmt.Sprint("b", i), After: []int{0}, Optional: true})
	}
	for _, s := range f.Steps[1:] {
		h.Steps = append(h.Steps, flows.StepHealth{Step: s.ID, Reached: 999, Latency: flows.Distribution{P50: &p50}})
	}
	g := Layout(f, nil)
	d := draw(FlowDetail{Now: FlowNow{Flow: f, Health: h}, Graph: g})
	branches := 0
	for i, e := range g.edges {
		path, at, anchor := edgePath(g, e)
		if g.nodes[e.to].y <= g.nodes[e.from].y {
			continue
		}
		branches++
		_, turn, _ := strings.Cut(path, "Q")
		trunk, _ := strconv.ParseFloat(strings.Fields(turn)[0], 64)
		width, _ := strconv.ParseFloat(d.edges[i].width, 64)
		wide := 7.0 * float64(max(letters(d.edges[i].label), letters(d.edges[i].note)))
		if left := at.x - wide; anchor != "end" || left < trunk+width/2 {
			t.Errorf("%q and %q begin at %v, and edges run down at %v", d.edges[i].label, d.edges[i].note, left, trunk)
		}
	}
	if branches != 3 {
		t.Fatalf("%d edges lead down", branches)
	}
}
