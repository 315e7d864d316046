package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"throughline/flows"
	"throughline/ingest/bus"
)

// TestRowsAreComparedLater restarts over rows that do not say what the saved state does: one
// of another state, one that is lacking, one of an instance that goes on before it was
// compared. Then all say what the state says.
func TestRowsAreComparedLater(t *testing.T) {
	tables := newTables(t)
	set := ordersSet(t, "Orders")
	now := flows.At(time.Now())
	r := savedRunner(t, set, tables)
	var placed []flows.Signal
	for i := range compareBatch + 20 {
		placed = append(placed, orderSignal(t, set, "order.placed", fmt.Sprint("A", i), now))
	}
	r.apply(bus.Delivery{Batch: flows.Batch{Signals: placed}, Last: 1})
	r.settleSaved(t, now)
	want := storedStates(t, r)
	wrong := want["A1"]
	wrong.State, wrong.EndedAt = flows.Completed, now
	r.writer.version++
	if err := tables.WriteInstances(t.Context(), r.writer.version, []flows.InstanceRecord{wrong, set.Flows()[0].NoRecord("A2")}); err != nil {
		t.Fatal(err)
	}

	r = restartedRunner(t, set, tables, 1)
	r.comparing = &comparing{since: now.Add(-time.Hour)}
	ctx, stop := context.WithCancel(t.Context())
	defer r.lookups.Wait()
	defer stop()
	r.compareLater(ctx)
	r.apply(bus.Delivery{Batch: flows.Batch{Signals: []flows.Signal{orderSignal(t, set, "order.paid", "A3", now+1)}}, Last: 2})
	for turns := 0; r.comparing != nil; turns++ {
		if turns > 10 {
			t.Fatal("comparing does not end")
		}
		r.compare(<-r.compares())
	}
	for r.engine.Owed() > 0 {
		if err := r.writer.once(t.Context(), r.writer.take(r.engine, time.Now(), true)); err != nil {
			t.Fatal(err)
		}
	}
	got := storedStates(t, r)
	for key, w := range want {
		g := got[key]
		if key == "A3" {
			w.LastAt = now + 1
		}
		if g.State != w.State || g.EndedAt != w.EndedAt || g.LastAt != w.LastAt {
			t.Errorf("%s is %v, ended %v, last %v; want %v, %v, %v", key, g.State, g.EndedAt, g.LastAt, w.State, w.EndedAt, w.LastAt)
		}
	}
	if len(got) != len(want) || len(want) != len(placed) {
		t.Errorf("%d rows, before %d, of %d", len(got), len(want), len(placed))
	}
}

func storedStates(t *testing.T, r *runner) map[string]flows.InstanceRecord {
	t.Helper()
	states := map[string]flows.InstanceRecord{}
	if err := r.store.InstanceStates(t.Context(), "orders", 0, func(stored flows.InstanceRecord) error {
		states[stored.Key] = stored
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return states
}
