package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	"throughline/flows"
	"throughline/web/assets"
	"throughline/web/views"
)

// How many instances a page lists: a page of their own, and beside other things.
const (
	listLength     = 50
	shortLength    = 10
	variantsLength = 200
)

// loaded is a page with its values: the same for the page and for its socket.
type loaded struct {
	shell views.Shell
	body  templ.Component
	parts []views.Part // of the page's own; nil for a page that is not live
}

// finish gives the page its kind.
func (l loaded) finish(more ...string) loaded {
	l.shell.Kind = views.KindOf(l.parts, append(more, l.shell.Assets.CSS, l.shell.Assets.JS)...)
	return l
}

// load makes the page that t names. A *Problem says that it is not there.
func (s *Server) load(ctx context.Context, t target) (loaded, error) {
	switch t.view {
	case viewOverview:
		return s.loadOverview(ctx, t)
	case viewFlows:
		return s.loadFlows(ctx, t)
	case viewFlow:
		return s.loadFlow(ctx, t)
	case viewVariants:
		return s.loadVariants(ctx, t)
	case viewStep:
		return s.loadStep(ctx, t)
	case viewSystems:
		return s.loadSystems(ctx, t)
	case viewSystem:
		return s.loadSystem(ctx, t)
	case viewAlerts:
		return s.loadAlerts(t)
	case viewAlert:
		return s.loadAlert(ctx, t)
	case viewInstances:
		return s.loadInstances(ctx, t)
	case viewInstance:
		return s.loadInstance(ctx, t)
	}
	return loaded{}, problem(http.StatusBadRequest, "There is no live view %q.", shorten(string(t.view)))
}

// clock is now in whole seconds: within a second the same values make the same bytes.
func clock() views.Clock {
	return views.Clock{Now: flows.At(time.Now().Truncate(time.Second))}
}

// clock is now in the reader's zone, with the reader's numbers.
func (t target) clock() views.Clock {
	c := clock()
	c.Zone, c.Locale = t.zone, t.locale
	return c
}

// clockFor is now as the reader who asks writes it.
func clockFor(r *http.Request) views.Clock {
	return target{zone: keptZone(r), locale: localeOf(r)}.clock()
}

// shell is what surrounds the page. It is made after the page's values, so that it knows
// whether history answered.
func (s *Server) shell(c views.Clock, place views.Place, title string) views.Shell {
	open := 0
	for _, a := range s.hub.Alerts() {
		if a.ResolvedAt == flows.NoTime {
			open++
		}
	}
	s.past.look(func(ctx context.Context) error {
		_, err := s.history.FlowTexts(ctx, "", 1) // little to read
		return err
	})
	restoring := false
	for _, f := range s.rules.Set().Flows() {
		h, ok := s.hub.Health(f.Name)
		restoring = restoring || ok && h.Restoring
	}
	return views.Shell{
		Clock: c, Title: title, Place: place, AsOf: s.hub.asOf(), OpenAlerts: open,
		Notices: views.Notices{Restoring: restoring, Faults: s.rules.Faults(), HistoryAway: s.past.awaySince(), Bounds: s.Met().bounds()},
		Assets:  views.Assets{CSS: assets.URL(assets.CSS), JS: assets.URL(assets.JS), Icon: assets.URL(assets.Icon)},
	}
}

func (s *Server) loadOverview(ctx context.Context, t target) (loaded, error) {
	c, all := t.clock(), s.rules.Set().Flows()
	if intake, ok := s.nothingYet(all); ok {
		v := views.FirstRun{
			Clock: c, EventsURL: t.site + "/api/v1/events", OTLPHTTP: s.OTLPHTTP, OTLPGRPC: s.OTLPGRPC, Tokens: s.Guard != nil, ConfigDir: s.ConfigDir,
			Flows: len(all), Accepted: intake.Accepted, Last: intake.Last, Seen: s.seen(ctx, c), Wanted: wanted(all),
		}
		shell := s.shell(c, views.PlaceOverview, "First steps")
		shell.Socket = t.socket()
		return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish("first run"), nil
	}
	v := views.Overview{Clock: c, Range: t.rng, Alerts: s.openAlerts("", ""), Changes: s.changes(ctx, c.Now)}
	var err error
	beside, known := s.beside()
	atOnce(
		func() { v.Flows, err = s.flowsFor(ctx, all, t.rng); known() },
		func() { v.Started = beside.startedTogether(ctx, all, t.rng) },
		func() {
			if systems, ok, err := beside.systemsNow(ctx); ok && err == nil {
				v.Systems = systems
			}
		},
	)
	if err != nil {
		return loaded{}, err
	}
	v.Flows = s.withUsual(v.Flows, c)
	shell := s.shell(c, views.PlaceOverview, "Overview")
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(versions(all)...), nil
}

// beside is the server as the makers of a page see it of which the page has a socket that brings what is not there yet, for what
// stands beside what the page is about; known says that the latter is there.
func (s *Server) beside() (beside *Server, known func()) {
	there := make(chan struct{})
	return s.asking(s.past.beside(there)), func() { close(there) }
}

// nothingYet says whether the first-run page is due: no flow is loaded, or nothing was ever
// received.
func (s *Server) nothingYet(all []*flows.Flow) (Intake, bool) {
	var intake Intake
	if s.Intake != nil {
		intake = s.Intake()
	}
	if len(all) == 0 {
		return intake, true
	}
	for _, f := range all {
		if h, ok := s.hub.Health(f.Name); ok && h.InFlight+h.Started+h.Completed > 0 {
			return intake, false
		}
	}
	return intake, s.Intake != nil && intake.Accepted == 0
}

// wanted says which names the steps of flows match, whatever else they ask of a signal.
func wanted(all []*flows.Flow) func(flows.Kind, string) bool {
	type named struct {
		kind flows.Kind
		name string
	}
	names := map[named]bool{}
	for _, f := range all {
		for i := range f.Steps {
			names[named{f.Steps[i].Match.Kind, f.Steps[i].Match.Name}] = true
		}
	}
	return func(kind flows.Kind, name string) bool { return names[named{kind, name}] }
}

// seen are the names that came lately, for a person who looks for their own.
func (s *Server) seen(ctx context.Context, c views.Clock) []flows.SeenSignal {
	names, _, err := ask(ctx, s.past, "seen", func(ctx context.Context) ([]flows.SeenSignal, error) {
		return s.history.SignalNames(ctx, c.Now.Add(-24*time.Hour), 30)
	})
	if err != nil {
		return nil
	}
	return names
}

func versions(all []*flows.Flow) []string {
	list := make([]string, len(all))
	for i, f := range all {
		list[i] = f.Name + "@" + f.Version
	}
	return list
}

func (s *Server) loadFlows(ctx context.Context, t target) (loaded, error) {
	c, all := t.clock(), s.rules.Set().Flows()
	now, err := s.flowsFor(ctx, all, t.rng)
	if err != nil {
		return loaded{}, err
	}
	v := views.FlowList{Clock: c, Range: t.rng, Flows: now}
	shell := s.shell(c, views.PlaceFlows, "Flows")
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(versions(all)...), nil
}

func (s *Server) flowsNow(ctx context.Context, all []*flows.Flow, rng views.Range) []views.FlowNow {
	list, titles := make([]views.FlowNow, len(all)), s.capabilityTitles()
	eachAtOnce(all, func(i int, f *flows.Flow) {
		list[i] = s.flowNow(ctx, f, rng)
		list[i].Capability = titles[f.Name]
	})
	return list
}

// flowsFor is flowsNow where the numbers of a range are what the page is about: errUnread while they are not there.
func (s *Server) flowsFor(ctx context.Context, all []*flows.Flow, rng views.Range) ([]views.FlowNow, error) {
	if rng == views.RangeHour {
		return s.flowsNow(ctx, all, rng), nil
	}
	own := s.asking(s.past.alone())
	list := own.flowsNow(ctx, all, rng)
	if own.past.unread.Load() {
		s.past.unread.Store(true)
		return nil, errUnread
	}
	return list, nil
}

// eachAtOnce asks a question of each flow, of some at once: a cold page does not wait for their sum.
func eachAtOnce(all []*flows.Flow, one func(int, *flows.Flow)) {
	var asked errgroup.Group
	asked.SetLimit(8) // a page leaves room in the store for others
	for i, f := range all {
		asked.Go(func() error { one(i, f); return nil })
	}
	asked.Wait() //nolint:errcheck // each keeps its own answer
}

// atOnce asks several questions of one page: it waits for the longest.
func atOnce(asks ...func()) {
	var asked sync.WaitGroup
	for _, one := range asks {
		asked.Go(one)
	}
	asked.Wait()
}

// countsFrom is from which range on the last minute or two do not matter to what happened in it.
const countsFrom = 24 * time.Hour

// flowNow are the numbers of f for a range: counts of the range from history, what is in
// flight from the hub.
func (s *Server) flowNow(ctx context.Context, f *flows.Flow, rng views.Range) views.FlowNow {
	live, ok := s.hub.Health(f.Name)
	trend := s.hub.Trend(f.Name, clock().Now)
	if ok && rng == views.RangeHour {
		return views.FlowNow{Flow: f, Health: live, Range: rng, InFlight: trend.InFlight, Stuck: trend.Stuck, Had: s.had(f.Name), Coverage: s.Met().coverage(f.Name)}
	}
	name := fmt.Sprintf("health %s@%s %s", f.Name, f.Version, rng)
	stored, known, err := ask(ctx, s.past, name, func(ctx context.Context) (flows.Health, error) {
		w := windowUntil(flows.NoTime, rng.Span())
		if rng.Span() >= countsFrom {
			w.Ages = s.hub.Ages(f.Name)
		}
		return s.history.Health(ctx, f, w, "")
	})
	if err != nil || !known {
		stored = flows.Health{Flow: f.Name, Version: f.Version, Health: flows.HealthUnknown, AsOf: flows.NoTime}
		for i := range f.Steps {
			stored.Steps = append(stored.Steps, flows.StepHealth{Step: f.Steps[i].ID})
		}
	}
	if ok {
		stored = withGauges(stored, live)
	}
	return views.FlowNow{Flow: f, Health: stored, Range: rng, InFlight: trend.InFlight, Stuck: trend.Stuck, Had: s.had(f.Name), Coverage: s.Met().coverage(f.Name)}
}

// withGauges puts what is in flight now into the counts of another window.
func withGauges(window, live flows.Health) flows.Health {
	h := window
	h.Health, h.AsOf, h.Restoring = live.Health, live.AsOf, live.Restoring
	h.InFlight, h.Held, h.Stuck, h.Unknown = live.InFlight, live.Held, live.Stuck, live.Unknown
	h.ValueInFlight, h.ValueAtRisk, h.ValueCoverage, h.OpenAge = live.ValueInFlight, live.ValueAtRisk, live.ValueCoverage, live.OpenAge
	h.Steps = slices.Clone(window.Steps)
	for i := range h.Steps {
		for _, now := range live.Steps {
			if now.Step == h.Steps[i].Step {
				h.Steps[i].Waiting, h.Steps[i].Overdue, h.Steps[i].Stuck, h.Steps[i].Unknown = now.Waiting, now.Overdue, now.Stuck, now.Unknown
			}
		}
	}
	return h
}

func (s *Server) flowNamed(name string) (*flows.Flow, error) {
	f, ok := s.rules.Set().Flow(name)
	if !ok {
		return nil, s.noFlow(name)
	}
	return f, nil
}
