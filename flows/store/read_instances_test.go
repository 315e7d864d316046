package store

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// TestListsPassOverReplacedRows stores, for each instance, rows of what it never was before, or no more is: no page of a list may
// take one for the instance, or end too early.
func TestListsPassOverReplacedRows(t *testing.T) {
	s := openStore(t)
	s.fewPlaces = 0
	w := makeWorld(t, s, 40)
	r := rand.New(rand.NewPCG(3, 4))
	all := w.records(w.now, false)
	for range 5 {
		old := slices.Clone(all)
		for i := range old {
			o, other := &old[i], &all[r.IntN(len(all))]
			o.State, o.EndedAt, o.Amount = other.State, other.EndedAt, other.Amount
			o.StartedAt = o.StartedAt.Add(-time.Duration(r.Int64N(int64(100 * time.Hour))))
			o.LastAt = o.LastAt.Add(-time.Duration(r.Int64N(int64(100 * time.Hour))))
		}
		if err := s.WriteInstances(t.Context(), 0, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, sort := range []flows.Sort{flows.SortAge, flows.SortStarted, flows.SortValue, flows.SortKey} {
		checkPages(t, s, w, flows.InstanceQuery{Sort: sort, Since: flows.NoTime, At: flows.NoTime})
	}
	checkPages(t, s, w, flows.InstanceQuery{States: []flows.State{flows.Completed, flows.Stuck}, Since: flows.NoTime, At: flows.NoTime})
	for _, sort := range []flows.Sort{flows.SortAge, flows.SortStarted} {
		checkPages(t, s, w, flows.InstanceQuery{Sort: sort, Since: w.now.Add(-150 * time.Hour), At: flows.NoTime})
		checkPages(t, s, w, flows.InstanceQuery{Sort: sort, States: []flows.State{flows.Completed, flows.Cancelled}, Since: w.now.Add(-300 * time.Hour), At: flows.NoTime})
	}
	if !s.allByTime.Load() {
		t.Error("no list was read in order")
	}
}

// TestCountedByRow asks which instances a number of now counts, of their rows and of their signals: they are the same.
func TestCountedByRow(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 200)
	some, orders := 0, 0
	for _, counted := range flows.AllCounted {
		if _, ok := countedRows(counted); !ok {
			continue
		}
		for _, step := range []string{"", w.flow.Steps[len(w.flow.Steps)-1].ID} {
			for _, over := range []time.Duration{0, 0, 240 * time.Hour, 240 * time.Hour} {
				sort := []flows.Sort{flows.SortStarted, flows.SortAge}[orders%2]
				orders++
				q := flows.InstanceQuery{Counted: counted, Step: step, Over: over, Sort: sort, Since: flows.NoTime, At: flows.NoTime, Limit: maxPage}
				want, err := s.instancesFolded(t.Context(), w.flow, q, w.now, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.instancesNow(t.Context(), w.flow, q, w.now, nil)
				if err != nil {
					t.Fatal(err)
				}
				same := slices.EqualFunc(got, want, func(a, b flows.InstanceRecord) bool {
					return cmp.Compare(a.Key, b.Key) == 0 && a.State == b.State && a.StartedAt == b.StartedAt && a.EndedAt == b.EndedAt
				})
				if !same {
					t.Errorf("%s at %q over %s: %d by row, %d by signals", counted, step, over, len(got), len(want))
				}
				some += len(want)
			}
		}
	}
	if some < 400 {
		t.Errorf("only %d are counted: the test shows nothing", some)
	}
}

// TestInstancesOnAPath asks for the instances that each variant counts, of their rows and of their signals.
func TestInstancesOnAPath(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 60)
	found, err := s.Variants(t.Context(), w.flow, flows.NoTime, flows.NoTime, maxPage)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Variants) < 10 {
		t.Fatalf("only %d variants: the test shows nothing", len(found.Variants))
	}
	for _, v := range found.Variants[:10] {
		q := flows.InstanceQuery{Counted: flows.CountedStarted, Path: v.Steps, Sort: flows.SortStarted, Since: flows.NoTime, At: flows.NoTime, Limit: maxPage}
		rows, err := s.instancesNow(t.Context(), w.flow, q, w.now, nil)
		if err != nil {
			t.Fatal(err)
		}
		signals, err := s.instancesFolded(t.Context(), w.flow, q, w.now, nil)
		if err != nil {
			t.Fatal(err)
		}
		for what, list := range map[string][]flows.InstanceRecord{"row": rows, "signals": signals} {
			others := slices.ContainsFunc(list, func(r flows.InstanceRecord) bool { return !slices.Equal(r.Path, v.Steps) })
			if len(list) != v.Count || others {
				t.Errorf("%v: %d by %s, want %d; others among them: %v", v.Steps, len(list), what, v.Count, others)
			}
		}
	}
}
