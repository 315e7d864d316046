package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows"
	"throughline/flows/store"
)

// A key is erased at one moment: what carries it is looked for, the erasure is noted in the
// store, and the state renamed. From then on it is done, whatever happens: rows are changed
// after it, by this process or by the next one before that does anything else, each step
// such that it may be done again.

const (
	maxErased     = 100_000 // signals of one key: more is nothing of one person or case
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
	names    []string      // under which the value is found
	segments []string      // that are among these
	renamed  chan struct{} // closed once the rows of its instances are
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
	asked, cancel := context.WithTimeout(ctx, eraseAsks)
	err := a.store.Ping(asked)
	cancel()
	if err != nil {
		return x, errEraseBusy
	}
	within, cancel := context.WithTimeout(ctx, eraseWithin)
	plan, err := a.commitErasure(within, x)
	cancel()
	if lost := (*unnoted)(nil); errors.As(err, &lost) {
		a.cancelErasure(ctx, lost.Erasure)
	}
	switch {
	case errors.Is(err, flows.ErrNotFound), errors.Is(err, errCommonKey):
		return x, err
	case err != nil:
		a.log.WarnContext(ctx, "a key was not erased", "type", x.Key.Type, "error", err)
		return x, errEraseBusy
	}
	return plan.Erasure, a.finishErasure(ctx, plan)
}

// eraseHere does an erasure in the state, as the process before did or would have.
func (r *runner) eraseHere(ctx context.Context, plan *erasePlan, now flows.Time) error {
	states, err := r.store.Evicted(ctx, r.awayOf(plan))
	if err != nil {
		return fmt.Errorf("what left memory: %w", err)
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
		if err := plan.rename(ctx, r.store); err != nil {
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
	if err := a.untilStored(ctx, plan.Erasure, "an erased key is still stored in part", func() error { return a.eraseStored(ctx, plan) }); err != nil {
		return err
	}
	a.erased.busy.Add(-1)
	a.log.InfoContext(ctx, "a key was erased", "type", plan.Key.Type, "token", plan.Token, "signals", plan.Signals, "by", plan.By)
	return nil
}

// untilStored tries something until it is done, or the process ends.
func (a *app) untilStored(ctx context.Context, x store.Erasure, what string, attempt func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, attempt() }, backoff.WithMaxElapsedTime(0),
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, MaxInterval: erasedAgain}),
		backoff.WithNotify(func(err error, _ time.Duration) {
			a.log.WarnContext(ctx, what+"; it is tried again", "type", x.Key.Type, "token", x.Token, "error", err)
		}))
	if err != nil {
		return fmt.Errorf("erase: %w", err) // the next start goes on
	}
	return nil
}

func (a *app) eraseStored(ctx context.Context, plan *erasePlan) error {
	a.erased.settle()
	if plan.renamed != nil {
		select {
		case <-plan.renamed:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
	}
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
