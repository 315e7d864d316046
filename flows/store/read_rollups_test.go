package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// roll writes the roll-ups of a world, in several parts, some of which take back what others
// said. Some of what ended keeps another version.
func (w *world) roll(t *testing.T, s *Store) {
	t.Helper()
	kept := map[string]bool{}
	var old []flows.InstanceRecord
	for i, r := range w.records(w.now, false) {
		if i%4 == 0 && !r.State.InFlight() {
			r.Version = "old"
			kept[r.Key] = true
			old = append(old, r)
		}
	}
	if err := s.SaveFlowVersion(t.Context(), FlowVersion{Flow: w.flow.Name, Version: "old"}); err != nil { // as before any row of it
		t.Fatal(err)
	}
	if err := s.WriteInstances(t.Context(), math.MaxInt64, old); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var first, second, third []RollUpRow
	add := func(to *[]RollUpRow, generation uint64, before, after []flows.Occurrence) {
		rolled := flows.NewRollUps(w.flow)
		rolled.Change(&flows.Instance{}, slices.Clone(before), slices.Clone(after))
		for _, change := range rolled.Take() {
			*to = append(*to, RollUpRow{w.flow.Name, generation, change})
		}
	}
	for key, occurrences := range w.all {
		if kept[key] {
			continue
		}
		some := occurrences[:rng.IntN(len(occurrences)+1)]
		add(&first, 7, nil, some)
		add(&second, 7, some, occurrences)
		add(&third, 6, nil, occurrences) // of a generation that is no more
	}
	for i, part := range [][]RollUpRow{first, second, first, third} {
		if err := s.WriteRollUps(t.Context(), []string{"a", "b", "a", "c"}[i], part); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WriteRollUpGenerations(t.Context(), 1, []RollUpGeneration{{w.flow.Name, 7, w.flow.Version, true}}); err != nil {
		t.Fatal(err)
	}
}

// TestSeriesOfRollUps asks for the same series with and without the roll-ups.
func TestSeriesOfRollUps(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 400)
	w.roll(t, s)
	rng := rand.New(rand.NewPCG(5, 6))
	rolled := 0
	for i := range 40 {
		from := epoch.Add(time.Duration(rng.Int64N(int64(15 * 24 * time.Hour))))
		to := min(from.Add(time.Duration(rng.Int64N(int64(10*24*time.Hour)))), w.now) // what is stored was judged then
		if i%3 == 0 {                                                                 // as it was at to
			to = min(to, from.Add(time.Minute+time.Duration(rng.Int64N(int64(playedAtMost-time.Minute)))))
		}
		bucket := []time.Duration{time.Hour, 7 * time.Hour, 24 * time.Hour, 30 * time.Minute, 90 * time.Second, time.Minute}[rng.IntN(6)]
		if to.Sub(from)/bucket >= maxBuckets-1 {
			continue
		}
		s.rolledFrom = math.MaxInt
		want, err := s.Series(t.Context(), w.flow, from, to, bucket)
		if err != nil {
			t.Fatal(err)
		}
		s.rolledFrom = 1
		got, err := s.Series(t.Context(), w.flow, from, to, bucket)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("from %v to %v by %v: -counted +roll-ups\n%s", from, to, bucket, diff)
		}
		if slices.Max(got.Started) > 0 {
			rolled++
		}
	}
	if rolled < 20 {
		t.Errorf("only %d series show something", rolled)
	}
	// Roll-ups of which something is known to be missing are not read.
	if err := s.WriteRollUpGenerations(t.Context(), 2, []RollUpGeneration{{w.flow.Name, 7, w.flow.Version, false}}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.rolledBy(t.Context(), w.flow); ok || err != nil {
		t.Errorf("torn roll-ups are read: %v", err)
	}
}

// TestForgetDeadRollUps removes what counts no more of a flow, and nothing else.
func TestForgetDeadRollUps(t *testing.T) {
	s := openStore(t)
	var rows []RollUpRow
	for _, flow := range []string{"a", "b", "gone's"} {
		for generation := range uint64(5) {
			rows = append(
				rows, RollUpRow{flow, generation, flows.RollUp{Span: flows.RollUpHour, Start: epoch, Measure: flows.MeasureStarted, Count: 1}},
				RollUpRow{flow, generation, flows.RollUp{Span: flows.RollUpValue, Start: epoch, Measure: flows.MeasureLatency, Count: 1, Took: time.Second}},
			)
		}
	}
	if err := s.WriteRollUps(t.Context(), "x", rows); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := s.ForgetDeadRollUps(t.Context(), map[string][]uint64{"a": {4, 3}, "gone's": {2}}); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for count(t, s, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done") > 0 {
			<-tick.C
		}
	}
	for _, table := range []string{"rollups", "rollup_values"} {
		var left []string
		if err := s.conn.QueryRow(t.Context(), "SELECT arraySort(groupArray(concat(flow, toString(generation)))) FROM "+table).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a3", "a4", "b0", "b1", "b2", "b3", "b4", "gone's2"}; !slices.Equal(left, want) {
			t.Errorf("left in %s %q, want %q", table, left, want)
		}
	}
	if n := count(t, s, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = 'rollups'"); n != 2 {
		t.Errorf("%d mutations for two flows", n)
	}
}

// TestHealthOfRollUps asks for the numbers of the same windows, of now and of the past, with and without the roll-ups.
func TestHealthOfRollUps(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 400)
	w.roll(t, s)
	rng := rand.New(rand.NewPCG(7, 8))
	rolled, valued := 0, 0
	for i := range 20 {
		window := flows.Window{To: epoch.Add(time.Duration(rng.Int64N(int64(20 * 24 * time.Hour)))), Hindsight: true}
		window.From = window.To.Add(-time.Duration(rng.Int64N(int64(10 * 24 * time.Hour))))
		if i%5 == 0 { // whole minutes, and hours
			window.From -= window.From % flows.Time(time.Hour)
			window.To -= window.To % flows.Time(time.Minute)
		}
		s.rolledFrom = math.MaxInt
		want, err := s.Health(t.Context(), w.flow, window, "")
		if err != nil {
			t.Fatal(err)
		}
		s.rolledFrom = 1
		got, err := s.Health(t.Context(), w.flow, window, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" { // exactly: nothing has more than 1,000 values
			t.Fatalf("from %v to %v: -folded +roll-ups\n%s", window.From, window.To, diff)
		}
		if len(got.ValueInFlight) > 0 && got.ValueCoverage != nil {
			valued++
		}
		tally := flows.NewTally(w.flow)
		q := foldQuery{flow: w.flow, now: window.To, hindsight: true, bound: between(window.From, window.To)}
		ok, err := s.foldRolled(t.Context(), q, s.rolledTally(w.flow, window.From, tally), func(folded) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if ok && got.Completed > 10 {
			rolled++
		}
	}
	if rolled < 8 || valued < 8 {
		t.Errorf("only %d windows were read from roll-ups, %d with a value", rolled, valued)
	}
	// Durations that were not told one by one, or are lacking, are folded.
	window := flows.Window{From: epoch.Add(24 * time.Hour), To: epoch.Add(19 * 24 * time.Hour), Hindsight: true}
	q := foldQuery{flow: w.flow, now: window.To, hindsight: true, bound: between(window.From, window.To)}
	for i, change := range []struct {
		rows []RollUpRow
		ok   bool
	}{
		{nil, true},
		{[]RollUpRow{{w.flow.Name, 7, flows.RollUp{Span: flows.RollUpValue, Start: epoch, Measure: flows.MeasureLatency, Count: 1, Took: flows.Unsaid}}}, true}, // of an earlier minute
		{[]RollUpRow{{w.flow.Name, 7, flows.RollUp{Span: flows.RollUpValue, Start: window.From.Add(time.Hour), Measure: flows.MeasureLatency, Count: 1, Took: flows.Unsaid}}}, false},
	} {
		if err := s.WriteRollUps(t.Context(), fmt.Sprint("more", i), change.rows); err != nil {
			t.Fatal(err)
		}
		n := newNumbers(w.flow, window)
		if ok, err := s.foldRolled(t.Context(), q, s.rolledTally(w.flow, window.From, n.tally), n.visit); ok != change.ok || err != nil {
			t.Errorf("with %v: read from roll-ups %v, %v", change.rows, ok, err)
		}
		s.rolledFrom = math.MaxInt
		want, err := s.Health(t.Context(), w.flow, window, "")
		if err != nil {
			t.Fatal(err)
		}
		s.rolledFrom = 1
		got, err := s.Health(t.Context(), w.flow, window, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("with %v: -folded +roll-ups\n%s", change.rows, diff)
		}
	}
}

// TestCountsOfRollUps: what happened in whole minutes is said by the roll-ups alone, and is what
// folding all says. The estimate counts in the ages that are given.
func TestCountsOfRollUps(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 400)
	w.roll(t, s)
	rng := rand.New(rand.NewPCG(9, 10))
	rolled := 0
	for range 20 {
		window := flows.Window{To: epoch.Add(time.Duration(rng.Int64N(int64(20 * 24 * time.Hour))))}
		window.From = window.To.Add(-time.Duration(rng.Int64N(int64(10 * 24 * time.Hour))))
		whole := window
		whole.From, whole.To = wholeMinutes(window.From, window.To)
		if late := window.To.Sub(whole.To); late < 0 || late >= time.Minute || window.To.Sub(window.From)-whole.To.Sub(whole.From) >= time.Minute {
			t.Fatalf("of %v to %v the whole minutes are %v to %v", window.From, window.To, whole.From, whole.To)
		}
		s.rolledFrom = math.MaxInt
		want, err := s.Health(t.Context(), w.flow, whole, "")
		if err != nil {
			t.Fatal(err)
		}
		folded := newNumbers(w.flow, whole)
		if err := s.fold(t.Context(), foldQuery{flow: w.flow, now: whole.To, bound: between(whole.From, whole.To)}, folded.visit); err != nil {
			t.Fatal(err)
		}
		s.rolledFrom, window.Ages = 1, &folded.gauges.Age
		got, err := s.Health(t.Context(), w.flow, window, "")
		if err != nil {
			t.Fatal(err)
		}
		if got.AsOf != whole.To {
			continue // few started: it was folded
		}
		if got.Completed > 10 && got.OpenAge.Count > 0 {
			rolled++
		}
		if got.InFlight != 0 {
			t.Errorf("%d in flight were read", got.InFlight)
		}
		if diff := gocmp.Diff(counts(want), counts(got)); diff != "" {
			t.Fatalf("from %v to %v: -folded +roll-ups\n%s", whole.From, whole.To, diff)
		}
		series, err := s.Series(t.Context(), w.flow, window.From, window.To, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, l := range series.Left {
			left += l.Count
		}
		if ended := want.Failed + want.Cancelled + want.Resolved + want.Expired; window.To.Sub(window.From) >= countedFrom && left != ended {
			t.Errorf("from %v to %v %d left, want %d", whole.From, whole.To, left, ended)
		}
	}
	if rolled < 8 {
		t.Errorf("only %d windows were read from roll-ups", rolled)
	}
}

// counts leaves of the numbers of a window what happened in it.
func counts(h flows.Health) flows.Health {
	h.Health, h.InFlight, h.Held, h.Stuck, h.Unknown = "", 0, 0, 0, 0
	h.ValueInFlight, h.ValueAtRisk, h.ValueCoverage = nil, nil, nil
	for i := range h.Steps {
		h.Steps[i].Waiting, h.Steps[i].Overdue, h.Steps[i].Stuck, h.Steps[i].Unknown = 0, 0, 0, 0
	}
	return h
}
