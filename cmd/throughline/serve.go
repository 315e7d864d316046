package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"throughline/flows"
	"throughline/ingest/bus"
	"throughline/ingest/event"
	"throughline/ingest/otlp"
	"throughline/web"
	"throughline/web/views"
)

// readyLine is what serve prints once it takes requests (CONTRACT.md).
type readyLine struct {
	Ready    bool   `json:"ready"`
	HTTP     string `json:"http"`
	OTLPGRPC string `json:"otlp_grpc"`
	OTLPHTTP string `json:"otlp_http"`
}

// serve runs the whole product until ctx ends. ready is told the addresses once they
// take requests.
func serve(ctx context.Context, c Config, getenv func(string) string, log *slog.Logger, ready func(readyLine) error) (err error) {
	ports, err := listen(ctx, &c)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "starting", "config", c)
	a, err := open(ctx, c, getenv, log)
	if err != nil {
		return errors.Join(err, ports.close())
	}
	defer func() { err = errors.Join(err, a.close()) }()
	a.awaitSchema(ctx)
	if err := a.serve(ports); err != nil {
		return err
	}
	line := readyLine{Ready: true, HTTP: c.HTTPAddr, OTLPGRPC: c.OTLPGRPCAddr, OTLPHTTP: c.OTLPHTTPAddr}
	if err := ready(line); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
		return nil
	case <-a.ctx.Done(): // background work failed; close returns why
		return nil
	}
}

// serve starts the servers; their closing is registered, so that it comes first.
func (a *app) serve(l listeners) error {
	pages, err := a.pages()
	if err != nil {
		return errors.Join(err, l.close())
	}
	if err := l.bound(a.telemetry.meters.Meter("throughline/listen"), maxConnections()); err != nil {
		return errors.Join(err, l.close())
	}
	options := otlp.ServerOptions(a.intake)
	var forHTTP *tls.Config // nil: in the clear
	if files := a.config.TLS; files.on() {
		forGRPC, err := openCertificates(files, a.log, "h2")
		if err == nil {
			forHTTP, err = openCertificates(files, a.log, "h2", "http/1.1")
		}
		if err != nil {
			return errors.Join(err, l.close())
		}
		options = append(options, grpc.Creds(credentials.NewTLS(forGRPC)))
	}
	grpcServer := grpc.NewServer(options...)
	otlp.RegisterGRPC(grpcServer, a.intake)
	a.work.Go(func() error { return grpcServer.Serve(l.otlpGRPC) })
	a.onClose("OTLP over gRPC", func(ctx context.Context) error { return stopGRPC(ctx, grpcServer) })
	a.serveHTTP("OTLP over HTTP", l.otlpHTTP, forHTTP, otlp.NewHandler(a.intake))
	a.serveHTTP("HTTP", l.http, forHTTP, gzhttp.GzipHandler(pages.Handler()))
	a.onClose("websockets", pages.Close)
	return nil
}

func (a *app) serveHTTP(name string, l net.Listener, secure *tls.Config, h http.Handler) {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: web.ReadHeaderTimeout, ReadTimeout: web.ReadTimeout, WriteTimeout: web.WriteTimeout,
		IdleTimeout: web.IdleTimeout, MaxHeaderBytes: web.MaxHeaderBytes, TLSConfig: secure.Clone(),
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: web.MaxStreams},
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	serve := func() error { return server.Serve(l) }
	if secure != nil {
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	a.work.Go(func() error {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", name, err)
		}
		return nil
	})
	a.onClose(name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return errors.Join(server.Shutdown(ctx), server.Close())
	})
}

// stopGRPC lets calls under way end, for a few seconds.
func stopGRPC(ctx context.Context, s *grpc.Server) error {
	done := make(chan struct{})
	go func() { s.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.Stop()
	case <-time.After(5 * time.Second):
		s.Stop()
	}
	<-done
	return nil
}

func (a *app) pages() (*web.Server, error) {
	c := a.config
	options := web.Options{
		History: livePast{a.store, a.hub, a.runner}, Rules: a.rules, Hub: a.hub, Log: a.log, Ready: a.parts, Intake: a.taken,
		Events: event.NewHandler(a.intake), Alertmanager: a.alerts.Handler(), OnCall: a.alerts, Metrics: a.telemetry.handler(),
		Import: http.HandlerFunc(a.serveImport), Backfill: http.HandlerFunc(a.serveBackfill), Erase: http.HandlerFunc(a.serveErase), Resolve: a.resolve, Met: a.engineMet,
		Capabilities: a.rules.Capabilities, Backlog: a.backlog,
		DeadLetters: http.HandlerFunc(a.serveLetters),
		Host:        c.HTTPAddr, OTLPHTTP: c.OTLPHTTPAddr, OTLPGRPC: c.OTLPGRPCAddr, ConfigDir: shownDir(c.ConfigDir),
		TracerProvider: a.telemetry.traces, MeterProvider: a.telemetry.meters, Propagator: a.telemetry.propagator,
		Tokens: a.tokensAPI(),
	}
	if a.guard != nil {
		options.Guard, options.Known = a.guard.Wrap, a.guard.Known
	}
	server, err := web.New(options)
	if err != nil {
		return nil, fmt.Errorf("lay out pages: %w", err)
	}
	a.shown.Store(server)
	return server, nil
}

func (a *app) taken() web.Intake {
	in := web.Intake{Accepted: a.accepted.signals.Load(), Last: flows.NoTime}
	if last := a.accepted.last.Load(); last != 0 {
		in.Last = flows.Time(last)
	}
	return in
}

// partTimeout bounds the question to each part, so that one that hangs says so of itself
// only.
const partTimeout = 2 * time.Second

// parts tell /readyz of each part.
func (a *app) parts() []web.Part {
	alerting := web.Part{Name: "alerting", Ready: true, State: "ok"}
	if fault := a.alertFault.Load(); fault != nil {
		alerting.State, alerting.Detail = "refused", "alertmanager.yml: "+*fault
	}
	engine := web.Part{Name: "engine", Ready: true, State: "ok"}
	if a.runner.Restoring() {
		engine.State, engine.Detail = "restoring", "signals are taken; verdicts wait until the state is whole"
	}
	return []web.Part{a.storePart(), a.busPart(), engine, alerting}
}

// storePart is ready always: away or not, signals are taken.
func (a *app) storePart() web.Part {
	ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	part := web.Part{Name: "clickhouse", Ready: true, State: "ok"}
	if fault := a.storeFault.Load(); fault != nil {
		part.State, part.Detail = "away", *fault
	} else if err := a.store.Ping(ctx); err != nil {
		part.State, part.Detail = "away", err.Error()
	} else if !a.hasSchema() {
		part.State, part.Detail = "starting", "the schema is being applied"
	}
	return part
}

func (a *app) busPart() web.Part {
	ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	part := web.Part{Name: "bus", Ready: true, State: "ok"}
	for _, stream := range []string{bus.Signals, bus.Spans} {
		b, err := a.bus.Backlog(ctx, stream, time.Now())
		if err != nil {
			part.Ready, part.State, part.Detail = false, "away", err.Error()
			return part
		}
		if text := backlogText(stream, b); text != "" {
			part.Detail = strings.TrimPrefix(part.Detail+"; "+text, "; ")
		}
	}
	return part
}

// shownDir is a folder as somebody finds it who does not know where this process was started.
func shownDir(dir string) string {
	if full, err := filepath.Abs(dir); err == nil {
		return full
	}
	return dir // the working directory is gone
}

// backlog is what of the streams is not stored yet, and their size; nil where one of them does not say.
func (a *app) backlog(ctx context.Context) (all []views.Backlog) {
	for _, stream := range []string{bus.Signals, bus.Spans} {
		held, err := a.bus.Backlog(ctx, stream, time.Now())
		if err != nil {
			return nil // /readyz says why
		}
		owed, err := a.bus.Owed(ctx, stream, time.Now())
		if err != nil {
			return nil
		}
		all = append(all, views.Backlog{Stream: stream, Messages: owed.Messages, Oldest: owed.Oldest, Bytes: held.Bytes, Limit: held.Limit})
	}
	return all
}

// backlogText says what of a stream is owed for longer than it takes to be stored and
// trimmed, half a minute; "" for nothing. The last message of a stream always stays.
func backlogText(stream string, b bus.Backlog) string {
	if b.Messages < 2 || b.Oldest < 2*time.Minute {
		return ""
	}
	return fmt.Sprintf("%d of %d MB for %s wait to be stored, the oldest since %s",
		b.Bytes>>20, b.Limit>>20, strings.ToLower(stream), b.Oldest.Round(time.Second))
}

// printReady writes the line that CONTRACT.md promises.
func printReady(w io.Writer) func(readyLine) error {
	return func(line readyLine) error { return json.NewEncoder(w).Encode(line) }
}
