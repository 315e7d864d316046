package main

import (
	"context"
	"fmt"
	"time"

	"throughline/flows"
	"throughline/ingest/bus"
)

// restore rebuilds the state from the store, and returns the first message to read on
// from.
func (r *runner) restore(ctx context.Context) (from uint64, err error) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	began := time.Now()
	if err := r.findPlace(ctx, began); err != nil {
		return 0, err
	}
	under, err := r.resumeErasing(ctx)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	n, adopted := 0, false
	if r.applied > 0 {
		if adopted, err = r.adopt(ctx); err != nil {
			return 0, err
		}
	}
	if !adopted {
		if n, err = r.loadAll(ctx); err != nil {
			return 0, err
		}
	}
	if err := r.keepStored(ctx); err != nil {
		return 0, err
	}
	for _, plan := range under {
		if err := r.eraseHere(ctx, plan, r.clock(time.Now())); err != nil {
			return 0, fmt.Errorf("restore: %w", err)
		}
	}
	if adopted {
		r.comparing = &comparing{since: r.frozen.Add(-storedSince)}
	} else if err := r.reconcile(ctx); err != nil {
		return 0, err
	}
	// Taken after the load: what it found in the store is on the bus up to here at most, and
	// the rows of that are owed again.
	if r.caughtUp, err = r.bus.LastSeq(ctx, bus.Signals); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	r.engine.Rework(true)
	if took := time.Since(began); n > 0 || took > restoreLogged {
		r.log.InfoContext(ctx, "state restored", "signals", n, "took", took, "from", r.applied+1)
	}
	return r.applied + 1, nil
}

// findPlace reads how far the process before came, and when it was alive last.
func (r *runner) findPlace(ctx context.Context, began time.Time) error {
	written, err := r.store.Checkpoint(ctx, engineName)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	alive, err := r.store.Checkpoint(ctx, aliveName)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if r.writer.version, err = r.store.LatestVersion(ctx); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := r.noteRan(ctx); err != nil {
		return err
	}
	stored, err := r.bus.Done(ctx, bus.Signals)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	last, err := r.bus.LastSeq(ctx, bus.Signals)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	r.applied = min(written, stored)
	if written > last || stored > last { // the bus's folder is another one
		r.applied = 0
	}
	if alive > 0 {
		r.frozen = min(flows.Time(alive), flows.At(began)) // the clock may have been put back
	}
	return nil
}

// loadAll makes the state from all stored signals, and forgets what was saved of one before.
func (r *runner) loadAll(ctx context.Context) (signals int, err error) {
	r.isLive()
	if err := r.forgetOtherKeys(ctx); err != nil {
		return 0, err
	}
	if err := r.store.ForgetRollUps(ctx); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	r.writer.rollUps.generations = nil
	if err := r.store.ForgetStates(ctx); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	return r.load(ctx, r.engine.Set(), r.engine.Flows(), r.engine.Load)
}
