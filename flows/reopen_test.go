package flows

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func again() *Flow {
	return &Flow{Name: "again", Key: "k", Reopen: true, Steps: []Step{
		{ID: "opened", Start: true}, {ID: "worked", After: []int{0}, Repeat: true}, {ID: "closed", After: []int{1}, End: Completed},
	}}
}

func TestPartsBeginWithAStartAfterTheEnd(t *testing.T) {
	f := func(want []int, occurrences ...Occurrence) {
		t.Helper()
		var got []int
		for _, part := range again().Parts(occurrences) {
			got = append(got, len(part))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got parts of %v, want %v", got, want)
		}
	}
	const byHand = 3
	failed := at(0, 5)
	failed.Failed = true
	f([]int{2}, at(0, 0), at(0, 1))                                     // no end between
	f([]int{3}, at(0, 0), at(2, 1), at(1, 5))                           // after the end, and no start
	f([]int{2, 1}, at(0, 0), at(2, 1), at(0, 5))                        //
	f([]int{3, 2}, at(0, 0), at(2, 1), at(1, 4), at(0, 5), at(1, 6))    // what follows the end stays there
	f([]int{2, 2, 1}, at(0, 0), at(2, 1), at(0, 5), at(2, 6), at(0, 7)) //
	f([]int{3}, at(0, 0), at(2, 1), failed)                             // a failed try begins nothing
	f([]int{2, 1}, at(0, 0), at(byHand, 3), at(0, 5))                   // a person's word is an end
	f([]int{2}, at(byHand, 3), at(0, 5))                                // but nothing was there to end
	f([]int{2, 1}, at(0, 5), at(2, 1), at(0, 0))                        // in order, not as they arrived
	plain := again()
	plain.Reopen = false
	if got := plain.Parts([]Occurrence{at(0, 0), at(2, 1), at(0, 5)}); len(got) != 1 {
		t.Error("without `reopen: new` it stays one instance")
	}
}

// What is known of the past does not depend on what came later.
func TestPartsOfAPrefixAreThePrefixOfTheParts(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		c := randomTrial(rng)
		c.flow.Reopen = true
		SortOccurrences(c.signals)
		all := c.flow.Parts(c.signals)
		n := 1 + rng.IntN(len(c.signals))
		for i, part := range c.flow.Parts(c.signals[:n]) {
			if whole := all[i]; len(part) > len(whole) || i < len(all)-1 && len(part) < min(len(whole), n) && i < len(c.flow.Parts(c.signals[:n]))-1 {
				t.Fatalf("seed %d: part %d has %d of %d\n%s", seed, i, len(part), len(whole), &c)
			}
			n -= len(part)
		}
	}
}

// The parts are those of the sentence: a start signal after the end begins another.
func TestPartsAgreeWithTheModel(t *testing.T) {
	several := 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 6))
		c := randomTrial(rng)
		c.flow = &Flow{Name: "f", Reopen: true, Holds: c.flow.Holds, Steps: slices.Clone(c.flow.Steps)}
		steps := c.flow.Steps
		steps[rng.IntN(len(steps))].Start, steps[len(steps)-1].End = true, Completed
		parts := c.flow.Parts(slices.Clone(c.signals))
		var want [][]Occurrence
		var part []Occurrence
		for _, o := range newModel(c.flow, c.signals, c.now, officeHours).signals {
			ended := newModel(c.flow, part, c.now, officeHours).end() >= 0 ||
				slices.ContainsFunc(part, func(o Occurrence) bool { return o.Step == c.flow.resolvedPosition() })
			exists := slices.ContainsFunc(part, func(o Occurrence) bool { return o.Step < c.flow.resolvedPosition() })
			if ended && exists && !o.Failed && o.Step < len(steps) && steps[o.Step].Start {
				want, part = append(want, part), nil
			}
			part = append(part, o)
		}
		want = append(want, part)
		if diff := cmp.Diff(want, parts); diff != "" {
			t.Fatalf("seed %d: -model +parts %s\n%s", seed, diff, &c)
		}
		if len(parts) > 1 {
			several++
		}
	}
	if several < 100 {
		t.Errorf("%d histories with several parts", several)
	}
}

func TestPartKeys(t *testing.T) {
	for key, want := range map[string]struct {
		whole string
		part  int
	}{
		"A": {"A", 0}, "A#2": {"A", 1}, "A#10": {"A", 9}, "A#1": {"A#1", 0}, "A#02": {"A#02", 0}, "A#+2": {"A#+2", 0}, "A#x": {"A#x", 0}, "A#2#3": {"A#2", 2},
	} {
		whole, part := PartOf(key)
		if whole != want.whole || part != want.part || PartKey(whole, part) != key {
			t.Errorf("%s: %s, %d", key, whole, part)
		}
	}
}
