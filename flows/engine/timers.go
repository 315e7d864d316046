package engine

import (
	"math"

	"throughline/flows"
)

// timers hold the instances by the instant at which their verdict changes by itself: a
// heap of four branches, which is half as deep as one of two, with the instants in it, so
// that comparing reads no instance.
type timers struct{ queue []timer }

type timer struct {
	due flows.Time
	in  *instance
}

const branches = 4

// next is the earliest instant; the greatest Time for none.
func (t *timers) next() flows.Time {
	if len(t.queue) == 0 {
		return math.MaxInt64
	}
	return t.queue[0].due
}

// pop removes the earliest.
func (t *timers) pop() *instance {
	in := t.queue[0].in
	t.remove(in)
	return in
}

// set moves an instance's timer; NoTime removes it.
func (t *timers) set(in *instance, due flows.Time) {
	switch {
	case due == flows.NoTime:
		t.remove(in)
	case in.timer < 0:
		t.queue = append(t.queue, timer{})
		t.up(len(t.queue)-1, timer{due, in})
	case due < t.queue[in.timer].due:
		t.up(int(in.timer), timer{due, in})
	case due > t.queue[in.timer].due:
		t.down(int(in.timer), timer{due, in})
	}
}

func (t *timers) remove(in *instance) {
	if in.timer < 0 {
		return
	}
	at, last := int(in.timer), len(t.queue)-1
	moved := t.queue[last]
	t.queue[last] = timer{}
	t.queue = t.queue[:last]
	in.timer = -1
	switch {
	case at == last:
	case at > 0 && moved.due < t.queue[(at-1)/branches].due:
		t.up(at, moved)
	default:
		t.down(at, moved)
	}
}

// up puts a timer where it belongs from a free place towards the first.
func (t *timers) up(at int, moved timer) {
	for at > 0 {
		above := (at - 1) / branches
		if t.queue[above].due <= moved.due {
			break
		}
		t.put(at, t.queue[above])
		at = above
	}
	t.put(at, moved)
}

// down puts a timer where it belongs from a free place towards the last.
func (t *timers) down(at int, moved timer) {
	for {
		first := at*branches + 1
		if first >= len(t.queue) {
			break
		}
		least := first
		for i := first + 1; i < min(first+branches, len(t.queue)); i++ {
			if t.queue[i].due < t.queue[least].due {
				least = i
			}
		}
		if t.queue[least].due >= moved.due {
			break
		}
		t.put(at, t.queue[least])
		at = least
	}
	t.put(at, moved)
}

func (t *timers) put(at int, moved timer) {
	t.queue[at] = moved
	moved.in.timer = int32(at)
}
