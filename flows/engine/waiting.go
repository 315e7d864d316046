package engine

import (
	"container/heap"
	"slices"

	"throughline/flows"
)

// wait counts a signal as waiting, for as long as its flow waits for anything.
func (e *Engine) wait(h *held, at flows.Time) {
	r := h.rest
	if r.at >= 0 {
		return
	}
	r.expires = h.fs.expiresAt(at, r.received)
	e.waitOn(h)
	if len(e.waiting) > e.limits.waiting {
		e.giveUp(e.waiting[0])
	}
}

func (e *Engine) stopWaiting(h *held) {
	if r := h.rest; r.at >= 0 {
		heap.Remove(&e.waiting, r.at)
		r.producer.Waiting--
		e.stats.Waiting--
	}
}

// giveUp forgets a signal that waited too long, or among too many. Should what it waits
// for still come, the stored signal is found when the flow is folded anew.
func (e *Engine) giveUp(h *held) {
	h.rest.producer.GivenUp++
	e.stats.GivenUp++
	e.withdraw(h)
	e.forgetGivenUp(h.sig)
}

// forgetGivenUp forgets what a signal linked and hung on that did nothing but to wait. Of its
// copies it is known for as long as of any signal that did nothing. Keys are forgotten once
// nothing is left of all that is linked: so no component comes apart.
func (e *Engine) forgetGivenUp(sig uint64) {
	seen := e.copies.seen.find(sig, nil)
	if seen == nil || seen.ref&isRecord == 0 {
		return
	}
	effects := e.copies.effects(seen.ref)
	if len(effects) == 0 || slices.ContainsFunc(effects, func(f effect) bool { return f&isGroup != 0 || e.usedAt(nodeID(f), sig) }) {
		return
	}
	keys := make([]nodeID, len(effects))
	for i, f := range effects {
		keys[i] = nodeID(f)
	}
	e.touchEffects(nil, effects)
	before := *e.copies.record(seen.ref)
	e.dropRecord(seen.ref)
	ref := e.addRecord(record{start: before.start, hash: before.hash}, nil)
	e.copies.seen.find(sig, nil).ref = ref
	e.rememberIdle(sig)
	e.forgetKeys(keys)
}

// usedAt says whether a signal has to do with a key of it still: it waits there for another
// flow, or the key has an instance, which may have the signal.
func (e *Engine) usedAt(id nodeID, sig uint64) (used bool) {
	n := e.graph.at(id)
	e.graph.hanging(id, func(h *held) { used = used || h.sig == sig })
	for _, fs := range e.flowsOf(n.class) {
		used = used || fs.instances.get(flows.InstanceKey(n.value, e.graph.classes[n.class].environment)) != nil
	}
	return used
}

// forgetKeys forgets some keys with all that is linked to them, if nothing is left of that.
func (e *Engine) forgetKeys(keys []nodeID) {
	empty := func(id nodeID) bool {
		n := e.graph.at(id)
		return n.refs == 0 && n.held == nil && n.hung == nil
	}
	for _, id := range keys {
		n := e.graph.at(id)
		if n.class == 0 || n.common || !empty(id) || slices.ContainsFunc(e.graph.partners(id, n), func(p edge) bool { return !empty(p.to) }) {
			continue // looked at before all is walked over
		}
		m := e.members(part{nodePart, uint32(id)})
		if len(m.instances)+len(m.helds)+len(m.groups) == 0 && !slices.ContainsFunc(m.nodes, func(id nodeID) bool { return !empty(id) }) {
			for _, id := range m.nodes {
				e.graph.remove(id)
			}
		}
	}
}

// giveUpBefore gives up what waited long enough by now.
func (e *Engine) giveUpBefore(now flows.Time) {
	for len(e.waiting) > 0 && e.waiting[0].rest.expires < now {
		e.giveUp(e.waiting[0])
	}
	e.giveUpOnDisk(now)
}

// waitingQueue has the signal that is given up first at its head.
type waitingQueue []*held

func (q waitingQueue) Len() int { return len(q) }
func (q waitingQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return a.rest.expires < b.rest.expires || (a.rest.expires == b.rest.expires && a.sig < b.sig)
}

func (q waitingQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].rest.at, q[j].rest.at = i, j
}

func (q *waitingQueue) Push(x any) {
	h := x.(*held)
	h.rest.at = len(*q)
	*q = append(*q, h)
}

func (q *waitingQueue) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	h.rest.at = -1
	return h
}
