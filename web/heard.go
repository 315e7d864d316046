package web

import (
	"sync"

	"throughline/flows"
)

// heard knows of steps when they were reached, or tried in vain, last, from the live numbers: history tells what a system
// sent some seconds later, and on a busy machine later still.
type heard struct {
	mu    sync.Mutex
	steps map[heardStep]heardAt
}

type heardStep struct{ flow, step string }

type heardAt struct {
	counted int        // reached and errors in the window of the numbers
	at      flows.Time // NoTime for not since this process looks
}

// note takes the numbers of a step in and says when it was heard last: where they grew, that is their instant. They may stand
// still, or fall as their window moves on, while signals come: then it is an earlier one.
func (h *heard) note(flow string, now flows.StepHealth, asOf flows.Time) flows.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, counted := heardStep{flow, now.Step}, now.Reached+now.Errors
	last, known := h.steps[id]
	if !known {
		last.at = flows.NoTime
	} else if counted > last.counted {
		last.at = max(last.at, asOf)
	}
	if h.steps == nil {
		h.steps = make(map[heardStep]heardAt)
	}
	h.steps[id] = heardAt{counted, last.at}
	return last.at
}
