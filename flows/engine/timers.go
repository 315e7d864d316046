package engine

import (
	"container/heap"
	"math"

	"throughline/flows"
)

// timers hold the instances by the instant at which their verdict changes by itself.
type timers struct{ queue timerQueue }

// next is the earliest instant; the greatest Time for none.
func (t *timers) next() flows.Time {
	if len(t.queue) == 0 {
		return math.MaxInt64
	}
	return t.queue[0].due
}

// pop removes the earliest.
func (t *timers) pop() *instance { return heap.Pop(&t.queue).(*instance) }

// set moves an instance's timer; NoTime removes it.
func (t *timers) set(in *instance, due flows.Time) {
	switch {
	case due == flows.NoTime:
		t.remove(in)
	case in.timer < 0:
		in.due = due
		heap.Push(&t.queue, in)
	case in.due != due:
		in.due = due
		heap.Fix(&t.queue, int(in.timer))
	}
}

func (t *timers) remove(in *instance) {
	if in.timer >= 0 {
		heap.Remove(&t.queue, int(in.timer))
	}
}

// timerQueue is the heap.Interface of timers.
type timerQueue []*instance

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q timerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].timer, q[j].timer = int32(i), int32(j)
}

func (q *timerQueue) Push(x any) {
	in := x.(*instance)
	in.timer = int32(len(*q))
	*q = append(*q, in)
}

func (q *timerQueue) Pop() any {
	last := len(*q) - 1
	in := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	in.timer = -1
	return in
}
