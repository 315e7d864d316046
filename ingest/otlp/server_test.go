package otlp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"throughline/ingest"
	"throughline/ingest/ingesttest"
	"throughline/ingest/otlp"
)

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
)

// someTraces has n spans; those with a zero id are bad.
func someTraces(ids ...byte) ptrace.Traces {
	td := ptrace.NewTraces()
	group := td.ResourceSpans().AppendEmpty()
	group.Resource().Attributes().PutStr("service.name", "shop")
	spans := group.ScopeSpans().AppendEmpty().Spans()
	for _, id := range ids {
		s := spans.AppendEmpty()
		s.SetName("wanted")
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{id})
		s.SetStartTimestamp(1_700_000_000_000_000_000)
	}
	return td
}

func tracesRequest(t *testing.T, ids ...byte) []byte {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(someTraces(ids...)).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func post(t *testing.T, h http.Handler, path string, body []byte, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHTTPSuccess(t *testing.T) {
	in, bus, meter := ingesttest.New(t)
	h := otlp.NewHandler(in)
	w := post(t, h, "/v1/traces", tracesRequest(t, 1, 2), "Content-Type", typeProto)
	if w.Code != 200 || w.Header().Get("Content-Type") != typeProto || w.Body.Len() != 0 {
		t.Errorf("answer %d %v %q", w.Code, w.Header(), w.Body)
	}
	if got := bus.Take(); got.SpanCount() != 2 || len(got.Signals) != 2 {
		t.Errorf("%d spans, %d signals", got.SpanCount(), len(got.Signals))
	}
	w = post(t, h, "/v1/traces", []byte(`{"resourceSpans":[]}`), "Content-Type", "application/json; charset=utf-8")
	if w.Code != 200 || w.Header().Get("Content-Type") != typeJSON || w.Body.String() != "{}" {
		t.Errorf("answer %d %v %q", w.Code, w.Header(), w.Body)
	}
	if n := meter.Sum(t, "throughline.ingest.accepted", "kind", "span"); n != 2 {
		t.Errorf("counted %d", n)
	}
}

func TestHTTPPartialSuccess(t *testing.T) {
	in, bus, meter := ingesttest.New(t)
	h := otlp.NewHandler(in)
	w := post(t, h, "/v1/traces", tracesRequest(t, 1, 0, 0), "Content-Type", typeProto)
	answer := ptraceotlp.NewExportResponse()
	if err := answer.UnmarshalProto(w.Body.Bytes()); err != nil || w.Code != 200 {
		t.Fatalf("answer %d: %v", w.Code, err)
	}
	if p := answer.PartialSuccess(); p.RejectedSpans() != 2 || !strings.Contains(p.ErrorMessage(), "no span id") {
		t.Errorf("%d rejected: %s", p.RejectedSpans(), p.ErrorMessage())
	}
	if n := countSpans(bus); n != 1 {
		t.Errorf("%d spans", n)
	}
	if n := meter.Sum(t, "throughline.ingest.rejected", "reason", "identity"); n != 2 {
		t.Errorf("counted %d", n)
	}
	w = post(t, h, "/v1/logs", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"},{}]}]}]}`), "Content-Type", typeJSON)
	logs := plogotlp.NewExportResponse()
	if err := logs.UnmarshalJSON(w.Body.Bytes()); err != nil || w.Code != 200 {
		t.Fatalf("answer %d: %v", w.Code, err)
	}
	if p := logs.PartialSuccess(); p.RejectedLogRecords() != 1 || !strings.Contains(p.ErrorMessage(), "traceId") {
		t.Errorf("%d rejected: %s", p.RejectedLogRecords(), p.ErrorMessage())
	}
}

func TestHTTPRefusals(t *testing.T) {
	gzipBomb, zstdBomb := bomb(t, "gzip"), bomb(t, "zstd")
	for name, tt := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		want                        int
		code                        codes.Code
	}{
		"not protobuf":  {"/v1/traces", typeProto, "", []byte("hello"), 400, codes.InvalidArgument},
		"not JSON":      {"/v1/traces", typeJSON, "", []byte("{"), 400, codes.InvalidArgument},
		"content type":  {"/v1/traces", "text/plain", "", nil, 415, codes.InvalidArgument},
		"none":          {"/v1/traces", "", "", nil, 415, codes.InvalidArgument},
		"encoding":      {"/v1/traces", typeProto, "br", nil, 415, codes.InvalidArgument},
		"not gzip":      {"/v1/traces", typeProto, "gzip", []byte("hello"), 400, codes.InvalidArgument},
		"not zstd":      {"/v1/traces", typeProto, "zstd", []byte("hello"), 400, codes.InvalidArgument},
		"gzip bomb":     {"/v1/traces", typeProto, "gzip", gzipBomb, 413, codes.ResourceExhausted},
		"zstd bomb":     {"/v1/traces", typeProto, "zstd", zstdBomb, 413, codes.ResourceExhausted},
		"cut-off gzip":  {"/v1/logs", typeProto, "gzip", gzipBomb[:100], 400, codes.InvalidArgument},
		"metrics":       {"/v1/metrics", typeProto, "", nil, 404, codes.Unimplemented},
		"somewhere":     {"/v1/x", typeJSON, "", nil, 404, codes.Unimplemented},
		"17 MiB of it":  {"/v1/logs", typeJSON, "", make([]byte, 17<<20), 413, codes.ResourceExhausted},
		"bomb, as text": {"/v1/logs", "", "gzip", gzipBomb, 413, codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			in, bus, _ := ingesttest.New(t)
			w := post(t, otlp.NewHandler(in), tt.path, tt.body, "Content-Type", tt.contentType, "Content-Encoding", tt.encoding)
			if w.Code != tt.want {
				t.Fatalf("answer %d %q", w.Code, w.Body)
			}
			if tt.contentType == typeProto {
				var st rpc.Status
				if err := proto.Unmarshal(w.Body.Bytes(), &st); err != nil || codes.Code(st.GetCode()) != tt.code || st.GetMessage() == "" {
					t.Errorf("status %v, %v", &st, err)
				}
			} else if !strings.Contains(w.Body.String(), `"message"`) {
				t.Errorf("body %q", w.Body)
			}
			if got := bus.Take(); got.SpanCount()+len(got.Logs) != 0 {
				t.Error("published")
			}
		})
	}
}

// bomb is 64 MiB of zeros in few bytes.
func bomb(t *testing.T, encoding string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if encoding == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	}
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHTTPCompressed(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	h := otlp.NewHandler(in)
	body := tracesRequest(t, 1)
	var zipped, z bytes.Buffer
	g := gzip.NewWriter(&zipped)
	e, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{g, e} {
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for encoding, compressed := range map[string][]byte{"gzip": zipped.Bytes(), "zstd": z.Bytes()} {
		w := post(t, h, "/v1/traces", compressed, "Content-Type", typeProto, "Content-Encoding", encoding)
		if n := countSpans(bus); w.Code != 200 || n != 1 {
			t.Errorf("%s: answer %d, %d spans", encoding, w.Code, n)
		}
	}
}

func TestHTTPNoAckWithoutBus(t *testing.T) {
	for _, err := range []error{ingest.ErrBusy, errors.New("secret of the bus")} {
		in, bus, _ := ingesttest.New(t)
		bus.Fail(err)
		w := post(t, otlp.NewHandler(in), "/v1/traces", tracesRequest(t, 1), "Content-Type", typeProto)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: answer %d %v %q", err, w.Code, w.Header(), w.Body)
		}
	}
}

// serveGRPC runs a server for the test and connects to it.
func serveGRPC(t *testing.T, in *ingest.Intake) *grpc.ClientConn {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(otlp.ServerOptions(in)...)
	otlp.RegisterGRPC(server, in)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestGRPC(t *testing.T) {
	in, bus, meter := ingesttest.New(t)
	conn := serveGRPC(t, in)
	client := ptraceotlp.NewGRPCClient(conn)
	for _, compression := range []string{"identity", "gzip", "zstd"} {
		answer, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(someTraces(1, 2)), grpc.UseCompressor(compression))
		if err != nil {
			t.Fatalf("%s: %v", compression, err)
		}
		if p := answer.PartialSuccess(); p.RejectedSpans() != 0 || p.ErrorMessage() != "" {
			t.Errorf("%s: %d rejected", compression, p.RejectedSpans())
		}
		if n := countSpans(bus); n != 2 {
			t.Errorf("%s: %d spans", compression, n)
		}
	}
	answer, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(someTraces(0, 1)))
	if err != nil || answer.PartialSuccess().RejectedSpans() != 1 {
		t.Errorf("%d rejected, %v", answer.PartialSuccess().RejectedSpans(), err)
	}
	ld := plog.NewLogs()
	record := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.SetEventName("order.placed")
	if _, err := plogotlp.NewGRPCClient(conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld)); err != nil {
		t.Error(err)
	}
	if got := bus.Take().Signals; len(got) != 2 || got[1].Name != "order.placed" || got[1].Source != "unknown_service" {
		t.Errorf("signals %+v", got)
	}
	if n := meter.Sum(t, "throughline.ingest.accepted", "protocol", "otlp-grpc"); n != 8 {
		t.Errorf("counted %d", n)
	}
}

func TestGRPCRefusals(t *testing.T) {
	in, bus, meter := ingesttest.New(t)
	conn := serveGRPC(t, in)
	client := ptraceotlp.NewGRPCClient(conn)
	if _, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), pmetricotlp.NewExportRequest()); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("metrics: %v", err)
	}
	if n := meter.Sum(t, "throughline.ingest.refused", "class", "not-found"); n != 1 {
		t.Errorf("metrics: %d counted", n)
	}
	for _, compression := range []string{"gzip", "zstd"} {
		td := someTraces(1)
		td.ResourceSpans().At(0).Resource().Attributes().PutStr("zeros", strings.Repeat("0", 20<<20))
		_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td), grpc.UseCompressor(compression))
		if err == nil {
			t.Errorf("%s bomb: accepted", compression)
		}
	}
	for _, cause := range []error{ingest.ErrBusy, errors.New("secret of the bus")} {
		bus.Fail(cause)
		_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(someTraces(1)))
		st := status.Convert(err)
		if st.Code() != codes.Unavailable || strings.Contains(st.Message(), "secret") || len(st.Details()) != 1 {
			t.Fatalf("%v: %v", cause, st)
		}
		if info, ok := st.Details()[0].(*errdetails.RetryInfo); !ok || info.GetRetryDelay().AsDuration() <= 0 {
			t.Errorf("%v: %v", cause, st)
		}
	}
	if n := countSpans(bus); n != 0 {
		t.Errorf("%d published", n)
	}
}

// TestBusy: with every place taken, both protocols ask to try again.
func TestBusy(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	conn := serveGRPC(t, in)
	ingesttest.Fill(t, in)
	w := post(t, otlp.NewHandler(in), "/v1/traces", tracesRequest(t, 1), "Content-Type", typeProto)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
	_, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(someTraces(1)))
	if st := status.Convert(err); st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 {
		t.Errorf("status %v", st)
	}
	if n := countSpans(bus); n != 0 {
		t.Errorf("%d published", n)
	}
}

// TestSDK sends spans as a program that uses the OpenTelemetry SDK does.
func TestSDK(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	server := httptest.NewServer(otlp.NewHandler(in))
	defer server.Close()
	overHTTP := otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	overGRPC := otlptracegrpc.NewClient(otlptracegrpc.WithGRPCConn(serveGRPC(t, in)), otlptracegrpc.WithCompressor("gzip"))
	for name, client := range map[string]otlptrace.Client{"http": overHTTP, "grpc": overGRPC} {
		t.Run(name, func(t *testing.T) { exportBySDK(t, client, bus) })
	}
}

func exportBySDK(t *testing.T, client otlptrace.Client, bus *ingesttest.Bus) {
	exporter, err := otlptrace.New(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	ctx, parent := provider.Tracer("test").Start(t.Context(), "wanted parent")
	_, child := provider.Tracer("test").Start(ctx, "child")
	child.End()
	parent.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := bus.Take()
	if got.SpanCount() != 2 || len(got.Signals) != 1 || ingesttest.Spans(got.Spans)[0].ParentID != parent.SpanContext().SpanID().String() {
		t.Errorf("%d spans, %d signals: %+v", got.SpanCount(), len(got.Signals), got.Spans)
	}
}

// countSpans takes what was published.
func countSpans(bus *ingesttest.Bus) int {
	got := bus.Take()
	return got.SpanCount()
}
