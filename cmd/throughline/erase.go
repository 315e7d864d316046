package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows"
	"throughline/flows/store"
	"throughline/ingest/bus"
)

// A key is erased in one turn of the engine's owner: what carries it is looked for, the
// erasure is noted in the store, and the state renamed. From then on it is done, whatever
// happens: rows are changed after it, by this process or by the next one before that does
// anything else, each step such that it may be done again.

const (
	maxErased     = 100_000 // signals of one key: more is nothing of one person or case
	eraseWithin   = time.Minute
	eraseTick     = 20 * time.Millisecond
	erasedToken   = "erased-"
	erasedAgain   = 30 * time.Second // most between tries to go on
	keptStatesFor = 2                // jobs of the writer after which a save that ended is stored
)

var (
	errErasureRuns = errors.New("a key is being erased; try again in a moment")
	errBackfilling = errors.New("a backfill is running; erase when it is done")
	errEraseBusy   = errors.New("the store is behind, or does not answer: nothing was erased; try again in a moment")
	errCommonKey   = fmt.Errorf("more than %d signals carry this key: it names nobody and no case; erase the keys of those", maxErased)
)

// erasures are those that run in this process, by key.
type erasures struct {
	lock    sync.Mutex
	running map[flows.Key]*erasing
	turn    sync.Mutex // one at a time
}

// erasing is one that runs.
type erasing struct {
	done    chan struct{}
	erasure store.Erasure // and how it ended, once it is done
	err     error
}

// erasePlan is what an erasure changes.
type erasePlan struct {
	store.Erasure
	left     []flows.Signal   // of the copies that count and carried the key
	fresh    []flows.Signal   // of these, what is not stored yet
	losers   []flows.Identity // of which a copy carries the key that does not count
	flows    []store.ErasedFlow
	names    []string // under which the value is found
	segments []string // that are among these
}

// ids are by what repeats of all these signals are known.
func (p *erasePlan) ids() (ids []store.IdentityHash) {
	for i := range p.left {
		ids = append(ids, store.HashIdentity(p.left[i].Identity()))
	}
	for _, id := range p.losers {
		ids = append(ids, store.HashIdentity(id))
	}
	return ids
}

// erase begins to erase a key, or joins what was begun. It goes on in the background.
func (a *app) erase(key flows.Key, by string) *erasing {
	x := &a.erasures
	x.lock.Lock()
	defer x.lock.Unlock()
	if running := x.running[key]; running != nil {
		return running
	}
	if x.running == nil {
		x.running = map[flows.Key]*erasing{}
	}
	e := &erasing{done: make(chan struct{})}
	x.running[key] = e
	a.work.Go(func() error {
		e.erasure, e.err = a.runErase(a.ctx, store.Erasure{Token: erasedToken + strings.ToLower(rand.Text()), Key: key, By: by, Began: flows.At(time.Now())})
		x.lock.Lock()
		delete(x.running, key)
		x.lock.Unlock()
		close(e.done)
		return nil
	})
	return e
}

// runErase does all of one.
func (a *app) runErase(ctx context.Context, x store.Erasure) (store.Erasure, error) {
	a.erasures.turn.Lock()
	defer a.erasures.turn.Unlock()
	if a.backfills.running() {
		return x, errBackfilling
	}
	within, cancel := context.WithTimeout(ctx, eraseWithin)
	plan, err := a.commitErasure(within, x)
	cancel()
	switch {
	case errors.Is(err, flows.ErrNotFound), errors.Is(err, errCommonKey):
		return x, err
	case err != nil:
		a.log.WarnContext(ctx, "a key was not erased", "type", x.Key.Type, "error", err)
		return x, errEraseBusy
	}
	return plan.Erasure, a.finishErasure(ctx, plan)
}

// commitErasure waits until all that was accepted is stored and applied, and has it erased
// from the state. An error says that it was not.
func (a *app) commitErasure(ctx context.Context, x store.Erasure) (plan *erasePlan, err error) {
	if plan, err = a.runner.planErasure(ctx, x, a.rules.Set(), nil); err != nil { // it may not be there
		return nil, err
	}
	if err := a.awaitAccepted(ctx); err != nil {
		return nil, err
	}
	hold := func(held bool) error {
		return a.runner.Ask(context.WithoutCancel(ctx), func(r *runner) { r.held = held })
	}
	if err := hold(true); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hold(false)) }()
	for idle := false; !idle; {
		if err := a.awaitIdle(ctx); err != nil {
			return nil, err
		}
		a.erased.lock.Lock() // what is inserted now ends first
		askErr := a.runner.Ask(ctx, func(r *runner) {
			if idle = r.idle(); idle {
				plan, err = r.eraseNow(ctx, x)
			}
		})
		a.erased.lock.Unlock()
		if err := errors.Join(askErr, err); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// awaitAccepted waits until all that the bus has by now is stored and applied.
func (a *app) awaitAccepted(ctx context.Context) error {
	signals, err := a.bus.LastSeq(ctx, bus.Signals)
	if err != nil {
		return fmt.Errorf("ask the bus: %w", err)
	}
	spans, err := a.bus.LastSeq(ctx, bus.Spans)
	if err != nil {
		return fmt.Errorf("ask the bus: %w", err)
	}
	if err := a.awaitDone(ctx, bus.Spans, spans); err != nil {
		return err
	}
	if err := a.awaitDone(ctx, bus.Signals, signals); err != nil {
		return err
	}
	return a.await(ctx, func(r *runner) bool { return !r.restoring && r.applied >= signals })
}

func (a *app) awaitDone(ctx context.Context, stream string, seq uint64) error {
	tick := time.NewTicker(eraseTick)
	defer tick.Stop()
	for {
		done, err := a.bus.Done(ctx, stream)
		if err != nil || done >= seq {
			return err //nolint:wrapcheck // says what it did
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s are stored up to %d of %d: %w", stream, done, seq, ctx.Err())
		}
	}
}

// awaitIdle waits until nothing is under way in the owner, which is held.
func (a *app) awaitIdle(ctx context.Context) error {
	applied := uint64(0)
	if err := a.await(ctx, func(r *runner) bool { applied = r.applied; return r.idle() }); err != nil {
		return err
	}
	return a.awaitDone(ctx, bus.Signals, applied)
}

// idle says whether the state is whole, and all that it says is written.
func (r *runner) idle() bool {
	return !r.restoring && r.comparing == nil && len(r.unfilled) == 0 && r.next == nil && !r.parked.waits() && !r.looking && r.engine.Owed() == 0 && !r.writer.busy
}

// eraseNow notes an erasure in the store and does it in the state: from then on it is done.
func (r *runner) eraseNow(ctx context.Context, x store.Erasure) (*erasePlan, error) {
	r.writer.version = max(r.writer.version+1, uint64(time.Now().UnixNano()))
	x.Cutoff = r.writer.version
	plan, err := r.planErasure(ctx, x, r.engine.Set(), nil)
	if err != nil {
		return nil, err
	}
	ids := plan.ids()
	if err := r.store.SaveErased(ctx, x.Token, ids); err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	states, err := r.awayWith(ctx, plan)
	if err != nil {
		return nil, err
	}
	if err := r.store.SaveErasure(ctx, plan.Erasure); err != nil {
		cancelled := plan.Erasure // it may be there nevertheless
		cancelled.Key.Value, cancelled.Done = "", true
		return nil, errors.Join(err, r.store.SaveErasure(context.WithoutCancel(ctx), cancelled))
	}
	r.erased.add(ids)
	r.erased.busy.Add(1)
	r.eraseState(plan, states, r.clock(time.Now()))
	for _, f := range plan.flows { // what is folded from what is stored finds it
		if err := r.store.RenameInstances(ctx, plan.Erasure, f); err != nil {
			r.log.WarnContext(ctx, "rows of an erased key are changed later", "flow", f.Name, "error", err)
		}
	}
	return plan, nil
}

// awayWith are the components that left memory and have something of an erasure.
func (r *runner) awayWith(ctx context.Context, plan *erasePlan) ([]store.StateRow, error) {
	hashes := append(r.engine.Missing(plan.left), r.engine.KeyHashes(plan.Key, plan.left)...)
	slices.Sort(hashes)
	rows, err := r.store.Evicted(ctx, slices.Compact(hashes))
	if err != nil {
		return nil, fmt.Errorf("what left memory: %w", err)
	}
	return rows, nil
}

// eraseHere does an erasure in the state, as the process before did or would have.
func (r *runner) eraseHere(ctx context.Context, plan *erasePlan, now flows.Time) error {
	states, err := r.awayWith(ctx, plan)
	if err != nil {
		return err
	}
	r.eraseState(plan, states, now)
	return nil
}

func (r *runner) eraseState(plan *erasePlan, away []store.StateRow, now flows.Time) {
	r.takeBack(statesOf(away), now)
	r.engine.Erase(plan.Key, plan.Token, plan.left, now)
	r.saves.under, r.saves.ended = false, time.Time{} // what is left of a save goes with the next, which begins at once
}

// resumeErasing changes, before the state is restored, the rows of what the process before
// did not come to erase.
func (r *runner) resumeErasing(ctx context.Context) (plans []*erasePlan, err error) {
	if r.erased == nil {
		return nil, nil
	}
	for _, x := range r.erased.under {
		only := map[store.IdentityHash]bool{}
		if err := r.store.ErasedSignals(ctx, x.Token, func(h store.IdentityHash) { only[h] = true }); err != nil {
			return nil, err //nolint:wrapcheck // says what it did
		}
		plan, err := r.planErasure(ctx, x, r.engine.Set(), only)
		if err != nil {
			return nil, err
		}
		if err := r.eraseRows(ctx, plan); err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// finishErasure changes the rows, waits until the state is saved, and forgets the value.
// It tries until it is done, or the process ends: then the next one goes on.
func (a *app) finishErasure(ctx context.Context, plan *erasePlan) error {
	attempt := func() (struct{}, error) { return struct{}{}, a.eraseStored(ctx, plan) }
	_, err := backoff.Retry(ctx, attempt, backoff.WithMaxElapsedTime(0),
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, MaxInterval: erasedAgain}),
		backoff.WithNotify(func(err error, _ time.Duration) {
			a.log.WarnContext(ctx, "an erased key is still stored in part; it is tried again", "type", plan.Key.Type, "token", plan.Token, "error", err)
		}))
	if err != nil {
		return fmt.Errorf("erase: %w", err) // the next start goes on
	}
	a.erased.busy.Add(-1)
	a.log.InfoContext(ctx, "a key was erased", "type", plan.Key.Type, "token", plan.Token, "signals", plan.Signals, "by", plan.By)
	return nil
}

func (a *app) eraseStored(ctx context.Context, plan *erasePlan) error {
	if err := a.runner.eraseRows(ctx, plan); err != nil {
		return err
	}
	var named []string
	for _, f := range plan.flows {
		named = append(named, f.Name)
	}
	a.alerts.Forget(named, plan.Key.Value, plan.Token)
	if pages := a.shown.Load(); pages != nil {
		pages.Forget()
	}
	if err := a.awaitSaved(ctx); err != nil {
		return err
	}
	var hashes []uint64
	if err := a.runner.Ask(ctx, func(r *runner) { hashes = r.engine.KeyHashes(plan.Key, plan.left) }); err != nil {
		return err
	}
	if err := a.store.ForgetLeft(ctx, plan.Erasure, hashes); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	if err := a.store.Compact(ctx, "engine_state"); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	done := plan.Erasure
	done.Key.Value, done.Done = "", true
	if err := a.store.SaveErasure(ctx, done); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	return a.store.Compact(ctx, "erasures") //nolint:wrapcheck // says what it did
}

// awaitSaved waits until a save of the state that began since it was changed is stored.
func (a *app) awaitSaved(ctx context.Context) error {
	jobs, last := -1, uint64(0)
	return a.await(ctx, func(r *runner) bool {
		if r.engine.Unfit() {
			return true // it is not saved, and the next start reads the signals
		}
		if jobs < 0 {
			if r.saves.ended.IsZero() {
				return false
			}
			jobs, last = 0, r.writer.version
		}
		if r.writer.version != last {
			jobs, last = jobs+1, r.writer.version
		}
		return r.engine.Owed() == 0 && !r.writer.busy || jobs >= keptStatesFor
	})
}

// resumeErasures goes on with what the process before did not come to the end of.
func (a *app) resumeErasures() error {
	if !a.awaitStore() {
		return nil
	}
	a.erasures.turn.Lock()
	defer a.erasures.turn.Unlock()
	for _, x := range a.erased.under {
		if err := a.await(a.ctx, func(r *runner) bool { return len(r.unfilled) == 0 }); err != nil {
			return nil //nolint:nilerr // the process ends
		}
		plan, err := a.resumedPlan(x)
		if err != nil {
			if a.ctx.Err() == nil {
				a.log.Error("an erased key is still stored in part; the next start tries again", "type", x.Key.Type, "token", x.Token, "error", err)
			}
			return nil
		}
		if err := a.finishErasure(a.ctx, plan); err != nil {
			return nil //nolint:nilerr // the process ends
		}
	}
	return nil
}

func (a *app) resumedPlan(x store.Erasure) (*erasePlan, error) {
	only := map[store.IdentityHash]bool{}
	if err := a.store.ErasedSignals(a.ctx, x.Token, func(h store.IdentityHash) { only[h] = true }); err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	return a.runner.planErasure(a.ctx, x, a.rules.Set(), only)
}
