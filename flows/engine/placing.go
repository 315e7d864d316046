package engine

import (
	"slices"

	"throughline/flows"
)

// maxWork is how many keys and links one call looks at to place signals anew: a few
// milliseconds. What is left is done by the next ones; Next says that there is more to do.
// Stored signals are loaded without that bound.
const maxWork = 200_000

// affect marks what may belong elsewhere because something changed at some keys. final
// says that nothing more changes before it is placed.
func (e *Engine) affect(changed []nodeID, final bool) {
	g := &e.graph
	for _, fs := range e.flows {
		if len(fs.flow.Links) == 0 {
			continue
		}
		marked, primary := len(e.stale), false
		end := g.walk(fs, changed, maxAffected+perChanged*len(changed), func(id nodeID, _ int) bool {
			n := g.at(id)
			primary = primary || fs.role(g, n.class) == rolePrimary
			g.hanging(id, func(h *held) {
				if h.fs == fs {
					e.markStale(h)
				}
			})
			return true
		})
		if end == walkedTooMany { // what is too far away does not depend on the change
			e.stats.Missed++
		}
		if end != walkedAll || !final || primary {
			continue
		}
		// There is no primary key among all that can be reached: those that hang on
		// nothing else need not look for one, each by itself.
		for _, h := range e.stale[marked:] {
			h.lost = h.fs == fs && !slices.ContainsFunc(h.keys, func(id nodeID) bool { return g.at(id).mark != g.round })
		}
	}
}

func (e *Engine) markStale(h *held) {
	if !h.stale && !h.gone {
		h.stale = true
		e.stale = append(e.stale, h)
	}
}

// flush places what changes of this batch may lead elsewhere, as far as maxWork goes.
func (e *Engine) flush() {
	e.graph.work = 0
	if len(e.graph.touched) > 0 {
		slices.Sort(e.graph.touched)
		e.affect(slices.Compact(e.graph.touched), true)
		e.graph.touched = e.graph.touched[:0]
	}
	e.traces.flush(e)
	done := 0
	for done < len(e.stale) && (e.graph.work < maxWork || e.quiet) {
		h := e.stale[done]
		if done++; !h.gone {
			e.settleHeld(h)
		}
		h.stale, h.lost = false, false
	}
	left := copy(e.stale, e.stale[done:])
	clear(e.stale[left:])
	e.stale = e.stale[:left]
	for _, h := range e.stale {
		h.lost = false // until then something may have changed again
	}
	e.stats.Unplaced = left
}

// settleHeld brings one held signal to the instances its keys lead to now, and away from
// those they no longer lead to.
func (e *Engine) settleHeld(h *held) {
	if h.rest != nil && h.rest.trace != nil {
		e.inherit(h)
	}
	targets := e.targets(h)
	if slices.Equal(targets, h.targets) && (len(targets) > 0 || h.rest.at >= 0) {
		return
	}
	o := e.occurrenceOf(h)
	for _, id := range h.targets {
		if !slices.Contains(targets, id) {
			e.remove(e.target(h.fs, id), &o)
		}
	}
	for _, id := range targets {
		if !slices.Contains(h.targets, id) {
			e.insert(e.target(h.fs, id), &o)
		}
	}
	e.setTargets(h, targets, &o)
}

// targets are the primary keys that a held signal's keys lead to now, sorted; valid until
// the next call.
func (e *Engine) targets(h *held) []nodeID {
	targets := e.found[:0]
	lost := h.lost && (h.rest == nil || h.rest.trace == nil)
	for _, id := range h.keys {
		if lost {
			break
		}
		if n := e.graph.at(id); h.fs.role(&e.graph, n.class) == rolePrimary { // given by a trace
			targets = append(targets, id)
			continue
		}
		var far bool
		if targets, far = e.graph.primaries(h.fs, id, targets); far {
			e.stats.Far++
		}
	}
	slices.Sort(targets)
	e.found = e.withRoom(h, slices.Compact(targets))
	return e.found
}

// withRoom leaves out the targets that take no more signals and do not have this one.
func (e *Engine) withRoom(h *held, targets []nodeID) []nodeID {
	if e.stats.Overfull == 0 {
		return targets // none is full
	}
	return slices.DeleteFunc(targets, func(id nodeID) bool {
		n := e.graph.at(id)
		in := h.fs.instances.get(flows.InstanceKey(n.value, e.graph.classes[n.class].environment))
		if in == nil || !in.full || slices.Contains(h.targets, id) {
			return false
		}
		e.overfull(in)
		return true
	})
}

// setTargets notes where a held signal is, and what has to be kept of it for that.
func (e *Engine) setTargets(h *held, targets []nodeID, o *flows.Occurrence) {
	joined := len(h.targets) > 0
	e.touchHeld(h)
	h.setTargets(targets)
	if h.rest == nil {
		h.rest = &unsettled{producer: e.producer(h.fs, o), received: e.now, at: -1}
	}
	r := h.rest
	switch {
	case len(targets) == 0:
		if joined {
			r.producer.Joined--
		}
		r.occurrence = e.packOne(o)
		e.wait(h, o.At)
		return
	case !joined:
		r.producer.Joined++
	}
	r.occurrence = ""
	e.stopWaiting(h)
	if r.trace == nil {
		h.rest = nil
	}
}
