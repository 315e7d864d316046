package engine

import (
	"maps"
	"math"
	"time"

	"throughline/flows"
)

// Window is the span of the live numbers.
const Window = time.Hour

const (
	slotLength = 10 * time.Second // the window's start moves by this
	ageEvery   = time.Second
	aheadSlots = 360 // signals up to an hour ahead of now wait for their time
)

// window counts what happened in the last hour, in slots. total is the sum of the slots
// from first to current; it is summed anew when the window moves, and where so much was taken
// back that percentiles can be exact again.
type window struct {
	flow           *flows.Flow
	slots          []slot // by number, in a ring
	total          *flows.Tally
	first, current int64
	since          int64    // first slot that takes what is or was counted
	until          [2]int64 // last slots that take what was counted, and what is
	aged           flows.Time
	moved          map[*instance]int64 // slot of Move: what was before is counted as the version before had it
}

// slot is what happened in one slot.
type slot struct {
	number int64
	tally  *flows.Tally // nil while nothing was counted
}

// ringSlots is more than a window has, with what is ahead.
const ringSlots = 1024

func newWindow(f *flows.Flow) *window {
	return &window{flow: f, total: flows.NewTally(f), aged: flows.NoTime}
}

func slotOf(t flows.Time) int64 { return int64(t) / int64(slotLength) }

// Ways to ask for the tally of an instant, nil outside the window: of what was counted
// before, and of what is counted now. What was beyond until when it was counted is not taken
// out when time has moved on.
func (w *window) wasAt(t flows.Time) *flows.Tally    { return w.at(t, w.until[0]) }
func (w *window) isAt(t flows.Time) *flows.Tally     { return w.at(t, w.until[1]) }
func (w *window) wasTotal(t flows.Time) *flows.Tally { return w.inTotal(t, w.until[0]) }
func (w *window) isTotal(t flows.Time) *flows.Tally  { return w.inTotal(t, w.until[1]) }

func (w *window) at(t flows.Time, until int64) *flows.Tally {
	s := slotOf(t)
	if s < w.first || s < w.since || s > until {
		return nil
	}
	if w.slots == nil {
		w.slots = make([]slot, ringSlots)
	}
	of := &w.slots[uint64(s)%ringSlots]
	if of.tally == nil || of.number != s { // what was there before is over
		*of = slot{s, flows.NewTally(w.flow)}
	}
	return of.tally
}

// of has the window take what it takes of an instance, before and now.
func (w *window) of(in *instance) {
	w.since, w.until = math.MinInt64, [2]int64{int64(in.until), w.current + aheadSlots}
	if slot, ok := w.moved[in]; ok {
		w.since = slot
	}
}

// agreed is the instant up to which what was counted before and what is counted now go to
// the same tallies.
func (w *window) agreed() flows.Time {
	return flows.Time(slotLength)*flows.Time(min(w.until[0], w.until[1])) - 1
}

// inTotal is the total where it holds that instant, else nil.
func (w *window) inTotal(t flows.Time, until int64) *flows.Tally {
	if s := slotOf(t); s < w.first || s > w.current || s < w.since || s > until {
		return nil
	}
	return w.total
}

// roll moves the window up to now.
func (w *window) roll(now flows.Time) bool {
	if slotOf(now) <= w.current {
		return false
	}
	w.current = slotOf(now)
	w.first = slotOf(now.Add(-Window))
	maps.DeleteFunc(w.moved, func(_ *instance, slot int64) bool { return slot < w.first })
	w.sum()
	return true
}

// sum makes the total anew, and forgets the slots before it.
func (w *window) sum() {
	w.total = flows.NewTally(w.flow)
	for i := range w.slots {
		switch of := &w.slots[i]; {
		case of.tally == nil:
		case of.number < w.first:
			*of = slot{}
		case of.number <= w.current:
			w.total.Merge(of.tally)
		}
	}
}

// Roll moves the windows of all flows up to now. It must be called before Apply when now
// has moved on, since a window takes only what it covers.
func (e *Engine) Roll(now flows.Time) {
	for _, fs := range e.flows {
		if fs.window.roll(now) {
			fs.changed = true
		}
	}
}
