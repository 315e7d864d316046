package web

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"throughline/flows"
	"throughline/web/views"
)

// Timeouts for the http.Server that serves Handler. Websockets are hijacked and have their own.
const (
	ReadHeaderTimeout = 10 * time.Second
	ReadTimeout       = 60 * time.Second // a batch of events over a slow line
	WriteTimeout      = 90 * time.Second // more than the slowest answer from history
	IdleTimeout       = 2 * time.Minute
	MaxHeaderBytes    = 64 << 10
	MaxStreams        = 128 // requests at once over one connection of HTTP/2
)

//go:embed openapi.json
var embedded embed.FS

// Options are what a Server is made of. History, Rules, Hub and Log are needed, the rest may
// be nil or zero.
type Options struct {
	History History
	Rules   Rules
	Hub     *Hub
	Log     *slog.Logger

	Ready  func() []Part // the parts of the process, for /readyz
	Intake func() Intake // what was ever accepted

	// These bound the bodies that they take; nothing else reads a body.
	Events       http.Handler // POST /api/v1/events
	Import       http.Handler // POST /api/v1/flows/{flow}/import
	Backfill     http.Handler // POST and GET /api/v1/flows/{flow}/backfill
	Erase        http.Handler // DELETE /api/v1/keys/{key}
	DeadLetters  http.Handler // GET /api/v1/dead-letters, POST /api/v1/dead-letters/replay
	Met          func() Met   // what the engine met
	Capabilities func() []flows.Capability
	Backlog      func(context.Context) []views.Backlog // of the bus; nil where it cannot say
	OnCall       OnCall                                // nil: alerts cannot be acknowledged or silenced from the pages
	Resolve      Resolve                               // POST /api/v1/flows/{flow}/instances/{key}/resolve
	Alertmanager http.Handler                          // Alertmanager's API, serves paths that begin with /api/v2/
	Metrics      http.Handler                          // GET /metrics
	Tokens       http.Handler                          // /api/v1/tokens

	// Guard lets requests through from who may; it serves /login, too. nil lets in everybody.
	Guard func(http.Handler) http.Handler
	Known func(*http.Request) bool // whether /readyz may say why; nil for everybody

	// Host is the address that the server is bound to, host or host:port. On a loopback
	// address only requests for loopback names are served, against DNS rebinding.
	Host  string
	Hosts []string // further names that requests may ask for

	// OTLPHTTP and OTLPGRPC are the addresses that the first-run page shows.
	OTLPHTTP, OTLPGRPC string
	ConfigDir          string // shown, so that a person knows where flow files go

	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
}

// Server serves the pages, the API and the websockets.
type Server struct {
	Options
	log     *slog.Logger
	rules   Rules
	history History
	hub     *Hub
	openapi []byte
	mux     *http.ServeMux
	handler http.Handler
	sockets *sockets
	screens *screens
	past    *past
	trials  chan struct{} // slots for checks of texts
	graphs  *graphs
	usuals  *usuals

	seenLatency metric.Float64Histogram // what browsers measure; nil without meters
}

// New checks the options and lays out the routes; nothing runs before the first socket.
func New(o Options) (*Server, error) {
	if o.History == nil || o.Rules == nil || o.Hub == nil || o.Log == nil {
		return nil, errors.New("web needs a History, Rules, a Hub and a Log")
	}
	openapi, err := embedded.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	seen, err := latencyMetric(o.MeterProvider)
	if err != nil {
		return nil, err
	}
	if o.Met == nil {
		o.Met = func() Met { return Met{} }
	}
	s := &Server{
		seenLatency: seen,
		Options:     o, log: o.Log, rules: o.Rules, history: o.History, hub: o.Hub, openapi: openapi, mux: http.NewServeMux(),
		sockets: newSockets(o.Log), screens: newScreens(o.Hub, o.Log), past: newPast(), trials: make(chan struct{}, maxTrials), graphs: &graphs{}, usuals: newUsuals(),
	}
	s.routes()
	s.handler = s.around(s.mux)
	return s, nil
}

// Forget has pages ask history anew for all that they show: some of it was erased.
func (s *Server) Forget() {
	s.past.forget()
	s.hub.Touch()
}

// Handler serves everything.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends all websockets and waits for them until ctx ends. Call it before the
// http.Server's Shutdown, which does not know them. It may be called twice.
func (s *Server) Close(ctx context.Context) error {
	s.past.close() // what pages wait for
	err := s.sockets.close(ctx)
	s.screens.close()
	return err
}

func (s *Server) routes() {
	for pattern, f := range map[string]answer{
		"GET /api/v1/flows":                         s.getFlows,
		"GET /api/v1/flows/{flow}/health":           s.getHealth,
		"GET /api/v1/flows/{flow}/instances":        s.getInstances,
		"GET /api/v1/flows/{flow}/instances/{key}":  s.getInstance,
		"GET /api/v1/flows/{flow}/variants":         s.getVariants,
		"GET /api/v1/flows/{flow}/directly-follows": s.getDirectlyFollows,
		"GET /api/v1/systems":                       s.getSystems,
		"GET /api/v1/capabilities":                  s.getCapabilities,
		"GET /api/v1/timeline":                      s.getTimeline,
		"GET /api/v1/search":                        s.getSearch,
	} {
		s.mux.HandleFunc(pattern, s.api(f))
	}
	s.mux.HandleFunc("GET /api/v1/live", s.serveLive)
	s.mux.HandleFunc("GET /api/openapi.json", s.getOpenAPI)
	s.mux.HandleFunc("GET /healthz", s.getHealthz)
	s.mux.HandleFunc("GET /readyz", s.getReadyz)
	if s.Events != nil {
		s.mux.Handle("POST /api/v1/events", s.Events)
	}
	if s.Import != nil {
		s.mux.Handle("POST /api/v1/flows/{flow}/import", s.Import)
	}
	if s.Backfill != nil {
		s.mux.Handle("POST /api/v1/flows/{flow}/backfill", s.Backfill)
		s.mux.Handle("GET /api/v1/flows/{flow}/backfill", s.Backfill)
	}
	if s.Erase != nil {
		s.mux.Handle("DELETE /api/v1/keys/{key}", s.Erase)
	}
	if s.DeadLetters != nil {
		s.mux.Handle("GET /api/v1/dead-letters", s.DeadLetters)
		s.mux.Handle("POST /api/v1/dead-letters/replay", s.DeadLetters)
	}
	if s.Resolve != nil {
		s.mux.HandleFunc("POST /api/v1/flows/{flow}/instances/{key}/resolve", s.api(s.postResolve))
		s.mux.HandleFunc("POST /instances/{flow}/{key}/resolve", s.form(s.formResolve))
	}
	if s.Alertmanager != nil {
		s.mux.Handle("/api/v2/", s.Alertmanager)
		s.mux.Handle("GET /api/v1/alerts", moved(s.Alertmanager))
		s.mux.Handle("GET /api/v1/silences", moved(s.Alertmanager))
		s.mux.Handle("POST /api/v1/silences", moved(s.Alertmanager))
	}
	if s.Metrics != nil {
		s.mux.Handle("GET /metrics", s.Metrics)
	}
	if s.Tokens != nil {
		s.mux.Handle("GET /api/v1/tokens", s.Tokens)
		s.mux.Handle("POST /api/v1/tokens", s.Tokens)
		s.mux.Handle("DELETE /api/v1/tokens/{token}", s.Tokens)
	}
	if s.OnCall != nil {
		s.mux.HandleFunc("POST /api/v1/alerts/{id}/ack", s.api(s.postAck))
		s.mux.HandleFunc("DELETE /api/v1/alerts/{id}/ack", s.api(s.deleteAck))
		s.onCallRoutes()
	}
	s.mux.HandleFunc("/api/", s.noCall)
	s.pageRoutes()
}

// moved asks Alertmanager's API for what our own path names: one shape at both paths.
func moved(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = strings.Replace(r.URL.Path, "/api/v1/", "/api/v2/", 1)
		r.URL.RawPath, r.RequestURI = "", r.URL.RequestURI()
		h.ServeHTTP(w, r)
	})
}

// noCall answers what is no API call, and tells a wrong method from a wrong path.
func (s *Server) noCall(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := s.mux.Handler(probe); strings.HasPrefix(pattern, method+" /api/") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		WriteProblem(w, r, *problem(http.StatusMethodNotAllowed, "%s takes %s.", r.URL.Path, strings.Join(allowed, " or ")))
		return
	}
	WriteProblem(w, r, *problem(http.StatusNotFound, "There is no call %s. /api/openapi.json lists the calls.", shorten(r.URL.Path)))
}

func (s *Server) getOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.openapi) //nolint:errcheck // the client is gone, nobody is left to tell
}

func (s *Server) getHealthz(w http.ResponseWriter, r *http.Request) {
	s.writeJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready   bool          `json:"ready"`
	Parts   []Part        `json:"parts"`
	Flows   int           `json:"flows"`   // loaded
	Refused []flows.Fault `json:"refused"` // faults of the flow files that were refused
}

func (s *Server) getReadyz(w http.ResponseWriter, r *http.Request) {
	answer := readiness{Ready: true, Parts: []Part{}, Flows: len(s.rules.Set().Flows()), Refused: nonNil(s.rules.Faults())}
	if s.Ready != nil {
		answer.Parts = nonNil(s.Ready())
	}
	if s.Known != nil && !s.Known(r) {
		answer.Refused, answer.Parts = []flows.Fault{}, slices.Clone(answer.Parts)
		for i := range answer.Parts {
			answer.Parts[i].Detail = "" // it may name machines and files
		}
	}
	status := http.StatusOK
	for _, part := range answer.Parts {
		if !part.Ready {
			answer.Ready, status = false, http.StatusServiceUnavailable
		}
	}
	s.writeJSON(w, r, status, answer)
}

// around puts what holds for every request around next, outermost first: own telemetry,
// headers, the host asked for, the site that asks, who asks.
func (s *Server) around(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, *problem(http.StatusForbidden, "A page of another site may not send this. Send it from a page of this host, or from a program without an Origin."))
	}))
	if s.Guard != nil {
		next = s.Guard(next)
	}
	next = s.knownHost(secured(crossOrigin.Handler(next)))
	options := []otelhttp.Option{
		otelhttp.WithFilter(func(r *http.Request) bool { return !isSocket(r.URL.Path) }), // they last for hours
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			_, pattern := s.mux.Handler(r)
			return spanName(r.Method, pattern)
		}),
	}
	if s.TracerProvider != nil {
		options = append(options, otelhttp.WithTracerProvider(s.TracerProvider))
	}
	if s.MeterProvider != nil {
		options = append(options, otelhttp.WithMeterProvider(s.MeterProvider))
	}
	if s.Propagator != nil {
		options = append(options, otelhttp.WithPropagators(s.Propagator))
	}
	return otelhttp.NewHandler(next, "web", options...)
}

func isSocket(path string) bool { return path == "/ws" || path == "/api/v1/live" }

// spanName names a span by its route, which has few values, not by its path.
func spanName(method, pattern string) string {
	if pattern == "" {
		return method
	}
	if strings.HasPrefix(pattern, "/") {
		return method + " " + pattern
	}
	return pattern
}
