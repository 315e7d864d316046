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
	for _, statement := range []string{"TRUNCATE TABLE steps_by_time", "TRUNCATE TABLE instances_by_time", "ALTER TABLE steps UPDATE written = written - 86400 WHERE 1 SETTINGS mutations_sync = 1"} {
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
