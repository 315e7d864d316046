package engine

import (
	"container/heap"

	"throughline/flows"
)

// wait counts a signal as waiting, for as long as its flow waits for anything.
func (e *Engine) wait(h *held, at flows.Time) {
	r := h.rest
	if r.at >= 0 {
		return
	}
	limit := h.fs.flow.Expire
	if limit == 0 {
		limit = waitFor
	}
	// The time of an old signal that came late, from an import for example, has passed.
	r.expires = max(at, r.received).Add(limit)
	r.producer.Waiting++
	e.stats.Waiting++
	heap.Push(&e.waiting, h)
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
}

// giveUpBefore gives up what waited long enough by now.
func (e *Engine) giveUpBefore(now flows.Time) {
	for len(e.waiting) > 0 && e.waiting[0].rest.expires < now {
		e.giveUp(e.waiting[0])
	}
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
