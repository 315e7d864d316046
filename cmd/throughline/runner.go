package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/ingest/bus"
	"throughline/web"
)

const (
	publishEvery  = 95 * time.Millisecond // per flow, after the first change: an event waits for less than 100 ms, its own way included
	alertEvery    = 500 * time.Millisecond
	flushEvery    = 200 * time.Millisecond // rows to the store, after the first change
	tickEvery     = time.Second            // windows move, liveness is noted
	settleAfter   = 30 * time.Second       // verdicts wait so long after catching up (FLOWS.md section 6)
	maxOwed       = 500_000                // rows owed to the store; beyond it the engine reads no further
	engineName    = "engine"               // checkpoint: last message whose rows are written
	aliveName     = "engine alive"         // checkpoint: when that was, in Unix nanoseconds
	loadBatch     = 5000
	restoreLogged = 100 * time.Millisecond
)

// runner is the one owner of the engine: it feeds it from the bus, gives it the time, and
// carries out what it decides. All fields but status belong to the goroutine of run.
type runner struct {
	engine *engine.Engine
	bus    *bus.Bus
	store  *store.Store
	ready  <-chan struct{} // the store can be used
	hub    *web.Hub
	alerts func([]flows.Cohort, time.Time)
	source func(flow string) string // text of its file
	log    *slog.Logger

	deliveries chan bus.Delivery
	sets       chan *flows.Set
	asks       chan func()

	applied    uint64     // last message applied
	frozen     flows.Time // clock of verdicts while restoring
	restoring  bool
	caughtUp   uint64    // message to reach before settling
	settled    time.Time // when restoring ends; zero before catching up
	judge      judgement
	pending    map[string]time.Time // changed flows and when each may be published
	published  map[string]time.Time
	alertsDue  bool
	alerted    time.Time
	writer     rowWriter
	ticked     time.Time
	isRestored atomic.Bool
}

// judgement is a pass over the deadlines that waits for the engine to have applied all
// that the bus had accepted at that time.
type judgement struct {
	at  flows.Time // NoTime for none
	seq uint64
}

func newRunner(set *flows.Set, b *bus.Bus, s *store.Store, ready <-chan struct{}, hub *web.Hub,
	alerts func([]flows.Cohort, time.Time), source func(string) string, log *slog.Logger,
) *runner {
	r := &runner{
		engine: engine.New(set), bus: b, store: s, ready: ready, hub: hub, alerts: alerts, source: source, log: log,
		deliveries: make(chan bus.Delivery), sets: make(chan *flows.Set), asks: make(chan func()),
		restoring: true, frozen: flows.NoTime, judge: judgement{at: flows.NoTime},
		pending: map[string]time.Time{}, published: map[string]time.Time{},
	}
	r.writer = rowWriter{store: s, log: log, done: make(chan struct{}, 1)}
	r.keepVersions(set, r.engine.Flows())
	return r
}

// Restoring says whether verdicts wait for the state to be whole again.
func (r *runner) Restoring() bool { return !r.isRestored.Load() }

// Replace puts other flow definitions in force; it returns when they are.
func (r *runner) Replace(ctx context.Context, set *flows.Set) {
	select {
	case r.sets <- set:
	case <-ctx.Done():
	}
}

// Ask runs f in the owner's goroutine, and returns when it has run.
func (r *runner) Ask(ctx context.Context, f func(*runner)) error {
	done := make(chan struct{})
	select {
	case r.asks <- func() { f(r); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ask the engine: %w", ctx.Err())
	}
}

// Settled waits until a message is applied and its rows are written.
func (r *runner) Settled(ctx context.Context, seq uint64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		settled := false
		if err := r.Ask(ctx, func(r *runner) {
			settled = r.applied >= seq && r.engine.Owed() == 0 && !r.writer.busy
		}); err != nil {
			return fmt.Errorf("wait for message %d: %w", seq, err)
		}
		if settled {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for message %d: %w", seq, ctx.Err())
		}
	}
}

// run restores the state and then keeps it until ctx ends. Rows still owed then are
// written before it returns, as far as the store answers.
func (r *runner) run(ctx context.Context) error {
	from, err := r.restore(ctx)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	followCtx, stop := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() {
		followed <- r.bus.Follow(followCtx, bus.FollowConfig{Stream: bus.Signals, From: from}, r.deliver)
	}()
	err = r.loop(ctx, followed)
	stop()
	<-followed
	r.writer.finish(ctx, r.engine, r.applied)
	return err
}

func (r *runner) deliver(ctx context.Context, d bus.Delivery) error {
	select {
	case r.deliveries <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *runner) loop(ctx context.Context, followed chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		deliveries := r.deliveries
		if r.engine.Owed() > maxOwed {
			deliveries = nil // the bus holds the rest; see promise 3
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-followed:
			followed <- err
			return ignoreEnd(ctx, fmt.Errorf("follow signals: %w", err))
		case d := <-deliveries:
			r.apply(d)
		case set := <-r.sets:
			if err := r.replace(ctx, set); err != nil {
				return ignoreEnd(ctx, err)
			}
		case ask := <-r.asks:
			ask()
		case <-r.writer.done:
			r.writer.busy = false
		case <-timer.C:
		}
		now := time.Now()
		if err := r.step(ctx, now); err != nil {
			return ignoreEnd(ctx, err)
		}
		timer.Reset(r.wait(now))
	}
}

// clock is the now of verdicts: it stands still while restoring.
func (r *runner) clock(now time.Time) flows.Time {
	if r.restoring && r.frozen != flows.NoTime {
		return r.frozen
	}
	return flows.At(now)
}

func (r *runner) apply(d bus.Delivery) {
	now := time.Now()
	r.engine.Roll(flows.At(now))
	r.engine.Apply(d.Signals, r.clock(now))
	r.applied = d.Last
}

// step does all that is due at now.
func (r *runner) step(ctx context.Context, now time.Time) error {
	if now.Sub(r.ticked) >= tickEvery {
		r.ticked = now
		r.engine.Roll(flows.At(now))
	}
	if err := r.settle(ctx, now); err != nil {
		return err
	}
	if err := r.judgeDue(ctx, now); err != nil {
		return err
	}
	for _, flow := range r.engine.Changed() {
		if _, ok := r.pending[flow]; !ok {
			r.pending[flow] = r.published[flow].Add(publishEvery)
		}
		r.alertsDue = true
	}
	r.publish(now)
	if r.alertsDue && !r.restoring && now.Sub(r.alerted) >= alertEvery {
		r.alertsDue, r.alerted = false, now
		r.alerts(r.engine.Cohorts(), now)
	}
	r.writer.flush(ctx, r.engine, r.applied, now)
	return nil
}

// settle ends the restoring some time after all that waited on the bus is applied.
func (r *runner) settle(ctx context.Context, now time.Time) error {
	if !r.restoring || r.applied < r.caughtUp {
		return nil
	}
	if r.settled.IsZero() {
		r.settled = now
		if r.frozen != flows.NoTime {
			r.settled = now.Add(settleAfter)
		}
		r.engine.Rework(false)
	}
	if now.Before(r.settled) {
		return nil
	}
	r.restoring = false
	r.isRestored.Store(true)
	r.log.InfoContext(ctx, "state is whole: verdicts are given", "message", r.applied)
	for _, f := range r.engine.Flows() {
		r.pending[f] = now
	}
	return nil
}

// judgeDue passes over the deadlines that are due, once everything accepted before is
// applied (FLOWS.md section 6).
func (r *runner) judgeDue(ctx context.Context, now time.Time) error {
	if r.restoring || (r.judge.at == flows.NoTime && r.engine.Next() > flows.At(now)) {
		return nil
	}
	if r.judge.at == flows.NoTime {
		seq, err := r.bus.LastSeq(ctx, bus.Signals)
		if err != nil {
			return fmt.Errorf("judge deadlines: %w", err)
		}
		r.judge = judgement{at: flows.At(now), seq: seq}
	}
	if r.applied >= r.judge.seq {
		r.engine.Advance(r.judge.at)
		r.judge.at = flows.NoTime
	}
	return nil
}

// publish sends the numbers of changed flows to the live pages: the first change at once,
// then at most ten times a second each, the latest state.
func (r *runner) publish(now time.Time) {
	for flow, due := range r.pending {
		if now.Before(due) {
			continue
		}
		delete(r.pending, flow)
		r.published[flow] = now
		health, ok := r.engine.Health(flow, flows.At(now))
		if !ok {
			r.hub.Drop(flow)
			continue
		}
		health.Restoring = r.restoring
		if err := r.hub.Publish(health); err != nil {
			r.log.Error("publish live numbers", "flow", flow, "error", err)
		}
	}
}

// wait is how long nothing is to be done.
func (r *runner) wait(now time.Time) time.Duration {
	next := r.ticked.Add(tickEvery)
	for _, due := range r.pending {
		next = earliest(next, due)
	}
	if r.alertsDue {
		next = earliest(next, r.alerted.Add(alertEvery))
	}
	if r.engine.Owed() > 0 && !r.writer.busy {
		next = earliest(next, r.writer.flushed.Add(flushEvery))
	}
	if r.judge.at == flows.NoTime && !r.restoring {
		if due := r.engine.Next(); due < flows.At(next) {
			next = due.Std()
		}
	}
	return max(next.Sub(now), 0)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// replace puts a new set in force, and fills the flows that are new or changed from the
// stored signals.
func (r *runner) replace(ctx context.Context, set *flows.Set) error {
	before := r.engine.Flows()
	empty := r.engine.Replace(set)
	for _, flow := range before {
		if _, ok := set.Flow(flow); !ok {
			r.hub.Drop(flow)
		}
	}
	for _, flow := range empty {
		r.pending[flow] = time.Time{}
	}
	if len(empty) == 0 {
		return nil
	}
	r.keepVersions(set, empty)
	if err := r.awaitStored(ctx); err != nil {
		return err
	}
	n, err := r.load(ctx, set, empty, r.engine.Apply)
	if err != nil {
		return err
	}
	r.engine.Retire()
	r.log.InfoContext(ctx, "flow definitions in force", "flows", empty, "signals", n)
	return nil
}

// keepVersions has the texts of definitions stored, since every instance names its own.
func (r *runner) keepVersions(set *flows.Set, names []string) {
	for _, name := range names {
		if f, ok := set.Flow(name); ok {
			r.writer.versions = append(r.writer.versions, store.FlowVersion{Flow: name, Version: f.Version, Definition: r.source(name)})
		}
	}
}

// awaitStored waits, up to a few seconds, until the store has what the engine applied:
// what it lacks then comes to the new definitions only with the next change.
func (r *runner) awaitStored(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		done, err := r.bus.Done(ctx, bus.Signals)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("replace flow definitions: %w", err)
		}
		if done >= r.applied {
			return nil
		}
		select {
		case <-ctx.Done():
			r.log.WarnContext(ctx, "the store is behind: the newest signals are missing from changed flows", "stored", done, "applied", r.applied)
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// load applies the stored signals that some flows want.
func (r *runner) load(ctx context.Context, set *flows.Set, only []string, apply func([]flows.Signal, flows.Time)) (n int, err error) {
	var wanted []*flows.Flow
	for _, name := range only {
		if f, ok := set.Flow(name); ok {
			wanted = append(wanted, f)
		}
	}
	part, err := flows.NewSet(wanted)
	if err != nil {
		return 0, fmt.Errorf("load signals: %w", err)
	}
	clock := r.clock(time.Now())
	r.engine.Roll(flows.At(time.Now()))
	batch := make([]flows.Signal, 0, loadBatch)
	err = r.store.Signals(ctx, store.SignalFilter{Names: matchedNames(wanted), KeyTypes: part.KeyTypes()}, func(s flows.Signal) error {
		if err := set.AssignKeys(&s); err != nil {
			return nil // refused at ingest since; it cannot belong to an instance
		}
		n++
		if batch = append(batch, s); len(batch) == loadBatch {
			apply(batch, clock)
			batch = batch[:0]
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("load signals: %w", err)
	}
	apply(batch, clock)
	return n, nil
}

// matchedNames are the names of the signals that are steps of some flows.
func matchedNames(wanted []*flows.Flow) []string {
	var names []string
	for _, f := range wanted {
		for i := range f.Steps {
			names = append(names, f.Steps[i].Match.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// restore rebuilds the state from the store, and returns the first message to read on
// from.
func (r *runner) restore(ctx context.Context) (from uint64, err error) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	began := time.Now()
	written, err := r.store.Checkpoint(ctx, engineName)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	alive, err := r.store.Checkpoint(ctx, aliveName)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	stored, err := r.bus.Done(ctx, bus.Signals)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	if r.caughtUp, err = r.bus.LastSeq(ctx, bus.Signals); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	r.applied = min(written, stored)
	if written > r.caughtUp || stored > r.caughtUp { // the bus's folder is another one
		r.applied = 0
	}
	if alive > 0 {
		r.frozen = flows.Time(alive)
	}
	n, err := r.load(ctx, r.engine.Set(), r.engine.Flows(), r.engine.Load)
	if err != nil {
		return 0, err
	}
	if err := r.reconcile(ctx); err != nil {
		return 0, err
	}
	r.engine.Rework(true)
	if took := time.Since(began); n > 0 || took > restoreLogged {
		r.log.InfoContext(ctx, "state restored", "signals", n, "took", took, "from", r.applied+1)
	}
	return r.applied + 1, nil
}

// reconcile owes the rows that the process before did not come to write.
func (r *runner) reconcile(ctx context.Context) error {
	for _, flow := range r.engine.Flows() {
		definition, _ := r.engine.Set().Flow(flow)
		seen, otherVersion := map[string]bool{}, false
		err := r.store.InstanceStates(ctx, flow, func(stored flows.InstanceRecord) error {
			otherVersion = otherVersion || stored.Version != definition.Version
			r.engine.Reconcile(&stored, seen)
			return nil
		})
		if err != nil {
			return fmt.Errorf("restore %s: %w", flow, err)
		}
		if otherVersion { // the file changed while nobody watched
			r.writer.forget(flow)
			r.engine.OweAll(flow)
		} else {
			r.engine.OweUnseen(flow, seen)
		}
	}
	return nil
}
