package simulate

import (
	"io/fs"
	"testing"

	"throughline/flows"
)

// exampleFlows are the three example files, parsed.
func exampleFlows(t *testing.T) *flows.Set {
	t.Helper()
	files, err := Flows()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*.yaml")
	if err != nil || len(names) != 3 {
		t.Fatalf("flow files %v, %v", names, err)
	}
	var parsed []*flows.Flow
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		flow, faults := flows.Parse(name, b)
		for _, f := range faults {
			t.Error(f)
		}
		parsed = append(parsed, flow)
	}
	if t.Failed() {
		t.FailNow()
	}
	set, err := flows.NewSet(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestExampleFlowsAreGood(t *testing.T) {
	if got := len(exampleFlows(t).Flows()); got != 3 {
		t.Fatalf("%d flows", got)
	}
}
