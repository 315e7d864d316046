package web

import "throughline/flows"

// heard knows of steps when a signal of theirs was received last, by the numbers as they are shown: history tells what a
// system sent some seconds later, and on a busy machine later still.
type heard map[heardStep]heardAt

type heardStep struct{ flow, step string }

type heardAt struct {
	counted int        // reached and errors in the window of the numbers
	at      flows.Time // NoTime for not since this process looks
}

// note takes a flow's next numbers in: steps whose counts grew were heard when the oldest signal that these are the first to
// tell of was received. Without one they grew by a changed file or a backfill, and nothing was heard. Counts may stand still,
// or fall as their window moves on, while signals come: then what is known is older than what is true.
func (h heard) note(u Update) {
	for i := range u.Health.Steps {
		step := &u.Health.Steps[i]
		id, counted := heardStep{u.Health.Flow, step.Step}, step.Reached+step.Errors
		last, known := h[id]
		switch {
		case !known:
			last.at = flows.NoTime
		case counted > last.counted:
			last.at = max(last.at, u.Heard)
		}
		h[id] = heardAt{counted, last.at}
	}
}

// drop forgets a flow.
func (h heard) drop(flow string) {
	for id := range h {
		if id.flow == flow {
			delete(h, id)
		}
	}
}

// heardAt is when a step was heard last as far as the numbers tell; NoTime for not yet.
func (h *Hub) heardAt(flow, step string) flows.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, ok := h.heard[heardStep{flow, step}]; ok {
		return last.at
	}
	return flows.NoTime
}
