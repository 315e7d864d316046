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
	set       *flows.Set
	flows     map[string]*flowState
	graph     graph
	cells     cells
	copies    copies
	traces    traces
	timers    timers
	opened    []*instance // unpacked since the last settle
	spare     []*work
	spareRoom int // for occurrences in these
	large     map[*instance]large
	largeRoom int                // for occurrences in these
	read      []flows.Occurrence // scratch of occurrences
	buffer    []byte             // scratch of rest
	quiet     bool               // loading what is stored already: emit no rows
	rework    bool               // emit the rows of duplicates too
	out       outbox
	stats     Stats
	names     names
	hits      []flows.Hit
	folded    flows.Instance // scratch
	before    flows.Instance // scratch of lapse
	limits    limits
	now       flows.Time // of the last Apply

	save      saving
	rolling   rolling
	leaving   []leaving           // in the order of their times
	evicting  map[uint64]struct{} // IDs of those that Leave was not told of yet
	left      filter
	apart     map[uint64]struct{} // of what is in memory and in the store: see alone
	returning bool                // what left memory comes back
	component members             // scratch
	packer    packer
	parcel    parcel
	other     parcel         // scratch of atRestBut
	primary   [][]*flowState // by class of key: see flowsOf

	arrival   arrival // scratch
	effects   []effect
	found     []nodeID
	again     bool               // stored signals are applied again, for flows that start empty
	importing bool               // there were imported signals
	waiting   waitingQueue       // for a link or a key
	stale     []*held            // to be placed anew by flush
	bySig     map[uint64][]*held // see heldBefore; nil while not needed
	spilling  []*held            // scratch
	spillAt   int                // in waiting: where spill goes on
	onDisk    map[onDisk]int     // signals that wait there
	diskHour  int64              // of the last look at onDisk
	producers map[producerID]*producer
	expelled  []*producer // by the retraction under way
	common    []CommonKey
	full      []FullInstance
}

// limits are the bounds that a test may want nearer.
type limits struct{ waiting, spill, groups, occurrences, following, large int }

// Stats count what the engine met, since it was made. Those that are not zero tell of
// bounds that were reached: beyond them the state depends on the order of arrival.
type Stats struct {
	Inserted   int // occurrences put into instances
	Applied    int // signals that belong to an instance or wait for a link
	Duplicates int // second copies
	Conflicts  int // copies that differ
	Waiting    int // signals that wait for a link now
	Ambiguous  int // of those, the ones whose trace has several keys
	Unplaced   int // signals that are to be placed anew, by the next calls
	GivenUp    int // signals that waited too long, or among too many
	Spilled    int // signals that left memory while they waited, and wait on disk now
	Ignored    int // signals that match no step, or carry no key of the flow
	Common     int // keys with more partners than they may have: their links are void

	Instances int // in memory
	AtRest    int // components
	Left      int // keys and traces of components that left memory

	CommonTraces    int // traces with more than maxMembers signals: they give no keys
	TracesForgotten int // traces that made room for others
	Overfull        int // signals that an instance with too many did not take
	Far             int // keys whose primary keys are beyond maxHops or maxReach, each time they were looked for
	Missed          int // changes of keys with so many others around that not all signals were placed anew
}

// flowState is one flow and all its instances.
type flowState struct {
	flow        *flows.Flow
	shape       uint32   // hash of what parcels speak of by number
	positions   []string // of the flow
	keyed       []bool   // by segment: its values may be those of keys; nil for none
	instances   roster
	elsewhere   bool        // some were of an environment
	open        []*instance // in flight, in no order
	gauges      *flows.Gauges
	window      *window
	roles       []role      // by graph class
	producers   []*producer // the last by position
	fresh       bool        // started empty with the last Replace, until Retire
	cohorts     map[cohortID]*cohort
	changed     bool                      // numbers moved since the last Changed
	before      roster                    // of the version before, until Retire
	later       map[*instance][]*instance // of a key's first instance, those that follow
	firsts      map[*instance]*instance   // the way back
	laterBefore map[*instance][]*instance // as before
	rolled      *flows.RollUps            // since the last save that was done
	rolledAnew  bool                      // they begin anew
	kept        filter                    // primary keys of kept instances that may have left memory: see keep
}

// New is an engine for a set of flows, without any instance.
func New(set *flows.Set) *Engine { return newEngine(set, newHasher()) }

func newEngine(set *flows.Set, h hasher) *Engine {
	e := &Engine{flows: map[string]*flowState{}, names: newNames(), rolling: rolling{base: map[*instance]packed{}}, limits: limits{maxWaiting, SpillFrom, maxGroups, maxOccurrences, followingRows, largeFrom}}
	e.reset(h)
	e.Replace(set)
	return e
}

// reset forgets what the flows share.
func (e *Engine) reset(h hasher) {
	e.graph, e.copies, e.traces, e.waiting = newGraph(h), newCopies(h), newTraces(), nil
	e.cells, e.save, e.leaving, e.evicting, e.apart = cells{}, saving{round: 1}, nil, map[uint64]struct{}{}, nil
	e.producers, e.common = map[producerID]*producer{}, nil
	e.onDisk, e.spillAt = map[onDisk]int{}, 0
	e.stale, e.bySig = nil, nil
	e.stats.Waiting, e.stats.Ambiguous = 0, 0
}

// Load applies signals that are stored already, rows and all: it emits nothing.
func (e *Engine) Load(signals []flows.Signal, now flows.Time) {
	e.quiet = true
	e.Apply(signals, now)
	e.quiet = false
}

// Rework says whether the rows of signals that were applied before are emitted again:
// while the stream is read again from before the last rows known to be written.
func (e *Engine) Rework(on bool) { e.rework, e.bySig = on, nil }

// Apply takes signals into the state and judges what they touch at now.
func (e *Engine) Apply(signals []flows.Signal, now flows.Time) {
	e.now = now
	for i := range signals {
		e.apply(&signals[i])
	}
	e.flush()
	e.settle(now)
}

func (e *Engine) apply(s *flows.Signal) {
	e.importing = e.importing || s.AsOf != 0
	a := e.meet(s)
	if !e.admit(a) {
		return
	}
	e.connect(a)
	e.hits = e.set.Match(s, e.hits[:0])
	if len(e.hits) == 0 {
		e.stats.Ignored++
	}
	for _, hit := range e.hits {
		o := hit.Flow.OccurHashed(s, a.hash, hit.Step, hit.Failed)
		fs := e.flows[hit.Flow.Name]
		e.own(fs, &o)
		e.place(fs, a, &o)
	}
	e.remember(a)
}

// own copies the texts of an occurrence out of the message they came in. What may be the
// value of a key is not numbered: names are never forgotten, and keys can be erased.
func (e *Engine) own(fs *flowState, o *flows.Occurrence) {
	o.Source, o.System, o.Currency = e.names.kept(o.Source), e.names.kept(o.System), e.names.kept(o.Currency)
	o.ID, o.Sequence = strings.Clone(o.ID), strings.Clone(o.Sequence)
	o.Child = strings.Clone(o.Child)
	for i, v := range o.Segments {
		if fs.keyed != nil && fs.keyed[i] {
			o.Segments[i] = strings.Clone(v)
		} else {
			o.Segments[i] = e.names.kept(v)
		}
	}
}

// instance finds or makes the instance of a primary key.
func (e *Engine) instance(fs *flowState, value, environment string) *instance {
	id := flows.InstanceKey(value, environment)
	in := fs.instances.get(id)
	if in == nil {
		in = newInstance(fs, strings.Clone(id))
		fs.instances.put(in)
		e.copies.enter(in)
		e.joinFellows(in)
	}
	if in.cell != 0 {
		e.wake(in.cell)
	}
	return in
}

// node finds or makes the node of a key.
func (e *Engine) node(class uint32, value string) nodeID {
	g := &e.graph
	hash := g.hash(class, value)
	id := g.lookup(hash, class, value)
	if id == 0 && e.wakeAt(hash) {
		id = g.lookup(hash, class, value)
	}
	if id == 0 {
		id = g.add(hash, class, value)
	}
	return id
}

// Set is the set of definitions in force.
func (e *Engine) Set() *flows.Set { return e.set }

// Flows are the names of the flows in force, sorted.
func (e *Engine) Flows() []string { return slices.Sorted(maps.Keys(e.flows)) }

// Next is when Advance has something to do; the greatest Time for never.
func (e *Engine) Next() flows.Time {
	if len(e.stale) > 0 {
		return e.now
	}
	next := e.timers.next()
	if len(e.waiting) > 0 {
		next = min(next, e.waiting[0].rest.expires.Add(1))
	}
	return next
}

// Stats are the counters so far.
func (e *Engine) Stats() Stats {
	s := e.stats
	for _, fs := range e.flows {
		s.Instances += fs.instances.len()
	}
	s.AtRest = max(0, len(e.cells.list)-1) - len(e.cells.vacant)
	s.Left = e.left.used
	s.Spilled = e.spilled()
	return s
}

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

// Ages are how long those in flight have been, as Health measured it last; what it returns does not
// change any more.
func (e *Engine) Ages(flow string) *flows.Sketch {
	fs := e.flows[flow]
	if fs == nil {
		return nil
	}
	ages := fs.gauges.Age // age makes another one each time
	return &ages
}

// Health are the numbers of a flow over the last hour up to now; false for an unknown
// flow. The window's start moves in steps of ten seconds.
func (e *Engine) Health(flow string, now flows.Time) (flows.Health, bool) {
	fs := e.flows[flow]
	if fs == nil {
		return flows.Health{}, false
	}
	if !fs.window.roll(now) && fs.window.total.Thin() {
		fs.window.sum()
	}
	fs.age(now)
	return fs.flow.Health(fs.window.total, fs.gauges, now, Window, Window), true
}
