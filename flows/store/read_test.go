package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throughline/flows"
)

const orders = `
flow: orders
key: order_id
links: [invoice_id]
value: {amount: total, currency: currency}
segments: [region, "odd'name"]
idle: 12h
expire: 10d
holds: [{id: on-hold, from: {event: order.held}, until: {event: order.released}, at_most: 1d}]
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: paid, system: bank, match: {span: order.paid}, after: placed, within: 1h}
  - {id: shipped, system: carrier, match: {event: order.shipped}, after: paid, within: 2h, each: parcel_id, expect: "odd'parcels", end: completed}
  - {id: cancelled, match: {event: order.cancelled}, end: cancelled}
`

var epoch = flows.At(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))

// world is a flow whose instances are known beside the store.
type world struct {
	flow *flows.Flow
	all  map[string][]flows.Occurrence
	now  flows.Time
}

// makeWorld writes random instances over 20 days, as the engine would, with rows that were
// replaced and rows that were taken back.
func makeWorld(t *testing.T, s *Store, instances int) *world {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	w := &world{flow: parseFlow(t, []byte(orders)), all: make(map[string][]flows.Occurrence), now: epoch.Add(20 * 24 * time.Hour)}
	var stale, rows []flows.OccurrenceRecord
	for i := range instances {
		key := fmt.Sprintf("it's\t%d", i) // a quote and a tab, since keys go into parameters
		at := epoch.Add(time.Duration(r.Int64N(int64(20 * 24 * time.Hour))))
		for j := range 1 + r.IntN(5) {
			o := randomOccurrence(r, at, fmt.Sprintf("%d-%d", i, j))
			if i%3 == 0 {
				o.AsOf = w.now.Add(-36 * time.Hour)
			}
			w.all[key] = append(w.all[key], o)
			rows = append(rows, w.flow.OccurrenceRecord(key, o))
			at = at.Add(time.Duration(r.Int64N(int64(8 * time.Hour))))
			if r.IntN(4) == 0 { // an earlier row of this signal, and one that was taken back
				o.Failed = !o.Failed
				stale = append(stale, w.flow.OccurrenceRecord(key, o))
				o.ID += "-moved"
				gone := w.flow.OccurrenceRecord(key, o)
				stale = append(stale, gone)
				gone.Deleted = true
				rows = append(rows, gone)
			}
		}
	}
	for version, chunk := range [][]flows.OccurrenceRecord{stale, rows} {
		if err := s.WriteOccurrences(t.Context(), uint64(version), chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WriteInstances(t.Context(), 1, w.records(w.now, false)); err != nil {
		t.Fatal(err)
	}
	return w
}

func randomOccurrence(r *rand.Rand, at flows.Time, id string) flows.Occurrence {
	o := flows.Occurrence{
		Step: min(r.IntN(9), 6), At: at, Start: at.Add(-time.Duration(r.IntN(3)) * time.Minute), Failed: r.IntN(8) == 0, Sampled: r.IntN(8) == 0,
		Source: "/test", ID: id, Sequence: fmt.Sprint(r.IntN(20)), System: "s",
	}
	if o.Step == 2 {
		o.Child = []string{"", "it's 1", "2"}[r.IntN(3)]
	}
	if r.IntN(3) == 0 {
		o.Expect = []string{fmt.Sprint(r.IntN(3))}
	}
	if o.Step == 6 { // a resolution
		o.Expect, o.Failed, o.Sampled = nil, false, false
		return o
	}
	if o.Step == 0 || r.IntN(3) == 0 {
		o.Segments = []string{[]string{"EU", "US", ""}[r.IntN(3)], []string{"", "1:2"}[r.IntN(2)]}
		o.Amount = flows.SmallAmount(r.Int64N(100_000), -2)
		o.Currency = "EUR"
		if o.Segments[0] == "" && o.Segments[1] == "" {
			o.Segments = nil
		}
	}
	return o
}

// records are the instances folded in memory.
func (w *world) records(now flows.Time, hindsight bool) (records []flows.InstanceRecord) {
	w.each(now, hindsight, func(key string, judged flows.Time, imported bool, in *flows.Instance) {
		r := w.flow.Record(key, in, judged)
		r.Imported = imported
		records = append(records, r)
	})
	return records
}

func (w *world) each(now flows.Time, hindsight bool, visit func(string, flows.Time, bool, *flows.Instance)) {
	for key, occurrences := range w.all {
		var seen []flows.Occurrence
		live := 0
		for _, o := range occurrences {
			if !hindsight || o.At <= now {
				seen = append(seen, o)
			}
		}
		for _, o := range seen {
			if o.AsOf == 0 {
				live++
			}
		}
		if !w.flow.Exists(seen) {
			continue
		}
		judged := now
		if !hindsight {
			judged = flows.Clock(seen, now)
		}
		in := w.flow.Fold(seen, judged)
		visit(key, judged, live == 0, &in)
	}
}

// health counts every instance in memory.
func (w *world) health(window flows.Window, region string) flows.Health {
	tally, gauges, first := flows.NewTally(w.flow), flows.NewGauges(w.flow), window.To
	w.each(window.To, window.Hindsight, func(_ string, judged flows.Time, _ bool, in *flows.Instance) {
		if region != "" && (in.Segments == nil || in.Segments[0] != region) {
			return
		}
		first = min(first, in.StartedAt)
		flows.CountInstance(in, 1, func(t flows.Time) *flows.Tally {
			if t >= window.From && t < window.To {
				return tally
			}
			return nil
		})
		if in.State.InFlight() {
			gauges.Count(in, judged, 1)
			gauges.Age.Add(max(0, judged.Sub(in.StartedAt)))
		}
	})
	if window.From == flows.NoTime {
		return w.flow.Health(tally, gauges, window.To, 0, window.To.Sub(first))
	}
	return w.flow.Health(tally, gauges, window.To, window.To.Sub(window.From), window.To.Sub(window.From))
}

func TestHealthEqualsTheFoldOfEverything(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 400)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 24 {
		window := flows.Window{From: flows.NoTime, To: w.now, Hindsight: i%2 == 0}
		if window.Hindsight {
			window.To = epoch.Add(time.Duration(r.Int64N(int64(25 * 24 * time.Hour))))
		}
		if i%3 > 0 {
			window.From = window.To.Add(-time.Duration(r.Int64N(int64(5 * 24 * time.Hour))))
		}
		region, cut := "", ""
		if i%4 == 3 {
			region, cut = "EU", "region:EU"
		}
		got, err := s.Health(t.Context(), w.flow, window, cut)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, w.health(window, region)), asJSON(t, got)); diff != "" {
			t.Errorf("window %v segment %q: -want +got\n%s", window, cut, diff)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestInstancesPageThroughAll(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 120)
	for _, query := range []flows.InstanceQuery{
		{Since: flows.NoTime, At: flows.NoTime},
		{Since: flows.NoTime, At: flows.NoTime, States: []flows.State{flows.Stuck, flows.Open}},
		{Since: w.now.Add(-5 * 24 * time.Hour), At: flows.NoTime},
		{Since: flows.NoTime, At: flows.NoTime, Step: "paid"},
		{Since: flows.NoTime, At: epoch.Add(7 * 24 * time.Hour)},
		{Since: flows.NoTime, At: epoch.Add(7 * 24 * time.Hour), States: []flows.State{flows.Stuck}, Step: "shipped"},
		{Since: epoch.Add(6 * 24 * time.Hour), At: epoch.Add(7 * 24 * time.Hour)},
	} {
		for _, sort := range []flows.Sort{"", flows.SortAge, flows.SortStarted, flows.SortValue, flows.SortKey} {
			query.Sort = sort
			checkPages(t, s, w, query)
		}
	}
}

// TestWhatEndedIsInNoListOfWhatIsInFlight writes instances that were stuck, and then anew as they are: the
// rows from before must bring nothing back, and hide nothing.
func TestWhatEndedIsInNoListOfWhatIsInFlight(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 60)
	before := w.records(w.now, false)
	for i := range before {
		before[i].State, before[i].EndedAt = flows.Stuck, flows.NoTime
	}
	after := w.records(w.now, false)
	if err := errors.Join(s.WriteInstances(t.Context(), 2, before), s.WriteInstances(t.Context(), 3, after)); err != nil {
		t.Fatal(err)
	}
	for _, states := range [][]flows.State{{flows.Stuck}, {flows.Open, flows.Held, flows.Stuck, flows.Unknown}} {
		checkPages(t, s, w, flows.InstanceQuery{Since: flows.NoTime, At: flows.NoTime, States: states})
	}
	inFlight := 0
	for i := range after {
		if after[i].State.InFlight() {
			inFlight++
		}
	}
	read := 0
	err := s.InstanceStates(t.Context(), w.flow.Name, flows.At(time.Now().Add(time.Hour)), func(r flows.InstanceRecord) error {
		if read++; !r.State.InFlight() {
			t.Errorf("%s is %s", r.Key, r.State)
		}
		return nil
	})
	if err != nil || read != inFlight || inFlight == 0 || inFlight == len(after) {
		t.Errorf("%d of %d instances were read, of %d that are in flight: %v", read, len(after), inFlight, err)
	}
}

func checkPages(t *testing.T, s *Store, w *world, query flows.InstanceQuery) {
	t.Helper()
	now, hindsight := query.At, true
	if query.At == flows.NoTime {
		now, hindsight = w.now, false
	}
	want := w.records(now, hindsight)
	want = slices.DeleteFunc(want, func(r flows.InstanceRecord) bool {
		waits := slices.ContainsFunc(r.WaitingOn, func(wait flows.WaitingRecord) bool { return wait.Step == query.Step })
		return len(query.States) > 0 && !slices.Contains(query.States, r.State) || r.LastAt < query.Since ||
			query.Step != "" && !waits
	})
	slices.SortFunc(want, func(a, b flows.InstanceRecord) int {
		x, y := &a, &b
		switch query.Sort {
		case flows.SortStarted:
			if x.StartedAt != y.StartedAt {
				return int(min(1, max(-1, y.StartedAt-x.StartedAt)))
			}
		case flows.SortValue:
			if x.Amount.Valid != y.Amount.Valid {
				return map[bool]int{true: -1, false: 1}[x.Amount.Valid]
			}
			if c := y.Amount.Decimal().Cmp(x.Amount.Decimal()); c != 0 {
				return c
			}
		case flows.SortKey:
		default:
			if c := waitingSince(x) - waitingSince(y); c != 0 {
				return int(min(1, max(-1, c)))
			}
		}
		return strings.Compare(x.Key, y.Key)
	})
	var got []flows.InstanceRecord
	query.Limit = 7
	for {
		page, err := s.Instances(t.Context(), w.flow, query)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Instances...)
		if query.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%+v: -want +got\n%s", query, diff)
	}
}

func TestBadQuestions(t *testing.T) {
	s := openStore(t)
	f := parseFlow(t, []byte(orders))
	ask := func(q flows.InstanceQuery) error {
		q.Since, q.At = flows.NoTime, flows.NoTime
		_, err := s.Instances(t.Context(), f, q)
		return err
	}
	byKey, err := encodeCursor(place{Sort: flows.SortKey, Key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	_, badSegment := s.Health(t.Context(), f, flows.Window{From: flows.NoTime}, "colour:red")
	_, _, badTimeline := s.Timeline(t.Context(), nil, flows.Key{Type: "a", Value: "b"}, 10, "?")
	_, _, noMoment := s.Timeline(t.Context(), nil, flows.Key{Type: "a", Value: "b"}, 10, "e30")
	_, badLimit := s.Variants(t.Context(), f, flows.NoTime, flows.NoTime, -1)
	for field, errs := range map[string][]error{
		"limit":   {ask(flows.InstanceQuery{Limit: flows.MaxListed + 1}), ask(flows.InstanceQuery{Limit: -1}), badLimit},
		"cursor":  {ask(flows.InstanceQuery{Cursor: "%"}), ask(flows.InstanceQuery{Cursor: "e30x"}), ask(flows.InstanceQuery{Cursor: byKey}), badTimeline, noMoment},
		"sort":    {ask(flows.InstanceQuery{Sort: "colour"})},
		"segment": {badSegment},
	} {
		for i, err := range errs {
			var input *flows.InputError
			if !errors.As(err, &input) || input.Field != field {
				t.Errorf("%s %d: %v, want an InputError", field, i, err)
			}
		}
	}
}

func TestPathsWithBounds(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 200)
	from, to := epoch.Add(5*24*time.Hour), epoch.Add(9*24*time.Hour)
	instances, starts, ends, edges := 0, 0, 0, 0
	w.each(w.now, false, func(_ string, _ flows.Time, _ bool, in *flows.Instance) {
		if len(in.Path) > 0 && in.StartedAt >= from && in.StartedAt < to {
			instances++
		}
		for i, at := range in.Times {
			if at < from || at >= to {
				continue
			}
			if i == 0 {
				starts++
			} else {
				edges++
			}
			if i == len(in.Times)-1 {
				ends++
			}
		}
	})
	v, err := s.Variants(t.Context(), w.flow, from, to, maxPage)
	if err != nil {
		t.Fatal(err)
	}
	counted, share := 0, 0.0
	for _, variant := range v.Variants {
		counted += variant.Count
		share += variant.Share
	}
	equal(t, "instances of variants", counted, instances)
	near(t, "shares", &share, 1, 1e-9)
	df, err := s.DirectlyFollows(t.Context(), w.flow, from, to)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range df.Edges {
		total += e.Count
	}
	equal(t, "edges", total, edges)
	equal(t, "starts", sum(df.Starts), starts)
	equal(t, "ends", sum(df.Ends), ends)
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
