package engine

import (
	"fmt"
	"math"
	"testing"

	"throughline/flows"
)

const contractFile = `
flow: contract
key: contract
steps:
  - {id: signed, match: {event: signed}, start: true}
  - {id: over, match: {event: over}, after: signed, end: completed}
`

const underContract = `
flow: orders
key: order
links: [contract]
steps:
  - {id: sold, match: {event: sold}, start: true}
  - {id: paid, match: {event: paid}, after: sold, end: completed}
`

// What ended under contracts that are open for years takes no memory: neither instances of
// their own key nor those of other keys that are linked to them.
func TestWhatEndsUnderAnOpenKeyDoesNotGrowTheEngine(t *testing.T) {
	const contracts, each = 20, 25
	l := newLeavingScene(t, keyedSet(t, "", contractFile, underContract))
	contract := func(n int) map[string]any { return map[string]any{"contract": fmt.Sprint(n)} }
	size := func() (size int) {
		for _, text := range l.e.cells.list {
			size += len(text)
		}
		return size
	}
	for c := range contracts {
		l.send(event(fmt.Sprint("signed", c), "signed", 0, contract(c)))
	}
	l.leave()
	l.inMemory(contracts)
	alone := size()
	for i := range each {
		for c := range contracts {
			order := contract(c)
			order["order"] = fmt.Sprint(c, "-", i)
			id := fmt.Sprint(c, "-", i)
			l.send(event("sold"+id, "sold", 1, order), event("paid"+id, "paid", 2, order))
		}
		if i%5 != 0 {
			continue
		}
		l.leave()
		l.inMemory(contracts)
		if n := size(); n > 2*alone {
			t.Fatalf("%d bytes at rest after %d orders each, %d before the first", n, i+1, alone)
		}
	}
	l.inMemory(contracts + contracts*each) // the last orders' contracts brought back all before
	l.leave()
	l.inMemory(contracts)
	l.send(event("over", "over", 3, contract(0)))
	l.inMemory(contracts + each)
	l.holds()
	l.leave()
	l.inMemory(contracts - 1)
}

// What is open under a key goes on by its clock while the rest of its component is away, and
// leaves too once it ends by that.
func TestAStubGoesOnByItsClock(t *testing.T) {
	returning := "flow: return\nkey: order\nexpire: 30d\nsteps:\n  - {id: asked, match: {event: asked}, start: true}\n  - {id: repaid, match: {event: repaid}, after: asked, within: 2d, end: completed}\n"
	l := newLeavingScene(t, keyedSet(t, "", leavingSale, returning))
	order := map[string]any{"order": "p"}
	l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), event("3", "asked", 2, order))
	l.leave()
	l.inMemory(1)
	l.now = 3 * 24 * 60 * minute
	l.e.Advance(l.now)
	if r := one(t, l.e, "p"); r.State != flows.Stuck || l.e.Stats().AtRest != 1 {
		t.Errorf("%v, %d at rest", r.State, l.e.Stats().AtRest)
	}
	l.store.write(l.e.Take())
	l.now = 31 * 24 * 60 * minute
	l.e.Advance(l.now)
	if r := one(t, l.e, "p"); r.State != flows.Expired {
		t.Errorf("%v", r.State)
	}
	l.leave()
	l.inMemory(0)
	if len(l.store.evicted) != 1 {
		t.Errorf("%d are stored of what was one", len(l.store.evicted))
	}
	l.send(event("4", "repaid", 3, order))
	l.inMemory(2)
	l.holds()
}

// A stub of which the store lost the rest is all there is of it: it is asked for once.
func TestAStubWhoseRestIsLostGoesOn(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale, leavingReturn))
	order := map[string]any{"order": "p"}
	l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), event("3", "asked", 2, order))
	l.leave()
	clear(l.store.evicted)
	repaid := event("4", "repaid", 3, order)
	if err := l.set.AssignKeys(&repaid); err != nil {
		t.Fatal(err)
	}
	asked := l.e.Missing([]flows.Signal{repaid})
	if asked == nil {
		t.Fatal("the store is not asked")
	}
	l.e.Asked(asked)
	if l.e.Missing([]flows.Signal{repaid}) != nil {
		t.Error("the store is asked again")
	}
	l.e.Apply([]flows.Signal{repaid}, l.now)
	if r := one(t, l.e, "p"); r.State != flows.Completed || l.e.Missing([]flows.Signal{repaid}) != nil {
		t.Errorf("%v", r.State)
	}
}

// Another copy of a signal that carries none of its keys wakes a stub by itself: what names a
// key of it has the rest come back all the same.
func TestAStubWokenByItselfIsAskedForStill(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale, leavingReturn))
	order := map[string]any{"order": "p"}
	asked := event("3", "asked", 2, order)
	l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), asked)
	l.leave()
	later := asked
	later.Time, later.Data, later.Keys = asked.Time+1, nil, nil
	l.e.Apply([]flows.Signal{later}, l.now)
	if s := l.e.Stats(); s.Conflicts != 1 || s.AtRest != 0 {
		t.Fatalf("%+v", s)
	}
	l.inMemory(1)
	l.send(event("4", "paid", 3, order))
	l.inMemory(2)
	l.holds()
}

// The signals of an instance that left count once, however often it comes back for late ones.
func TestCoverageCountsOnceWhatComesBack(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale, leavingReturn))
	order := map[string]any{"order": "p"}
	l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), event("3", "asked", 2, order))
	for i := range 3 {
		l.leave()
		l.send(event(fmt.Sprint("late", i), "sold", 3, order))
	}
	want := map[string]int{"sold": 4, "paid": 1, "asked": 1}
	for _, c := range l.e.Coverage() {
		if n := want[c.Name]; c.Signals != n || c.Keyed != n || c.Joined != n {
			t.Errorf("%+v, not %d", c, n)
		}
	}
	l.e.Evict(l.now, math.MaxInt)
	checkBooks(t, l.e)
}
