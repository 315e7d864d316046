package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// TestPastInstantsAreTheLaw asks for random windows of the past, of instances whose signals had other rows in
// other hours before, and compares with a fold of all signals.
func TestPastInstantsAreTheLaw(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 250)
	r := rand.New(rand.NewPCG(3, 4))
	var before []flows.OccurrenceRecord
	for key, occurrences := range w.all {
		for _, o := range occurrences {
			if r.IntN(3) > 0 {
				continue
			}
			later := time.Duration(r.IntN(9)) * time.Hour // of copies that differ the earliest counts
			o.At, o.Start, o.Failed = o.At.Add(later), o.Start.Add(later), !o.Failed
			before = append(before, w.flow.OccurrenceRecord(key, o))
		}
	}
	if err := s.WriteOccurrences(t.Context(), 0, before); err != nil {
		t.Fatal(err)
	}
	var stuck flows.Time
	for range 60 {
		to := epoch.Add(time.Duration(r.Int64N(int64(22 * 24 * time.Hour))))
		window := flows.Window{From: to.Add(-time.Duration(r.Int64N(int64(48 * time.Hour)))), To: to, Hindsight: r.IntN(5) > 0}
		if !window.Hindsight {
			window.To = w.now
		}
		region := []string{"", "EU"}[r.IntN(2)]
		got, err := s.Health(t.Context(), w.flow, window, map[string]string{"EU": "region:EU"}[region])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, w.health(window, region)), asJSON(t, got)); diff != "" {
			t.Fatalf("window %v %q: -want +got\n%s", window, region, diff)
		}
		if got.Stuck > 0 && window.Hindsight {
			stuck = to
		}
	}
	if stuck == 0 || !s.allByTime.Load() {
		t.Fatalf("stuck at %s; by time: %v", stuck, s.allByTime.Load())
	}
	for _, states := range [][]flows.State{{flows.Stuck}, {flows.Open, flows.Held, flows.Stuck, flows.Unknown}} {
		checkPages(t, s, w, flows.InstanceQuery{Since: flows.NoTime, At: stuck, States: states})
	}
}

// TestWhatStandsNotByTimeIsReadByKey has rows from before steps_by_time that were not put into it.
func TestWhatStandsNotByTimeIsReadByKey(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 40)
	for _, statement := range []string{"TRUNCATE TABLE steps_by_time", "TRUNCATE TABLE instances_by_time", "TRUNCATE TABLE checkpoints", "ALTER TABLE steps UPDATE written = written - 86400 WHERE 1 SETTINGS mutations_sync = 1"} {
		if err := s.conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	window := flows.Window{From: epoch.Add(6 * 24 * time.Hour), To: epoch.Add(9 * 24 * time.Hour), Hindsight: true}
	got, err := s.Health(t.Context(), w.flow, window, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, w.health(window, "")), asJSON(t, got)); diff != "" || s.allByTime.Load() {
		t.Errorf("by time: %v; -want +got\n%s", s.allByTime.Load(), diff)
	}
}

// TestARunOfInstantsReadsItsHourOnce steps through an hour in memory, to which a late signal comes.
func TestARunOfInstantsReadsItsHourOnce(t *testing.T) {
	s := openStore(t)
	s.hours.least, s.hours.long = 0, time.Hour
	w := makeWorld(t, s, 400)
	begin := epoch.Add(10 * 24 * time.Hour)
	reads := map[*heldHour]bool{}
	var held *heldHour
	check := func(at flows.Time, region string) {
		t.Helper()
		window := flows.Window{From: at.Add(-time.Hour), To: at, Hindsight: true}
		got, err := s.Health(t.Context(), w.flow, window, map[string]string{"EU": "region:EU"}[region])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, w.health(window, region)), asJSON(t, got)); diff != "" {
			t.Fatalf("at %s: -want +got\n%s", at, diff)
		}
		held = s.hours.list[len(s.hours.list)-1]
		reads[held] = true
	}
	for i := range 30 {
		check(begin.Add(time.Duration(i)*2*time.Minute), []string{"", "EU"}[i%2])
	}
	if len(reads) != 2 { // the first instant alone, and the hour
		t.Errorf("the hour was read %d times", len(reads))
	}
	for _, at := range []flows.Time{begin.Add(4 * time.Minute), begin.Add(56 * time.Minute)} {
		check(at, "")
		for _, states := range [][]flows.State{{flows.Stuck}, {flows.Open, flows.Held}} {
			checkPages(t, s, w, flows.InstanceQuery{Since: flows.NoTime, At: at, States: states})
		}
		series, err := s.Series(t.Context(), w.flow, at.Add(-time.Hour), at, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		h := w.health(flows.Window{From: series.From, To: at, Hindsight: true}, "")
		equal(t, "started", series.Started[0]+series.Started[len(series.Started)-1]*(len(series.Started)-1), h.Started)
	}
	key := "late"
	o := randomOccurrence(rand.New(rand.NewPCG(1, 1)), begin.Add(time.Minute), "late")
	o.Step = 0
	w.all[key] = []flows.Occurrence{o}
	if err := s.WriteOccurrences(t.Context(), 5, []flows.OccurrenceRecord{w.flow.OccurrenceRecord(key, o)}); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteInstances(t.Context(), 5, w.records(w.now, false)); err != nil {
		t.Fatal(err)
	}
	before := held
	check(begin.Add(30*time.Minute), "")
	if held == before {
		t.Error("what came late was not read")
	}
}
