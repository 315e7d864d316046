// Package alert turns cohorts of stuck instances into alerts and routes them through
// Prometheus Alertmanager's own packages: config_dir/alertmanager.yml is an Alertmanager
// configuration, with its receivers, routes, inhibition, silences and templates, and the
// API is Alertmanager's v2.
//
// A cohort (flow, step, reason) is one alert. Its labels are what it is, and stay the
// same while its members come and go: alertname (FlowStuck), flow, capability, step,
// system, reason, owner, severity (critical past a deadline, warning when idle). Its
// annotations are how it stands: summary, count, since, oldest, value_at_risk, keys,
// title, step_title, runbook_url, link. Receivers are told once when it fires and once
// when it is drained; numbers that move tell nobody again.
//
// What differs from a bare Alertmanager: a root route that does not say otherwise groups
// by all labels, waits 0 s and looks every 10 s, because a cohort is a group already. A
// new cohort is handed over when its count stood still for a second (five seconds at
// most), so that the page names the size of the burst and not its first member.
//
// What was told survives a restart: the notification log, the silences and the incidents
// are written to disk right after they change. A kill between a receiver's answer and
// that write repeats one notification.
package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	apiv2 "github.com/prometheus/alertmanager/api/v2"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/client_golang/prometheus"

	"throughline/flows"
)

const (
	// Above any repeat_interval in use: an entry that is forgotten earlier repeats a page.
	logRetention     = 90 * 24 * time.Hour
	silenceRetention = 5 * 24 * time.Hour // ended silences stay listed so long
	collectEvery     = 30 * time.Minute   // garbage in Alertmanager's own maps
	maxSilences      = 10_000
	maxSilenceBytes  = 64 << 10
	maxRequestBytes  = 1 << 20
	checkEvery       = 5 * time.Second // silences begin and end by the clock
	retrySaveAfter   = 5 * time.Second
)

// Options of a Router.
type Options struct {
	ConfigFile  string // alertmanager.yml; without that file alerts are on the pages only
	Dir         string // where its state is kept; created when missing
	ExternalURL string // what links in notifications begin with, such as http://127.0.0.1:8080
	Log         *slog.Logger
	Registerer  prometheus.Registerer // nil for none
}

// Router holds the incidents and tells receivers. Its methods may be called from any
// goroutine.
type Router struct {
	opts     Options
	external *url.URL

	alerts    *mem.Alerts
	silences  *silence.Silences
	silencer  *silence.Silencer
	log       *nflog.Log
	groups    marker.GroupMarker
	pipelines *notify.PipelineBuilder
	metrics   *dispatch.DispatcherMetrics
	api       *apiv2.API

	wake      chan struct{} // capacity 1: something is due
	saver     saver
	tellings  tellings
	closeOnce sync.Once
	closeErr  error

	reloading sync.Mutex // one reload at a time

	mu      sync.Mutex // guards all below
	book    book
	routing *routing
	shown   []Alert
	subs    map[chan []Alert]struct{}
}

// The parsers of matchers are process-wide in Alertmanager.
var useUTF8Matchers = sync.OnceFunc(func() {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
})

// New reads the configuration and the state in o.Dir, and starts routing. Incidents of
// the run before are active until the first Set says otherwise. Run does the rest; Close
// must be called.
func New(o Options) (*Router, error) {
	useUTF8Matchers()
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	external, err := url.Parse(strings.TrimRight(o.ExternalURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("external URL: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of the alert router: %w", err)
	}
	r := &Router{
		opts: o, external: external, groups: marker.NewGroupMarker(), wake: make(chan struct{}, 1),
		subs: make(map[chan []Alert]struct{}), book: newBook(external.String()),
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	if err := r.Reload(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// open makes what lives as long as the router.
func (r *Router) open() error {
	var err error
	r.saver = newSaver(r.opts.Dir, r.opts.Log)
	// A name can be registered once, and these two may have to be made twice.
	var logMetrics, silenceMetrics *prometheus.Registry
	r.log, err = restore(&r.saver, logFile, func(file string) (*nflog.Log, error) {
		logMetrics = prometheus.NewRegistry()
		return nflog.New(nflog.Options{
			SnapshotFile: file, Retention: logRetention, Logger: r.opts.Log, Metrics: logMetrics,
		})
	})
	if err != nil {
		return fmt.Errorf("open the notification log: %w", err)
	}
	r.silences, err = restore(&r.saver, silencesFile, func(file string) (*silence.Silences, error) {
		silenceMetrics = prometheus.NewRegistry()
		return silence.New(silence.Options{
			SnapshotFile: file, Retention: silenceRetention, Logger: r.opts.Log, Metrics: silenceMetrics,
			Limits: silence.Limits{
				MaxSilences:         func() int { return maxSilences },
				MaxSilenceSizeBytes: func() int { return maxSilenceBytes },
			},
		})
	})
	if err != nil {
		return fmt.Errorf("open the silences: %w", err)
	}
	if err := errors.Join(r.opts.Registerer.Register(logMetrics), r.opts.Registerer.Register(silenceMetrics)); err != nil {
		return fmt.Errorf("register metrics of alerts: %w", err)
	}
	// Both call back on every change of their own, with their lock held.
	r.log.SetBroadcast(func(entry []byte) {
		r.tellings.add(entry)
		r.changed(logFile)
	})
	r.silences.SetBroadcast(func([]byte) { r.changed(silencesFile) })
	if _, err := restore(&r.saver, incidentsFile, func(file string) (struct{}, error) {
		return struct{}{}, r.book.load(file, time.Now())
	}); err != nil {
		return fmt.Errorf("open the incidents: %w", err)
	}
	r.silencer = silence.NewSilencer(r.silences, r.opts.Log, eventrecorder.Recorder{})
	r.alerts, err = mem.NewAlerts(context.Background(), collectEvery, 0, r.silencer, r.opts.Log, eventrecorder.Recorder{}, r.opts.Registerer, nil)
	if err != nil {
		return fmt.Errorf("make the alert store: %w", err)
	}
	r.pipelines = notify.NewPipelineBuilder(r.opts.Registerer, featurecontrol.NoopFlags{}, eventrecorder.Recorder{})
	r.metrics = dispatch.NewDispatcherMetrics(false, r.opts.Registerer, nil)
	r.api, err = apiv2.NewAPI(r.alerts, r.groupsNow, r.groups.Muted, r.silences, nil, r.opts.Log, r.opts.Registerer)
	if err != nil {
		r.alerts.Close()
		return fmt.Errorf("make Alertmanager's API: %w", err)
	}
	r.refresh()
	return nil
}

// Set gives the complete current set of cohorts, judged at now. It only takes note: Run
// acts on it. It must not be called while the engine restores, because a cohort that is
// not in the set is drained.
func (r *Router) Set(cohorts []flows.Cohort, now time.Time) {
	r.mu.Lock()
	if r.book.set(cohorts, flows.At(now), time.Now()) {
		r.saver.mark(incidentsFile)
	}
	r.mu.Unlock()
	r.signal()
}

// Run hands over what Set brought and keeps the state on disk, until ctx ends.
func (r *Router) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	collect := time.Now().Add(collectEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		now := time.Now()
		r.noteTellings()
		r.mu.Lock()
		due := r.book.due(now)
		r.mu.Unlock()
		if err := r.alerts.Put(ctx, due.puts...); err != nil {
			return fmt.Errorf("hand alerts to the dispatcher: %w", err)
		}
		if due.save {
			r.saver.mark(incidentsFile)
		}
		if now.After(collect) {
			r.collect()
			collect = now.Add(collectEvery)
		}
		r.refresh()
		wait := min(due.next.Sub(now), checkEvery)
		if !r.save() {
			wait = min(wait, retrySaveAfter)
		}
		timer.Reset(max(wait, 0))
	}
}

// collect forgets what is past its retention.
func (r *Router) collect() {
	if _, err := r.log.GC(); err != nil {
		r.opts.Log.Error("collect garbage of the notification log", "err", err)
	}
	if _, err := r.silences.GC(); err != nil {
		r.opts.Log.Error("collect garbage of the silences", "err", err)
	}
}

func (r *Router) changed(file string) {
	r.saver.mark(file)
	r.signal()
}

func (r *Router) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// Alerts are the incidents: firing ones, newest first, then those resolved within the
// last day, latest first. The list must not be changed.
func (r *Router) Alerts() []Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// Subscribe gives the incidents as Alerts does and, without a gap, each later list; a
// slow reader gets the latest only. stop ends it.
func (r *Router) Subscribe() (now []Alert, next <-chan []Alert, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := make(chan []Alert, 1)
	r.subs[ch] = struct{}{}
	return r.shown, ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subs, ch)
	}
}

// refresh makes the shown list from the book and hands it out if it changed.
func (r *Router) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.book.list(func(a *incident) (bool, []flows.Silence) {
		if r.silencer.Mutes(context.Background(), a.labels) {
			return true, r.silencesOf(a.labels)
		}
		return r.routing != nil && r.routing.inhibitor.Mutes(context.Background(), a.labels), nil
	})
	if sameAlerts(list, r.shown) {
		return
	}
	r.shown = list
	for ch := range r.subs {
		select {
		case <-ch: // an older list that nobody took
		default:
		}
		ch <- list // only this goroutine sends while the lock is held, so there is room
	}
}

// Handler is Alertmanager's API v2, for paths that begin with /api/v2/.
func (r *Router) Handler() http.Handler {
	return http.MaxBytesHandler(r.api.Handler, maxRequestBytes)
}

// Close stops routing, lets notifications under way end (for five seconds), and writes
// the state. It may be called more than once.
func (r *Router) Close() error {
	r.closeOnce.Do(func() {
		r.mu.Lock()
		current := r.routing
		r.mu.Unlock()
		if current != nil {
			current.stop()
		}
		r.alerts.Close()
		r.noteTellings()
		r.saver.markAll()
		if !r.save() {
			r.closeErr = errors.New("the state of alerts was not written; see the log")
		}
	})
	return r.closeErr
}
