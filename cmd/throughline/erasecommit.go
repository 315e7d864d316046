package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"throughline/flows"
	"throughline/flows/store"
	"throughline/ingest/bus"
)

// What carries a key is looked for while traffic goes on, since that may take long. Then the
// owner of the engine rests for as long as a few short questions to the store take: where
// nothing came of the key meanwhile, the erasure is noted and done in the state. The owner
// itself never waits for the store.

const (
	erasePlans  = 4               // of an erasure; the last one is made while the owner rests, for a key of which something comes all the time
	eraseAsks   = 5 * time.Second // whether the store is there
	eraseRests  = 10 * time.Second
	eraseTick   = 20 * time.Millisecond
	eraseWithin = time.Minute // all until it is done in the state
)

var errCameMeanwhile = errors.New("signals of the key, or other definitions, came meanwhile")

// unnoted is an erasure that failed when it was noted in the store, which may have it.
type unnoted struct {
	store.Erasure
	err error
}

func (u *unnoted) Error() string { return u.err.Error() }
func (u *unnoted) Unwrap() error { return u.err }

// eraseWatch says whether something came that a plan does not know of.
type eraseWatch struct {
	key       flows.Key
	conflicts int // copies that differ, before
	came      bool
}

func (w *eraseWatch) see(signals []flows.Signal) {
	for i := 0; w != nil && !w.came && i < len(signals); i++ {
		w.came = slices.Contains(signals[i].Keys, w.key)
	}
}

// commitErasure has a key erased from the state. An error says that it was not.
func (a *app) commitErasure(ctx context.Context, x store.Erasure) (plan *erasePlan, err error) {
	defer func() {
		err = errors.Join(err, a.runner.Ask(a.ctx, func(r *runner) { r.watch = nil }))
	}()
	for range erasePlans - 1 {
		set, err := a.watchKey(ctx, x.Key)
		if err != nil {
			return nil, err
		}
		if err := a.awaitAccepted(ctx); err != nil {
			return nil, err
		}
		if plan, err = a.runner.planErasure(ctx, x, set, nil); err != nil {
			return nil, err
		}
		rests, cancel := context.WithTimeout(ctx, eraseRests)
		err = a.whileHeld(rests, func() error { return a.commitPlan(rests, set, plan) })
		cancel()
		if !errors.Is(err, errCameMeanwhile) {
			return plan, err
		}
	}
	err = a.whileHeld(ctx, func() error {
		set, err := a.watchKey(ctx, x.Key)
		if err != nil {
			return err
		}
		if plan, err = a.runner.planErasure(ctx, x, set, nil); err != nil {
			return err
		}
		return a.commitPlan(ctx, set, plan)
	})
	return plan, err
}

// watchKey begins to look for signals of a key among those that are applied, and says by
// which definitions they are.
func (a *app) watchKey(ctx context.Context, key flows.Key) (set *flows.Set, err error) {
	return set, a.runner.Ask(ctx, func(r *runner) {
		r.watch = &eraseWatch{key: key, conflicts: r.engine.Stats().Conflicts}
		set = r.engine.Set()
	})
}

// whileHeld runs f while the engine applies nothing and all that it says is written: from
// then on it gives no verdict, saves nothing and takes no other definitions either.
func (a *app) whileHeld(ctx context.Context, f func() error) (err error) {
	if err := a.runner.Ask(ctx, func(r *runner) { r.held = true }); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, a.runner.Ask(a.ctx, func(r *runner) { r.held, r.still = false, false }))
	}()
	for still := false; !still; {
		if err := a.awaitIdle(ctx); err != nil {
			return err
		}
		if err := a.runner.Ask(ctx, func(r *runner) { still = r.idle(); r.still = still }); err != nil {
			return err
		}
	}
	return f()
}

// commitPlan notes an erasure in the store and does it in the state, which is still.
func (a *app) commitPlan(ctx context.Context, set *flows.Set, plan *erasePlan) error {
	var away []uint64
	var err error
	if askErr := a.runner.Ask(ctx, func(r *runner) {
		if r.watch.came || r.engine.Stats().Conflicts != r.watch.conflicts || r.engine.Set() != set {
			err = errCameMeanwhile
			return
		}
		r.writer.version = max(r.writer.version+1, uint64(time.Now().UnixNano()))
		plan.Cutoff, away = r.writer.version, r.awayOf(plan)
	}); askErr != nil || err != nil {
		return errors.Join(askErr, err)
	}
	if err := a.store.SaveErased(ctx, plan.Token, plan.ids()); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	states, err := a.store.Evicted(ctx, away)
	if err != nil {
		return fmt.Errorf("what left memory: %w", err)
	}
	if err := a.store.SaveErasure(ctx, plan.Erasure); err != nil {
		return &unnoted{plan.Erasure, err}
	}
	return a.runner.Ask(a.ctx, func(r *runner) { r.eraseNow(plan, states) })
}

// eraseNow does a noted erasure in the state. The rows of its instances are the first that
// are written from now on: what comes of the value next would take their place.
func (r *runner) eraseNow(plan *erasePlan, away []store.StateRow) {
	r.erased.add(plan.ids())
	r.erased.busy.Add(1)
	r.eraseState(plan, away, r.clock(time.Now()))
	plan.renamed = make(chan struct{})
	r.writer.renames = append(r.writer.renames, plan)
}

// cancelErasure takes back what may be noted of an erasure that was not done. It tries until
// the store has it, or the process ends: then the next one erases the key.
func (a *app) cancelErasure(ctx context.Context, x store.Erasure) {
	x.Key.Value, x.Done, x.Signals = "", true, 0
	a.untilStored(ctx, x, "an erasure that was not done is still noted", func() error { return a.store.SaveErasure(ctx, x) }) //nolint:errcheck // the process ends
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
	return !r.restoring && r.comparing == nil && len(r.unfilled) == 0 && r.next == nil && !r.parked.waits() && !r.looking &&
		!r.judging() && r.engine.Owed() == 0 && !r.writer.busy && len(r.writer.renames) == 0
}

// awayOf are hashes of what an erasure is about that left memory.
func (r *runner) awayOf(plan *erasePlan) []uint64 {
	hashes := append(r.engine.Missing(plan.left), r.engine.KeyHashes(plan.Key, plan.left)...)
	slices.Sort(hashes)
	return slices.Compact(hashes)
}
