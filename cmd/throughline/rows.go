package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

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
	done     chan struct{} // one message for each job that ended
	flushed  time.Time
	forgets  []string            // flows whose rows are to be removed first
	versions []store.FlowVersion // to be kept
	seq      uint64              // last checkpoint, and when it was taken
	saved    time.Time
	cancel   context.CancelFunc // of the running job
}

const (
	saveEvery  = time.Second     // the checkpoint, while there is something to save
	aliveEvery = 5 * time.Second // that we listen, else
)

// job is one write.
type job struct {
	rows     engine.Rows
	forgets  []string
	versions []store.FlowVersion
	seq      uint64 // applied before
	at       time.Time
	save     bool // the checkpoint
}

// forget removes all rows of a flow before the next rows are written.
func (w *rowWriter) forget(flow string) { w.forgets = append(w.forgets, flow) }

// flush starts a job where something is owed, no job runs, and the last one began long
// enough ago. The first rows after a pause go at once.
func (w *rowWriter) flush(ctx context.Context, e *engine.Engine, seq uint64, now time.Time) {
	owed := e.Owed() > 0 || len(w.forgets)+len(w.versions) > 0
	save := (owed || seq != w.seq) && now.Sub(w.saved) >= saveEvery || now.Sub(w.saved) >= aliveEvery
	if w.busy || !owed && !save || now.Sub(w.flushed) < flushEvery {
		return
	}
	j := w.take(e, seq, now, save)
	w.busy = true
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx)) // finish decides when it has to end
	go func() {
		defer func() { w.done <- struct{}{} }()
		w.write(ctx, j)
	}()
}

func (w *rowWriter) take(e *engine.Engine, seq uint64, now time.Time, save bool) job {
	j := job{rows: e.Take(), forgets: w.forgets, versions: w.versions, seq: seq, at: now, save: save}
	w.forgets, w.versions, w.flushed = nil, nil, now
	if save {
		w.seq, w.saved = seq, now
	}
	return j
}

// finish waits for the running job and writes what is still owed.
func (w *rowWriter) finish(ctx context.Context, e *engine.Engine, seq uint64) {
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
	w.write(ctx, w.take(e, seq, time.Now(), true))
}

// write tries until it is done or ctx ends; what is not written then is written again
// after the next start, since the checkpoint stays behind it.
func (w *rowWriter) write(ctx context.Context, j job) {
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

func (w *rowWriter) once(ctx context.Context, j job) error {
	version := uint64(j.at.UnixNano())
	for _, flow := range j.forgets {
		if err := w.store.ForgetFlow(ctx, flow); err != nil {
			return err
		}
	}
	for _, v := range j.versions {
		if err := w.store.SaveFlowVersion(ctx, v); err != nil {
			return err
		}
	}
	if err := w.store.WriteOccurrences(ctx, version, j.rows.Occurrences); err != nil {
		return err
	}
	if err := w.store.WriteInstances(ctx, version, j.rows.Instances); err != nil {
		return err
	}
	if !j.save {
		return nil
	}
	return w.store.SaveCheckpoints(ctx, map[string]uint64{engineName: j.seq, aliveName: version})
}
