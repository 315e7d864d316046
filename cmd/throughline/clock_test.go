package main

import (
	"fmt"
	"testing"
	"time"
)

// TestClockJumpsBack: what a process wrote whose clock was three hours ahead does not stand in
// the way of what the next one writes, whose clock is right. Everything is there once.
func TestClockJumpsBack(t *testing.T) {
	needLoad(t)
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	server := clickhouse(t, t.TempDir())
	settings := external(t, server.Addr(), server.Password)
	settings[runAsMain] = settlingSoon
	const n = 200
	p := runProgram(t, dir, settings)
	p.awaitClickHouse()
	orders(&p.house, 0, n)
	p.eventually("the orders are stuck", slow*30*time.Second, func() bool { return p.stuck("orders", "all") == n })
	p.terminate()
	tables := openTables(t, server)
	const ahead = "toIntervalHour(3)"
	statements := []string{"INSERT INTO throughline.checkpoints (name, seq, saved) " +
		"SELECT name, if(name = 'engine alive', seq + 3 * 3600 * 1000000000, seq), saved + " + ahead + " FROM throughline.checkpoints FINAL"}
	for _, table := range []string{"instances", "steps", "engine_state"} {
		statements = append(statements, fmt.Sprintf("INSERT INTO throughline.%[1]s SELECT * REPLACE (row_version + 3 * 3600 * 1000000000 AS row_version) FROM throughline.%[1]s FINAL", table))
	}
	for _, statement := range statements {
		if err := tables.Root().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	p = runProgram(t, dir, settings)
	p.awaitClickHouse()
	orders(&p.house, 0, n) // again
	var rest []cloudEvent
	for i := range n {
		data := map[string]any{"order_id": fmt.Sprint(i)}
		rest = append(rest, cloudEvent{ID: fmt.Sprintf("paid-%d", i), Type: "order.paid", Data: data},
			cloudEvent{ID: fmt.Sprintf("shipped-%d", i), Type: "order.shipped", Data: data})
	}
	p.send(rest...)
	p.eventually("the orders are completed", slow*60*time.Second, func() bool {
		a := p.health("orders", "window=all")
		return !a.Restoring && a.Completed == n && a.Started == n
	})
	s := storedRows{func(query string) uint64 { return askTable(t, tables, query) }}
	for query, want := range map[string]int{
		"SELECT uniqExact(source, id) FROM throughline.signals":                3 * n,
		"SELECT count() FROM throughline.steps FINAL":                          3 * n,
		"SELECT count() FROM throughline.instances FINAL":                      n,
		"SELECT countIf(state = 'completed') FROM throughline.instances FINAL": n,
	} {
		s.eventually(&p.house, query, want)
	}
}
