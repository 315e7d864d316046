package alert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

const (
	defaultConfig = "route: {receiver: pages}\nreceivers: [{name: pages}]\n"
	// How long a notification under way may go on when routing stops.
	stopGrace = 5 * time.Second
	// How often groups without alerts are forgotten.
	forgetGroupsEvery = 30 * time.Second
)

// routing is everything that a configuration decides; a reload replaces it whole.
type routing struct {
	conf       *config.Config
	inhibitor  *inhibit.Inhibitor
	dispatcher *dispatch.Dispatcher
	sending    *sending
	running    sync.WaitGroup
}

// Reload reads the configuration again. A bad one is refused with its message, and the
// one before runs on.
func (r *Router) Reload() error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	next, err := r.build()
	if err != nil {
		return err
	}
	// Nothing below can fail. The old one ends first, and with it what it was sending:
	// two dispatchers at work would both tell the receivers.
	r.mu.Lock()
	old := r.routing
	r.mu.Unlock()
	if old != nil {
		old.stop()
	}
	r.api.Update(next.conf, func(ctx context.Context, labels model.LabelSet) {
		next.inhibitor.Mutes(ctx, labels)
		r.silencer.Mutes(ctx, labels)
	})
	next.start()
	r.mu.Lock()
	r.routing = next
	r.mu.Unlock()
	r.signal()
	return nil
}

func (r *Router) build() (*routing, error) {
	conf, err := loadConfig(r.opts.ConfigFile)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(r.opts.ConfigFile)
	tmpl, err := template.FromGlobs(conf.Templates)
	if err != nil {
		return nil, fmt.Errorf("%s: templates: %w", name, err)
	}
	tmpl.ExternalURL = r.external
	receivers := make(map[string][]notify.Integration, len(conf.Receivers))
	for _, rcv := range conf.Receivers {
		if receivers[rcv.Name], err = receiver.BuildReceiverIntegrations(rcv, tmpl, r.opts.Log); err != nil {
			return nil, fmt.Errorf("%s: receiver %s: %w", name, rcv.Name, err)
		}
	}
	intervals := make(map[string][]timeinterval.TimeInterval, len(conf.MuteTimeIntervals)+len(conf.TimeIntervals))
	for _, ti := range conf.MuteTimeIntervals {
		intervals[ti.Name] = ti.TimeIntervals
	}
	for _, ti := range conf.TimeIntervals {
		intervals[ti.Name] = ti.TimeIntervals
	}
	none := eventrecorder.Recorder{}
	next := &routing{conf: conf, inhibitor: inhibit.NewInhibitor(r.alerts, conf.InhibitRules, r.opts.Log, none)}
	pipeline := r.pipelines.New(receivers, func() time.Duration { return 0 }, next.inhibitor, r.silencer,
		timeinterval.NewIntervener(intervals), r.groups, r.log, nil)
	next.sending = &sending{stage: pipeline}
	atLeast := func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) }
	next.dispatcher = dispatch.NewDispatcher(r.alerts, dispatch.NewRoute(conf.Route, nil), next.sending, r.groups,
		atLeast, forgetGroupsEvery, nil, r.opts.Log, none, r.metrics, tmpl)
	return next, nil
}

// loadConfig reads alertmanager.yml and fills in what a cohort needs of the root route.
func loadConfig(file string) (*config.Config, error) {
	conf, err := config.LoadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		conf, err = config.Load(defaultConfig)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	root := conf.Route
	if root.GroupWait == nil {
		root.GroupWait = new(model.Duration)
	}
	if root.GroupInterval == nil {
		interval := model.Duration(10 * time.Second)
		root.GroupInterval = &interval
	}
	if len(root.GroupBy) == 0 {
		root.GroupByAll = true
	}
	return conf, nil
}

// start returns when both parts know the alerts that are active, the inhibitor first:
// what it mutes must not be told.
func (c *routing) start() {
	c.running.Go(c.inhibitor.Run)
	c.inhibitor.WaitForLoading()
	c.running.Go(func() { c.dispatcher.Run(time.Now()) })
	c.dispatcher.WaitForLoading()
}

// stop returns when nothing of c runs and nothing is being sent.
func (c *routing) stop() {
	c.dispatcher.Stop()
	c.inhibitor.Stop()
	c.running.Wait()
	c.sending.close()
}

// groupsNow answers the API from the dispatcher of the day.
func (r *Router) groupsNow(
	ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*amalert.Alert, time.Time) bool,
) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
	r.mu.Lock()
	current := r.routing
	r.mu.Unlock()
	if current == nil {
		return nil, nil, errors.New("alert routing has not started")
	}
	return current.dispatcher.Groups(ctx, routes, alerts)
}

// sending is the notification pipeline, with an end that is waited for. The dispatcher
// cancels what it is sending when it stops, and does not wait: the receiver would have
// the message and the log would not know.
type sending struct {
	stage notify.Stage

	mu     sync.Mutex // guards closed, and that no one enters after it
	closed bool
	inside sync.WaitGroup
}

var errStopped = errors.New("alert routing has stopped")

// Exec implements notify.Stage.
func (s *sending) Exec(ctx context.Context, log *slog.Logger, alerts ...*amalert.Alert) (context.Context, []*amalert.Alert, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ctx, nil, errStopped
	}
	s.inside.Add(1)
	s.mu.Unlock()
	defer s.inside.Done()

	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
			return
		}
		time.AfterFunc(stopGrace, cancel) // ends by itself; cancel twice does no harm
	})
	defer stop()
	return s.stage.Exec(inner, log, alerts...)
}

func (s *sending) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.inside.Wait()
}
