package engine

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throughline/flows"
)

// Rows whose memory is that of rows given back are those of an engine that gets none back,
// while others are on their way as those are written.
func TestRowsInUsedMemory(t *testing.T) {
	s := set(t, sixOfSeven)
	used, fresh := New(s), New(s)
	used.Roll(0)
	fresh.Roll(0)
	var written Rows
	for step := range 6 {
		var batch []flows.Signal
		for order := range 40 + step { // some rows are longer than what stood there before
			batch = append(batch, orderSignal(s, order, step, 0))
		}
		used.Apply(batch, 0)
		fresh.Apply(batch, 0)
		used.Reuse(written) // after the next ones were begun
		written = used.Take()
		want := fresh.Take()
		if diff := gocmp.Diff(want.Instances, written.Instances, cmpopts.EquateEmpty()) + gocmp.Diff(want.Occurrences, written.Occurrences); diff != "" {
			t.Fatalf("step %d: %s", step, diff)
		}
	}
	before := cap(used.out.rows)
	used.Reuse(written)
	used.Take()
	if cap(used.out.rows) < before || cap(used.out.rows) == 0 {
		t.Errorf("room for %d rows, that of those given back is not used", cap(used.out.rows))
	}
}
