package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

const spillFile = `
flow: sale
key: order
links: [parcel]
expire: 6h
steps:
  - {id: sold, match: {event: sold}, start: true}
  - {id: sent, match: {event: sent}, after: sold}
`

func parcelSent(n int, at flows.Time) flows.Signal {
	return event(fmt.Sprint("sent", n), "sent", at, map[string]any{"parcel": fmt.Sprint(n)})
}

func parcelSold(n int, at flows.Time) flows.Signal {
	return event(fmt.Sprint("sold", n), "sold", at, map[string]any{"order": fmt.Sprint(n), "parcel": fmt.Sprint(n)})
}

// spilled is a scene in which all of some signals wait on disk.
func spilled(t *testing.T, n int) *leavingScene {
	t.Helper()
	l := newLeavingScene(t, keyedSet(t, "", spillFile))
	l.now = 10 * minute
	for i := range n {
		l.send(parcelSent(i, 1))
	}
	l.save()
	l.e.limits.spill = 0
	for range 3 { // it looks at some each time
		l.e.Evict(l.now, n)
		rows := l.e.Take()
		l.store.write(rows)
		l.e.Leave(rows.Evicted)
		l.store.write(l.e.Take())
	}
	l.e.limits.spill = SpillFrom
	if s := l.e.Stats(); s.Waiting != 0 || s.Spilled != n || s.AtRest != 0 || l.e.graph.byKey.used != 0 || l.e.copies.seen.used != 0 || len(l.store.evicted) != n {
		t.Fatalf("%+v; %d keys, %d signals, %d stored", s, l.e.graph.byKey.used, l.e.copies.seen.used, len(l.store.evicted))
	}
	return l
}

func (l *leavingScene) covers(want Coverage) {
	l.Helper()
	for _, c := range l.e.Coverage() {
		if c.Name == "sent" {
			want.Flow, want.System, want.Name, want.Missing = c.Flow, c.System, c.Name, c.Missing
			if diff := gocmp.Diff(want, c); diff != "" {
				l.Error(diff)
			}
			return
		}
	}
	l.Errorf("no coverage of what was sent")
}

// What waits among too many leaves memory, and is there when it is linked.
func TestWhatWaitsAmongTooManyIsSpilled(t *testing.T) {
	l := spilled(t, 10)
	l.covers(Coverage{Signals: 10, Keyed: 10, Waiting: 10})
	l.send(parcelSold(3, 20), parcelSold(7, 20), parcelSent(3, 1)) // the last is a copy
	l.covers(Coverage{Signals: 10, Keyed: 10, Waiting: 8, Joined: 2})
	if r := one(t, l.e, "3"); len(r.Path) != 2 || l.e.Stats().Spilled != 8 {
		t.Errorf("found %v, %d on disk", r.Path, l.e.Stats().Spilled)
	}
	l.holds()
	l.covers(Coverage{Signals: 10, Keyed: 10, Waiting: 8, Joined: 2})
}

// What waits on disk is given up when its time has come, and counted within the hour.
func TestWhatWaitsOnDiskIsGivenUpInTime(t *testing.T) {
	l := spilled(t, 2)
	l.now = 960*minute + 1 // six hours after it was received
	l.e.Advance(l.now)
	l.send(parcelSold(0, 370))
	if r := one(t, l.e, "0"); len(r.Path) != 1 {
		t.Errorf("what was given up came back: %v", r.Path)
	}
	l.covers(Coverage{Signals: 2, Keyed: 2, Waiting: 1, GivenUp: 1})
	l.now = 1020 * minute
	l.e.Advance(l.now)
	l.covers(Coverage{Signals: 2, Keyed: 2, GivenUp: 2})
	l.send(parcelSold(1, 370))
	if r := one(t, l.e, "1"); len(r.Path) != 1 || l.e.Stats().GivenUp != 2 {
		t.Errorf("what was given up came back: %v, or is counted twice: %+v", r.Path, l.e.Stats())
	}
}

// A signal that came after the last save stays until it is saved: a crash would lose it.
func TestOnlyWhatIsSavedIsSpilled(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", spillFile))
	l.send(parcelSent(1, 1))
	l.e.limits.spill = 0
	l.e.Evict(l.now, math.MaxInt16)
	if rows := l.e.Take(); len(rows.Evicted) != 0 || l.e.Stats().Waiting != 1 {
		t.Errorf("%+v, %+v", rows.Evicted, l.e.Stats())
	}
}

// Whatever waits on disk, the instances are those of the definition.
func TestSpilledLaw(t *testing.T) {
	s := keyedSet(t, lawKeys, lawFile, lawLines)
	count := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 21))
		signals := lawHistory(t, rng, s, false)
		rng.Shuffle(len(signals), func(i, j int) { signals[i], signals[j] = signals[j], signals[i] })
		now := 300 * minute
		e := NewFramed(s, Frame{Key: [2]uint64{seed, 1}})
		e.Roll(now)
		store := &saved{states: map[uint64]State{}, evicted: map[uint64]Evicted{}, begun: -1, frame: Frame{Key: e.Frame().Key}, rolled: RolledSums{}}
		for i := 0; i < len(signals); i++ {
			if missing := e.Missing(signals[i : i+1]); missing != nil {
				store.comeBack(t, e, missing, now)
			}
			e.Apply(signals[i:i+1], now)
			e.limits.spill = rng.IntN(2)
			before := e.Stats().Spilled
			store.step(e, rng, i+1, now)
			count += e.Stats().Spilled - before
			e.limits.spill = SpillFrom
			if rng.IntN(10) == 0 && len(store.frame.Names) > 0 {
				idle := e.idle(signals[:store.at])
				e = store.reopen(t, s, now)
				if missing := e.Missing(idle); missing != nil {
					store.comeBack(t, e, missing, now)
				}
				e.Apply(idle, now)
				i, store.begun = store.at-1, -1
			}
		}
		store.comeBack(t, e, nil, now)
		e.Advance(now)
		if diff := gocmp.Diff(newReference(s, signals).instances(), found(e)); diff != "" {
			t.Fatalf("seed %d: -definition +engine\n%s", seed, diff)
		}
	}
	if count < 100 {
		t.Errorf("only %d were spilled: this shows too little", count)
	}
}

// So many wait in memory as are to; the first to be given up leave first.
func TestSpillLeavesTheFirst(t *testing.T) {
	l := newLeavingScene(t, keyedSet(t, "", spillFile))
	l.e.limits.spill = 5
	for i := range 8 {
		s := parcelSent(i, 1)
		s.Received += flows.Time(i) * minute
		l.send(s)
	}
	l.save()
	l.e.Evict(l.now, 100)
	if s := l.e.Stats(); s.Waiting != 5 || s.Spilled != 3 {
		t.Errorf("%+v", s)
	}
	l.e.Leave(l.e.Take().Evicted)
	for i := range 3 {
		late := parcelSold(i, 2)
		if err := l.set.AssignKeys(&late); err != nil {
			t.Fatal(err)
		}
		if l.e.Missing([]flows.Signal{late}) == nil {
			t.Errorf("%d has not left", i)
		}
	}
}

// What was given up in one flow is still what it is in another: a smaller copy takes its place.
func TestGivenUpInOneFlowOnly(t *testing.T) {
	other := strings.NewReplacer("sale", "long", "expire: 6h", "expire: 90h").Replace(spillFile)
	batch := "flow: batch\nkey: parcel\nsteps:\n  - {id: sent, match: {event: sent}}\n"
	for what, file := range map[string]string{"waits": other, "is in an instance": batch} {
		l := newLeavingScene(t, keyedSet(t, "", spillFile, file))
		l.send(parcelSent(1, 1))
		l.now = 2000 * minute
		l.e.Advance(l.now)
		if l.e.Stats().GivenUp != 1 {
			t.Fatalf("%s: %+v", what, l.e.Stats())
		}
		smaller := parcelSent(1, 0)
		smaller.Data = map[string]any{"parcel": "2"}
		l.send(smaller, parcelSold(1, 3))
		for _, r := range records(l.e) {
			if r.Key == "1" && slices.Contains(r.Path, "sent") && !r.Deleted {
				t.Errorf("%s: a copy that does not count is in %s: %v", what, r.Flow, r.Path)
			}
		}
	}
}

// What is given up takes no memory but for its identity among the last ones.
func TestGivenUpIsForgotten(t *testing.T) {
	s := set(t, linkFile)
	e := New(s)
	e.limits.waiting = 3
	e.Roll(0)
	for i := range 100 {
		e.Apply([]flows.Signal{signal(s, fmt.Sprint(i), "billed", 1, fmt.Sprintf("invoice_id:%d", i))}, 5*minute)
		two := []string{fmt.Sprintf("invoice_id:a%d", i), fmt.Sprintf("shipment_id:a%d", i)}
		e.Apply([]flows.Signal{signal(s, fmt.Sprint("b", i), "billed", 1, two...), signal(s, fmt.Sprint("c", i), "billed", 1, two...)}, 5*minute)
	}
	if e.Stats().GivenUp != 297 || e.graph.byKey.used > 6 || len(e.waiting) != 3 {
		t.Errorf("%d keys of %d that wait: %+v", e.graph.byKey.used, len(e.waiting), e.Stats())
	}
	e.Apply([]flows.Signal{signal(s, "0", "billed", 1, "invoice_id:0")}, 5*minute)
	if e.Stats().Duplicates != 1 || len(e.waiting) != 3 {
		t.Errorf("a copy of what was given up waits: %+v", e.Stats())
	}
	e.Apply([]flows.Signal{signal(s, "p", "placed", 10, "order_id:1", "invoice_id:0")}, 10*minute)
	if r := one(t, e, "1"); len(r.Path) != 1 {
		t.Errorf("what was given up is back: %v", r.Path)
	}
}
