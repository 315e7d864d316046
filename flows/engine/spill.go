package engine

import (
	"container/heap"
	"time"

	"throughline/flows"
)

// Signals that wait, more of them than memory is to hold, leave it as ended instances do, the
// longest waiting first: what they are found by stays in the filter, and whatever names one of
// their keys has them come back. How many wait on disk is counted by the hour in which they
// are given up, so that this is counted without them.

// maxLeft bounds the hashes in the filter for which more of what waits leaves: 64 MiB of it.
const maxLeft = 1 << 25

// onDisk are signals of one producer that wait on disk, and are given up in one hour.
type onDisk struct {
	producer *producer
	hour     int64
}

// hourAfter is the hour after which what expires at an instant is given up.
func hourAfter(expires flows.Time) int64 { return int64(expires) / int64(time.Hour) }

// expiresAt is when a signal of an instant that was received then has waited long enough.
func (fs *flowState) expiresAt(at, received flows.Time) flows.Time {
	limit := fs.flow.Expire
	if limit == 0 {
		limit = waitFor
	}
	// The time of an old signal that came late, from an import for example, has passed.
	return max(at, received).Add(limit)
}

// spill has what waits leave memory, looking at about so many of those that are given up first,
// while more of them wait than are to.
func (e *Engine) spill(now flows.Time, most int) {
	for ; most > 0 && len(e.waiting) > e.limits.spill && e.left.used < maxLeft && !e.save.unfit; most-- {
		if e.spillAt >= len(e.waiting) {
			e.spillAt = 0
		}
		h := e.waiting[e.spillAt]
		p := part{nodePart, 0}
		switch {
		case len(h.keys) > 0:
			p.number = uint32(h.keys[0])
		case h.rest.trace != nil:
			p = part{groupPart, h.rest.trace.all()[0].index}
		}
		if m := e.members(p); m == nil || !m.onlyWaits(e) || !e.spillComponent(m, now) {
			e.spillAt++ // to one that waits about as long: one that may not leave holds up no other
		}
	}
}

// onlyWaits says whether all of a component is saved, and nothing but signals that wait.
func (m *members) onlyWaits(e *Engine) bool {
	if len(m.instances) > 0 || e.lastTouched(m) != savedRound {
		return false
	}
	for _, h := range m.helds {
		if h.stale || h.rest != nil && h.rest.at < 0 {
			return false
		}
	}
	return true
}

func (e *Engine) spillComponent(m *members, now flows.Time) (left bool) {
	waited := e.spilling[:0]
	for _, h := range m.helds {
		if h.rest != nil {
			e.stopWaiting(h)
			waited = append(waited, h)
		}
	}
	e.spilling = waited
	number := e.restComponent(m)
	for _, h := range waited {
		if number == 0 {
			e.waitOn(h)
			continue
		}
		h.rest.setAmbiguous(e, false)
		e.onDisk[onDisk{h.rest.producer, hourAfter(h.rest.expires)}]++
		h.rest.producer.Waiting++
	}
	clear(waited)
	if number != 0 {
		e.evict(leaving{number, e.cells.list[number], now}, now)
	}
	return number != 0
}

// spilled is how many signals wait on disk that this engine had leave memory.
func (e *Engine) spilled() (n int) {
	for _, signals := range e.onDisk {
		n += signals
	}
	return n
}

// SpillFrom has so many signals wait in memory instead of SpillFrom before those beyond leave it.
func (e *Engine) SpillFrom(n int) { e.limits.spill = n }

// waitOn has a signal be among those that wait, with what it has noted of that.
func (e *Engine) waitOn(h *held) {
	h.rest.producer.Waiting++
	e.stats.Waiting++
	heap.Push(&e.waiting, h)
}

// waitsOnDisk is how a signal of an instant is counted, if it waits on disk since this process
// runs and is not given up; false for others.
func (e *Engine) waitsOnDisk(p *producer, fs *flowState, at, received flows.Time) (onDisk, bool) {
	id := onDisk{p, hourAfter(fs.expiresAt(at, received))}
	return id, e.onDisk[id] > 0
}

// back takes a signal that waited on disk back, and says whether it had waited long enough:
// from there it is given up then.
func (e *Engine) back(h *held, at flows.Time) (expired bool) {
	p := h.rest.producer
	expired = h.fs.expiresAt(at, h.rest.received) < e.now
	id, counted := e.waitsOnDisk(p, h.fs, at, h.rest.received)
	if !counted {
		return expired
	}
	p.Waiting--
	if e.onDisk[id]--; e.onDisk[id] == 0 {
		delete(e.onDisk, id)
	}
	if expired && e.returning {
		p.GivenUp++
		e.stats.GivenUp++
	}
	return expired
}

// giveUpOnDisk counts what was on disk for too long.
func (e *Engine) giveUpOnDisk(now flows.Time) {
	hour := hourAfter(now)
	if len(e.onDisk) == 0 || hour <= e.diskHour {
		return
	}
	e.diskHour = hour
	for id, n := range e.onDisk {
		if id.hour < hour {
			id.producer.Waiting -= n
			id.producer.GivenUp += n
			e.stats.GivenUp += n
			delete(e.onDisk, id)
		}
	}
}
