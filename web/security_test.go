package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestOnlyNamesOfThisMachineAreServed(t *testing.T) {
	f := func(bound, asked string, status int) {
		t.Helper()
		h := newHouse(t, func(o *Options) { o.Host, o.Hosts = bound, []string{"throughline.test"} })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.Host = asked
		if w := h.do(r); w.Code != status {
			t.Errorf("bound to %s, asked for %s: %d, want %d", bound, asked, w.Code, status)
		}
	}
	for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1:1", "127.8.9.1", "[::1]:8080", "[::1]", "throughline.test:80"} {
		f("127.0.0.1:8080", host, 200)
	}
	for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", ":8080"} {
		f("127.0.0.1:8080", host, http.StatusMisdirectedRequest)
	}
	f("[::1]:0", "localhost", 200)
	f("0.0.0.0:8080", "flows.example", 200) // not loopback: people sign in
}

func TestPostsOfOtherSitesAreRefused(t *testing.T) {
	events := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	h := newHouse(t, func(o *Options) { o.Events = events })
	f := func(status int, headers ...string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/events", strings.NewReader("{}"))
		r.Host = "localhost:8080"
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		if w := h.do(r); w.Code != status {
			t.Errorf("%v: %d, want %d", headers, w.Code, status)
		}
	}
	f(202) // a program
	f(202, "Sec-Fetch-Site", "same-origin")
	f(202, "Origin", "http://localhost:8080")
	f(403, "Sec-Fetch-Site", "cross-site")
	f(403, "Origin", "https://evil.example")
	f(403, "Origin", "null")
}

func TestEveryAnswerIsSecured(t *testing.T) {
	h := filled(t)
	for _, target := range []string{"/healthz", "/api/v1/flows", "/api/v1/nope", "/api/openapi.json"} {
		header := h.get(t, target).Header()
		csp := header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: %q", target, csp)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", target, header)
		}
	}
}

func TestAlertmanagerIsServedAtBothPaths(t *testing.T) {
	var asked []string
	am := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.RequestURI()) })
	h := newHouse(t, func(o *Options) { o.Alertmanager = am })
	h.get(t, "/api/v1/alerts?active=true")
	h.get(t, "/api/v2/alerts?active=true")
	h.get(t, "/api/v1/silences")
	want := []string{"/api/v2/alerts?active=true", "/api/v2/alerts?active=true", "/api/v2/silences"}
	if strings.Join(asked, " ") != strings.Join(want, " ") {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestCallersTraceIsCarriedOn(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	defer func() {
		if err := provider.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	h := newHouse(t, func(o *Options) { o.TracerProvider, o.Propagator = provider, propagation.TraceContext{} })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/flows/order-to-cash/variants", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.do(r)
	h.get(t, "/api/v1/live") // no span: it would last as long as the page is open
	got := spans.GetSpans()
	if len(got) != 1 || got[0].SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" ||
		got[0].Name != "GET /api/v1/flows/{flow}/variants" {
		t.Errorf("%+v", got)
	}
}
