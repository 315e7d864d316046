package main

import (
	"context"
	"time"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
	"throughline/web"
)

// livePast is history, but for the numbers of now while a start takes in the saved state:
// folding all that is open from what is stored would take the processor from what makes
// them, and be done later.
type livePast struct {
	*store.Store
	hub    *web.Hub
	runner *runner
}

// livePatience bounds the wait for live numbers after a start: a million open instances take
// some seconds.
const livePatience = 20 * time.Second

// Health is that of the store. While the saved state is being taken in it waits for that; the
// numbers of the live window are those that are live then.
func (l livePast) Health(ctx context.Context, f *flows.Flow, w flows.Window, segment string) (flows.Health, error) {
	if !w.Hindsight && l.runner.awaitLive(ctx) && segment == "" && w.From != flows.NoTime && w.To.Sub(w.From) == engine.Window {
		if h, ok := l.hub.Health(f.Name); ok {
			return h, nil
		}
	}
	return l.Store.Health(ctx, f, w, segment) //nolint:wrapcheck // it says what it did
}

// awaitLive waits until there are live numbers, where the saved state is being taken in, and
// says whether it was.
func (r *runner) awaitLive(ctx context.Context) bool {
	select {
	case <-r.ready:
	default:
		return false // the store is not there: who asks is to be told
	}
	select {
	case <-r.live:
		return false
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, livePatience)
	defer cancel()
	select {
	case <-r.live:
	case <-ctx.Done():
	}
	return true
}
