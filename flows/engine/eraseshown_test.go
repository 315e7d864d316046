package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"throughline/flows"
)

const erasableFile = `flow: orders
title: Orders
key: order
links: [buyer]
segments: [buyer, region]
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, match: {event: paid}, after: placed, within: 1m, end: completed}
`

func bought(t *testing.T, s *flows.Set, order, buyer string, at flows.Time) flows.Signal {
	t.Helper()
	sig := flows.Signal{
		Source: "/shop", ID: "placed-" + order, Name: "placed", Time: at, Received: at,
		Data: map[string]any{"order": order, "buyer": buyer, "region": "EU"},
	}
	if err := s.AssignKeys(&sig); err != nil {
		t.Fatal(err)
	}
	return sig
}

// The list of a cohort is sorted by key: an erased one stands where its token belongs, and
// goes from there when its instance goes on.
func TestErasedKeysMoveInTheirCohort(t *testing.T) {
	s := keyedSet(t, "", erasableFile)
	e := New(s)
	e.Roll(0)
	for _, order := range []string{"A", "B", "C", "D"} {
		e.Apply([]flows.Signal{bought(t, s, order, "anna", 0)}, 0)
	}
	now := flows.Time(2 * minute)
	e.Advance(now)
	key := flows.Key{Type: "order", Value: "B"}
	left := bought(t, s, "B", "anna", 0)
	if err := flows.NewEraser(s, key, "X-gone", nil).Erase(&left); err != nil {
		t.Fatal(err)
	}
	longest := func() (keys []string) {
		for _, c := range e.Cohorts() {
			keys = append(keys, c.Keys...)
		}
		return keys
	}
	if got, want := longest(), []string{"A", "B", "C", "D"}; !slices.Equal(got, want) {
		t.Fatalf("the cohort lists %q, want %q", got, want)
	}
	e.Erase(key, "X-gone", []flows.Signal{left}, now)
	if got, want := longest(), []string{"A", "C", "D", "X-gone"}; !slices.Equal(got, want) {
		t.Errorf("the cohort lists %q, want %q", got, want)
	}
	paid := flows.Signal{Source: "/shop", ID: "paid", Name: "paid", Time: now, Received: now, Keys: []flows.Key{{Type: "order", Value: "X-gone"}}}
	e.Apply([]flows.Signal{paid}, now)
	if got, want := longest(), []string{"A", "C", "D"}; !slices.Equal(got, want) {
		t.Errorf("once it is paid the cohort lists %q, want %q", got, want)
	}
	checkBooks(t, e)
}

// The value of a key that is a segment too is in nothing that is saved once it is erased:
// neither in states nor among the names, which are never forgotten.
func TestErasedSegmentsAreNoNames(t *testing.T) {
	s := keyedSet(t, "", erasableFile)
	e := New(s)
	e.Roll(0)
	var carried []flows.Signal
	key := flows.Key{Type: "buyer", Value: "anna"}
	for i := range 3 {
		sig := bought(t, s, fmt.Sprint("A", i), "anna", 0)
		e.Apply([]flows.Signal{sig}, 0)
		if err := flows.NewEraser(s, key, "gone", nil).Erase(&sig); err != nil {
			t.Fatal(err)
		}
		carried = append(carried, sig)
	}
	saved := func() string {
		var texts []string
		e.BeginSave()
		for !e.Save(0, 1<<30) {
		}
		for _, state := range e.Take().States {
			texts = append(texts, state.Text)
		}
		return strings.Join(append(texts, e.Frame().Names...), " ")
	}
	if !strings.Contains(saved(), "anna") || !slices.Contains(e.Frame().Names, "EU") {
		t.Fatal("this test shows nothing")
	}
	e.Erase(key, "gone", carried, 0)
	if got := saved(); strings.Contains(got, "anna") || !strings.Contains(got, "gone") {
		t.Errorf("saved is %q", got)
	}
}
