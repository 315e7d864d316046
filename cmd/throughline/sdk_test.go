package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// checkoutFlow is made of spans of two services.
const checkoutFlow = `flow: checkout
key: order_id
steps:
  - {id: ordered, match: {span: "POST /orders", service: webshop}, start: true}
  - {id: captured, match: {span: "POST /capture", service: payments, where: 'outcome == "ok"'}, after: ordered, within: 1h}
  - {id: confirmed, match: {span: "POST /confirm", service: webshop}, after: captured, within: 1h, end: completed}
`

// exportOrder lets two services tell of one order in three traces; each sends all of it
// twice. It returns the ids of the traces.
func exportOrder(t *testing.T, order string, exporter func(context.Context) (*otlptrace.Exporter, error)) (traces []string) {
	t.Helper()
	ctx := t.Context()
	service := func(name string, work func(trace.Tracer)) {
		kept := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(
			sdktrace.WithSyncer(kept), sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", name))))
		work(provider.Tracer("orders"))
		spans := kept.GetSpans().Snapshots()
		out, err := exporter(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // as after an answer that was lost
			if err := out.ExportSpans(ctx, spans); err != nil {
				t.Fatalf("%s exports: %v", name, err)
			}
		}
		if err := out.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := provider.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for _, s := range spans {
			if id := s.SpanContext().TraceID().String(); !slices.Contains(traces, id) {
				traces = append(traces, id)
			}
		}
	}
	key := trace.WithAttributes(attribute.String("order_id", order))
	service("webshop", func(tracer trace.Tracer) {
		within, request := tracer.Start(ctx, "POST /orders", key, trace.WithSpanKind(trace.SpanKindServer))
		_, query := tracer.Start(within, "SELECT stock")
		query.End()
		request.End()
	})
	service("payments", func(tracer trace.Tracer) {
		_, capture := tracer.Start(ctx, "POST /capture", key)
		capture.End()
	})
	service("webshop", func(tracer trace.Tracer) {
		_, confirm := tracer.Start(ctx, "POST /confirm", key)
		confirm.End()
	})
	return traces
}

// oneOrder checks that three traces became one instance.
func oneOrder(t *testing.T, h *house, order string, traces []string) {
	t.Helper()
	var in instanceAnswer
	h.eventually("order "+order+" is complete", 10*time.Second, func() bool {
		in, _ = h.instance("checkout", order)
		return in.State == "completed" && len(in.Signals) == 3 && len(in.Path) >= 3
	})
	if want := []string{"ordered", "captured", "confirmed"}; !slices.Equal(in.Path, want) {
		t.Errorf("path %v, want %v: a copy counted, or a span is missing", in.Path, want)
	}
	var got, systems []string
	for _, s := range in.Signals {
		got, systems = append(got, s.TraceID), append(systems, s.System)
	}
	slices.Sort(got)
	slices.Sort(traces)
	if len(traces) != 3 || !slices.Equal(got, traces) {
		t.Errorf("traces %v, want %v", got, traces)
	}
	if slices.Sort(systems); !slices.Equal(systems, []string{"payments", "webshop", "webshop"}) {
		t.Errorf("systems %v", systems)
	}
	var page struct{ Instances []instanceAnswer }
	h.get("/api/v1/flows/checkout/instances?state=completed", &page)
	n := 0
	for _, in := range page.Instances {
		if in.Key == order {
			n++
		}
	}
	if n != 1 {
		t.Errorf("order %s is listed %d times", order, n)
	}
}

// TestRealSDKs sends with OpenTelemetry's SDKs for Go and for JavaScript.
func TestRealSDKs(t *testing.T) {
	server := clickhouse(t, t.TempDir())
	h := startWith(t, map[string]string{"checkout": checkoutFlow}, external(t, server.Addr(), server.Password))
	h.awaitClickHouse()
	t.Run("Go over gRPC", func(t *testing.T) {
		traces := exportOrder(t, "G1", func(ctx context.Context) (*otlptrace.Exporter, error) {
			return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(h.addr.OTLPGRPC), otlptracegrpc.WithInsecure(),
				otlptracegrpc.WithCompressor("gzip"))
		})
		oneOrder(t, h.in(t), "G1", traces)
	})
	t.Run("Go over HTTP", func(t *testing.T) {
		traces := exportOrder(t, "H1", func(ctx context.Context) (*otlptrace.Exporter, error) {
			return otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(h.addr.OTLPHTTP), otlptracehttp.WithInsecure(),
				otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		})
		oneOrder(t, h.in(t), "H1", traces)
	})
	t.Run("JavaScript", func(t *testing.T) {
		oneOrder(t, h.in(t), "J1", exportOrderJS(t, h, "J1"))
	})
	s := openTables(t, server)
	spans := func() uint64 {
		return askTable(t, s, "SELECT uniqExact(TraceId, SpanId) FROM throughline.spans WHERE ServiceName IN ('webshop', 'payments')")
	}
	h.eventually("all spans are stored", 5*time.Second, func() bool { return spans() == 12 })
	if n := askTable(t, s, "SELECT count() FROM throughline.spans FINAL"); n != 12 {
		t.Errorf("%d spans are left of %d", n, spans())
	}
	if a := h.health("checkout", "window=all"); a.Started != 3 || a.Completed != 3 || a.Steps[1].Reached != 3 {
		t.Errorf("three orders became %+v", a)
	}
}

// exportOrderJS does what exportOrder does, in Node.js.
func exportOrderJS(t *testing.T, h *house, order string) (traces []string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("../../node_modules/@opentelemetry/sdk-trace-node"); err != nil {
		t.Skipf("make test installs it: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, "../../web/e2e/otel-client.mjs", "http://"+h.addr.OTLPHTTP, order)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &faults)
	}
	if err := json.Unmarshal(out, &traces); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return traces
}

// sample is one OTLP request in JSON.
type sample struct {
	name, signal string // traces, logs
	body         []byte
}

// otlpSamples are all requests with spans or log records in the shared data.
func otlpSamples(t *testing.T) (samples []sample) {
	t.Helper()
	needShared(t)
	err := filepath.WalkDir(filepath.Join(shared, "otlp"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for i, body := range requests(t, path) {
			for _, signal := range []string{"traces", "logs"} {
				if bytes.Contains(body[:min(len(body), 4096)], []byte(map[string]string{"traces": `"resourceSpans"`, "logs": `"resourceLogs"`}[signal])) {
					samples = append(samples, sample{fmt.Sprintf("%s #%d", entry.Name(), i), signal, body})
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// requests are the JSON documents of a file, one or one a line.
func requests(t *testing.T, path string) (bodies [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	switch {
	case strings.HasSuffix(path, ".ndjson.gz"):
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	case !strings.HasSuffix(path, ".json"):
		return nil
	}
	decoder := json.NewDecoder(r)
	for {
		var body json.RawMessage
		if err := decoder.Decode(&body); err == io.EOF {
			return bodies
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		bodies = append(bodies, body)
	}
}

// spansIn lists the (trace id, span id) of a request.
func spansIn(t *testing.T, s sample) (ids []string) {
	t.Helper()
	var request struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct{ TraceID, SpanID string }
			}
		}
	}
	if err := json.Unmarshal(s.body, &request); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	for _, r := range request.ResourceSpans {
		for _, scope := range r.ScopeSpans {
			for _, span := range scope.Spans {
				ids = append(ids, strings.ToLower(span.TraceID+span.SpanID))
			}
		}
	}
	return ids
}

// TestSamplesAreAccepted sends what real producers sent, much of it twice.
func TestSamplesAreAccepted(t *testing.T) {
	if testing.Short() {
		t.Skip("sends some hundred thousand spans")
	}
	samples := otlpSamples(t)
	server := clickhouse(t, t.TempDir())
	h := startWith(t, map[string]string{"checkout": checkoutFlow}, external(t, server.Addr(), server.Password))
	distinct := map[string]bool{}
	sent := 0
	for i, s := range samples {
		if s.signal == "traces" {
			for _, id := range spansIn(t, s) {
				distinct[id] = true
				sent++
			}
		}
		again := 1
		if len(s.body) < 100<<10 || i%4 == 0 { // the large logs hold copies of their own
			again = 2
		}
		for range again {
			response, err := http.Post("http://"+h.addr.OTLPHTTP+"/v1/"+s.signal, "application/json", bytes.NewReader(s.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || strings.Contains(string(answer), "rejected") {
				t.Errorf("%s as %s: %d %s %v", s.name, s.signal, response.StatusCode, answer, err)
			}
		}
	}
	if len(samples) < 8 || len(distinct) == 0 {
		t.Fatalf("only %d samples with %d spans were found", len(samples), len(distinct))
	}
	t.Logf("%d requests, %d spans, %d of them different", len(samples), sent, len(distinct))
	tables := openTables(t, server)
	stored := uint64(0)
	h.eventually("every span is stored", time.Minute, func() bool {
		stored = askTable(t, tables, "SELECT uniqExact(TraceId, SpanId) FROM throughline.spans")
		return stored >= uint64(len(distinct))
	})
	if stored != uint64(len(distinct)) {
		t.Errorf("%d spans are stored of %d", stored, len(distinct))
	}
}
