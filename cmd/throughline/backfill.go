package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
)

// A backfill has the instances of a flow that ended under earlier versions folded by the
// version in force (FLOWS.md section 2), a slice at a time, while live traffic goes on.
// What it has yet to do is what is stored as of another version: so it is resumed after a
// crash by beginning again, and done twice it changes nothing.

const (
	backfillTurn  = 100                   // instances that the engine folds before it looks at live traffic again
	backfillOwed  = 20_000                // rows owed, beyond which it waits for the store
	backfillWaits = 20 * time.Millisecond // between looks at what is owed
	backfillName  = "backfill/"           // checkpoint of a flow: what is under way, as backfillCode
)

// Words for backfillState.State.
const (
	backfillNone    = "none"
	backfillRunning = "running"
	backfillDone    = "done"
	backfillFailed  = "failed"
)

// backfillState is where the last backfill of a flow is.
type backfillState struct {
	Flow    string     `json:"flow"`
	State   string     `json:"state"`
	Version string     `json:"version"` // in force, into which it folds
	Since   flows.Time `json:"since"`   // of the end of instances; null for all
	Total   int        `json:"total"`   // instances
	Done    int        `json:"done"`
	Missing int        `json:"missing"` // of those done, whose signals are not there any more: they stay as they are
	Error   string     `json:"error"`
}

// backfills are those of this process, by flow.
type backfills struct {
	lock sync.Mutex
	last map[string]*backfillState
}

var errBackfillRuns = errors.New("a backfill of this flow is running; GET the same address says how far it is")

// begin notes that a backfill of a flow runs, unless one does.
func (b *backfills) begin(s backfillState) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if last := b.last[s.Flow]; last != nil && last.State == backfillRunning {
		return errBackfillRuns
	}
	if b.last == nil {
		b.last = map[string]*backfillState{}
	}
	b.last[s.Flow] = &s
	return nil
}

func (b *backfills) state(flow string) backfillState {
	b.lock.Lock()
	defer b.lock.Unlock()
	if last := b.last[flow]; last != nil {
		return *last
	}
	return backfillState{Flow: flow, State: backfillNone, Since: flows.NoTime}
}

func (b *backfills) update(flow string, change func(*backfillState)) {
	b.lock.Lock()
	defer b.lock.Unlock()
	change(b.last[flow])
}

// backfillCode is an instant as a checkpoint; 0 is none.
func backfillCode(since flows.Time) uint64 { return uint64(since) ^ 1<<63 + 1 }

func backfillSince(code uint64) flows.Time { return flows.Time((code - 1) ^ 1<<63) }

// startBackfill begins a backfill of what ended since an instant; NoTime for all. It goes
// on in the background.
func (a *app) startBackfill(ctx context.Context, flow string, since flows.Time) (backfillState, error) {
	f, ok := a.rules.Set().Flow(flow)
	if !ok {
		return backfillState{}, flows.ErrNotFound
	}
	if a.erased.erasing() {
		return backfillState{}, errErasureRuns
	}
	total, err := a.store.CountKept(ctx, f, since, "")
	if err != nil {
		return backfillState{}, err //nolint:wrapcheck // says what it did
	}
	s := backfillState{Flow: flow, State: backfillRunning, Version: f.Version, Since: since, Total: int(total)}
	if err := a.backfills.begin(s); err != nil {
		return s, err
	}
	if err := a.store.SaveCheckpoints(ctx, map[string]uint64{backfillName + flow: backfillCode(since)}); err != nil {
		a.backfills.update(flow, func(s *backfillState) { s.State, s.Error = backfillFailed, err.Error() })
		return s, fmt.Errorf("note the backfill: %w", err)
	}
	a.work.Go(func() error { return a.runBackfill(f, since) })
	return s, nil
}

// runBackfill does all of one, and notes how it ended.
func (a *app) runBackfill(f *flows.Flow, since flows.Time) error {
	err := a.backfill(a.ctx, f, since)
	if a.ctx.Err() != nil {
		return nil // it is resumed at the next start
	}
	if err == nil {
		err = a.store.SaveCheckpoints(a.ctx, map[string]uint64{backfillName + f.Name: 0})
	}
	a.backfills.update(f.Name, func(s *backfillState) {
		s.State = backfillDone
		if err != nil {
			s.State, s.Error = backfillFailed, err.Error()
		}
	})
	done := a.backfills.state(f.Name)
	a.log.Info("backfill ended", "flow", f.Name, "state", done.State, "instances", done.Done, "missing", done.Missing, "error", done.Error)
	return nil
}

// backfill moves the instances slice by slice.
func (a *app) backfill(ctx context.Context, f *flows.Flow, since flows.Time) error {
	whole := func(r *runner) bool {
		running, ok := r.engine.Set().Flow(f.Name)
		return !r.restoring && len(r.unfilled) == 0 && ok && running.Version == f.Version
	}
	if err := a.await(ctx, whole); err != nil {
		return err
	}
	for after := ""; ; {
		ids, err := a.keptSlice(ctx, f, since, after)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return a.await(ctx, func(r *runner) bool { return r.engine.Owed() == 0 && !r.writer.busy })
		}
		if err := a.moveSlice(ctx, f, ids); err != nil {
			return err
		}
		after = ids[len(ids)-1].Key
	}
}

// keptSlice are the next instances of other versions behind a key.
func (a *app) keptSlice(ctx context.Context, f *flows.Flow, since flows.Time, after string) (ids []engine.InstanceID, err error) {
	err = a.store.KeptInstances(ctx, f, since, after, func(key string) error {
		if ids = append(ids, engine.InstanceID{Flow: f.Name, Key: key}); len(ids) == keptSlice {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("backfill %s: %w", f.Name, err)
	}
	return ids, nil
}

// moveSlice brings back what left memory and folds all by the version in force.
func (a *app) moveSlice(ctx context.Context, f *flows.Flow, ids []engine.InstanceID) error {
	for len(ids) > 0 {
		turn := ids[:min(len(ids), backfillTurn)]
		ids = ids[len(turn):]
		var hashes []uint64
		if err := a.runner.Ask(ctx, func(r *runner) { hashes = r.engine.Away(f.Key, turn) }); err != nil {
			return err
		}
		states, err := a.runner.evicted(ctx, hashes)
		if err != nil {
			return fmt.Errorf("backfill %s: %w", f.Name, err)
		}
		missing, other := 0, false
		err = a.runner.Ask(ctx, func(r *runner) {
			running, ok := r.engine.Set().Flow(f.Name)
			if other = !ok || running.Version != f.Version; other {
				return
			}
			clock := r.clock(time.Now())
			r.takeBack(states, clock)
			r.writer.tearMoved(turn)
			for _, id := range turn {
				if !r.engine.Move(id, clock) {
					missing++
				}
			}
		})
		if err != nil {
			return err
		}
		if other {
			return fmt.Errorf("backfill %s: its file was changed meanwhile; begin it again", f.Name)
		}
		a.backfills.update(f.Name, func(s *backfillState) { s.Done, s.Missing = s.Done+len(turn), s.Missing+missing })
		if err := a.await(ctx, func(r *runner) bool { return r.engine.Owed() < backfillOwed }); err != nil {
			return err
		}
	}
	return nil
}

// await asks the engine's owner until something holds.
func (a *app) await(ctx context.Context, holds func(*runner) bool) error {
	tick := time.NewTicker(backfillWaits)
	defer tick.Stop()
	for {
		ok := false
		if err := a.runner.Ask(ctx, func(r *runner) { ok = holds(r) }); err != nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
	}
}

// resumeBackfills begins those again that the process before did not end.
func (a *app) resumeBackfills() error {
	if !a.awaitStore() {
		return nil
	}
	for _, f := range a.rules.Set().Flows() {
		code, err := a.store.Checkpoint(a.ctx, backfillName+f.Name)
		if err == nil && code > 0 {
			a.log.Info("backfill goes on", "flow", f.Name)
			_, err = a.startBackfill(a.ctx, f.Name, backfillSince(code))
		}
		if err != nil && a.ctx.Err() == nil {
			a.log.Warn("a backfill may have been under way; begin it again", "flow", f.Name, "error", err)
		}
	}
	return nil
}
