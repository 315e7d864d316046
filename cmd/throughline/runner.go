package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/ingest/bus"
	"throughline/web"
)

// settleAfter is how long verdicts wait after catching up (FLOWS.md section 6); but in tests
// that start again and again to see something else.
var settleAfter = 30 * time.Second

// spillFrom is how many signals wait for a link in memory; fewer in a test that has some leave it.
var spillFrom = engine.SpillFrom

const (
	alertEvery    = 500 * time.Millisecond
	flushEvery    = 200 * time.Millisecond // rows to the store, after the first change
	flushRow      = 20 * time.Microsecond  // longer for each row of the last flush: where much changes, fewer and larger inserts are cheaper
	flushLatest   = time.Second
	replaceAgain  = 2 * time.Second // changed definitions that the store could not yet fill
	tickEvery     = time.Second     // windows move, liveness is noted
	maxOwed       = 500_000         // rows owed to the store; beyond it the engine reads no further
	engineName    = "engine"        // checkpoint: last message whose rows are written
	aliveName     = "engine alive"  // checkpoint: when that was, in Unix nanoseconds
	loadBatch     = 5000
	judgeMost     = 2000 // verdicts by time in one turn of the loop: some 3 ms, so that signals are applied between them
	followMost    = 500  // rows of such verdicts that one turn makes
	restoreLogged = 100 * time.Millisecond
	storedSince   = 3 * time.Hour // before the process ended: rows written earlier were whole
	compareBatch  = 500           // stored rows that one turn of the loop compares
)

// runner is the one owner of the engine: it feeds it from the bus, gives it the time, and
// carries out what it decides. All fields but isRestored and met belong to the
// goroutine of run.
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

	next       *flows.Set // to be put in force
	tried      time.Time  // when that failed last
	unfilled   []string   // flows in force whose stored signals are not loaded yet
	applied    uint64     // last message applied
	frozen     flows.Time // clock of verdicts while restoring
	restoring  bool
	caughtUp   uint64    // message to reach before settling
	settled    time.Time // when restoring ends; zero before catching up
	judge      judgement
	shows      shows
	fresh      freshness
	skew       skew
	alertsDue  bool
	alerted    time.Time
	writer     rowWriter
	saves      saves
	comparing  *comparing // nil once what is stored was compared with the state
	parked     parked
	looking    bool // the store is asked for parked signals
	lookups    sync.WaitGroup
	erased     *erasedSignals // nil where nothing can be
	held       bool           // nothing more is applied, while a key is erased
	still      bool           // nor does anything else change the state
	watch      *eraseWatch    // nil where no key is being erased
	ticked     time.Time
	live       chan struct{} // closed once there are live numbers, or these take as long as reading all signals does
	isLive     func()        // closes it
	isRestored atomic.Bool
	met        atomic.Pointer[engineMet]
}

func newRunner(set *flows.Set, b *bus.Bus, s *store.Store, ready <-chan struct{}, hub *web.Hub,
	alerts func([]flows.Cohort, time.Time), source func(string) string, log *slog.Logger,
) *runner {
	r := &runner{
		engine: engine.New(set), bus: b, store: s, ready: ready, hub: hub, alerts: alerts, source: source, log: log,
		deliveries: make(chan bus.Delivery), sets: make(chan *flows.Set), asks: make(chan func()),
		restoring: true, frozen: flows.NoTime, judge: judgement{at: flows.NoTime},
		shows: newShows(), fresh: freshness{oldest: flows.NoTime, since: map[string]flows.Time{}},
	}
	r.engine.SpillFrom(spillFrom)
	r.live = make(chan struct{})
	r.isLive = sync.OnceFunc(func() { close(r.live) })
	r.writer = rowWriter{store: s, log: log, done: make(chan struct{}, 1)}
	r.parked.answers = make(chan answer, 1) // one is under way at most, and nobody may be left to take it
	r.keepVersions(set, r.engine.Flows())
	return r
}

// Restoring says whether verdicts wait for the state to be whole again.
func (r *runner) Restoring() bool { return !r.isRestored.Load() }

// Replace has other flow definitions put in force.
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
			settled = r.done() >= seq && r.engine.Owed() == 0 && !r.writer.busy && r.comparing == nil
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
	attempt := func() (uint64, error) { return r.restore(ctx) } // what was loaded before is not loaded twice
	from, err := backoff.Retry(ctx, attempt, backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		r.log.WarnContext(ctx, "state not restored yet", "error", err)
	}))
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	followCtx, stop := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() {
		followed <- r.bus.Follow(followCtx, bus.FollowConfig{Stream: bus.Signals, From: from}, r.deliver)
	}()
	r.compareLater(followCtx)
	err = r.loop(ctx, followed)
	stop()
	<-followed
	r.lookups.Wait()
	r.finish(ctx)
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
		if r.engine.Owed()-r.engine.Following() > maxOwed || len(r.parked.next) > maxParked || r.held {
			deliveries = nil // the bus holds the rest; see promise 3
		}
		select {
		case c := <-r.compares():
			r.compare(c)
		case <-ctx.Done():
			return nil
		case err := <-followed:
			followed <- err
			return ignoreEnd(ctx, fmt.Errorf("follow signals: %w", err))
		case d := <-deliveries:
			r.apply(d)
		case set := <-r.sets:
			r.next, r.tried = set, time.Time{}
		case ask := <-r.asks:
			ask()
		case <-r.writer.done:
			r.writer.busy = false
			r.engine.Leave(r.writer.rows.Evicted)
			r.writer.tearMoved(r.writer.reopened)
			r.writer.tearMoved(r.writer.recalled)
			for _, id := range r.writer.reopened {
				r.engine.Move(id, r.clock(time.Now()))
			}
			r.engine.Reuse(r.writer.rows)
			r.writer.rows = engine.Rows{}
		case a := <-r.parked.answers:
			r.answered(a)
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
	d.Signals = r.erased.keep(d.Signals)
	r.watch.see(d.Signals)
	r.engine.Roll(flows.At(now))
	if clock := r.clock(now); r.engine.Missing(d.Signals) == nil {
		r.engine.Apply(d.Signals, clock)
	} else {
		r.park(d, clock)
	}
	r.applied = d.Last
	r.fresh.heard(d.Signals)
	r.skew.count(d.Signals)
	d.Free()
}

// step does all that is due at now.
func (r *runner) step(ctx context.Context, now time.Time) error {
	if now.Sub(r.ticked) >= tickEvery {
		r.ticked = now
		r.tell()
		r.fresh.tick(ctx, r, now)
		r.engine.Roll(flows.At(now))
	}
	r.replaceDue(ctx, now)
	if err := r.settle(ctx, now); err != nil {
		return err
	}
	r.judgeDue(ctx, now)
	for _, flow := range r.engine.Changed() {
		r.shows.changed[flow] = true
		r.fresh.changed(flow)
		r.alertsDue = true
	}
	r.fresh.oldest = flows.NoTime
	r.publish(now)
	if r.mayAlert() && now.Sub(r.alerted) >= alertEvery {
		r.alertsDue, r.alerted = false, now
		r.alerts(r.engine.Cohorts(), now)
	}
	r.lookDue(ctx, now)
	r.saveDue(now)
	if !r.judging() { // verdicts before their rows
		r.engine.Follow(followMost)
	}
	r.writer.flush(ctx, r.engine, now)
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
		r.shows.changed[f] = true
	}
	return nil
}

// replaceDue tries to put other definitions in force, again and again where the store is away.
func (r *runner) replaceDue(ctx context.Context, now time.Time) {
	if r.next == nil || now.Sub(r.tried) < replaceAgain || r.still || r.erased.erasing() {
		return
	}
	err := r.replace(ctx, r.next)
	if err == nil {
		r.next, r.tried = nil, time.Time{}
		return
	}
	if r.tried.IsZero() && ctx.Err() == nil {
		r.log.WarnContext(ctx, "changed flow definitions wait for the store; those before run on", "error", err)
	}
	r.tried = time.Now()
}

// mayAlert says whether cohorts changed, and the state that they are of is whole.
func (r *runner) mayAlert() bool { return r.alertsDue && !r.restoring && len(r.unfilled) == 0 }

// wait is how long nothing is to be done.
func (r *runner) wait(now time.Time) time.Duration {
	next := r.shows.next(r.ticked.Add(tickEvery))
	if r.mayAlert() {
		next = earliest(next, r.alerted.Add(alertEvery))
	}
	switch {
	case r.judging():
		return 0
	case r.saves.under || r.saves.leaving || r.engine.Filling():
		next = earliest(next, now.Add(saveTurn))
	}
	if r.engine.Owed() > 0 && !r.writer.busy {
		next = earliest(next, r.writer.next)
	}
	if r.judge.at == flows.NoTime && !r.restoring && !r.still {
		if due := r.engine.Next(); due < flows.At(next) {
			next = earliest(next, latest(due.Std(), r.judge.retry))
		}
	}
	return max(next.Sub(now), 0)
}

// finish saves the state and writes what is owed, as far as the store answers.
func (r *runner) finish(ctx context.Context) {
	if len(r.unfilled) == 0 {
		if !r.saves.under && !r.engine.Unfit() {
			r.engine.BeginSave()
			r.saves = saves{under: true, seq: r.done(), definitions: r.saves.definitions}
		}
		for r.saves.under {
			r.saveDue(time.Now())
		}
	}
	r.writer.finish(ctx, r.engine)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
