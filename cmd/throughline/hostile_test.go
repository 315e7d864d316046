package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// dialGRPC is a connection to the port of OTLP over gRPC.
func dialGRPC(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dial opens a connection and sends text on it.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// spansOf is a request with spans whose ids are their numbers, from first on.
func spansOf(trace byte, first, n int) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	group := td.ResourceSpans().AppendEmpty()
	group.Resource().Attributes().PutStr("service.name", "hostile")
	spans := group.ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		s := spans.AppendEmpty()
		s.SetName("work")
		s.SetTraceID([16]byte{15: trace + 1})
		id := first + i + 1
		s.SetSpanID([8]byte{4: byte(id >> 24), 5: byte(id >> 16), 6: byte(id >> 8), 7: byte(id)})
		s.SetStartTimestamp(1_790_000_000_000_000_000)
		s.SetEndTimestamp(1_790_000_000_100_000_000)
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

// spansOverHTTP sends one request, and says whether it was accepted.
func spansOverHTTP(ctx context.Context, addr string, request ptraceotlp.ExportRequest) error {
	body, err := request.MarshalProto()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, answer)
	}
	return err
}

// counted is the sum of the lines of /metrics that begin with name and hold all labels.
func (h *house) counted(name string, labels ...string) (sum float64) {
	h.t.Helper()
	_, body := h.call(http.MethodGet, "/metrics", "", nil)
lines:
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		var one float64
		if err := json.Unmarshal([]byte(line[strings.LastIndexByte(line, ' ')+1:]), &one); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
		sum += one
	}
	return sum
}

// othersGoOn sends events and spans as usual clients do, each within ten seconds however busy
// the machine is, and then counts them.
func othersGoOn(t *testing.T, h *house, s storedRows, trace byte, n int) {
	t.Helper()
	client := ptraceotlp.NewGRPCClient(dialGRPC(t, h.addr.OTLPGRPC))
	var slowest time.Duration
	within := func(what string, send func(context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), slow*10*time.Second)
		defer cancel()
		began := time.Now()
		if err := send(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	for i := range n {
		within("spans over gRPC", func(ctx context.Context) error {
			_, err := client.Export(ctx, spansOf(trace, 20*i, 10))
			return err
		})
		within("spans over HTTP", func(ctx context.Context) error {
			return spansOverHTTP(ctx, h.addr.OTLPHTTP, spansOf(trace, 20*i+10, 10))
		})
		within("events", func(context.Context) error { orders(h, int(trace+1)*1000+i, int(trace+1)*1000+i+1); return nil })
	}
	t.Logf("the slowest of %d requests took %v", 3*n, slowest)
	s.eventually(h, fmt.Sprintf("SELECT count() FROM throughline.spans FINAL WHERE TraceId = '%032x'", trace+1), 20*n)
	s.eventually(h, fmt.Sprintf("SELECT uniqExact(id) FROM throughline.signals WHERE name = 'order.placed' AND toUInt32OrZero(substring(id, 8)) BETWEEN %d AND %d", int(trace+1)*1000, int(trace+1)*1000+999), n)
}

// storedRows are asked beside the product.
type storedRows struct{ ask func(query string) uint64 }

func (s storedRows) eventually(h *house, query string, want int) {
	h.t.Helper()
	got := uint64(0)
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s: %d, want %d", query, got, want)
		}
	}()
	h.eventually(query, slow*20*time.Second, func() bool { got = s.ask(query); return got == uint64(want) })
}

// besideTables runs the program with a ClickHouse that the test can ask.
func besideTables(t *testing.T) (*program, storedRows) {
	t.Helper()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	server := clickhouse(t, t.TempDir())
	p := runProgram(t, dir, external(t, server.Addr(), server.Password))
	p.awaitClickHouse()
	s := openTables(t, server)
	return p, storedRows{func(query string) uint64 { return askTable(t, s, query) }}
}

// awaitEnd waits until the other side closes, and says what it said before.
func awaitEnd(conn net.Conn, within time.Duration) (said string, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	if err != nil && strings.Contains(err.Error(), "reset") { // is an end, too
		err = nil
	}
	return string(b), err
}

// TestSlowClients: those who send a byte at a time, stop in the middle, or open a call and
// say nothing, hold nobody else up and are given up; one that has said all and closed its
// half is answered.
func TestSlowClients(t *testing.T) {
	needLoad(t)
	p, s := besideTables(t)
	const each = 100
	const head = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"
	ctx, stop := context.WithCancel(t.Context())
	var dripping sync.WaitGroup
	defer dripping.Wait()
	defer stop()
	drip := func(conn net.Conn, text string) { // ends with the connection, or with ctx
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for i := range len(text) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
		}
	}
	var given []net.Conn
	for range each {
		header := dial(t, p.addr.HTTP, "POST /api/v1/events HTTP/1.1\r\nX-Slow: ")
		dripping.Go(func() { drip(header, strings.Repeat("x", 1000)) })
		body := dial(t, p.addr.HTTP, head+"Content-Length: 1000\r\n\r\n{")
		dripping.Go(func() { drip(body, strings.Repeat(" ", 999)) })
		silent := dial(t, p.addr.OTLPHTTP, "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\nx")
		given = append(given, header, silent)
	}
	stalled := dialGRPC(t, p.addr.OTLPGRPC)
	for range each {
		if _, err := stalled.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"); err != nil {
			t.Fatal(err)
		}
	}
	othersGoOn(t, &p.house, s, 0, 50)
	half := dial(t, p.addr.HTTP, head+"Connection: close\r\nContent-Length: "+fmt.Sprint(len(orderEvent("half", "shop")))+"\r\n\r\n"+string(orderEvent("half", "shop")))
	if err := half.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if said, err := awaitEnd(half, 5*time.Second); err != nil || !strings.HasPrefix(said, "HTTP/1.1 200") {
		t.Errorf("half-closed: %q %v", said, err)
	}
	for _, conn := range given { // 10 s after the last of them began, and some
		if _, err := awaitEnd(conn, slow*20*time.Second); err != nil {
			t.Fatalf("a slow client is still there: %v", err)
		}
	}
	if n := p.counted("throughline_ingest_refused_total", `class="slow"`, `protocol="otlp-http"`); n != each {
		t.Errorf("%v bodies that stopped were counted, of %d", n, each)
	}
	othersGoOn(t, &p.house, s, 1, 5)
	if !p.alive() {
		t.Error("the process has ended")
	}
}

// TestIdleConnections: thousands of connections that say nothing cost little, end by their
// time, and keep nobody out.
func TestIdleConnections(t *testing.T) {
	needLoad(t)
	p, s := besideTables(t)
	const all = 5000
	before := residentBytes(t, p.cmd.Process.Pid)
	conns := make([]net.Conn, 0, all)
	began, most := time.Now(), float64(0)
	for i := range all {
		addr := []string{p.addr.HTTP, p.addr.OTLPGRPC, p.addr.OTLPHTTP}[i%3]
		conns = append(conns, dial(t, addr, ""))
		if i%500 == 499 {
			most = max(most, p.counted("throughline_connections_open"))
		}
	}
	p.eventually("they are counted", standsStill, func() bool {
		most = max(most, p.counted("throughline_connections_open"))
		return most >= all*4/5 || time.Since(began) > 8*time.Second // the first end after ten
	})
	if most < all/5 { // however busy the machine is
		t.Errorf("%v connections were counted of %d", most, all)
	}
	t.Logf("%v connections open, %d MB more than before", most, (residentBytes(t, p.cmd.Process.Pid)-before)>>20)
	othersGoOn(t, &p.house, s, 0, 30)
	if more := residentBytes(t, p.cmd.Process.Pid) - before; more > slow*400<<20 {
		t.Errorf("they took %d MB", more>>20)
	}
	if n := p.counted("throughline_connections_refused_total"); n != 0 {
		t.Errorf("%v connections were refused", n)
	}
	for _, conn := range conns {
		if _, err := awaitEnd(conn, slow*20*time.Second); err != nil {
			t.Fatalf("an idle connection is still there: %v", err)
		}
	}
	p.eventually("they are gone", 5*time.Second, func() bool { return p.counted("throughline_connections_open") < 50 })
}

// TestBombsOverGRPC: messages that are small on the wire and large unpacked are refused,
// counted, and take bounded memory, however many come at once.
func TestBombsOverGRPC(t *testing.T) {
	needLoad(t)
	p, s := besideTables(t)
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().Resource().Attributes().PutStr("zeros", strings.Repeat("0", 20<<20))
	request := ptraceotlp.NewExportRequestFromTraces(td)
	const senders, each = 8, 2
	var bombs sync.WaitGroup
	for sender := range senders {
		client := ptraceotlp.NewGRPCClient(dialGRPC(t, p.addr.OTLPGRPC))
		bombs.Go(func() {
			for range each {
				if _, err := client.Export(t.Context(), request, grpc.UseCompressor([]string{"gzip", "zstd"}[sender%2])); err == nil {
					t.Error("a bomb was accepted")
				}
			}
		})
	}
	othersGoOn(t, &p.house, s, 0, 10)
	bombs.Wait()
	if n := p.counted("throughline_ingest_refused_total", `class="too-large"`, `protocol="otlp-grpc"`); n != senders*each {
		t.Errorf("%v of %d were counted", n, senders*each)
	}
	if most := residentBytes(t, p.cmd.Process.Pid); most > slow*800<<20 {
		t.Errorf("it held up to %d MB", most>>20)
	} else {
		t.Logf("it held up to %d MB", most>>20)
	}
}

// TestRepeatedRequests: a client sends everything again at once, and once more after the
// server has been restarted, when nothing of it is in memory: what an hour does.
func TestRepeatedRequests(t *testing.T) {
	needLoad(t)
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	server := clickhouse(t, t.TempDir())
	settings := external(t, server.Addr(), server.Password)
	const n = 40
	tell := func(p *program) {
		client := ptraceotlp.NewGRPCClient(dialGRPC(t, p.addr.OTLPGRPC))
		for i := range n {
			for range 2 {
				if _, err := client.Export(t.Context(), spansOf(0, 50*i, 25)); err != nil {
					t.Fatal(err)
				}
				if err := spansOverHTTP(t.Context(), p.addr.OTLPHTTP, spansOf(0, 50*i+25, 25)); err != nil {
					t.Fatal(err)
				}
				orders(&p.house, i, i+1)
			}
		}
	}
	p := runProgram(t, dir, settings)
	p.awaitClickHouse()
	tell(p)
	stored := openTables(t, server)
	s := storedRows{func(query string) uint64 { return askTable(t, stored, query) }}
	check := func() {
		s.eventually(&p.house, "SELECT uniqExact(TraceId, SpanId) FROM throughline.spans", 50*n)
		s.eventually(&p.house, "SELECT count() FROM throughline.spans FINAL", 50*n)
		s.eventually(&p.house, "SELECT uniqExact(source, id) FROM throughline.signals", n)
		s.eventually(&p.house, "SELECT count() FROM throughline.steps FINAL", n)
		p.eventually("each order is counted once", slow*60*time.Second, func() bool {
			a := p.health("orders", "window=all")
			return !a.Restoring && a.Started == n && a.Steps[0].Reached == n
		})
	}
	check()
	p.terminate()
	p = runProgram(t, dir, settings)
	p.awaitClickHouse()
	tell(p)
	check()
}

// TestRepeatedMuchLater: a client sends everything again when a million other spans came
// between, as in an hour, so that the writer does not know its spans any more. Without a
// restart: the engine still knows its orders.
func TestRepeatedMuchLater(t *testing.T) {
	needLoad(t)
	p, s := besideTables(t)
	const n = 20
	tell := func() {
		for i := range n {
			if err := spansOverHTTP(t.Context(), p.addr.OTLPHTTP, spansOf(0, 25*i, 25)); err != nil {
				t.Fatal(err)
			}
		}
		orders(&p.house, 0, n)
	}
	tell()
	const between, size = 1_100_000, 10_000 // more than the writer remembers
	for first := 0; first < between; first += size {
		for {
			err := spansOverHTTP(t.Context(), p.addr.OTLPHTTP, spansOf(1, first, size))
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), "429") && !strings.Contains(err.Error(), "503") {
				t.Fatal(err)
			}
		}
	}
	s.eventually(&p.house, "SELECT uniqExact(SpanId) FROM throughline.spans WHERE TraceId = '00000000000000000000000000000002'", between)
	known := p.counted("throughline_store_repeated_spans_total") // where a refused request was sent again
	tell()
	orders(&p.house, n, n+1) // behind all of it
	s.eventually(&p.house, "SELECT toUInt64(count() > 0) FROM throughline.signals WHERE id = 'placed-20'", 1)
	if dropped := p.counted("throughline_store_repeated_spans_total") - known; dropped != 0 {
		t.Errorf("%v spans were known as repeats: too few came between", dropped)
	}
	s.eventually(&p.house, "SELECT uniqExact(TraceId, SpanId) FROM throughline.spans", 25*n+between)
	s.eventually(&p.house, "SELECT count() FROM throughline.spans FINAL", 25*n+between)
	s.eventually(&p.house, "SELECT uniqExact(source, id) FROM throughline.signals", n+1)
	s.eventually(&p.house, "SELECT count() FROM throughline.steps FINAL", n+1)
	p.eventually("each order is counted once", slow*60*time.Second, func() bool {
		a := p.health("orders", "window=all")
		return a.Started == n+1 && a.Steps[0].Reached == n+1
	})
}

// TestStoppedWhileSpansCome: a SIGTERM under load loses none of the spans that were accepted.
func TestStoppedWhileSpansCome(t *testing.T) {
	needLoad(t)
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	server := clickhouse(t, t.TempDir())
	settings := external(t, server.Addr(), server.Password)
	p := runProgram(t, dir, settings)
	p.awaitClickHouse()
	const senders, size = 8, 200
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var accepted atomic.Int64
	var ids [senders][]int // the first of each accepted request
	var sending sync.WaitGroup
	for sender := range senders {
		client := ptraceotlp.NewGRPCClient(dialGRPC(t, p.addr.OTLPGRPC))
		sending.Go(func() { // until the first that is not accepted: the server has gone
			for first := 0; ctx.Err() == nil; first += size {
				request := spansOf(byte(sender), first, size)
				var err error
				if sender%2 == 0 {
					_, err = client.Export(ctx, request)
				} else {
					err = spansOverHTTP(ctx, p.addr.OTLPHTTP, request)
				}
				if err != nil {
					return
				}
				ids[sender] = append(ids[sender], first)
				accepted.Add(1)
			}
		})
	}
	p.eventually("some are accepted", 20*time.Second, func() bool { return accepted.Load() > 20*senders })
	p.terminate()
	stop()
	sending.Wait()
	p = runProgram(t, dir, settings)
	p.awaitClickHouse()
	stored := openTables(t, server)
	s := storedRows{func(query string) uint64 { return askTable(t, stored, query) }}
	total := 0
	for sender, list := range ids {
		// Those that were accepted are the first ones; one more may be stored without an answer.
		s.eventually(&p.house, fmt.Sprintf("SELECT uniqExact(SpanId) FROM throughline.spans WHERE TraceId = '%032x' AND reinterpretAsUInt64(reverse(unhex(SpanId))) <= %d",
			sender+1, len(list)*size), len(list)*size)
		s.eventually(&p.house, fmt.Sprintf("SELECT toUInt64(count() - uniqExact(SpanId)) FROM throughline.spans FINAL WHERE TraceId = '%032x'", sender+1), 0)
		total += len(list) * size
	}
	t.Logf("%d spans were accepted before the end, all are there once", total)
}
