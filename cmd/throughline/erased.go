package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"throughline/flows"
	"throughline/flows/store"
)

// erasedSignals are known by hashes of their identities, so that a repeat of one neither counts
// nor brings back what it said.
type erasedSignals struct {
	lock  sync.RWMutex // whoever stores signals holds it to read: see settle
	mu    sync.RWMutex // guards known
	known map[store.IdentityHash]struct{}
	under []store.Erasure // that the process before did not come to the end of
	busy  atomic.Int32    // erasures whose rows are being changed
}

// load reads what was erased, before anything is stored or applied.
func (e *erasedSignals) load(ctx context.Context, s *store.Store) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known = map[store.IdentityHash]struct{}{}
	if e.under, err = s.Unerased(ctx); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	e.busy.Store(int32(len(e.under)))
	return s.ErasedSignals(ctx, "", func(h store.IdentityHash) { e.known[h] = struct{}{} })
}

// settle waits until what was being stored before the last add is.
func (e *erasedSignals) settle() {
	e.lock.Lock()
	defer e.lock.Unlock()
}

func (e *erasedSignals) add(ids []store.IdentityHash) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		e.known[id] = struct{}{}
	}
}

func (e *erasedSignals) has(s *flows.Signal) bool {
	_, known := e.known[store.HashIdentity(s.Identity())]
	return known
}

// keep are the signals that are no repeats of erased ones; the same list where all are.
func (e *erasedSignals) keep(signals []flows.Signal) []flows.Signal {
	if e == nil {
		return signals
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.known) == 0 {
		return signals
	}
	for i := range signals {
		if e.has(&signals[i]) {
			kept := slices.Clone(signals[:i])
			for j := i + 1; j < len(signals); j++ {
				if !e.has(&signals[j]) {
					kept = append(kept, signals[j])
				}
			}
			return kept
		}
	}
	return signals
}

// keepSpans are the blocks without the rows that are repeats of erased ones.
func (e *erasedSignals) keepSpans(blocks []flows.SpanBlock) []flows.SpanBlock {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.known) == 0 {
		return blocks
	}
	kept := make([]flows.SpanBlock, 0, len(blocks))
	for i := range blocks {
		b := blocks[i]
		traces, spans := b.Column(flows.SpanTraceIDs), b.Column(flows.SpanIDs)
		var gone []int
		for row := range b.Rows {
			var trace, span []byte
			trace, traces = flows.SpanText(traces)
			span, spans = flows.SpanText(spans)
			if _, known := e.known[store.HashIdentity(flows.Identity{ID: string(trace) + ":" + string(span)})]; known {
				gone = append(gone, row)
			}
		}
		if len(gone) > 0 {
			b = b.Keep(func(row int) bool { return !slices.Contains(gone, row) })
		}
		if b.Rows > 0 {
			kept = append(kept, b)
		}
	}
	return kept
}

// erasing says whether rows of a key are being changed.
func (e *erasedSignals) erasing() bool { return e != nil && e.busy.Load() > 0 }
