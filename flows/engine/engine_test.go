package engine

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

const orderFile = `
flow: order
key: order_id
links: [invoice_id, shipment_id]
value: {amount: total, currency: currency}
segments: [region]
idle: 2h
expire: 5h
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, system: payments, match: {event: paid}, after: placed, within: 15m}
  - {id: shipped, system: carrier, match: {event: shipped}, after: placed, within: 1h, repeat: true}
  - {id: billed, system: erp, match: {event: billed}, after: [paid, shipped], within: 30m}
  - {id: settled, match: {event: settled}, after: billed, end: completed}
  - {id: cancelled, match: {event: cancelled}, end: cancelled}
`

const minute = flows.Time(time.Minute)

const never = flows.Time(math.MaxInt64)

func set(t testing.TB, files ...string) *flows.Set {
	t.Helper()
	var all []*flows.Flow
	for i, text := range files {
		f, faults := flows.Parse(fmt.Sprintf("flow%d.yaml", i), []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		all = append(all, f)
	}
	s, err := flows.NewSet(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signal makes an event at a minute with keys such as "order_id:1".
func signal(s *flows.Set, id, name string, at flows.Time, keys ...string) flows.Signal {
	sig := flows.Signal{Source: "test", ID: id, Name: name, System: "test", Time: at * minute, Data: map[string]any{}}
	for _, k := range keys {
		typ, value, _ := strings.Cut(k, ":")
		sig.Data[typ] = value
	}
	if err := s.AssignKeys(&sig); err != nil {
		panic(err)
	}
	return sig
}

func records(e *Engine) []flows.InstanceRecord {
	var all []flows.InstanceRecord
	for _, fs := range e.flows {
		for in := range fs.instances.each() {
			all = append(all, e.record(in))
		}
	}
	slices.SortFunc(all, func(a, b flows.InstanceRecord) int {
		return cmp.Or(cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Environment, b.Environment))
	})
	return all
}

// one is the record of a key, which must be there.
func one(t *testing.T, e *Engine, key string) flows.InstanceRecord {
	t.Helper()
	for _, r := range records(e) {
		if r.Key == key {
			return r
		}
	}
	t.Fatalf("no instance %s", key)
	return flows.InstanceRecord{}
}

func health(e *Engine, flow string, now flows.Time) flows.Health {
	e.Roll(now)
	for _, fs := range e.flows {
		fs.window.aged = flows.NoTime
	}
	h, _ := e.Health(flow, now)
	return h
}

func TestStuckByTimerAloneAndClearedByALateSignal(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	e.Roll(0)
	e.Apply([]flows.Signal{signal(s, "1", "placed", 0, "order_id:A")}, 0)
	due := e.Next()
	if due != 15*minute+1 {
		t.Fatalf("timer at %v", due)
	}
	e.Advance(due - 1)
	if r := one(t, e, "A"); r.State != flows.Open {
		t.Fatalf("fired early: %v", r.State)
	}
	e.Advance(due)
	if r := one(t, e, "A"); r.State != flows.Stuck || r.ReasonStep != "paid" || r.System != "payments" {
		t.Fatalf("got %+v", r)
	}
	if c := e.Cohorts(); len(c) != 1 || c[0].Count != 1 || c[0].Step != "paid" || c[0].Since != 15*minute {
		t.Fatalf("cohorts %+v", c)
	}
	e.Apply([]flows.Signal{signal(s, "2", "paid", 20, "order_id:A")}, 21*minute)
	if r := one(t, e, "A"); r.State != flows.Open || !r.Recovered || r.StuckFor != 5*time.Minute {
		t.Fatalf("got %+v", r)
	}
	if c := e.Cohorts(); len(c) != 0 {
		t.Fatalf("cohorts %+v", c)
	}
}

func TestLinksLateEarlyAndChained(t *testing.T) {
	s := set(t, orderFile)
	signals := []flows.Signal{
		signal(s, "1", "placed", 0, "order_id:A"),
		signal(s, "2", "shipped", 5, "shipment_id:S"),                 // waits for a link
		signal(s, "3", "other", 1, "shipment_id:S", "invoice_id:I"),   // no step: a link only
		signal(s, "4", "another", 2, "invoice_id:I", "order_id:A"),    // ends the chain
		signal(s, "5", "billed", 9, "invoice_id:I"),                   // after the link
		signal(s, "6", "placed", 0, "order_id:B"),                     // not linked to any of it
		signal(s, "7", "collective", 3, "invoice_id:J", "order_id:A"), // of two orders
		signal(s, "8", "collective", 3, "invoice_id:J", "order_id:B"),
		signal(s, "9", "paid", 4, "invoice_id:J"), // belongs to both
	}
	e := New(s)
	e.Roll(0)
	for i := range signals {
		e.Apply(signals[i:i+1], 0)
	}
	if r := one(t, e, "A"); !slices.Equal(r.Path, []string{"placed", "paid", "shipped", "billed"}) {
		t.Errorf("A: %v", r.Path)
	}
	// A's shipment does not go to B, although both share an invoice.
	if r := one(t, e, "B"); !slices.Equal(r.Path, []string{"placed", "paid"}) {
		t.Errorf("B: %v", r.Path)
	}
}

// history makes signals of some orders, with links, copies and copies that differ.
func history(rng *rand.Rand, s *flows.Set) []flows.Signal {
	var all []flows.Signal
	names := []string{"placed", "paid", "shipped", "billed", "settled", "cancelled", "noise"}
	for i := range 3 + rng.IntN(25) {
		var keys []string
		if rng.IntN(3) > 0 {
			keys = append(keys, fmt.Sprintf("order_id:%d", rng.IntN(4)))
		}
		if rng.IntN(2) == 0 {
			keys = append(keys, fmt.Sprintf("invoice_id:%d", rng.IntN(4)))
		}
		if rng.IntN(4) == 0 {
			keys = append(keys, fmt.Sprintf("shipment_id:%d", rng.IntN(3)))
		}
		sig := signal(s, fmt.Sprint(i), names[rng.IntN(len(names))], flows.Time(rng.IntN(120)), keys...)
		sig.Received = 600 * minute // no earlier than any now: none has waited too long
		sig.Failed = rng.IntN(8) == 0
		if rng.IntN(3) == 0 {
			sig.Data["total"], sig.Data["currency"] = int64(rng.IntN(100)), "EUR"
		}
		if rng.IntN(3) == 0 {
			sig.Data["region"] = []string{"EU", "US"}[rng.IntN(2)]
		}
		all = append(all, sig)
	}
	return all
}

// The order law: any permutation, doubling and batching of the same signals gives the
// same instances and the same numbers, bit for bit.
func TestOrderLaw(t *testing.T) {
	s := set(t, orderFile)
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		signals := history(rng, s)
		now := flows.Time(rng.IntN(600)) * minute
		want, wantHealth := outcome(s, signals, now, 1000, nil)
		for range 3 {
			mixed := slices.Clone(signals)
			for range rng.IntN(5) {
				mixed = append(mixed, mixed[rng.IntN(len(mixed))])
			}
			rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			got, gotHealth := outcome(s, mixed, now, 1+rng.IntN(6), rng)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d: %s", seed, diff)
			}
			if diff := gocmp.Diff(wantHealth, gotHealth); diff != "" {
				t.Fatalf("seed %d: health: %s", seed, diff)
			}
		}
	}
}

// outcome applies signals in batches, with the clock moving up to now in between.
func outcome(s *flows.Set, signals []flows.Signal, now flows.Time, batch int, rng *rand.Rand) ([]flows.InstanceRecord, flows.Health) {
	e := New(s)
	clock := now
	if rng != nil {
		clock = 0
	}
	e.Roll(now)
	for part := range slices.Chunk(signals, batch) {
		if rng != nil {
			clock = min(now, clock+flows.Time(rng.IntN(60))*minute)
			e.Advance(clock)
		}
		e.Apply(part, clock)
	}
	e.Advance(now)
	all := records(e)
	for i := range all {
		all[i].AsOf = now // an instance is judged when it changes, not each time now moves
		if all[i].State == flows.Stuck {
			all[i].StuckFor = 0 // goes on with now
		}
	}
	return all, health(e, "order", now)
}

// The numbers kept by differences equal a recount of all instances.
func TestNumbersEqualARecount(t *testing.T) {
	s := set(t, orderFile)
	f, _ := s.Flow("order")
	for seed := range uint64(800) {
		rng := rand.New(rand.NewPCG(seed, 2))
		e := New(s)
		now := flows.Time(0)
		for part := range slices.Chunk(history(rng, s), 3) {
			now += flows.Time(rng.IntN(40)) * minute
			e.Roll(now)
			e.Advance(now)
			e.Apply(part, now)
		}
		got := health(e, "order", now)
		tally, gauges := flows.NewTally(f), flows.NewGauges(f)
		w := e.flows["order"].window
		for in := range e.flows["order"].instances.each() {
			folded := f.Fold(e.occurrences(in), now)
			gauges.Count(&folded, now, 1)
			if folded.State.InFlight() {
				gauges.Age.Add(max(0, now.Sub(folded.StartedAt)))
			}
			flows.CountInstance(&folded, 1, func(at flows.Time) *flows.Tally {
				if slot := slotOf(at); slot < w.first || slot > w.current {
					return nil
				}
				return tally
			})
		}
		want := f.Health(tally, gauges, now, Window, Window)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// Nothing fires early, and everything fires within one call.
func TestTimersMissNothing(t *testing.T) {
	s := set(t, orderFile)
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		e := New(s)
		e.Roll(0)
		e.Apply(history(rng, s), 0)
		for e.Next() < never {
			now := e.Next()
			e.Advance(now)
			for in := range e.flows["order"].instances.each() {
				want := e.flows["order"].flow.Fold(slices.Clone(e.occurrences(in)), now)
				r := e.record(in)
				if r.State != want.State || len(r.WaitingOn) != len(want.WaitingOn) {
					t.Fatalf("seed %d at %v: %s is %v, want %v", seed, now, in.key, r.State, want.State)
				}
			}
		}
	}
}

func TestImportedIsJudgedAtItsOwnClock(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	e.Roll(1000 * minute)
	old := signal(s, "1", "placed", 0, "order_id:A")
	old.AsOf = 10 * minute
	e.Apply([]flows.Signal{old}, 1000*minute)
	r := one(t, e, "A")
	if r.State != flows.Open || !r.Imported || r.AsOf != 10*minute || e.Next() < never {
		t.Fatalf("got %+v, timer %v", r, e.Next())
	}
	e.Apply([]flows.Signal{signal(s, "2", "paid", 990, "order_id:A")}, 1000*minute)
	if r = one(t, e, "A"); r.State == flows.Open || r.Imported {
		t.Fatalf("a live signal brings it to the live clock: %+v", r)
	}
}

func TestTakeOwesEachInstanceOnce(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	e.Roll(0)
	for i, name := range []string{"placed", "paid", "shipped"} {
		e.Apply([]flows.Signal{signal(s, fmt.Sprint(i), name, flows.Time(i), "order_id:A")}, 3*minute)
	}
	rows := e.Take()
	if len(rows.Instances) != 1 || len(rows.Occurrences) != 3 || e.Owed() != 0 {
		t.Fatalf("%d instances, %d occurrences, owed %d", len(rows.Instances), len(rows.Occurrences), e.Owed())
	}
	e.Apply([]flows.Signal{signal(s, "0", "placed", 0, "order_id:A")}, 3*minute)
	if e.Owed() != 0 {
		t.Fatal("a duplicate owes nothing")
	}
	e.Rework(true)
	e.Apply([]flows.Signal{signal(s, "0", "placed", 0, "order_id:A")}, 3*minute)
	if rows := e.Take(); len(rows.Occurrences) != 1 || len(rows.Instances) != 1 {
		t.Fatal("while reading again, a duplicate's rows are owed")
	}
}

func TestReplacedDefinitionRetiresWhatItNoLongerHolds(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	e.Roll(0)
	signals := []flows.Signal{
		signal(s, "1", "placed", 0, "order_id:A"), signal(s, "2", "paid", 1, "order_id:A"), signal(s, "3", "paid", 1, "order_id:B"),
	}
	e.Apply(signals, 0)
	e.Take()
	without := set(t, strings.NewReplacer("  - {id: paid, system: payments, match: {event: paid}, after: placed, within: 15m}\n", "",
		"after: [paid, shipped]", "after: shipped").Replace(orderFile))
	if empty := e.Replace(without); !slices.Equal(empty, []string{"order"}) {
		t.Fatalf("starts empty: %v", empty)
	}
	e.Apply(signals, 0)
	e.Retire()
	rows := e.Take()
	removed := map[string]bool{}
	for _, in := range rows.Instances {
		removed[in.Key] = in.Deleted
	}
	if diff := gocmp.Diff(map[string]bool{"A": false, "B": true}, removed); diff != "" {
		t.Error(diff)
	}
	gone := map[string]bool{}
	for _, o := range rows.Occurrences {
		gone[o.Key+" "+o.StepID] = o.Deleted
	}
	if diff := gocmp.Diff(map[string]bool{"A placed": false, "A paid": true, "B paid": true}, gone); diff != "" {
		t.Error(diff)
	}
}

// TestReplaceAgainBeforeTheHistoryIsApplied is a store that left while it was read.
func TestReplaceAgainBeforeTheHistoryIsApplied(t *testing.T) {
	s := set(t, orderFile)
	e := New(s)
	signals := []flows.Signal{signal(s, "1", "placed", 0, "order_id:A"), signal(s, "2", "placed", 0, "order_id:B")}
	e.Apply(signals, 0)
	changed := set(t, strings.Replace(orderFile, "match: {event: paid}", "match: {event: paid.twice}", 1))
	if empty := e.Replace(changed); len(empty) != 1 {
		t.Fatalf("starts empty: %v", empty)
	}
	e.Apply(signals[:1], 0)
	if empty := e.Replace(changed); len(empty) > 0 {
		t.Errorf("starts empty: %v", empty)
	}
	e.Apply(signals, 0)
	e.Retire()
	if h := health(e, "order", 1); h.InFlight != 2 {
		t.Errorf("%d in flight, want 2", h.InFlight)
	}
}

func TestChangedKeyTypesStartFlowsAnew(t *testing.T) {
	s := set(t, orderFile, strings.NewReplacer("flow: order", "flow: other", "order_id", "other_id", "links: [invoice_id, shipment_id]\n", "").Replace(orderFile))
	e := New(s)
	keys, faults := flows.ParseKeys("keys.yaml", []byte("invoice_id: {normalise: [upper]}"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	keyed, err := flows.NewKeyedSet(s.Flows(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if empty := e.Replace(keyed); !slices.Equal(empty, []string{"order", "other"}) {
		t.Errorf("starts empty: %v", empty) // they share what is known of the keys
	}
	if empty := e.Replace(keyed); len(empty) > 0 {
		t.Errorf("starts empty: %v", empty)
	}
}
