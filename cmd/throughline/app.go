package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"throughline/flows"
	"throughline/flows/alert"
	"throughline/flows/store"
	"throughline/flows/store/chdb"
	"throughline/ingest"
	"throughline/ingest/bus"
	"throughline/web"
	"throughline/web/auth"
)

// stopTimeout bounds the whole of an orderly stop.
const stopTimeout = 40 * time.Second

// app is everything that runs in one process. open builds it in the order of the data's
// way; each thing opened registers its closing, and close undoes them in reverse.
type app struct {
	config Config
	log    *slog.Logger

	telemetry  *telemetry
	engineDB   *chdb.Server // nil where ClickHouse is external
	store      *store.Store
	migrated   chan struct{} // closed when the store can be used
	alertFault atomic.Pointer[string]
	storeFault atomic.Pointer[string]
	bus        *bus.Bus
	rules      *rules
	alerts     *alert.Router
	hub        *web.Hub
	runner     *runner
	backfills  backfills
	erased     erasedSignals
	erasures   erasures
	shown      atomic.Pointer[web.Server] // nil where no pages are served
	tokens     *auth.Tokens
	guard      *auth.Guard // nil where nobody is asked
	intake     *ingest.Intake
	accepted   acceptedCounter
	repeats    store.Repeats // of the spans' writer
	stored     [len(storeTables)]atomic.Uint64
	setAside   atomic.Uint64 // rows that ClickHouse refused for good

	stop    context.CancelFunc // ends the background work, after intake ended
	work    *errgroup.Group
	ctx     context.Context
	closers []closer
	closing sync.Once
}

type closer struct {
	name  string
	close func(context.Context) error
}

func (a *app) onClose(name string, f func(context.Context) error) {
	a.closers = append(a.closers, closer{name, f})
}

// close ends everything, newest first; all steps run, and their errors are joined.
func (a *app) close() (err error) {
	a.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		var errs []error
		for i := len(a.closers) - 1; i >= 0; i-- {
			if err := a.closers[i].close(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", a.closers[i].name, err))
			}
		}
		err = errors.Join(errs...)
	})
	return err
}

// libVariable names libchdb.so where it is not found by itself.
const libVariable = "THROUGHLINE_LIBCHDB"

func newApp(ctx context.Context, c Config, log *slog.Logger) *app {
	a := &app{config: c, log: log, migrated: make(chan struct{})}
	a.ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.work, a.ctx = errgroup.WithContext(a.ctx)
	a.onClose("background work", func(context.Context) error {
		a.stop()
		return a.work.Wait()
	})
	return a
}

// open builds what takes, keeps and judges signals, without any listener. On an error
// what was opened is closed again.
func open(ctx context.Context, c Config, getenv func(string) string, log *slog.Logger) (a *app, err error) {
	a = newApp(ctx, c, log)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return a.openTelemetry(ctx, getenv) },
		func(ctx context.Context) error { return a.openStore(ctx, getenv(libVariable)) },
		a.openBus, a.openRules, a.openAlerts, a.openEngine, a.openAuth, a.openIntake, a.openMetrics,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *app) openTelemetry(ctx context.Context, getenv func(string) string) (err error) {
	if a.telemetry, err = newTelemetry(ctx, getenv); err != nil {
		return fmt.Errorf("start own telemetry: %w", err)
	}
	a.onClose("own telemetry", a.telemetry.close)
	return nil
}

func (a *app) openBus(ctx context.Context) (err error) {
	n := a.config.NATS
	config := bus.Config{SyncAlways: n.Sync == "always", Log: a.log}
	if n.Mode == modeExternal {
		config.URL, config.CredentialsFile, config.Replicas = n.URL, n.CredentialsFile, n.Replicas
	} else {
		config.Dir = filepath.Join(a.config.DataDir, "nats")
	}
	if a.bus, err = bus.Open(ctx, config); err != nil {
		return fmt.Errorf("open bus: %w", err)
	}
	a.onClose("bus", a.bus.Close)
	return nil
}

func (a *app) openRules(context.Context) (err error) {
	if a.rules, err = loadRules(a.config.ConfigDir, a.log); err != nil {
		return fmt.Errorf("load flows: %w", err)
	}
	for _, fault := range a.rules.Faults() {
		a.log.Warn("flow file refused", "fault", fault.String())
	}
	return nil
}

func (a *app) openAlerts(context.Context) (err error) {
	a.alerts, err = alert.New(alert.Options{
		ConfigFile: a.alertmanagerFile(), Dir: filepath.Join(a.config.DataDir, "alerts"),
		ExternalURL: a.config.URL(), Log: a.log, Registerer: a.telemetry.registry,
	})
	if err != nil {
		return fmt.Errorf("start alerting: %w", err)
	}
	a.onClose("alerting", func(context.Context) error { return a.alerts.Close() })
	return nil
}

// openEngine starts the background work: store writers, the engine, alerts to pages.
func (a *app) openEngine(context.Context) error {
	a.hub = web.NewHub()
	a.runner = newRunner(a.rules.Set(), a.bus, a.store, a.migrated, a.hub, a.alerts.Set, a.rules.Source, a.log)
	a.runner.erased = &a.erased
	a.onClose("work in hand", func(context.Context) error {
		a.stop()
		return a.work.Wait()
	})
	a.work.Go(func() error { return a.runner.run(a.ctx) })
	a.work.Go(func() error { return a.alerts.Run(a.ctx) })
	a.work.Go(a.showAlerts)
	a.work.Go(a.writeSignals)
	a.work.Go(a.writeSpans)
	a.work.Go(a.trim)
	a.work.Go(a.resumeBackfills)
	a.work.Go(a.resumeErasures)
	a.work.Go(a.watchAlertmanager)
	a.work.Go(func() error {
		a.rules.Watch(a.ctx, func(set *flows.Set) {
			a.runner.Replace(a.ctx, set)
			a.hub.Touch()
		})
		return nil
	})
	return nil
}

func (a *app) showAlerts() error {
	now, next, stop := a.alerts.Subscribe()
	defer stop()
	for {
		shown := make([]web.Alert, len(now))
		for i, one := range now {
			shown[i] = web.Alert(one)
		}
		if err := a.hub.PublishAlerts(shown); err != nil {
			return fmt.Errorf("show alerts: %w", err)
		}
		select {
		case now = <-next:
		case <-a.ctx.Done():
			return nil
		}
	}
}

// alertmanagerFile is where receivers and routes are.
func (a *app) alertmanagerFile() string { return filepath.Join(a.config.ConfigDir, "alertmanager.yml") }

// watchAlertmanager takes changes of alertmanager.yml; of a bad one the version before
// runs on, and /readyz says what is wrong.
func (a *app) watchAlertmanager() error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	seen := a.alertmanagerState()
	for {
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return nil
		}
		now := a.alertmanagerState()
		if now == seen {
			continue
		}
		seen = now
		if err := a.alerts.Reload(); err != nil {
			fault := err.Error()
			a.alertFault.Store(&fault)
			a.log.Warn("alertmanager.yml refused, the one before runs on", "error", err)
			continue
		}
		a.alertFault.Store(nil)
		a.log.Info("alertmanager.yml in force")
	}
}

// fileState tells whether a file was changed.
type fileState struct {
	size     int64
	modified time.Time
}

func (a *app) alertmanagerState() fileState {
	info, err := os.Stat(a.alertmanagerFile())
	if err != nil {
		return fileState{} // without the file alerts are on the pages only
	}
	return fileState{info.Size(), info.ModTime()}
}

// awaitSchema spares those who ask at once a store without tables: an embedded ClickHouse
// has them a moment after it answers. It waits for no external one.
func (a *app) awaitSchema(ctx context.Context) {
	if a.engineDB == nil {
		return
	}
	select {
	case <-a.migrated:
	case <-a.ctx.Done():
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
	}
}

func (a *app) hasSchema() bool {
	select {
	case <-a.migrated:
		return true
	default:
		return false
	}
}

// acceptedCounter counts what was accepted, for the first-run page.
type acceptedCounter struct {
	signals atomic.Uint64
	last    atomic.Int64
}

// Publish makes the app an ingest.Publisher.
func (a *app) Publish(ctx context.Context, b flows.Batch) error {
	if err := a.bus.Publish(ctx, b); err != nil {
		switch {
		case bus.Busy(err):
			return fmt.Errorf("%w: %w", ingest.ErrBusy, err)
		case errors.Is(err, bus.ErrTooLarge):
			return fmt.Errorf("%w: %w", ingest.ErrTooLarge, err)
		}
		return err //nolint:wrapcheck // the bus says what it was doing
	}
	if n := uint64(len(b.Signals) + b.SpanCount()); a.accepted.signals.Add(n) == n {
		a.hub.Touch() // the first: the first-run page makes room
	}
	a.accepted.last.Store(time.Now().UnixNano())
	return nil
}

func (a *app) openIntake(context.Context) (err error) {
	deps := ingest.Deps{
		Publisher: a, Rules: func() ingest.Rules { return a.rules.Set() }, Meter: a.telemetry.meters.Meter("throughline/ingest"),
		Log: a.log, Now: time.Now,
	}
	if a.guard != nil {
		deps.Who = a.sender
	}
	a.intake, err = ingest.New(deps)
	if err != nil {
		return fmt.Errorf("open intake: %w", err)
	}
	return nil
}
