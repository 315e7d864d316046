package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/ingest/bus"
	"throughline/migrations"
)

// savedRunner is a runner over real tables, without a bus; its time is moved by hand.
func savedRunner(t *testing.T, set *flows.Set, tables *store.Store) *runner {
	t.Helper()
	r := newRunner(set, nil, tables, nil, nil, nil, func(string) string { return "" }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	r.writer.versions = nil
	return r
}

// restartedRunner is one that goes on from the saved state, behind a message.
func restartedRunner(t *testing.T, set *flows.Set, tables *store.Store, last uint64) *runner {
	t.Helper()
	r := savedRunner(t, set, tables)
	var err error
	if r.writer.version, err = tables.LatestVersion(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.applied = last
	if ok, err := r.adopt(t.Context()); !ok || err != nil {
		t.Fatalf("adopted %v: %v", ok, err)
	}
	return r
}

// ordersSet is ordersFlow alone, of some title.
func ordersSet(t *testing.T, title string) *flows.Set {
	t.Helper()
	flow, faults := flows.Parse("orders.yaml", []byte(strings.Replace(ordersFlow, "title: Orders", "title: "+title, 1)))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := flows.NewSet([]*flows.Flow{flow})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// settleSaved saves the state, brings it to rest, lets leave what may, and writes all rows.
func (r *runner) settleSaved(t *testing.T, now flows.Time) {
	t.Helper()
	r.engine.BeginSave()
	r.saves.under, r.saves.seq = true, r.applied
	for r.saves.under {
		r.saveDue(now.Std())
	}
	later := now.Add(2 * time.Minute)
	r.engine.Rest(later, 1<<30)
	r.engine.Evict(later.Add(2*time.Hour), 1<<30)
	for range 2 { // what leaves, and that it left
		if err := r.writer.once(t.Context(), r.writer.take(r.engine, time.Now(), true)); err != nil {
			t.Fatal(err)
		}
		r.engine.Leave(r.writer.rows.Evicted)
	}
}

func orderSignal(t *testing.T, set *flows.Set, name, order string, at flows.Time) flows.Signal {
	t.Helper()
	s := flows.Signal{
		Source: "/test", ID: name + order, Name: name, System: "shop", Time: at, Received: at, Data: map[string]any{"order_id": order},
	}
	if err := set.AssignKeys(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStateInTheStore lets ended instances leave memory, takes one back for a late signal,
// and restarts from what is stored: the numbers are those of the signals all the while.
func TestStateInTheStore(t *testing.T) {
	tables := newTables(t)
	set := ordersSet(t, "Orders")
	now := flows.At(time.Now())
	r := savedRunner(t, set, tables)
	apply := func(last uint64, signals ...flows.Signal) {
		r.apply(bus.Delivery{Batch: flows.Batch{Signals: signals}, Last: last})
		r.lookDue(t.Context(), time.Now())
		if r.looking {
			r.answered(<-r.parked.answers)
		}
	}
	const orders = 40
	var open, ended []flows.Signal
	for i := range orders {
		order := fmt.Sprint("A", i)
		open = append(open, orderSignal(t, set, "order.placed", order, now))
		if i%2 == 0 {
			ended = append(ended, orderSignal(t, set, "order.paid", order, now+1), orderSignal(t, set, "order.shipped", order, now+2))
		}
	}
	apply(1, open...)
	apply(2, ended...)
	inMemory := func(r *runner) int { return r.engine.Stats().Instances }
	r.settleSaved(t, now)
	if n := inMemory(r); n != orders/2 {
		t.Fatalf("%d instances in memory after %d of %d ended and left", n, orders/2, orders)
	}
	r = restartedRunner(t, set, tables, 2)
	if h, _ := r.engine.Health("orders", now); inMemory(r) != orders/2 || h.InFlight != orders/2 {
		t.Fatalf("after a restart %d in memory, %d in flight", inMemory(r), h.InFlight)
	}
	apply(3, orderSignal(t, set, "order.placed", "A0", now)) // a copy
	if n := inMemory(r); n != orders/2+1 {
		t.Errorf("%d instances in memory after a signal of one that left", n)
	}
	if s := r.engine.Stats(); s.Duplicates != 1 || r.done() != 3 {
		t.Errorf("stats %+v, done %d", s, r.done())
	}
	apply(4, orderSignal(t, set, "order.placed", "new", now))
	r.settleSaved(t, now)
	r = restartedRunner(t, set, tables, 2)
	if h, _ := r.engine.Health("orders", now); inMemory(r) != orders/2+1 || h.InFlight != orders/2+1 {
		t.Errorf("after the second restart %d in memory, %d in flight", inMemory(r), h.InFlight)
	}
	other, err := flows.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.engine = engine.New(other)
	if ok, err := r.adopt(t.Context()); ok || err != nil {
		t.Errorf("adopted a state of other definitions: %v, %v", ok, err)
	}
}

// newTables are real tables of a test's own.
func newTables(t *testing.T) *store.Store {
	t.Helper()
	s := openTables(t, clickhouse(t, t.TempDir()))
	if _, err := migrations.Up(t.Context(), s.Root(), migrations.Options{Database: s.Database()}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStubsInTheStore has orders that ended leave memory while another flow has them open for
// long after, restarts, and has them back for what names them.
func TestStubsInTheStore(t *testing.T) {
	tables := newTables(t)
	warranty, faults := flows.Parse("warranties.yaml", []byte("flow: warranties\nkey: order_id\nsteps:\n"+
		"  - {id: given, match: {event: warranty.given}, start: true}\n  - {id: over, match: {event: warranty.over}, after: given, end: completed}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := flows.NewSet(append(ordersSet(t, "Orders").Flows(), warranty))
	if err != nil {
		t.Fatal(err)
	}
	now := flows.At(time.Now())
	r := savedRunner(t, set, tables)
	last := uint64(0)
	apply := func(name string, orders int) {
		last++
		signals := make([]flows.Signal, orders)
		for i := range signals {
			signals[i] = orderSignal(t, set, name, fmt.Sprint("A", i), now+flows.Time(last))
		}
		r.apply(bus.Delivery{Batch: flows.Batch{Signals: signals}, Last: last})
		r.lookDue(t.Context(), time.Now())
		if r.looking {
			r.answered(<-r.parked.answers)
		}
	}
	inMemory := func(want int) {
		t.Helper()
		if n := r.engine.Stats().Instances; n != want {
			t.Fatalf("%d instances in memory, not %d", n, want)
		}
	}
	const orders, over = 20, 5
	for _, name := range []string{"order.placed", "warranty.given", "order.paid", "order.shipped"} {
		apply(name, orders)
	}
	r.settleSaved(t, now)
	inMemory(orders)
	r = restartedRunner(t, set, tables, last)
	inMemory(orders)
	apply("warranty.over", over)
	inMemory(orders + over)
	r.settleSaved(t, now)
	inMemory(orders - over)
	r = restartedRunner(t, set, tables, last)
	inMemory(orders - over)
	apply("order.late", orders) // of no step: it names the orders
	inMemory(2 * orders)
	for name, flow := range map[string]string{"orders": "orders", "warranties": "warranties"} {
		states := map[flows.State]int{}
		if err := tables.InstanceStates(t.Context(), flow, 0, func(stored flows.InstanceRecord) error { states[stored.State]++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"orders": orders, "warranties": over}[name]; states[flows.Completed] != want {
			t.Errorf("%s: stored are %v", name, states)
		}
	}
}
