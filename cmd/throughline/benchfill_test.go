package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/cmd/throughline/bench"
	"throughline/flows"
	"throughline/flows/store"
	"throughline/ingest/bus"
	"throughline/migrations"
)

// TestFillIsWhatAServerLeaves fills a database and gives the signals of it to the engine over another: instances, steps,
// what is found by time and the roll-ups are the same there.
func TestFillIsWhatAServerLeaves(t *testing.T) {
	server := clickhouse(t, t.TempDir())
	flow, faults := flows.Parse("bench-stored.yaml", bench.StoredFile)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := flows.NewSet([]*flows.Flow{flow})
	if err != nil {
		t.Fatal(err)
	}
	now := flows.At(time.Now().Truncate(time.Minute))
	served := func(database string, signals []flows.Signal) *store.Store {
		s := openDatabase(t, server.Addr(), server.Password, database)
		if _, err := migrations.Up(t.Context(), s.Root(), migrations.Options{Database: database}); err != nil {
			t.Fatal(err)
		}
		r := savedRunner(t, set, s)
		r.apply(bus.Delivery{Batch: flows.Batch{Signals: signals}, Last: 1})
		r.settleSaved(t, now)
		return s
	}
	filled := served("filled", nil)
	a := &app{store: filled}
	generation, err := generationToFill(t.Context(), a, flow)
	if err != nil {
		t.Fatal(err)
	}
	const cases, some = 700, 400
	f := filling{filled, flow, generation, cases, int64(now.Add(-10 * time.Hour)), int64(4 * time.Hour)}
	for _, from := range []int64{0, some, some} { // of what is begun again, roll-ups count once
		if from > 0 {
			err = f.roll(t.Context(), from, cases-from)
		} else {
			err = f.fill(t.Context(), 0, some)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.fill(t.Context(), some, cases-some); err != nil {
		t.Fatal(err)
	}
	var signals []flows.Signal
	filter := store.SignalFilter{}
	for i := range flow.Steps {
		filter.Names = append(filter.Names, flow.Steps[i].Match.Name)
	}
	if err := filled.Signals(t.Context(), filter, func(s flows.Signal) error { signals = append(signals, s); return nil }); err != nil {
		t.Fatal(err)
	}
	left := served("left", slices.Clone(signals))
	for table, columns := range map[string]string{
		"instances":         "key, version, state, reason, started_at, last_at, first_at, ended_at, end_step, path, path_for, deviations, conforming, segments, imported",
		"steps":             "key, source, id, step, time, start_time, outcome, sequence, system, as_of, segments",
		"steps_by_time":     "hour, key, source, id, step, time, start_time, outcome, system",
		"instances_by_time": "class, began, key, until",
	} {
		lines := func(s *store.Store) (lines []string) {
			rows, err := s.Root().Query(t.Context(), fmt.Sprintf("SELECT toString((%s)) AS line FROM %s.%s FINAL ORDER BY line", columns, s.Database(), table))
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, line)
			}
			return lines
		}
		if diff := gocmp.Diff(lines(left), lines(filled)); diff != "" {
			t.Errorf("%s: -left +filled\n%s", table, diff)
		}
	}
	want := rolledLines(t, left, flow.Name)
	if diff := gocmp.Diff(want, rolledLines(t, filled, flow.Name)); diff != "" {
		t.Errorf("roll-ups: -left +filled\n%s", diff)
	}
	if diff := gocmp.Diff(recountLines(set, signals, now), want); diff != "" {
		t.Errorf("roll-ups: -recount +left\n%s", diff)
	}
	if started := slices.IndexFunc(want, func(line string) bool { return strings.Contains(line, "started") }); len(signals) != 5*cases || started < 0 {
		t.Errorf("%d signals: the test shows nothing", len(signals))
	}
}
