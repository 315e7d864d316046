package engine

import (
	"fmt"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// leavingScene is an engine whose components leave memory for a store, and come back.
type leavingScene struct {
	*testing.T
	set   *flows.Set
	e     *Engine
	store *saved
	all   []flows.Signal
	now   flows.Time
}

func newLeavingScene(t *testing.T, s *flows.Set) *leavingScene {
	t.Helper()
	e := NewFramed(s, Frame{Key: seedKey})
	e.Roll(0)
	return &leavingScene{
		T: t, set: s, e: e,
		store: &saved{states: map[uint64]State{}, evicted: map[uint64]Evicted{}, frame: Frame{Key: seedKey}, rolled: RolledSums{}},
	}
}

// send applies signals as their owner does: once the store was asked for what they need.
func (l *leavingScene) send(signals ...flows.Signal) {
	l.Helper()
	for i := range signals {
		if err := l.set.AssignKeys(&signals[i]); err != nil {
			l.Fatal(err)
		}
		l.all = append(l.all, signals[i])
		if missing := l.e.Missing(signals[i : i+1]); missing != nil {
			l.store.comeBack(l.T, l.e, missing, l.now)
		}
		l.e.Apply(signals[i:i+1], l.now)
	}
}

func (l *leavingScene) save() {
	l.e.BeginSave()
	for !l.e.Save(l.now, math.MaxInt) {
	}
	l.store.write(l.e.Take())
}

// rest lets a minute pass, so that all that is saved comes to rest.
func (l *leavingScene) rest() {
	l.save()
	l.now = l.now.Add(restAfter)
	l.e.Rest(l.now, math.MaxInt)
}

// evict lets so much time pass that what ended may leave, and stores it.
func (l *leavingScene) evict() []Evicted {
	l.now = l.now.Add(2 * leaveAfter)
	l.e.Advance(l.now)
	l.e.Evict(l.now, math.MaxInt)
	rows := l.e.Take()
	l.store.write(rows)
	return rows.Evicted
}

// leave has all leave that may.
func (l *leavingScene) leave() {
	for range 3 { // what shares a key is joined, comes to rest, and leaves
		l.rest()
		l.e.Leave(l.evict())
		l.store.write(l.e.Take())
	}
}

func (l *leavingScene) inMemory(want int) {
	l.Helper()
	if n := l.e.Stats().Instances; n != want {
		l.Errorf("%d instances in memory, not %d", n, want)
	}
	if n := len(l.store.states); want == 0 && n != 0 {
		l.Errorf("%d states are stored of what left", n)
	}
}

// holds compares all there is, in memory and in the store, with the definition.
func (l *leavingScene) holds() {
	l.Helper()
	l.store.comeBack(l.T, l.e, nil, l.now)
	if diff := gocmp.Diff(newReference(l.set, l.all).instances(), found(l.e)); diff != "" {
		l.Errorf("-definition +engine\n%s", diff)
	}
	l.save()
	equal(l.T, recounted(l.e), l.store.rolled.Clean())
}

const leavingSale = `
flow: sale
key: order
steps:
  - {id: sold, match: {event: sold}, start: true}
  - {id: paid, match: {event: paid}, after: sold, end: completed}
`

const leavingReturn = `
flow: return
key: order
steps:
  - {id: asked, match: {event: asked}, start: true}
  - {id: repaid, match: {event: repaid}, after: asked, end: completed}
`

// An order's instance that ended leaves memory although another flow's of that order is open for
// long after, and is there again for whatever names the order.
func TestWhatEndedLeavesThoughItsKeyIsOpenElsewhere(t *testing.T) {
	order := map[string]any{"order": "p"}
	for what, before := range map[string]func(*leavingScene){
		"one after the other": func(l *leavingScene) {
			l.send(event("1", "sold", 0, order), event("2", "paid", 1, order))
			l.leave()
			l.inMemory(0)
			l.send(event("3", "asked", 2, order))
		},
		"one at rest": func(l *leavingScene) {
			l.send(event("1", "sold", 0, order), event("2", "paid", 1, order))
			l.rest()
			l.send(event("3", "asked", 2, order))
		},
		"both at once": func(l *leavingScene) {
			l.send(event("1", "sold", 0, order), event("2", "paid", 1, order), event("3", "asked", 2, order))
		},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", restarted ", restarted), func(t *testing.T) {
				l := newLeavingScene(t, keyedSet(t, "", leavingSale, leavingReturn))
				leave := func(stay int) {
					t.Helper()
					l.leave()
					if restarted {
						l.e = l.store.reopen(t, l.set, l.now)
						l.leave()
					}
					l.inMemory(stay)
				}
				before(l)
				leave(1)
				late := event("4", "paid", 3, order)
				if err := l.set.AssignKeys(&late); err != nil {
					t.Fatal(err)
				}
				if l.e.Missing([]flows.Signal{late}) == nil {
					t.Error("the store is not asked for what left")
				}
				l.send(late)
				l.inMemory(2)
				leave(1)
				l.send(event("5", "repaid", 4, order))
				l.inMemory(2)
				leave(0)
				l.send(event("6", "sold", 5, order))
				l.inMemory(2)
				l.holds()
			})
		}
	}
}

// A span that is no step stands under an order's key by itself, and so does the order: what
// comes back of the one by its trace leads to the other.
func TestWhatATraceLeadsToLeavesWithIt(t *testing.T) {
	p := map[string]any{"order": "p"}
	for what, c := range map[string]struct{ apart, open bool }{
		"together": {}, "apart": {apart: true}, "apart, and the trace has another that is open": {true, true},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLeavingScene(t, keyedSet(t, lawKeys, lawFile))
			l.send(span("t1", "s1", "", "other", p))
			here := 0
			if c.open {
				here = 1 // the other
				l.send(span("t1", "s0", "", "b", map[string]any{"order": "q"}))
			}
			if c.apart {
				l.rest()
			}
			l.send(event("1", "a", 1, p), event("2", "z", 2, p))
			l.leave()
			l.inMemory(here)
			l.send(span("t1", "s2", "s1", "b", nil))
			l.inMemory(1 + here)
			l.holds()
		})
	}
}

// What becomes joined while it is written as leaving stays.
func TestWhatIsJoinedMeanwhileStays(t *testing.T) {
	order := map[string]any{"order": "p"}
	l := newLeavingScene(t, keyedSet(t, lawKeys, lawFile))
	l.send(span("t1", "s1", "", "other", order))
	l.rest()
	out := l.evict()
	if len(out) != 1 {
		t.Fatalf("%d leave", len(out))
	}
	l.send(event("1", "z", 1, order)) // which looks at instances only
	l.e.Leave(out)
	l.store.write(l.e.Take())
	if len(l.store.evicted) != 0 {
		t.Error("half of what has the key left")
	}
	l.leave()
	l.inMemory(0)
	l.send(span("t1", "s2", "s1", "b", nil))
	l.inMemory(1)
	l.holds()
}

// The store is not asked again for what came back, while that is in memory.
func TestWhatCameBackIsNotAskedFor(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, lawKeys, lawFile))
	all := event("1", "z", 1, map[string]any{"order": "p", "invoice": "1", "line": "L"})
	all.TraceID, all.SpanID = "t1", "s1"
	l.send(all, event("2", "z", 1, map[string]any{"order": "q"}))
	l.leave()
	l.inMemory(0)
	asks := []flows.Signal{
		event("3", "a", 2, map[string]any{"order": "p"}), event("4", "a", 2, map[string]any{"invoice": "1"}),
		event("5", "a", 2, map[string]any{"line": "L"}), span("t1", "s3", "", "other", nil), event("6", "a", 2, map[string]any{"order": "q"}),
	}
	asked := func(want int) {
		t.Helper()
		n := 0
		for i := range asks {
			if err := l.set.AssignKeys(&asks[i]); err != nil {
				t.Fatal(err)
			}
			if l.e.Missing(asks[i:i+1]) != nil {
				n++
			}
		}
		if n != want {
			t.Errorf("%d signals ask the store, not %d", n, want)
		}
	}
	asked(5)
	l.send(event("7", "a", 3, map[string]any{"order": "p"}))
	asked(1)
	l.rest()
	asked(1)
	l.leave()
	asked(5)
	l.holds()
}

// A print is 44 bits of a hash: another component found by it is not the one that left.
func TestAPrintIsNoProof(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale))
	l.send(event("1", "sold", 0, map[string]any{"order": "p"}), event("2", "paid", 1, map[string]any{"order": "p"}))
	l.leave()
	l.send(event("3", "sold", 0, map[string]any{"order": "q"}))
	l.rest()
	late := event("4", "sold", 2, map[string]any{"order": "p"})
	if err := l.set.AssignKeys(&late); err != nil {
		t.Fatal(err)
	}
	hash := l.e.graph.hash(l.e.graph.class(l.set, "", "order"), "p")
	l.e.cells.prints.add(hash, 1)
	if missing := l.e.Missing([]flows.Signal{late}); !slices.Equal(missing, []uint64{hash}) {
		t.Errorf("missing %x", missing)
	}
	for i := range l.all[:2] {
		l.e.cells.prints.add(l.e.copies.hash(l.all[i].Identity()), 1)
	}
	l.store.comeBack(t, l.e, []uint64{hash}, l.now)
	l.inMemory(2)
	l.holds()
}

// A copy wakes what is at rest, and changes nothing: that goes to rest again, and leaves.
func TestWhatACopyWokeRestsAgain(t *testing.T) {
	for what, signal := range map[string]flows.Signal{
		"an instance": event("1", "z", 0, map[string]any{"order": "p"}),
		"keys":        event("1", "noise", 0, map[string]any{"invoice": "1", "parcel": "1"}),
		"a trace":     span("t1", "s1", "", "other", nil),
	} {
		t.Run(what, func(t *testing.T) {
			l := newLeavingScene(t, keyedSet(t, lawKeys, lawFile))
			l.send(signal)
			l.rest()
			l.send(signal)
			if s := l.e.Stats(); s.AtRest != 0 || s.Duplicates != 1 {
				t.Fatalf("%+v", s)
			}
			l.rest()
			if n := l.e.Stats().AtRest; n != 1 {
				t.Errorf("%d at rest", n)
			}
			l.leave()
			if s := l.e.Stats(); s.AtRest != 0 || s.Left == 0 {
				t.Errorf("%d at rest, %d left", s.AtRest, s.Left)
			}
		})
	}
}

// Two that a restart makes one by waking them are stored by one row before they rest.
func TestWhatWakingJoinedIsStoredAsOne(t *testing.T) {
	p := map[string]any{"order": "p"}
	for id := range 8 { // of which some are adopted before the span, some after it
		l := newLeavingScene(t, keyedSet(t, lawKeys, lawFile))
		l.send(span("t1", "s1", "", "other", p))
		l.rest()
		l.send(event(string(rune('A'+id)), "z", 1, p))
		l.save()
		if len(l.store.states) != 2 {
			t.Fatalf("%d states", len(l.store.states))
		}
		l.e = l.store.reopen(t, l.set, l.now)
		l.leave()
		l.inMemory(0)
		l.holds()
	}
}

// What may not leave yet, since its row is owed, does later.
func TestWhatIsOwedLeavesLater(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", leavingSale))
	l.send(event("1", "sold", 0, map[string]any{"order": "p"}), event("2", "paid", 1, map[string]any{"order": "p"}))
	l.rest()
	out := l.evict()
	for in := range l.e.flows["sale"].instances.each() {
		l.e.out.instance(in)
	}
	l.e.Leave(out)
	l.inMemory(1)
	l.leave()
	l.inMemory(0)
}

// A process that ended before it was told to leave what it had stored as evicted finds that
// again beside what the component became since: the roll-ups hold that once.
func TestStaleEvictedIsLeftOut(t *testing.T) {
	order := map[string]any{"order": "p"}
	for what, c := range map[string]struct{ away, reversed bool }{
		"all in memory": {}, "older first": {away: true}, "newer first": {away: true, reversed: true},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLeavingScene(t, keyedSet(t, "", leavingSale))
			last := event("b", "paid", 3, order)
			first := last
			for id := range 100 { // the row is found by the least hash of a signal
				first = event(string(rune('A'+id)), "sold", 1, order)
				if l.e.copies.hash(first.Identity()) < l.e.copies.hash(last.Identity()) {
					break
				}
			}
			l.send(last)
			l.rest()
			stale := l.evict()
			if len(stale) != 1 {
				t.Fatalf("%d leave", len(stale))
			}
			l.store.begun = -1
			l.e = l.store.reopen(t, l.set, l.now) // it was not told
			l.send(first)
			l.save()
			states := []State{stale[0].State}
			if c.away {
				l.leave()
				l.inMemory(0)
				if len(l.store.evicted) != 2 {
					t.Fatalf("%d in the store", len(l.store.evicted))
				}
				for _, out := range l.store.evicted {
					if out.ID != stale[0].ID {
						states = append(states, out.State)
					}
				}
			}
			if c.reversed {
				slices.Reverse(states)
			}
			if err := l.e.Return(states, l.now); err != nil {
				t.Fatal(err)
			}
			l.save()
			if len(l.store.evicted) != 0 {
				t.Errorf("%d are still away", len(l.store.evicted))
			}
			l.holds()
			l.leave()
			l.holds()
		})
	}
}
