package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

const spillFlow = `flow: sales
key: order_id
links: [parcel_id]
steps:
  - {id: sold, match: {event: sold}, start: true}
  - {id: sent, match: {event: sent}, after: sold, end: completed}
`

// TestSpilledOverAKill has ten times as many signals wait for a link as memory is to hold. The
// links come later: of half of them before the process is killed, of the others after its
// restart. All orders are complete then, none twice.
func TestSpilledOverAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 signals that wait, and a restart")
	}
	const n, most, batch = 20_000, 2000, 1000
	gate := newGate(t)
	gate.open()
	env := gate.settings()
	env[runAsMain] = spillingSoon
	dir := dataFolder(t, map[string]string{"sales": spillFlow})
	p := runProgram(t, dir, env)
	send := func(name string, from, to int, data func(int) map[string]any) {
		t.Helper()
		for ; from < to; from += batch {
			events := make([]cloudEvent, batch)
			for i := range events {
				events[i] = cloudEvent{ID: fmt.Sprint(name, from+i), Type: name, Data: data(from + i)}
			}
			p.send(events...)
		}
	}
	metric := func(name string) int {
		_, body := p.call(http.MethodGet, "/metrics", "", nil)
		value, err := strconv.Atoi(metricOf(string(body), "throughline_engine_"+name))
		if err != nil {
			return -1
		}
		return value
	}
	sold := func(i int) map[string]any {
		return map[string]any{"order_id": fmt.Sprint("A", i), "parcel_id": fmt.Sprint("P", i)}
	}
	tables := openTables(t, gate.server)
	completed := func(want int) {
		t.Helper()
		for query, want := range map[string]uint64{
			"SELECT countIf(state = 'completed') FROM throughline.instances FINAL WHERE flow = 'sales'": uint64(want),
			"SELECT count() FROM throughline.instances FINAL WHERE flow = 'sales'":                      uint64(want),
			"SELECT count() FROM throughline.steps FINAL WHERE flow = 'sales'":                          uint64(2 * want),
		} {
			p.eventually(fmt.Sprintf("%s is %d", query, want), 3*time.Minute, func() bool { return askTable(t, tables, query) == want })
		}
	}

	send("sent", 0, n, func(i int) map[string]any { return map[string]any{"parcel_id": fmt.Sprint("P", i)} })
	p.eventually("all but a few left memory", 3*time.Minute, func() bool { return metric("spilled") == n-most })
	if waiting := metric("waiting"); waiting != most {
		t.Errorf("%d wait in memory, not %d", waiting, most)
	}
	send("sold", 0, n/2, sold)
	completed(n / 2)
	p.eventually("fewer wait on disk", time.Minute, func() bool { return metric("spilled") >= 0 && metric("spilled") <= n/2 })
	p.kill()
	p = runProgram(t, dir, env)
	send("sold", n/2, n, sold)
	completed(n)
	p.eventually("nothing waits", time.Minute, func() bool { return metric("spilled") == 0 && metric("waiting") == 0 })
	if lost := metric("given_up"); lost != 0 {
		t.Errorf("%d were given up", lost)
	}
}
