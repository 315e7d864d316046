package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/flows/store/chdb"
	"throughline/ingest/bus"
	"throughline/migrations"
	"throughline/web"
)

// failing is a ClickHouse that fails from some insert on: before it has it, or after, when
// nobody hears that it does.
type failing struct {
	http.Handler
	inserts atomic.Int64
	at      int64 // the first that fails; 0 for none
	landed  bool
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int64(0)
	if strings.HasPrefix(r.URL.Query().Get("query"), "INSERT") {
		n = f.inserts.Add(1)
	}
	if f.at > 0 && n >= f.at {
		if n == f.at && f.landed {
			f.Handler.ServeHTTP(httptest.NewRecorder(), r)
		}
		http.Error(w, "Code: 999. DB::Exception: gone", http.StatusServiceUnavailable)
		return
	}
	f.Handler.ServeHTTP(w, r)
}

func openDatabase(t *testing.T, addr, password, database string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Addr: []string{addr}, HTTP: true, Database: database, Username: chdb.User, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rolledLines are the roll-ups of a flow that count, one line each.
func rolledLines(t *testing.T, s *store.Store, flow string) (lines []string) {
	t.Helper()
	rows, err := s.Root().Query(t.Context(), strings.ReplaceAll(`
		WITH (SELECT generation FROM db.rollup_generations FINAL WHERE flow = {flow:String} AND whole) AS counts
		SELECT concat(toString(span), ' ', toString(toInt64(start)), ' ', measure, ' ', step, ' ', to_step, ' ', toString(bin), ' ', toString(sum(count)), ' ', toString(sum(sum)))
		FROM db.rollups WHERE flow = {flow:String} AND generation = counts
		GROUP BY span, start, measure, step, to_step, bin HAVING sum(count) != 0 OR sum(sum) != 0
		UNION ALL
		SELECT concat('value ', toString(toInt64(start)), ' ', measure, ' ', step, ' ', to_step, ' ', toString(took), ' ', toString(sum(count)))
		FROM db.rollup_values WHERE flow = {flow:String} AND generation = counts
		GROUP BY start, measure, step, to_step, took HAVING sum(count) != 0`, "db.", s.Database()+"."), ch.Named("flow", flow))
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
	slices.Sort(lines)
	return lines
}

// recountLines are those that an engine makes of signals.
func recountLines(set *flows.Set, signals []flows.Signal, now flows.Time) (lines []string) {
	e := engine.New(set)
	e.Roll(now)
	e.Apply(slices.Clone(signals), now)
	e.BeginSave()
	for !e.Save(now, 1<<30) {
	}
	for _, r := range e.Take().Rolled {
		for _, c := range r.Changes {
			if c.Span == flows.RollUpValue {
				lines = append(lines, fmt.Sprintf("value %d %s %s %s %d %d", c.Start/1e9, c.Measure, c.Step, c.To, c.Took, c.Count))
				continue
			}
			lines = append(lines, fmt.Sprintf("%d %d %s %s %s %d %d %d", int(c.Span.Seconds()), c.Start/1e9, c.Measure, c.Step, c.To, c.Bin, c.Count, c.SumLo))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestRollUpsOverCrashes has a process die at every insert of a job, with the insert there
// or not: what the next one makes of it is a recount, each time it starts.
func TestRollUpsOverCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("some thirty databases")
	}
	server := clickhouse(t, t.TempDir())
	set := ordersSet(t, "Orders")
	now := flows.At(time.Now())
	var batches [3][]flows.Signal
	var all []flows.Signal
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		for s, name := range []string{"order.placed", "order.paid", "order.shipped"} {
			signal := orderSignal(t, set, name, fmt.Sprint("A", i), now.Add(-time.Hour+time.Duration(s*i)*time.Minute))
			if rng.IntN(5) == 0 {
				continue
			}
			b := rng.IntN(3)
			batches[b], all = append(batches[b], signal), append(all, signal)
		}
	}
	want := recountLines(set, all, now)
	direct, err := url.Parse("http://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, landed := range []bool{false, true} {
		for at := int64(1); ; at++ {
			database := fmt.Sprintf("crash%d%v", at, landed)
			tables := openDatabase(t, server.Addr(), server.Password, database)
			if _, err := migrations.Up(t.Context(), tables.Root(), migrations.Options{Database: database}); err != nil {
				t.Fatal(err)
			}
			proxy := &failing{Handler: httputil.NewSingleHostReverseProxy(direct), landed: landed}
			front := httptest.NewServer(proxy)
			r := savedRunner(t, set, openDatabase(t, strings.TrimPrefix(front.URL, "http://"), server.Password, database))
			r.apply(bus.Delivery{Batch: flows.Batch{Signals: slices.Clone(batches[0])}, Last: 1})
			r.settleSaved(t, now)
			r.apply(bus.Delivery{Batch: flows.Batch{Signals: slices.Clone(batches[1])}, Last: 2})
			r.engine.BeginSave()
			r.saves.under, r.saves.seq = true, 2
			r.saveDue(now.Std())
			proxy.inserts.Store(0)
			proxy.at = at
			_ = r.writer.once(t.Context(), r.writer.take(r.engine, time.Now(), true)) // dies at the insert
			front.Close()
			for range 2 {
				r = restartedRunner(t, set, tables, 1)
				for i, batch := range batches[1:] {
					r.apply(bus.Delivery{Batch: flows.Batch{Signals: slices.Clone(batch)}, Last: uint64(i + 2)})
					for r.lookDue(t.Context(), time.Now()); r.looking; r.lookDue(t.Context(), time.Now()) {
						r.answered(<-r.parked.answers)
					}
				}
				r.settleSaved(t, now)
				if diff := gocmp.Diff(want, rolledLines(t, tables, "orders")); diff != "" {
					t.Fatalf("after a crash at insert %d, landed %v: -recount +roll-ups\n%s", at, landed, diff)
				}
			}
			if proxy.inserts.Load() < at { // all of the job was written
				if at < 6 {
					t.Errorf("a job of %d inserts", at)
				}
				break
			}
		}
	}
}

// TestDeadRollUpsAreRemoved changes a flow's file again and again: of its roll-ups those of two
// generations are kept at most, and after a restart those that count.
func TestDeadRollUpsAreRemoved(t *testing.T) {
	tables := newTables(t)
	now := flows.At(time.Now())
	generations := func() (n int) {
		row := tables.Root().QueryRow(t.Context(), "SELECT uniqExact(generation) FROM "+tables.Database()+".rollups")
		var found uint64
		if err := row.Scan(&found); err != nil {
			t.Fatal(err)
		}
		return int(found)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	await := func(most int) {
		for i := 0; generations() > most; i++ {
			if <-tick.C; i > 500 {
				t.Fatalf("%d generations are kept, want %d", generations(), most)
			}
		}
	}
	r := savedRunner(t, ordersSet(t, "T0"), tables)
	r.apply(bus.Delivery{Batch: flows.Batch{Signals: []flows.Signal{orderSignal(t, r.engine.Set(), "order.placed", "A", now)}}, Last: 1})
	r.settleSaved(t, now)
	for i := range 4 {
		r.putInForce(ordersSet(t, fmt.Sprint("T", i+1)))
		r.settleSaved(t, now)
		await(2)
	}
	want := rolledLines(t, tables, "orders")
	r = restartedRunner(t, r.engine.Set(), tables, 1)
	r.hub = web.NewHub()
	await(1)
	if diff := gocmp.Diff(want, rolledLines(t, tables, "orders")); diff != "" || len(want) == 0 {
		t.Errorf("before the restart %d lines; -before +after\n%s", len(want), diff)
	}

	none, err := flows.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"T4", "T5"} { // the file is gone, and comes back as it was, or with another text
		r.putInForce(none)
		r.settleSaved(t, now)
		await(0)
		if lines := rolledLines(t, tables, "orders"); len(lines) > 0 {
			t.Errorf("of a flow that is gone %d lines count", len(lines))
		}
		r.putInForce(ordersSet(t, title))
		r.unfilled = nil
		r.apply(bus.Delivery{Batch: flows.Batch{Signals: []flows.Signal{orderSignal(t, r.engine.Set(), "order.placed", "B"+title, now)}}, Last: 2})
		r.settleSaved(t, now)
		await(1)
		if whole := len(rolledLines(t, tables, "orders")) > 0; whole != (title == "T5") {
			t.Errorf("%s came back: its roll-ups count: %v", title, whole)
		}
	}
}
