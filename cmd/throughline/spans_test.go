package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"throughline/cmd/throughline/bench"
)

// spansBody is an OTLP request with spans first to first+n-1, as it is sent every time.
func spansBody(first, n int, name func(int) string) []byte {
	var list []string
	for i := first; i < first+n; i++ {
		at := 1_790_000_000_000_000_000 + int64(i)*1e6
		list = append(list, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","name":%q,"kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}`,
			i/5+1, i+1, name(i), at, at+1e6))
	}
	return []byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[` +
		strings.Join(list, ",") + `]}]}]}`)
}

func logsBody(first, n int) []byte {
	var list []string
	for i := first; i < first+n; i++ {
		list = append(list, fmt.Sprintf(`{"timeUnixNano":"%d","body":{"stringValue":"line %d"}}`, 1_790_000_000_000_000_000+int64(i), i))
	}
	return []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + strings.Join(list, ",") + `]}]}]}`)
}

// accept posts an OTLP request that must be accepted whole.
func (h *house) accept(path string, body []byte) {
	h.t.Helper()
	status, answer := post(h.t, "http://"+h.addr.OTLPHTTP+path, badBody{
		name: path, body: func() io.Reader { return strings.NewReader(string(body)) }, length: int64(len(body)),
		header: map[string]string{"Content-Type": "application/json"},
	})
	if status != http.StatusOK || strings.Contains(string(answer), "rejected") {
		h.t.Fatalf("%s was answered %d %.300s", path, status, answer)
	}
}

func usualName(i int) string { return fmt.Sprint("GET /", i%3) }

// metric is a number of /metrics; -1 where it is not there.
func (h *house) metric(name string) (n float64) {
	h.t.Helper()
	status, body := h.call(http.MethodGet, "/metrics", "", nil)
	if status != http.StatusOK {
		h.t.Fatalf("/metrics is answered %d", status)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				h.t.Fatalf("%s: %v", line, err)
			}
			return n
		}
	}
	return -1
}

// TestRefusedForGood lets ClickHouse refuse single rows by constraints of the operator's:
// they are set aside, all others are stored, once, also over a kill in the middle; mended,
// those set aside are stored too.
func TestRefusedForGood(t *testing.T) {
	server := clickhouse(t, t.TempDir())
	settings := external(t, server.Addr(), server.Password)
	p := runProgram(t, dataFolder(t, map[string]string{"orders": ordersFlow}), settings)
	p.awaitClickHouse()
	s := openTables(t, server)
	constraints := map[string]string{"spans": "SpanName != 'bad'", "logs": "Body != 'line 7'", "signals": "id != 'placed-5'"}
	for table, condition := range constraints {
		if err := s.Root().Exec(t.Context(), "ALTER TABLE throughline."+table+" ADD CONSTRAINT picky CHECK "+condition); err != nil {
			t.Fatal(err)
		}
	}
	name := func(i int) string {
		if i == 123 || i == 777 {
			return "bad"
		}
		return usualName(i)
	}
	counts := map[string]string{
		"spans":   "SELECT count() * (count() = uniqExact(TraceId, SpanId)) FROM throughline.spans",
		"logs":    "SELECT count() * (count() = uniqExact(Body)) FROM throughline.logs",
		"signals": "SELECT count() * (count() = uniqExact(source, id)) FROM throughline.signals",
	}
	check := func(what string, want map[string]uint64) {
		t.Helper()
		for table, query := range counts {
			p.eventually(fmt.Sprintf("%s: %d rows of %s, each once", what, want[table], table), 30*time.Second, func() bool {
				return askTable(t, s, query) == want[table]
			})
		}
	}
	for first := 0; first < 1000; first += 250 {
		p.accept("/v1/traces", spansBody(first, 250, name))
	}
	p.kill() // in the middle of what comes of it
	p = runProgram(t, p.dir, settings)
	p.accept("/v1/logs", logsBody(0, 20))
	orders(&p.house, 0, 10)
	check("refused", map[string]uint64{"spans": 998, "logs": 19, "signals": 9})
	p.eventually("what was refused is set aside", 5*time.Second, func() bool { return p.metric("throughline_bus_dead_letters") == 4 })
	p.accept("/v1/traces", spansBody(1000, 10, usualName))
	check("the others go on", map[string]uint64{"spans": 1008, "logs": 19, "signals": 9})

	var list lettersAnswer
	p.get(lettersPath, &list)
	rows := 0
	for _, l := range list.Letters {
		if rows += l.Signals + l.Spans + l.Logs; !strings.Contains(l.Reason, "picky") || l.Fault != "" || l.At == 0 {
			t.Errorf("letter %+v", l)
		}
	}
	if len(list.Letters) != 4 || rows != 4 {
		t.Errorf("%d rows in letters %+v", rows, list.Letters)
	}
	for table := range constraints {
		if err := s.Root().Exec(t.Context(), "ALTER TABLE throughline."+table+" DROP CONSTRAINT picky"); err != nil {
			t.Fatal(err)
		}
	}
	command := throughline(t, testEnv(p.dir), "dead-letters", "--replay", "--server", "http://"+p.addr.HTTP)
	command.Stderr = os.Stderr
	if out, err := command.Output(); err != nil || string(out) != "4 sent again\n" {
		t.Fatalf("replay said %q, %v", out, err)
	}
	check("sent again", map[string]uint64{"spans": 1010, "logs": 20, "signals": 10})
	if n := p.metric("throughline_bus_dead_letters"); n != 0 {
		t.Errorf("%v dead letters are left", n)
	}
}

// TestKilledTwiceWithoutClickHouse kills the program twice while ClickHouse is gone, with a
// client that sends every request twice: when it is back, every span is there, once.
func TestKilledTwiceWithoutClickHouse(t *testing.T) {
	gate := newGate(t)
	settings := gate.settings()
	p := runProgram(t, dataFolder(t, map[string]string{"orders": ordersFlow}), settings)
	const each = 2000
	for round := range 3 {
		for first := round * each; first < (round+1)*each; first += 200 {
			for range 2 {
				p.accept("/v1/traces", spansBody(first, 200, usualName))
			}
		}
		p.accept("/v1/logs", logsBody(100*round, 100))
		orders(&p.house, 100*round, 100*round+100)
		if round < 2 {
			p.kill()
			p = runProgram(t, p.dir, settings)
		}
	}
	gate.open()
	s := openTables(t, gate.server)
	p.eventually("the schema is there", 30*time.Second, func() bool { state, _ := p.part("clickhouse"); return state == "ok" })
	for query, want := range map[string]uint64{
		"SELECT uniqExact(TraceId, SpanId) FROM throughline.spans": 3 * each,
		"SELECT count() FROM throughline.spans":                    3 * each,
		"SELECT uniqExact(Body) FROM throughline.logs":             300,
		"SELECT count() FROM throughline.logs":                     300,
		"SELECT uniqExact(source, id) FROM throughline.signals":    300,
		"SELECT count() FROM throughline.signals":                  300,
	} {
		p.eventually(fmt.Sprintf("%s is %d", query, want), 30*time.Second, func() bool { return askTable(t, s, query) == want })
	}
	p.eventually("repeats are counted", 5*time.Second, func() bool { return p.metric("throughline_store_repeated_spans_total") == 3*each })
	var list lettersAnswer
	_, body := p.call(http.MethodGet, lettersPath, "", nil)
	if err := json.Unmarshal(body, &list); err != nil || len(list.Letters) != 0 {
		t.Errorf("letters: %s", body)
	}
}

// TestBenchIngest measures the running product for a moment: all that it accepts becomes
// visible, and the flow counts it.
func TestBenchIngest(t *testing.T) {
	h := start(t, map[string]string{"bench": string(bench.FlowFile)})
	h.awaitClickHouse()
	for _, what := range []string{"spans", "events"} {
		args := []string{
			"bench", "ingest", what, "--server", "http://" + h.addr.HTTP, "--otlp", "http://" + h.addr.OTLPHTTP,
			"--rate", "2000", "--duration", "500ms", "--batch", "50", "--json",
		}
		if what == "events" {
			args = append(args, "--flow", "bench")
		}
		var out bytes.Buffer
		if err := run(t.Context(), args, func(string) string { return "" }, &out, os.Stderr); err != nil {
			t.Fatal(err)
		}
		var r bench.IngestReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Accepted < 50 || r.Refused > 0 || r.Visible != r.Accepted || r.VisibleP99 <= 0 || (what == "events" && r.Counted != r.Accepted) {
			t.Errorf("%s: %s", what, out.Bytes())
		}
	}
}
