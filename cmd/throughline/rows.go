package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
)

// rowWriter brings the engine's rows to the store, one job at a time, each until it is
// written; meanwhile the engine goes on and coalesces. Its fields belong to the runner,
// but for those that a running job was handed.
type rowWriter struct {
	store    *store.Store
	log      *slog.Logger
	busy     bool
	done     chan struct{}       // one message for each job that ended
	next     time.Time           // before it no job begins
	version  uint64              // of the last rows; the clock may go back, this does not
	versions []store.FlowVersion // to be kept
	frame    []store.StateRow
	rollUps  rollUps
	renames  []*erasePlan // whose instances are stored under the value still: before all other rows
	seq      uint64       // checkpoint to be saved with the next job
	due      bool         // it is
	saved    time.Time
	rows     engine.Rows         // of the last job
	reopened []engine.InstanceID // found by it: they are to be folded by the version in force
	recalled []engine.InstanceID // found by it: of that version, though the engine took them for kept
	cancel   context.CancelFunc  // of the running job
}

const (
	aliveEvery = time.Second     // that we listen, with what is owed: verdicts go on from there after a restart
	aliveAlone = 5 * time.Second // where nothing is owed
)

// job is one write.
type job struct {
	rows        engine.Rows
	set         *flows.Set
	versions    []store.FlowVersion
	renames     []*erasePlan
	frame       []store.StateRow
	torn        []store.RollUpGeneration
	rolled      []store.RollUpRow
	generations []store.RollUpGeneration // all of them, where some changed
	living      map[string][]uint64      // see rollUps
	name        int                      // number of the first name
	seq         uint64
	save        bool // the checkpoint seq: all up to it is in the rows until here
	at          time.Time
	version     uint64
	alive       bool
}

// save has the checkpoint saved with what is owed now.
func (w *rowWriter) save(seq uint64) { w.seq, w.due = seq, true }

// flush starts a job where something is owed, no job runs, and the last one began long
// enough ago. The first rows after a pause go at once.
func (w *rowWriter) flush(ctx context.Context, e *engine.Engine, now time.Time) {
	owed := e.Owed() > 0 || w.due || len(w.versions) > 0 || len(w.renames) > 0
	alive := owed && now.Sub(w.saved) >= aliveEvery || now.Sub(w.saved) >= aliveAlone
	if w.busy || !owed && !alive || now.Before(w.next) {
		return
	}
	j := w.take(e, now, alive)
	w.busy = true
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx)) // finish decides when it has to end
	go func() {
		defer func() { w.done <- struct{}{} }()
		w.write(ctx, j)
	}()
}

func (w *rowWriter) take(e *engine.Engine, now time.Time, alive bool) *job {
	rows := e.Take()
	w.version = max(w.version+1, uint64(now.UnixNano()))
	j := &job{
		rows: rows, set: e.Set(), versions: w.versions, renames: w.renames, frame: w.frame, name: len(e.Frame().Names) - len(rows.Names),
		seq: w.seq, save: w.due, at: now, version: w.version, alive: alive || w.due,
	}
	j.rolled, j.generations = w.rollUps.take(rows.Rolled, w.version)
	j.torn, w.rollUps.torn = w.rollUps.torn, nil
	j.living, w.rollUps.living = w.rollUps.living, nil
	w.renames = nil
	w.versions, w.frame, w.due, w.rows, w.reopened, w.recalled = nil, nil, false, rows, nil, nil
	w.next = now.Add(min(flushEvery+time.Duration(len(rows.Occurrences)+len(rows.States))*flushRow, flushLatest))
	if j.alive {
		w.saved = now
	}
	return j
}

// finish waits for the running job and writes what is still owed.
func (w *rowWriter) finish(ctx context.Context, e *engine.Engine) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if w.busy {
		select {
		case <-w.done:
		case <-ctx.Done():
			w.cancel()
			<-w.done
		}
		w.busy = false
	}
	w.write(ctx, w.take(e, time.Now(), true))
	for e.Owed() > 0 && ctx.Err() == nil {
		e.Follow(maxOwed)
		w.write(ctx, w.take(e, time.Now(), true))
	}
}

// write tries until it is done or ctx ends; what is not written then is written again
// after the next start, since the checkpoint stays behind it.
func (w *rowWriter) write(ctx context.Context, j *job) {
	attempt := func() (struct{}, error) { return struct{}{}, w.once(ctx, j) }
	logged := time.Time{}
	_, err := backoff.Retry(ctx, attempt, backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) {
			if time.Since(logged) > 10*time.Second {
				logged = time.Now()
				w.log.WarnContext(ctx, "rows wait for the store", "instances", len(j.rows.Instances), "error", err)
			}
		}))
	if err != nil {
		w.log.WarnContext(ctx, "rows not written before the end; they are after the next start", "error", err)
	}
}

func (w *rowWriter) once(ctx context.Context, j *job) error {
	version := j.version
	for ; len(j.renames) > 0; j.renames = j.renames[1:] {
		if err := j.renames[0].rename(ctx, w.store); err != nil {
			return err
		}
		close(j.renames[0].renamed)
	}
	for _, v := range j.versions {
		if err := w.store.SaveFlowVersion(ctx, v); err != nil {
			return err
		}
	}
	if err := w.store.WriteRollUpGenerations(ctx, version, j.torn); err != nil {
		return err
	}
	occurrences, err := w.occurrences(ctx, j)
	if err != nil {
		return err
	}
	if err := w.store.WriteOccurrences(ctx, version, occurrences); err != nil {
		return err
	}
	if err := w.store.WriteInstances(ctx, version, j.rows.Instances); err != nil {
		return err
	}
	late, reopened, err := w.late(ctx, j)
	if err != nil {
		return err
	}
	if err := w.store.WriteInstances(ctx, version, late); err != nil {
		return err
	}
	w.reopened, w.recalled = reopened, j.inForce(late)
	if err := w.states(ctx, j, version); err != nil {
		return err
	}
	if err := w.rollUp(ctx, j.rolled, version); err != nil {
		return err
	}
	if err := w.store.WriteRollUpGenerations(ctx, version, j.generations); err != nil {
		return err
	}
	if err := w.store.ForgetDeadRollUps(ctx, j.living); err != nil { // they take disk, and harm nobody
		w.log.WarnContext(ctx, "roll-ups that count no more stay until the next start", "error", err)
	}
	checkpoints := map[string]uint64{}
	if j.save {
		checkpoints[engineName] = j.seq
	}
	if j.alive {
		checkpoints[aliveName] = uint64(j.at.UnixNano())
	}
	return w.store.SaveCheckpoints(ctx, checkpoints)
}

// states writes the engine's own rows: names before what is read with them, what left
// memory before it is gone from the state, and that it came back with the state that has it.
func (w *rowWriter) states(ctx context.Context, j *job, version uint64) error {
	var before []store.StateRow
	var left []store.LeftRow
	back := map[uint64]bool{}
	states := make([]store.StateRow, 0, len(j.rows.States)+len(j.frame))
	for i, text := range j.rows.Names {
		before = append(before, store.StateRow{Kind: kindName, ID: uint64(j.name + i), Text: text})
	}
	for i := range j.rows.Evicted {
		out := &j.rows.Evicted[i]
		if back[out.ID] = out.Deleted; out.Deleted {
			continue // unless it left again since
		}
		before = append(before, store.StateRow{Kind: kindEvicted, ID: out.ID, Text: out.Text})
		for _, hash := range out.Hashes {
			left = append(left, store.LeftRow{Hash: hash, ID: out.ID})
		}
	}
	for id, deleted := range back {
		if deleted {
			states = append(states, store.StateRow{Kind: kindEvicted, ID: id, Deleted: true})
		}
	}
	for _, state := range j.rows.States {
		states = append(states, store.StateRow{Kind: kindComponent, ID: state.ID, Text: state.Text, Deleted: state.Deleted})
	}
	rolled, err := j.rolledStates()
	if err != nil {
		return err
	}
	if err := w.store.WriteLeft(ctx, left); err != nil {
		return err
	}
	if err := w.store.WriteStates(ctx, version, before); err != nil {
		return err
	}
	return w.store.WriteStates(ctx, version, slices.Concat(states, j.frame, rolled))
}
