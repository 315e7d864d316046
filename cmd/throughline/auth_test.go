package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// makeToken runs the command, beside a server that may run on the folder.
func makeToken(t *testing.T, dir string, args ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, testEnv(dir), append([]string{"token", "create"}, args...)...)
	if code != exitDone || !strings.HasPrefix(stdout, "tl_") || !strings.Contains(stderr, "this once") {
		t.Fatalf("token create %v: %d %q %q", args, code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

// as asks with a token; "" for none.
func (h *house) as(token, method, path, contentType string, body []byte) (int, http.Header, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr.HTTP+path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(answer)
}

// exportSpans sends n spans of a service as a program with the SDK does.
func exportSpans(t *testing.T, service string, n int, exporter *otlptrace.Exporter) error {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept), sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))))
	for range n {
		_, span := provider.Tracer("test").Start(t.Context(), "work")
		span.End()
	}
	return exporter.ExportSpans(t.Context(), kept.GetSpans().Snapshots())
}

const placed = `{"specversion":"1.0","id":"%ID","source":"%SOURCE","type":"order.placed","data":{"order_id":"A1"}}`

func orderEvent(id, source string) []byte {
	return []byte(strings.NewReplacer("%ID", id, "%SOURCE", source).Replace(placed))
}

// TestTokens: with auth.mode local, every way in asks for a token of its scope; one that is
// made while the server runs works at once, one that is revoked does not.
func TestTokens(t *testing.T) {
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	sender := makeToken(t, dir, "--name", "webshop", "--scope", "ingest")
	h := startIn(t, dir, map[string]string{"THROUGHLINE_AUTH_MODE": "local"})
	reader := makeToken(t, dir, "--name", "wall", "--scope", "read")
	admin := makeToken(t, dir, "--name", "root", "--scope", "admin")
	bound := makeToken(t, dir, "--name", "carrier", "--scope", "ingest", "--system", "carrier")
	const events, structured = "/api/v1/events", "application/cloudevents+json"
	for _, c := range []struct {
		name, token, method, path, contentType string
		body                                   []byte
		status                                 int
		says                                   string
	}{
		{"event without a token", "", "POST", events, structured, orderEvent("1", "s"), 401, "Authorization: Bearer"},
		{"event with a wrong token", reader[:len(reader)-1] + "x", "POST", events, structured, orderEvent("1", "s"), 401, "not known"},
		{"event with a token for reading", reader, "POST", events, structured, orderEvent("1", "s"), 403, "--scope ingest"},
		{"event with a token for sending", sender, "POST", events, structured, orderEvent("1", "s"), 200, `"accepted":1`},
		{"event of another system", bound, "POST", events, structured, orderEvent("2", "payments"), 400, `\"carrier\" only`},
		{"event of its system", bound, "POST", events, structured, orderEvent("3", "carrier"), 200, `"accepted":1`},
		{"numbers without a token", "", "GET", "/api/v1/flows", "", nil, 401, "Authorization: Bearer"},
		{"numbers with a token for sending", sender, "GET", "/api/v1/flows", "", nil, 403, "scope ingest, and this needs read"},
		{"numbers with a token for reading", reader, "GET", "/api/v1/flows", "", nil, 200, "orders"},
		{"page without a token", "", "GET", "/flows/orders", "", nil, 401, ""},
		{"websocket without a token", "", "GET", "/api/v1/live", "", nil, 401, ""},
		{"metrics without a token", "", "GET", "/metrics", "", nil, 401, ""},
		{"metrics", reader, "GET", "/metrics", "", nil, 200, `throughline_ingest_refused_total{class="unauthenticated",protocol="cloudevents"`},
		{"alive", "", "GET", "/healthz", "", nil, 200, "ok"},
		{"ready", "", "GET", "/readyz", "", nil, 200, `"ready":true`},
		{"tokens with a token for reading", reader, "GET", "/api/v1/tokens", "", nil, 403, "needs admin"},
		{"tokens", admin, "GET", "/api/v1/tokens", "", nil, 200, `"name":"wall"`},
	} {
		code, header, answer := h.as(c.token, c.method, c.path, c.contentType, c.body)
		if code != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d %s", c.name, code, answer)
		}
		if code/100 == 4 && header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: answered as %s", c.name, header.Get("Content-Type"))
		}
	}
	env := testEnv(dir)
	if code, _, stderr := command(t, env, "token", "list", "--server", "http://"+h.addr.HTTP); code != exitInput || !strings.Contains(stderr, tokenVariable) {
		t.Errorf("without a token: %d %q", code, stderr)
	}
	env[tokenVariable] = admin
	if code, stdout, stderr := command(t, env, "token", "revoke", "wall", "--server", "http://"+h.addr.HTTP); code != exitDone || !strings.Contains(stdout, "revoked") {
		t.Errorf("revoke: %d %q %q", code, stdout, stderr)
	}
	if code, _, _ := h.as(reader, "GET", "/api/v1/flows", "", nil); code != 401 {
		t.Errorf("a revoked token: %d", code)
	}
	if code, stdout, _ := command(t, env, "token", "list"); code != exitDone || strings.Contains(stdout, "wall") || !strings.Contains(stdout, "carrier") {
		t.Errorf("list: %d %q", code, stdout)
	}
}

// TestTokensOverOTLP sends with the SDK's exporters.
func TestTokensOverOTLP(t *testing.T) {
	dir := dataFolder(t, map[string]string{"checkout": checkoutFlow})
	h := startIn(t, dir, map[string]string{"THROUGHLINE_AUTH_MODE": "local"})
	sender := makeToken(t, dir, "--name", "webshop", "--scope", "ingest")
	reader := makeToken(t, dir, "--name", "wall", "--scope", "read")
	bound := makeToken(t, dir, "--name", "carrier", "--scope", "ingest", "--system", "carrier")
	few := makeToken(t, dir, "--name", "few", "--scope", "ingest", "--rate", "1")
	overGRPC := func(token string) *otlptrace.Exporter {
		options := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpoint(h.addr.OTLPGRPC), otlptracegrpc.WithInsecure(), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}),
		}
		if token != "" {
			options = append(options, otlptracegrpc.WithHeaders(map[string]string{"authorization": "Bearer " + token}))
		}
		exporter, err := otlptracegrpc.New(t.Context(), options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = exporter.Shutdown(context.Background()) })
		return exporter
	}
	overHTTP := func(token string) *otlptrace.Exporter {
		options := []otlptracehttp.Option{
			otlptracehttp.WithEndpoint(h.addr.OTLPHTTP), otlptracehttp.WithInsecure(), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
		}
		if token != "" {
			options = append(options, otlptracehttp.WithHeaders(map[string]string{"Authorization": "Bearer " + token}))
		}
		exporter, err := otlptracehttp.New(t.Context(), options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = exporter.Shutdown(context.Background()) })
		return exporter
	}
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "tl_x": codes.Unauthenticated, reader: codes.PermissionDenied, sender: codes.OK} {
		if err := exportSpans(t, "webshop", 3, overGRPC(token)); status.Code(err) != want {
			t.Errorf("over gRPC: %v, want %v", err, want)
		}
		err := exportSpans(t, "webshop", 3, overHTTP(token))
		switch {
		case want == codes.OK && err != nil,
			want == codes.Unauthenticated && (err == nil || !strings.Contains(err.Error(), "401")),
			want == codes.PermissionDenied && (err == nil || !strings.Contains(err.Error(), "403")):
			t.Errorf("over HTTP: %v, want %v", err, want)
		}
	}
	if err := exportSpans(t, "carrier", 2, overGRPC(bound)); err != nil {
		t.Errorf("its own system: %v", err)
	}
	if err := exportSpans(t, "payments", 2, overGRPC(bound)); err == nil || !strings.Contains(err.Error(), "2 spans rejected") || !strings.Contains(err.Error(), "carrier") {
		t.Errorf("another system: %v", err)
	}
	// The first batch is taken whole; it is paid for over the 100 s after.
	limited := overGRPC(few)
	if err := exportSpans(t, "few", 100, limited); err != nil {
		t.Errorf("within the rate: %v", err)
	}
	err := exportSpans(t, "few", 1, limited)
	if st := status.Convert(err); st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 || !strings.Contains(st.Message(), "--rate") {
		t.Errorf("above the rate: %v", err)
	}
	_, header, answer := h.as(few, "POST", "/api/v1/events", "application/cloudevents+json", orderEvent("9", "few"))
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err != nil || seconds < 40 || seconds > 100 {
		t.Errorf("above the rate: to wait %d s, %s", seconds, answer)
	}
	accepted := func() (n int) {
		var flows struct{ Flows []json.RawMessage }
		if code, _, answer := h.as(reader, "GET", "/api/v1/flows", "", nil); code != 200 || json.Unmarshal([]byte(answer), &flows) != nil {
			t.Fatal(answer)
		}
		_, _, metrics := h.as(reader, "GET", "/metrics", "", nil)
		for _, line := range strings.Split(metrics, "\n") {
			if strings.HasPrefix(line, "throughline_ingest_accepted_total{") && strings.Contains(line, `kind="span"`) {
				_, count, _ := strings.Cut(line, "} ")
				var one float64
				if err := json.Unmarshal([]byte(count), &one); err != nil {
					t.Fatal(err)
				}
				n += int(one)
			}
		}
		return n
	}
	h.eventually("what was accepted is counted", 5*time.Second, func() bool { return accepted() == 3+3+2+100 })
}
