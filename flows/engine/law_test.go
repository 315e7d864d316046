package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

const lawFile = `
flow: law
key: order
links: [invoice, parcel, line]
idle: 2h
steps:
  - {id: a, match: {event: a}, start: true}
  - {id: b, match: {span: b}, after: a, within: 15m, repeat: true}
  - {id: c, match: {event: c}, after: b, within: 1h, repeat: true}
  - {id: x, match: {event: a, where: 'attributes.twice == true'}, optional: true, repeat: true}
  - {id: z, match: {event: z}, after: c, end: completed}
`

const lawLines = `
flow: lines
key: line
links: [parcel, order]
steps:
  - {id: a, match: {event: a}, repeat: true}
  - {id: b, match: {span: b}, after: a, within: 15m, repeat: true}
`

const lawTwin = `
flow: twin
key: order
steps:
  - {id: a, match: {event: a}, repeat: true}
`

const lawKeys = `
order: {from: [order, orderNumber], normalise: [trim, upper]}
line: {from: [[order, line_no], line]}
`

const lawCommon = `
order: {from: [order, orderNumber], normalise: [trim, upper], partners: 3}
line: {from: [[order, line_no], line], partners: 4}
invoice: {partners: 2}
parcel: {partners: 1}
`

func keyedSet(t testing.TB, keysFile string, files ...string) *flows.Set {
	t.Helper()
	keys, faults := flows.ParseKeys("keys.yaml", []byte(keysFile))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, err := flows.NewKeyedSet(set(t, files...).Flows(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lawHistory makes signals with everything that correlation speaks of: links, composite
// keys, two environments, traces with ancestors, span links, correlation ids, and, where
// asked for, copies that differ in time, in content, in name, in keys.
func lawHistory(t testing.TB, rng *rand.Rand, s *flows.Set, conflicts bool) []flows.Signal {
	var all []flows.Signal
	environments := []string{"", "", "", "staging"}
	for i := range 3 + rng.IntN(22) {
		sig := lawSignal(rng, fmt.Sprint(i), environments[rng.IntN(len(environments))])
		all = append(all, sig)
		for conflicts && rng.IntN(4) == 0 {
			other := lawSignal(rng, fmt.Sprint(i), environments[rng.IntN(len(environments))])
			if other.Kind == sig.Kind {
				other.ID, other.TraceID, other.SpanID = sig.ID, sig.TraceID, sig.SpanID
				if rng.IntN(2) == 0 {
					other.Time = sig.Time
				}
				all = append(all, other)
			}
		}
	}
	for i := range all {
		if err := s.AssignKeys(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func lawSignal(rng *rand.Rand, id, environment string) flows.Signal {
	pick := func(one int, of int) bool { return rng.IntN(of) < one }
	sig := flows.Signal{
		Source: "test", ID: id, System: "test", Environment: environment, Received: 600 * minute,
		Name: []string{"a", "a", "c", "z", "noise"}[rng.IntN(5)], Time: flows.Time(rng.IntN(60)) * minute,
		Attributes: map[string]any{}, Data: map[string]any{},
	}
	if pick(1, 3) {
		sig.Data[[]string{"order", "orderNumber"}[rng.IntN(2)]] = []string{"p", " P", "q", "r"}[rng.IntN(4)]
	}
	if pick(1, 4) {
		sig.Data["line_no"] = int64(rng.IntN(2))
	}
	if pick(1, 6) {
		sig.Data["line"] = []string{"P:0", "L"}[rng.IntN(2)]
	}
	if pick(1, 3) {
		sig.Data["invoice"] = fmt.Sprint(rng.IntN(3))
	}
	if pick(1, 4) {
		sig.Data["parcel"] = []any{fmt.Sprint(rng.IntN(3)), fmt.Sprint(rng.IntN(3))}[:1+rng.IntN(2)]
	}
	sig.Attributes["twice"] = pick(1, 3)
	switch {
	case pick(1, 3):
		sig.Kind, sig.Name = flows.Span, []string{"b", "b", "other"}[rng.IntN(3)]
		sig.TraceID, sig.SpanID = fmt.Sprint("t", rng.IntN(3)), fmt.Sprint("s", id)
		sig.ID = sig.TraceID + ":" + sig.SpanID
		sig.Sampled = pick(1, 4)
		if pick(2, 3) {
			sig.ParentID = fmt.Sprint("s", rng.IntN(12)) // above, below, itself, or never seen
		}
		if pick(1, 3) {
			sig.Attributes[flows.SpanLinks] = []any{fmt.Sprintf("t%d:s%d", rng.IntN(3), rng.IntN(12))}
		}
	case pick(1, 4):
		sig.TraceID, sig.SpanID = fmt.Sprint("t", rng.IntN(2)), fmt.Sprint("s", rng.IntN(12))
	}
	if sig.Kind == flows.Event && pick(1, 4) {
		sig.Attributes["correlationid"] = fmt.Sprint(rng.IntN(2))
		if pick(1, 2) {
			sig.Attributes["causationid"] = fmt.Sprint(rng.IntN(12))
		}
	}
	return sig
}

// The law of correlation: any permutation, doubling, conflicting copies and batching of the
// same signals give the same instances and the same numbers, bit for bit, and these are
// the ones that the definition gives.
func TestCorrelationLaw(t *testing.T) {
	for name, c := range map[string]struct {
		keys      string
		conflicts bool
		seeds     uint64
	}{
		"conflicts":           {lawKeys, true, 1000},
		"common keys":         {lawKeys + "invoice: {partners: 2}\nparcel: {partners: 1}\n", false, 600},
		"common primary keys": {lawCommon, false, 600},
	} {
		t.Run(name, func(t *testing.T) {
			s := keyedSet(t, c.keys, lawFile, lawLines, lawTwin)
			for seed := range c.seeds {
				rng := rand.New(rand.NewPCG(seed, 7))
				signals := lawHistory(t, rng, s, c.conflicts)
				lawHolds(t, seed, rng, s, signals)
				if t.Failed() {
					return
				}
			}
		})
	}
}

func lawHolds(t *testing.T, seed uint64, rng *rand.Rand, s *flows.Set, signals []flows.Signal) {
	t.Helper()
	now := flows.Time(rng.IntN(300)) * minute
	want := newReference(s, signals).instances()
	var records []flows.InstanceRecord
	var numbers flows.Health
	for try := range 4 {
		mixed := slices.Clone(signals)
		batch := 1000
		var clocks *rand.Rand
		if try > 0 {
			for range rng.IntN(6) {
				mixed = append(mixed, mixed[rng.IntN(len(mixed))])
			}
			rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			batch, clocks = 1+rng.IntN(6), rng
		}
		e, all, health := lawOutcome(t, s, mixed, now, batch, clocks)
		if diff := gocmp.Diff(want, found(e)); diff != "" {
			t.Errorf("seed %d, try %d: -definition +engine\n%s", seed, try, diff)
			return
		}
		if try == 0 {
			records, numbers = all, health
			continue
		}
		if diff := gocmp.Diff(records, all); diff != "" {
			t.Errorf("seed %d, try %d: %s", seed, try, diff)
		}
		if diff := gocmp.Diff(numbers, health); diff != "" {
			t.Errorf("seed %d, try %d: health: %s", seed, try, diff)
		}
		stats := e.Stats()
		if stats.Missed+stats.Far+stats.GivenUp+stats.CommonTraces+stats.TracesForgotten > 0 {
			t.Errorf("seed %d: a bound was reached: %+v", seed, stats)
		}
		checkBooks(t, e)
	}
}

// lawOutcome is outcome with the engine.
func lawOutcome(t testing.TB, s *flows.Set, signals []flows.Signal, now flows.Time, batch int, rng *rand.Rand) (*Engine, []flows.InstanceRecord, flows.Health) {
	e := New(s)
	e.limits.large = batch % 2 * largeFrom // kept unpacked whatever their size, or not
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
		if rng == nil {
			e.Apply(part, clock)
		} else { // nothing may be kept of what comes by the bus
			var memory borrowed
			e.Apply(memory.of(t, part), clock)
			memory.spoil()
		}
		if rng != nil && rng.IntN(2) == 0 && !e.Unfit() {
			restAll(e)
		}
	}
	e.Advance(now)
	all := records(e)
	for i := range all {
		all[i].AsOf = now
		if all[i].State == flows.Stuck {
			all[i].StuckFor = 0
		}
	}
	return e, all, health(e, "law", now)
}

// checkBooks compares what is counted as things change with a recount.
func checkBooks(t *testing.T, e *Engine) {
	t.Helper()
	waiting, ambiguous := len(e.waiting), 0
	for _, h := range e.waiting {
		if h.rest.ambiguous {
			ambiguous++
		}
	}
	if e.stats.Waiting != waiting || e.stats.Ambiguous != ambiguous {
		t.Errorf("stats say %d waiting and %d ambiguous; there are %d and %d", e.stats.Waiting, e.stats.Ambiguous, waiting, ambiguous)
	}
	var sum Coverage
	for _, c := range e.Coverage() {
		sum.Signals, sum.Keyed, sum.Joined = sum.Signals+c.Signals, sum.Keyed+c.Keyed, sum.Joined+c.Joined
		sum.Waiting, sum.Ambiguous, sum.Keyless = sum.Waiting+c.Waiting, sum.Ambiguous+c.Ambiguous, sum.Keyless+c.Keyless
	}
	if sum.Waiting != waiting || sum.Ambiguous != ambiguous || sum.Signals != sum.Joined+sum.Waiting+sum.Keyless {
		t.Errorf("coverage %+v, of %d waiting and %d ambiguous", sum, waiting, ambiguous)
	}
	records := 0
	for _, entry := range e.copies.seen.slots {
		if entry.hash != 0 && entry.ref&isRecord != 0 {
			records++
		}
	}
	if live := int(e.copies.last) - len(e.copies.free); live != records {
		t.Errorf("%d records are live, %d are known", live, records)
	}
	for _, n := range e.copies.instances {
		if n != nil && e.copies.instances[n.index] != n {
			t.Error("an instance has another's number")
		}
	}
}

// lawScene applies signals one by one and compares with the definition.
func lawScene(t *testing.T, s *flows.Set, signals ...flows.Signal) *Engine {
	t.Helper()
	for i := range signals {
		if err := s.AssignKeys(&signals[i]); err != nil {
			t.Fatal(err)
		}
	}
	e := New(s)
	e.Roll(0)
	for i := range signals {
		e.Apply(signals[i:i+1], 0)
		if diff := gocmp.Diff(newReference(s, signals[:i+1]).instances(), found(e)); diff != "" {
			t.Fatalf("after %d signals: -definition +engine\n%s", i+1, diff)
		}
		checkBooks(t, e)
	}
	return e
}

func event(id, name string, at flows.Time, data map[string]any) flows.Signal {
	return flows.Signal{Source: "test", ID: id, Name: name, System: "test", Time: at * minute, Received: 600 * minute, Data: data}
}

func span(trace, id, parent, name string, data map[string]any) flows.Signal {
	return flows.Signal{
		Kind: flows.Span, Source: "svc", System: "svc", ID: trace + ":" + id, TraceID: trace, SpanID: id, ParentID: parent,
		Name: name, Received: 600 * minute, Attributes: data,
	}
}

func TestConflictReachesEveryFlowThatTookTheCopy(t *testing.T) {
	s := keyedSet(t, lawKeys, lawFile, lawTwin)
	lawScene(t, s,
		event("1", "a", 5, map[string]any{"order": "p"}),
		event("1", "a", 4, map[string]any{"order": "p"}),
		event("1", "noise", 3, map[string]any{"order": "p"}),
		event("1", "a", 4, map[string]any{"order": "p"}),
	)
}

func TestAncestorsAcrossTraces(t *testing.T) {
	s := keyedSet(t, lawKeys, lawFile, lawTwin)
	through := span("t0", "s1", "", "b", nil)
	through.Attributes = map[string]any{flows.SpanLinks: []any{"t1:s2"}}
	lawScene(t, s,
		span("t0", "s0", "s1", "b", nil), // below a span
		through,                          // that is linked to one of another trace
		span("t1", "s3", "", "b", map[string]any{"order": "q"}),
		span("t1", "s2", "s3", "b", nil), // which is below one with a key
	)
}
