package engine

import (
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
// from first to current; it is summed anew when the window moves, so that percentiles
// become exact again when few values remain.
type window struct {
	flow           *flows.Flow
	slots          map[int64]*flows.Tally
	total          *flows.Tally
	first, current int64
	until          int64 // last slot that takes what is counted now
	aged           flows.Time
}

func newWindow(f *flows.Flow) *window {
	return &window{flow: f, slots: map[int64]*flows.Tally{}, total: flows.NewTally(f), aged: flows.NoTime}
}

func slotOf(t flows.Time) int64 { return int64(t) / int64(slotLength) }

// slot is the tally of an instant, nil outside the window. What was beyond until when it
// was counted is not taken out when time has moved on.
func (w *window) slot(t flows.Time) *flows.Tally {
	s := slotOf(t)
	if s < w.first || s > w.until {
		return nil
	}
	tally := w.slots[s]
	if tally == nil {
		tally = flows.NewTally(w.flow)
		w.slots[s] = tally
	}
	return tally
}

// inTotal is the total where it holds that instant, else nil.
func (w *window) inTotal(t flows.Time) *flows.Tally {
	if s := slotOf(t); s < w.first || s > w.current || s > w.until {
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
	w.total = flows.NewTally(w.flow)
	for s, tally := range w.slots {
		switch {
		case s < w.first:
			delete(w.slots, s)
		case s <= w.current:
			w.total.Merge(tally)
		}
	}
	return true
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
