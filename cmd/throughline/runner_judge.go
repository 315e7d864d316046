package main

import (
	"context"
	"time"

	"throughline/flows"
	"throughline/ingest/bus"
)

// judgement is a pass over the deadlines that waits for the engine to have applied all
// that the bus had accepted at that time.
type judgement struct {
	at    flows.Time // NoTime for none
	seq   uint64
	retry time.Time // before it the bus, which did not answer, is not asked again
}

// judgeDue passes over the deadlines that are due, once everything accepted before is
// applied (FLOWS.md section 6).
func (r *runner) judgeDue(ctx context.Context, now time.Time) {
	if r.restoring || r.still || (r.judge.at == flows.NoTime && (r.engine.Next() > flows.At(now) || now.Before(r.judge.retry))) {
		return
	}
	if r.judge.at == flows.NoTime {
		seq, err := r.bus.LastSeq(ctx, bus.Signals)
		if err != nil {
			r.judge.retry = time.Now().Add(tickEvery)
			r.log.WarnContext(ctx, "deadlines wait for the bus", "error", err)
			return
		}
		r.judge = judgement{at: flows.At(now), seq: seq}
	}
	if r.applied >= r.judge.seq && r.engine.AdvanceSome(r.judge.at, judgeMost) {
		r.judge.at = flows.NoTime
	}
}

// judging says whether a pass over the deadlines goes on.
func (r *runner) judging() bool { return r.judge.at != flows.NoTime && r.applied >= r.judge.seq }
