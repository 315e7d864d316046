// Package engine owns the live state of all flows: it correlates signals to instances,
// keeps their verdicts by timer, and holds the numbers of the last hour.
//
// It is pure: no I/O, no clock, no goroutine. One owner calls it, with the time as a
// value, and writes what Take returns. The state depends only on the set of signals
// applied and on now: not on their order, doubling or batching (FLOWS.md, order law),
// within the bounds that Stats counts.
package engine

import (
	"maps"
	"slices"
	"strings"

	"throughline/flows"
)

// Engine is the state. Its methods must not run at the same time.
type Engine struct {
	set    *flows.Set
	flows  map[string]*flowState
	graph  graph
	timers timers
	opened []*instance // unpacked since the last settle
	spare  []*work
	read   []flows.Occurrence // scratch of occurrences
	buffer []byte             // scratch of rest
	quiet  bool               // loading what is stored already: emit no rows
	rework bool               // emit the rows of duplicates too
	out    outbox
	stats  Stats
	names  names
	hits   []flows.Hit
	folded flows.Instance // scratch
}

// Stats count what the engine met, since it was made.
type Stats struct {
	Inserted   int // occurrences put into instances
	Applied    int // signals that belong to an instance or wait for a link
	Duplicates int // second copies
	Conflicts  int // copies that differ
	Waiting    int // signals that wait for a link now
	Ignored    int // signals that match no step, or carry no key of the flow
	Common     int // keys with more partners than maxPartners: their links are void
}

// flowState is one flow and all its instances.
type flowState struct {
	flow      *flows.Flow
	instances map[string]*instance
	open      []*instance // in flight, in no order
	gauges    *flows.Gauges
	window    *window
	cohorts   map[cohortID]*cohort
	changed   bool                 // numbers moved since the last Changed
	before    map[string]*instance // of the version before, until Retire
}

// New is an engine for a set of flows, without any instance.
func New(set *flows.Set) *Engine {
	e := &Engine{flows: map[string]*flowState{}, graph: newGraph(), names: newNames()}
	e.out.init()
	e.Replace(set)
	return e
}

// Replace puts other flow definitions in force. A flow whose version and key types are the
// same keeps its instances; the names returned are those that start empty, and want their stored
// signals loaded.
func (e *Engine) Replace(set *flows.Set) (empty []string) {
	before := e.set
	e.set = set
	kept := make(map[string]*flowState, len(set.Flows()))
	for _, f := range set.Flows() {
		if old := e.flows[f.Name]; old != nil && old.flow.Version == f.Version && before.KeyRules(old.flow) == set.KeyRules(f) {
			kept[f.Name] = old
			continue
		}
		kept[f.Name] = &flowState{
			flow: f, instances: map[string]*instance{}, gauges: flows.NewGauges(f), window: newWindow(f),
			cohorts: map[cohortID]*cohort{}, changed: true,
		}
		empty = append(empty, f.Name)
	}
	for name, old := range e.flows {
		if kept[name] != old {
			e.forget(old)
			if kept[name] != nil {
				kept[name].before = old.instances
			}
		}
	}
	e.flows = kept
	return empty
}

// Retire emits the removal of what the versions before the last Replace held and those
// in force do not, once the stored signals are applied to these.
func (e *Engine) Retire() {
	for _, fs := range e.flows {
		for key, old := range fs.before {
			now := fs.instances[key]
			if now == nil {
				now = &instance{fs: fs, key: key, timer: -1, openAt: -1}
				e.out.instance(now) // without an occurrence: a removal
			}
			here := e.names.unpack(now.packed, nil)
			for _, o := range e.occurrences(old) {
				same := func(c flows.Occurrence) bool {
					return identity(&c) == identity(&o) && fs.flow.Position(c.Step) == old.fs.flow.Position(o.Step)
				}
				if !slices.ContainsFunc(here, same) {
					e.out.remove(old, o)
				}
			}
		}
		fs.before = nil
	}
}

// forget removes everything of a flow from what the flows share.
func (e *Engine) forget(fs *flowState) {
	for _, in := range fs.instances {
		e.timers.remove(in)
		e.out.drop(in)
	}
	e.graph.forget(fs)
}

// Load applies signals that are stored already, rows and all: it emits nothing.
func (e *Engine) Load(signals []flows.Signal, now flows.Time) {
	e.quiet = true
	e.Apply(signals, now)
	e.quiet = false
}

// Rework says whether the rows of signals that were applied before are emitted again:
// while the stream is read again from before the last rows known to be written.
func (e *Engine) Rework(on bool) { e.rework = on }

// Apply takes signals into the state and judges what they touch at now.
func (e *Engine) Apply(signals []flows.Signal, now flows.Time) {
	for i := range signals {
		e.apply(&signals[i])
	}
	e.settle(now)
}

func (e *Engine) apply(s *flows.Signal) {
	e.graph.link(e, s.Keys)
	e.hits = e.set.Match(s, e.hits[:0])
	if len(e.hits) == 0 {
		e.stats.Ignored++
	}
	for _, hit := range e.hits {
		fs := e.flows[hit.Flow.Name]
		e.place(fs, s, e.own(hit.Flow.Occur(s, hit.Step, hit.Failed)))
	}
}

// own copies the texts of an occurrence out of the message they came in.
func (e *Engine) own(o flows.Occurrence) flows.Occurrence {
	o.Source, o.System, o.Currency = e.names.kept(o.Source), e.names.kept(o.System), e.names.kept(o.Currency)
	o.ID, o.Sequence = strings.Clone(o.ID), strings.Clone(o.Sequence)
	o.Child = strings.Clone(o.Child)
	for i, v := range o.Segments {
		o.Segments[i] = e.names.kept(v)
	}
	return o
}

// place gives an occurrence to the instances of its signal's primary keys, or else to
// those that its link keys lead to, now or later.
func (e *Engine) place(fs *flowState, s *flows.Signal, o flows.Occurrence) {
	direct := false
	for _, k := range s.Keys {
		if k.Type == fs.flow.Key {
			e.insert(fs.instance(k.Value), o)
			direct = true
		}
	}
	if direct {
		e.stats.Applied++
		return
	}
	linked := slices.ContainsFunc(s.Keys, func(k flows.Key) bool { return slices.Contains(fs.flow.Links, k.Type) })
	if !linked {
		e.stats.Ignored++
		return
	}
	e.stats.Applied++
	e.hold(fs, s.Keys, o)
}

func (fs *flowState) instance(key string) *instance {
	in := fs.instances[key]
	if in == nil {
		in = &instance{fs: fs, key: strings.Clone(key), timer: -1, openAt: -1}
		fs.instances[in.key] = in
	}
	return in
}

// Advance judges again every instance whose verdict changes by now.
func (e *Engine) Advance(now flows.Time) {
	e.Roll(now)
	for e.timers.next() <= now {
		e.touch(e.timers.pop())
	}
	e.settle(now)
}

// Set is the set of definitions in force.
func (e *Engine) Set() *flows.Set { return e.set }

// Flows are the names of the flows in force, sorted.
func (e *Engine) Flows() []string { return slices.Sorted(maps.Keys(e.flows)) }

// Next is when Advance has something to do; flows.MaxTime for never.
func (e *Engine) Next() flows.Time { return e.timers.next() }

// Stats are the counters so far.
func (e *Engine) Stats() Stats { return e.stats }

// Changed lists the flows whose numbers moved since the last call, by name.
func (e *Engine) Changed() []string {
	var names []string
	for name, fs := range e.flows {
		if fs.changed {
			fs.changed = false
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Health are the numbers of a flow over the last hour up to now; false for an unknown
// flow. The window's start moves in steps of ten seconds.
func (e *Engine) Health(flow string, now flows.Time) (flows.Health, bool) {
	fs := e.flows[flow]
	if fs == nil {
		return flows.Health{}, false
	}
	fs.window.roll(now)
	fs.age(now)
	return fs.flow.Health(fs.window.total, fs.gauges, now, Window, Window), true
}
