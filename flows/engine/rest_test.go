package engine

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// restAll brings to rest all that may go, and returns how many components did.
func restAll(e *Engine) (n int) {
	var sigs []uint64
	for _, s := range e.copies.seen.slots {
		if s.hash != 0 {
			sigs = append(sigs, s.hash)
		}
	}
	for _, sig := range sigs {
		if m := e.members(sig); m != nil && e.restComponent(m) != 0 {
			n++
		}
	}
	return n
}

// All of a state goes to rest and leaves nothing behind, and comes back as it was.
func TestRestLeavesNothingBehind(t *testing.T) {
	s := set(t, sixSteps)
	e := New(s)
	e.Roll(10 * minute)
	for order := range 10 {
		e.Apply(orderSignals(s, order, 6, 0), 10*minute)
	}
	before := records(e)
	if n := restAll(e); n != 10 {
		t.Errorf("%d components went to rest, not 10", n)
	}
	if e.graph.byKey.used+e.copies.seen.used+len(e.graph.many)+len(e.graph.hung) != 0 {
		t.Errorf("left behind: %d keys, %d signals, %d, %d", e.graph.byKey.used, e.copies.seen.used, len(e.graph.many), len(e.graph.hung))
	}
	equal(t, before, records(e))
	for order := range 10 {
		e.Apply(orderSignals(s, order, 6, 0), 10*minute)
	}
	equal(t, before, records(e))
	if e.stats.Duplicates != 60 {
		t.Errorf("%d duplicates, not 60", e.stats.Duplicates)
	}
	if restAll(e) != 10 {
		t.Error("not all went to rest again")
	}
}

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
