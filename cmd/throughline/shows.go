package main

import (
	"maps"
	"slices"
	"time"

	"throughline/flows"
	"throughline/web"
)

const (
	// showEvery is how often pages get the numbers of changed flows, all in one go: an event waits for
	// half of it in the mean, and has the other half of 100 ms for its way to the screen.
	showEvery = 45 * time.Millisecond
	// announceEvery is how often programs on /api/v1/live get those of one flow: ten times a second.
	announceEvery = 95 * time.Millisecond
)

// shows is which flows changed, and when the next to be told. What changes after a pause is told at
// once. It belongs to the runner's goroutine.
type shows struct {
	changed   map[string]bool      // not on the pages yet
	shown     time.Time            // when the pages got numbers last
	owed      map[string]time.Time // on the pages, not announced yet, and when they may be
	announced map[string]time.Time
}

func newShows() shows {
	return shows{changed: map[string]bool{}, owed: map[string]time.Time{}, announced: map[string]time.Time{}}
}

// publish tells pages and programs the latest numbers of what changed, as far as that is due.
func (r *runner) publish(now time.Time) {
	s := &r.shows
	if len(s.changed) > 0 && now.Sub(s.shown) >= showEvery {
		s.shown = now
		updates := make([]web.Update, 0, len(s.changed))
		for _, flow := range slices.Sorted(maps.Keys(s.changed)) {
			health, ok := r.engine.Health(flow, flows.At(now))
			if !ok {
				r.hub.Drop(flow)
				delete(s.owed, flow)
				delete(s.announced, flow)
				continue
			}
			health.Restoring = r.restoring || slices.Contains(r.unfilled, flow)
			updates = append(updates, web.Update{Health: health, Ages: r.engine.Ages(flow), Heard: r.fresh.take(flow)})
			s.owed[flow] = s.announced[flow].Add(announceEvery)
		}
		clear(s.changed)
		r.hub.Show(updates...)
		r.isLive()
	}
	for flow, due := range s.owed {
		if now.Before(due) {
			continue
		}
		delete(s.owed, flow)
		s.announced[flow] = now
		if err := r.hub.Announce(flow); err != nil {
			r.log.Error("announce live numbers", "flow", flow, "error", err)
		}
	}
}

// next is when something is due, if that is before at.
func (s *shows) next(at time.Time) time.Time {
	if len(s.changed) > 0 {
		at = earliest(at, s.shown.Add(showEvery))
	}
	for _, due := range s.owed {
		at = earliest(at, due)
	}
	return at
}
