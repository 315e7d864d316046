package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/web"
	"throughline/web/views"
)

// engineMet is what the engine met so far, for those outside its goroutine.
type engineMet struct {
	stats    engine.Stats
	skew     skew
	coverage []engine.Coverage
	common   []engine.CommonKey
	full     []engine.FullInstance
	pages    web.Met // for the pages
}

// tell lets others know what the engine met, and says aloud which keys became common.
func (r *runner) tell() {
	before, now := r.met.Load(), &engineMet{stats: r.engine.Stats(), skew: r.skew, coverage: r.engine.Coverage(), common: r.engine.CommonKeys(), full: r.engine.FullInstances()}
	now.pages = now.forPages(r.engine.Unfit())
	r.warnOfSampling(before, now)
	known, full := 0, 0
	if before != nil {
		full = min(len(before.full), len(now.full))
		known = min(len(before.common), len(now.common)) // a change of key types begins anew
	}
	for _, k := range now.common[known:] {
		r.log.Warn("a key is linked to so many others that its links are void", "key", k.String(), "environment", k.Environment,
			"partners", k.Limit, "advice", "raise `partners` of its type in keys.yaml, or take the type out of `links`")
	}
	for _, in := range now.full[full:] {
		r.log.Warn("an instance has so many signals that it takes no more", "flow", in.Flow, "key", in.String(), "environment", in.Environment,
			"signals", in.Limit, "advice", "see what sends this key: a value such as \"null\" is no key (`pattern` in keys.yaml refuses it)")
	}
	r.met.Store(now)
}

// warnOfSampling says aloud which producers of a flow send only some of their spans, once
// each, where the flow does not say that this is right.
func (r *runner) warnOfSampling(before, now *engineMet) {
	known := map[[3]string]bool{}
	if before != nil {
		for _, c := range before.coverage {
			known[[3]string{c.Flow, c.System, c.Name}] = c.Sampled > 0
		}
	}
	for _, c := range now.coverage {
		f, ok := r.engine.Set().Flow(c.Flow)
		if c.Sampled == 0 || known[[3]string{c.Flow, c.System, c.Name}] || !ok || f.Sampling {
			continue
		}
		r.log.Warn("a producer sends only some of its spans: instances that have some, and wait for spans alone, are unknown, not stuck",
			"flow", c.Flow, "system", c.System, "signal", c.Name,
			"advice", "write `sampled: true` for the system in systems.yaml, so that no instance is stuck for its spans; or send the spans of this flow's steps whole, match events, or write `sampling: ok` in the flow")
	}
}

// forPages is what the pages say of it.
func (m *engineMet) forPages(unfit bool) web.Met {
	t := m.stats
	met := web.Met{
		Coverage: map[string]views.Coverage{}, Unfit: unfit, Common: t.Common, CommonTraces: t.CommonTraces, TracesForgotten: t.TracesForgotten,
		Overfull: t.Overfull, GivenUp: t.GivenUp, Far: t.Far, Missed: t.Missed,
	}
	for _, c := range m.coverage {
		sum := met.Coverage[c.Flow]
		sum.Signals, sum.Joined, sum.Waiting = sum.Signals+c.Signals, sum.Joined+c.Joined, sum.Waiting+c.Waiting
		sum.GivenUp, sum.Keyless = sum.GivenUp+c.GivenUp, sum.Keyless+c.Keyless
		met.Coverage[c.Flow] = sum
	}
	for _, k := range m.common {
		met.CommonKeys = append(met.CommonKeys, web.CommonKey{Key: k.Key, Environment: k.Environment})
	}
	for _, in := range m.full {
		met.Full = append(met.Full, web.FullInstance{Flow: in.Flow, Key: in.Key, Environment: in.Environment})
	}
	return met
}

// engineMet is what the engine met so far, for the pages.
func (a *app) engineMet() web.Met {
	if met := a.runner.met.Load(); met != nil {
		return met.pages
	}
	return web.Met{}
}

// engineNumbers are what the engine counts as a whole.
var engineNumbers = map[string]struct {
	what string
	of   func(engine.Stats) int
}{
	"duplicates":       {"second copies of signals", func(s engine.Stats) int { return s.Duplicates }},
	"conflicts":        {"copies of one signal that differ; the smallest counts", func(s engine.Stats) int { return s.Conflicts }},
	"waiting":          {"signals that wait for a link to an instance now", func(s engine.Stats) int { return s.Waiting }},
	"ambiguous":        {"of those waiting, the ones whose trace has several keys", func(s engine.Stats) int { return s.Ambiguous }},
	"instances":        {"instances in memory", func(s engine.Stats) int { return s.Instances }},
	"at_rest":          {"groups of linked instances in memory that nothing happened to for a minute", func(s engine.Stats) int { return s.AtRest }},
	"left":             {"keys and traces of ended instances that are in the store only", func(s engine.Stats) int { return s.Left }},
	"given_up":         {"signals that waited too long, or among too many", func(s engine.Stats) int { return s.GivenUp }},
	"spilled":          {"signals that wait for a link on disk now, since too many do; of those that waited in memory since the start", func(s engine.Stats) int { return s.Spilled }},
	"unplaced":         {"signals that are to be placed anew by the next calls", func(s engine.Stats) int { return s.Unplaced }},
	"common_keys":      {"keys with too many partners: their links are void", func(s engine.Stats) int { return s.Common }},
	"common_traces":    {"traces with too many signals: they give no keys", func(s engine.Stats) int { return s.CommonTraces }},
	"traces_forgotten": {"traces that made room for others", func(s engine.Stats) int { return s.TracesForgotten }},
	"overfull":         {"signals that an instance with too many did not take", func(s engine.Stats) int { return s.Overfull }},
	"links_too_far":    {"times that primary keys were beyond the bounds of links", func(s engine.Stats) int { return s.Far }},
	"links_missed":     {"changes of keys with too many others around to place all anew", func(s engine.Stats) int { return s.Missed }},
}

// engineShares are what is counted by producer, flow, key type or step.
var engineShares = map[string]string{
	"producer_given_up": "signals given up, by who sent them",
	"sampled":           "signals since the start from producers that send only some of their spans, by who sent them",
	"skewed":            "signals since the start whose own time was more than 1 h ahead of their reception, or 1 year old; they count like others",
	"keys_refused":      "values that do not match their key type's pattern",
	"conditions_failed": "signals of which the `where` of a match could not be asked, and that are not that step therefore",
}

// openEngineMetrics has what the engine met read whenever /metrics is: above all the
// bounds that were reached.
func (a *app) openEngineMetrics(meter metric.Meter) error {
	gauges, observables := map[string]metric.Int64ObservableGauge{}, []metric.Observable{}
	gauge := func(name, what string) error {
		g, err := meter.Int64ObservableGauge("throughline.engine."+name, metric.WithDescription(what))
		if err != nil {
			return fmt.Errorf("make instrument %s: %w", name, err)
		}
		gauges[name], observables = g, append(observables, g)
		return nil
	}
	for name, n := range engineNumbers {
		if err := gauge(name, n.what); err != nil {
			return err
		}
	}
	for name, what := range engineShares {
		if err := gauge(name, what); err != nil {
			return err
		}
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		a.observeEngine(o, gauges)
		return nil
	}, observables...)
	if err != nil {
		return fmt.Errorf("observe the engine: %w", err)
	}
	return nil
}

func (a *app) observeEngine(o metric.Observer, gauges map[string]metric.Int64ObservableGauge) {
	if met := a.runner.met.Load(); met != nil {
		for name, n := range engineNumbers {
			o.ObserveInt64(gauges[name], int64(n.of(met.stats)))
		}
		o.ObserveInt64(gauges["skewed"], int64(met.skew.ahead), metric.WithAttributes(attribute.String("time", "ahead")))
		o.ObserveInt64(gauges["skewed"], int64(met.skew.old), metric.WithAttributes(attribute.String("time", "old")))
		for _, c := range met.coverage {
			who := metric.WithAttributes(attribute.String("flow", c.Flow), attribute.String("system", c.System), attribute.String("signal", c.Name))
			if c.GivenUp > 0 {
				o.ObserveInt64(gauges["producer_given_up"], int64(c.GivenUp), who)
			}
			if c.Sampled > 0 {
				o.ObserveInt64(gauges["sampled"], int64(c.Sampled), who)
			}
		}
	}
	set := a.rules.Set()
	for _, typ := range set.KeyTypes() {
		if k, ok := set.KeyTypeInUse(typ); ok && k.Refused() > 0 {
			o.ObserveInt64(gauges["keys_refused"], int64(k.Refused()), metric.WithAttributes(attribute.String("type", typ)))
		}
	}
	observeConditions(o, gauges["conditions_failed"], set)
}

// observeConditions counts by step, or by the id of a hold's signal.
func observeConditions(o metric.Observer, gauge metric.Int64Observable, set *flows.Set) {
	for _, f := range set.Flows() {
		for position, failed := range f.ConditionFaults() {
			o.ObserveInt64(gauge, int64(failed), metric.WithAttributes(attribute.String("flow", f.Name), attribute.String("step", f.Position(position))))
		}
	}
}
