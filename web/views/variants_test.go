package views

import (
	"testing"

	"throughline/flows"
)

// TestOtherwise: a path that does not conform is called by what became of it, not by a guess.
func TestOtherwise(t *testing.T) {
	f := &flows.Flow{Name: "orders", Steps: []flows.Step{{ID: "placed"}, {ID: "shipped"}, {ID: "settled", End: flows.Completed}, {ID: "declined", End: flows.Failed}, {ID: "cancelled", End: flows.Cancelled}}}
	v := VariantList{Now: FlowNow{Flow: f}}
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"placed"}, "at no end: in flight, or given up"},
		{[]string{"shipped", "placed", "settled"}, "completed, not as the model says"},
		{[]string{"placed", "declined"}, "ended as failed"},
		{[]string{"placed", "cancelled", "shipped"}, "ended as cancelled"},
		{[]string{"gone"}, "at no end: in flight, or given up"},
	} {
		if got := v.otherwise(c.path); got != c.want {
			t.Errorf("%v: %q, want %q", c.path, got, c.want)
		}
	}
}
