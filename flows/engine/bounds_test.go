package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

const linkFile = `
flow: order
key: order_id
links: [invoice_id, shipment_id]
expire: 1h
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: billed, match: {event: billed}, after: placed, within: 1h}
`

// A key with too many partners says nothing: what was placed through it waits again, and
// it is named.
func TestCommonKeyVoidsItsLinksAndIsNamed(t *testing.T) {
	s := set(t, linkFile)
	e := New(s)
	e.Roll(0)
	e.Apply([]flows.Signal{signal(s, "b", "billed", 1, "invoice_id:7")}, 0)
	for i := range flows.DefaultPartners {
		e.Apply([]flows.Signal{signal(s, fmt.Sprint(i), "placed", 0, fmt.Sprintf("order_id:%04d", i), "invoice_id:7")}, 0)
	}
	if r := one(t, e, "0999"); len(r.Path) != 2 || e.Stats().Common != 0 || e.Stats().Waiting != 0 {
		t.Fatalf("at the bound: %v, %+v", r.Path, e.Stats())
	}
	e.Apply([]flows.Signal{signal(s, "one more", "placed", 0, "order_id:more", "invoice_id:7")}, 0)
	if r := one(t, e, "0999"); len(r.Path) != 1 || e.Stats().Common != 1 || e.Stats().Waiting != 1 {
		t.Fatalf("beyond the bound: %v, %+v", r.Path, e.Stats())
	}
	want := []CommonKey{{Key: flows.Key{Type: "invoice_id", Value: "7"}, Limit: flows.DefaultPartners}}
	if diff := gocmp.Diff(want, e.CommonKeys()); diff != "" {
		t.Error(diff)
	}
}

// What waits is bounded in time: it goes when its flow would expire, no earlier.
func TestWaitingEndsWithExpire(t *testing.T) {
	s := set(t, linkFile)
	e := New(s)
	e.Roll(0)
	e.Apply([]flows.Signal{signal(s, "b", "billed", 10, "invoice_id:7")}, 10*minute)
	e.Advance(70 * minute)
	if e.Stats().Waiting != 1 || e.Stats().GivenUp != 0 || e.Next() != 70*minute+1 {
		t.Fatalf("given up early: %+v, next %v", e.Stats(), e.Next())
	}
	e.Advance(70*minute + 1)
	want := []Coverage{{
		Flow: "order", System: "test", Name: "billed", Signals: 1, Keyed: 1, GivenUp: 1,
		Missing: []string{"order_id", "invoice_id", "shipment_id"},
	}}
	if diff := gocmp.Diff(want, e.Coverage()); diff != "" || e.Stats().Waiting != 0 || e.Stats().GivenUp != 1 {
		t.Fatalf("%+v %s", e.Stats(), diff)
	}
	e.Apply([]flows.Signal{signal(s, "p", "placed", 10, "order_id:1", "invoice_id:7")}, 80*minute)
	if r := one(t, e, "1"); len(r.Path) != 1 {
		t.Errorf("what was given up is back: %v", r.Path)
	}
}

// And in number: the one that would go first goes first.
func TestWaitingIsBoundedInNumber(t *testing.T) {
	s := set(t, linkFile)
	e := New(s)
	e.limits.waiting = 3
	e.Roll(0)
	for i, at := range []flows.Time{5, 1, 4, 2, 3} {
		e.Apply([]flows.Signal{signal(s, fmt.Sprint(i), "billed", at, fmt.Sprintf("invoice_id:%d", at))}, 5*minute)
	}
	var left []string
	for _, h := range e.waiting {
		left = append(left, e.graph.at(h.keys[0]).value)
	}
	slices.Sort(left)
	if !slices.Equal(left, []string{"3", "4", "5"}) || e.Stats().GivenUp != 2 {
		t.Errorf("left %v, %+v", left, e.Stats())
	}
}

// A trace with too many signals gives no keys, and says so.
func TestCommonTraceGivesNothing(t *testing.T) {
	s := set(t, lawFile)
	e := New(s)
	e.Roll(0)
	e.Apply([]flows.Signal{keyed(t, s, span("t", "child", "", "b", nil))}, 0)
	var members []flows.Signal
	for i := range maxMembers - 1 {
		members = append(members, keyed(t, s, span("t", fmt.Sprint("s", i), "", "b", map[string]any{"order": "1"})))
	}
	e.Apply(members, 0)
	if c := e.Coverage(); c[0].Joined != maxMembers {
		t.Fatalf("at the bound: %+v", c)
	}
	e.Apply([]flows.Signal{keyed(t, s, span("t", "more", "", "b", map[string]any{"order": "1"}))}, 0)
	if st := e.Stats(); st.CommonTraces != 1 || st.Ambiguous != 1 || st.Waiting != 1 {
		t.Fatalf("beyond the bound: %+v", st)
	}
}

func keyed(t testing.TB, s *flows.Set, sig flows.Signal) flows.Signal {
	t.Helper()
	if err := s.AssignKeys(&sig); err != nil {
		t.Fatal(err)
	}
	return sig
}

// Traces make room for others; what waited in one still finds its key.
func TestForgottenTraces(t *testing.T) {
	s := set(t, lawFile)
	e := New(s)
	e.limits.groups = 2
	e.Roll(0)
	for i := range 5 {
		e.Apply([]flows.Signal{keyed(t, s, span(fmt.Sprint("t", i), "s", "", "b", map[string]any{"order": fmt.Sprint(i)}))}, 0)
	}
	if st := e.Stats(); st.TracesForgotten != 3 || len(e.traces.byID) != 2 {
		t.Errorf("%+v, %d known", st, len(e.traces.byID))
	}
	e.Apply([]flows.Signal{keyed(t, s, span("t4", "late", "", "b", nil)), keyed(t, s, span("t0", "late", "", "b", nil))}, 0)
	if st := e.Stats(); st.Waiting != 1 {
		t.Errorf("%+v", st)
	}
}

// The same signals loaded again for a changed definition, read again after a restart, or
// under more key types, give what a new engine makes of them.
func TestReplayGivesTheSame(t *testing.T) {
	few := keyedSet(t, lawKeys, lawTwin)
	all := keyedSet(t, lawKeys, lawFile, lawLines, lawTwin)
	rekeyed := keyedSet(t, lawKeys+"invoice: {normalise: [upper]}\n", lawFile, lawLines, lawTwin)
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 9))
		signals := lawHistory(t, rng, all, true)
		under := func(s *flows.Set) []flows.Signal {
			list := slices.Clone(signals)
			for i := range list {
				list[i] = keyed(t, s, list[i])
			}
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			return list
		}
		e := New(few)
		e.Roll(0)
		for _, set := range []*flows.Set{few, all, rekeyed} {
			e.Replace(set)
			e.Apply(under(set), 0)
			e.Retire()
			e.Rework(true)
			e.Apply(under(set)[:len(signals)/2], 0)
			e.Rework(false)
			if diff := gocmp.Diff(newReference(set, under(set)).instances(), found(e)); diff != "" {
				t.Fatalf("seed %d, %d flows: -definition +engine\n%s", seed, len(set.Flows()), diff)
			}
			checkBooks(t, e)
			if t.Failed() {
				t.Fatalf("seed %d, %d flows", seed, len(set.Flows()))
			}
		}
	}
}

// One signal takes bounded time, whatever came before: a chain that would join all orders
// into one, a key that all share, signals with as many keys as there may be.
func TestStormsTakeBoundedTime(t *testing.T) {
	s := set(t, linkFile)
	for name, next := range map[string]func(i int) flows.Signal{
		"a chain of links": func(i int) flows.Signal {
			// invoice 0, shipment 0, invoice 1, shipment 1, and so on
			return signal(s, fmt.Sprint(i), "billed", 0, fmt.Sprintf("invoice_id:%d", (i+1)/2), fmt.Sprintf("shipment_id:%d", i/2))
		},
		"a key of all": func(i int) flows.Signal {
			return signal(s, fmt.Sprint(i), "billed", 0, "invoice_id:all", fmt.Sprintf("shipment_id:%d", i))
		},
		"a chain that begins at an order": func(i int) flows.Signal {
			if i == 0 {
				return signal(s, "0", "placed", 0, "order_id:1", "invoice_id:0")
			}
			return signal(s, fmt.Sprint(i), "billed", 0, fmt.Sprintf("invoice_id:%d", i/2), fmt.Sprintf("shipment_id:%d", (i-1)/2))
		},
		"256 keys each": func(i int) flows.Signal {
			sig := signal(s, fmt.Sprint(i), "billed", 0)
			var list []any
			for k := range 255 {
				list = append(list, fmt.Sprint((i%300)*100+k))
			}
			sig.Data["invoice_id"], sig.Data["shipment_id"] = list, fmt.Sprint(i)
			return keyed(t, s, sig)
		},
		"a key of all orders": func(i int) flows.Signal {
			return signal(s, fmt.Sprint(i), "placed", 0, "invoice_id:all", fmt.Sprintf("order_id:%d", i))
		},
	} {
		storms := 1_200
		if name == "256 keys each" {
			storms = 150
		}
		e := New(s)
		e.Roll(0)
		var slowest time.Duration
		began, used := time.Now(), cpuTime()
		for i := range storms {
			sig := next(i)
			at := time.Now()
			e.Apply([]flows.Signal{sig}, 0)
			slowest = max(slowest, time.Since(at))
		}
		t.Logf("%s: %v a signal, the slowest %v, %+v", name, time.Since(began)/time.Duration(storms), slowest, e.Stats())
		for e.Next() == 0 {
			e.Advance(0)
		}
		if st := e.Stats(); st.Unplaced != 0 {
			t.Errorf("%s: %d signals are never placed", name, st.Unplaced)
		}
		if took := cpuTime() - used; took > 60*time.Second { // what others do at the same time is not counted
			t.Errorf("%s: %d signals took %v of CPU", name, storms, took)
		}
	}
}

// An instance takes so many signals and no more, whatever comes: by its own key, or by a
// link. Others go on.
func TestFullInstance(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	e.limits.occurrences = 5
	e.Roll(0)
	e.Apply([]flows.Signal{signal(s, "0", "placed", 0, "order_id:1", "invoice_id:I")}, 0)
	for i := range 10 {
		e.Apply([]flows.Signal{
			signal(s, fmt.Sprint("a", i), "shipped", flows.Time(i), "order_id:1"),
			signal(s, fmt.Sprint("b", i), "shipped", flows.Time(i), "invoice_id:I"),
			signal(s, fmt.Sprint("c", i), "shipped", flows.Time(i), fmt.Sprint("order_id:other", i)),
		}, 0)
	}
	if n := len(one(t, e, "1").Path); n != 5 {
		t.Errorf("%d signals, not 5", n)
	}
	if n := len(records(e)); n != 11 {
		t.Errorf("%d instances, not 11", n)
	}
	if e.stats.Overfull < 10 || len(e.FullInstances()) != 1 || e.FullInstances()[0].Value != "1" {
		t.Errorf("%d not taken, full: %v", e.stats.Overfull, e.FullInstances())
	}
	if restAll(e); e.Stats().AtRest == 0 {
		t.Error("nothing rests")
	}
	e.Apply([]flows.Signal{signal(s, "late", "paid", 3, "order_id:1"), signal(s, "a0", "shipped", 0, "order_id:1")}, 0)
	if n := len(one(t, e, "1").Path); n != 5 {
		t.Errorf("%d signals, not 5", n)
	}
}
