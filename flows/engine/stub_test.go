package engine

import (
	"fmt"
	"math"
	"strings"
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
		for _, used := range l.e.cells.prints.used {
			size += 8 * used
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
		if n := size(); n != alone {
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
	l.now = l.now.Add(2 * leaveAfter)
	l.e.Evict(l.now, math.MaxInt)
	l.inMemory(1) // its row is owed
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
	l := newLeavingScene(t, keyedSet(t, "", leavingSale, leavingReturn+"  - {id: seen, match: {span: seen}, optional: true}\n"))
	order := map[string]any{"order": "p"}
	asking := event("3", "asked", 2, order)
	asking.TraceID, asking.SpanID = "t1", "s1"
	l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), asking)
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
	l.send(span("t1", "s2", "s1", "seen", nil)) // which takes its key from what is above it
	if r := one(t, l.e, "p"); r.State != flows.Completed || len(r.Path) != 3 || l.e.Missing([]flows.Signal{repaid}) != nil {
		t.Errorf("%v, %v", r.State, r.Path)
	}
}

// Another copy of a signal that carries none of its keys wakes a stub by itself: what names a
// key of it has the rest come back all the same.
func TestAStubWokenByItselfIsAskedForStill(t *testing.T) {
	t.Run("stored", func(t *testing.T) { wokenByItself(t, false) })
	t.Run("lost", func(t *testing.T) { wokenByItself(t, true) })
}

func wokenByItself(t *testing.T, lost bool) {
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
	again := []flows.Signal{event("4", "paid", 3, order)}
	if err := l.set.AssignKeys(&again[0]); err != nil {
		t.Fatal(err)
	}
	if lost {
		clear(l.store.evicted)
		l.e.Asked(l.e.Missing(again))
	}
	if asked := l.e.Missing(again) != nil; asked == lost {
		t.Errorf("the store is asked: %v", asked)
	}
	l.send(again...)
	if l.inMemory(2); !lost { // else one is anew
		l.holds()
	}
}

// One that ended has the very signals of one that is open: it comes back all the same.
func TestAStubOfTheSameSignalsIsNotAll(t *testing.T) {
	const watch = "flow: watch\nkey: order\nsteps:\n  - {id: sold, match: {event: sold}}\n  - {id: paid, match: {event: paid}, repeat: true}\n"
	for _, awake := range []bool{false, true} {
		l := newLeavingScene(t, keyedSet(t, "", leavingSale, watch))
		order := map[string]any{"order": "p"}
		sold := event("1", "sold", 0, order)
		l.send(sold, event("2", "paid", 1, order))
		l.leave()
		l.inMemory(1)
		if awake {
			sold.Time, sold.Data, sold.Keys = sold.Time+1, nil, nil
			l.e.Apply([]flows.Signal{sold}, l.now)
		}
		l.send(event("3", "paid", 2, order))
		l.inMemory(2)
		l.holds()
	}
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

// An instance that follows on its key is open: all of that key stays, since it is made of it.
func TestWhatFollowsOnAKeyIsOpen(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", strings.Replace(leavingSale, "key: order", "key: order\nreopen: new", 1), leavingReturn))
	order := map[string]any{"order": "p"}
	l.send(
		event("1", "sold", 0, order), event("2", "paid", 1, order), event("3", "sold", 2, order),
		event("4", "asked", 3, order), event("5", "repaid", 4, order),
	)
	l.leave()
	l.inMemory(1) // the return ended
	if in := l.e.flows["sale"].find("p#2"); in == nil || in.openAt < 0 {
		t.Error("what followed is not there, or not open")
	}
	l.send(event("6", "paid", 5, order))
	l.inMemory(2)
	l.leave()
	l.inMemory(0)
}

// An instance that ended in the future stays until the live window has counted it.
func TestWhatIsAheadStaysUntilItIsCounted(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale))
	order := map[string]any{"order": "p"}
	l.send(event("1", "sold", 0, order), event("2", "paid", 40*60, order))
	l.leave()
	l.inMemory(1)
	l.now = 40*60*minute + 1
	l.e.Advance(l.now)
	if h := health(l.e, "sale", l.now); h.Completed != 1 {
		t.Errorf("%d completed", h.Completed)
	}
	l.leave()
	l.inMemory(0)
}
