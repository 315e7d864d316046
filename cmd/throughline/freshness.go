package main

import (
	"context"
	"time"

	"throughline/flows"
	"throughline/ingest/bus"
)

// freshness is how far behind what was accepted the numbers are. It belongs to the runner's
// goroutine.
type freshness struct {
	oldest flows.Time            // reception of the oldest signal that was applied since the last look at changes
	since  map[string]flows.Time // of changed flows, of the oldest that is not published yet
	marks  []mark                // not reached yet, in order
}

// mark says that all accepted up to an instant are those up to a message.
type mark struct {
	seq uint64
	at  flows.Time
}

// maxMarks bounds what is remembered; who is further behind is at least that far behind.
const maxMarks = 3600

func (f *freshness) heard(signals []flows.Signal) {
	for i := range signals {
		if at := signals[i].Received; signals[i].AsOf == 0 && (f.oldest == flows.NoTime || at < f.oldest) {
			f.oldest = at
		}
	}
}

// changed says that a flow's numbers are different because of what was heard.
func (f *freshness) changed(flow string) {
	if f.oldest == flows.NoTime {
		return // the clock moved
	}
	if at, ok := f.since[flow]; !ok || f.oldest < at {
		f.since[flow] = f.oldest
	}
}

// take is when the oldest signal was received that the next numbers of a flow are the first to
// tell of; NoTime for none.
func (f *freshness) take(flow string) flows.Time {
	at, ok := f.since[flow]
	delete(f.since, flow)
	if !ok {
		return flows.NoTime
	}
	return at
}

// tick notes how far the bus is, and tells the pages up to when the engine knows all.
func (f *freshness) tick(ctx context.Context, r *runner, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, tickEvery)
	defer cancel()
	seq, err := r.bus.LastSeq(ctx, bus.Signals)
	if err != nil {
		return // the pages say that they fall behind
	}
	if len(f.marks) < maxMarks {
		f.marks = append(f.marks, mark{seq, flows.At(now)})
	}
	reached := 0
	for reached < len(f.marks) && f.marks[reached].seq <= r.applied {
		reached++
	}
	if reached > 0 {
		r.hub.CaughtUp(f.marks[reached-1].at)
		f.marks = f.marks[reached:]
	}
}
