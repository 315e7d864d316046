package web

import (
	"time"

	"throughline/flows"
)

const (
	// stepEvery is how far apart the samples of a StepTrend are, and stepSamples how many there
	// are: an hour, at eight bytes a step and sample.
	stepEvery   = 10 * time.Second
	stepSamples = 360
)

// StepTrend is how many instances waited for a step, oldest first; the last value is now's.
type StepTrend struct {
	From             flows.Time // of the first value
	Every            time.Duration
	Waiting, Overdue []float64 // equally long; empty where nothing is known
}

// stepTrends are the samples of one flow's steps: a ring. Where a flow says nothing, it stays
// as it was.
type stepTrends struct {
	version     string // of the flow: other steps begin anew
	first, last int64  // samples since 1970 that are known, both included; 0 for none
	ring        [stepSamples][]stepSample
}

type stepSample struct{ waiting, overdue int32 }

func (t *stepTrends) add(h flows.Health) {
	at := int64(h.AsOf) / int64(stepEvery)
	if h.Restoring || h.AsOf == flows.NoTime || at <= 0 || at < t.last {
		return
	}
	if t.last == 0 || t.version != h.Version || at-t.last >= stepSamples {
		t.version, t.first = h.Version, at
	} else {
		for m := t.last + 1; m < at; m++ {
			t.ring[m%stepSamples] = append(t.ring[m%stepSamples][:0], t.ring[t.last%stepSamples]...)
		}
		t.first = max(t.first, at-stepSamples+1)
	}
	t.last = at
	row := t.ring[at%stepSamples][:0]
	for _, s := range h.Steps {
		row = append(row, stepSample{int32(s.Waiting), int32(s.Stuck)})
	}
	t.ring[at%stepSamples] = row
}

// of is the trend of the step at a position in the flow file, up to now.
func (t *stepTrends) of(step int, now flows.Time) StepTrend {
	if t.last == 0 {
		return StepTrend{}
	}
	end := max(int64(now)/int64(stepEvery), t.last)
	if end-t.last >= stepSamples {
		return StepTrend{}
	}
	first := max(t.first, end-stepSamples+1)
	out := StepTrend{From: flows.Time(first * int64(stepEvery)), Every: stepEvery}
	for at := first; at <= end; at++ {
		row := t.ring[min(at, t.last)%stepSamples]
		if step >= len(row) {
			return StepTrend{}
		}
		out.Waiting, out.Overdue = append(out.Waiting, float64(row[step].waiting)), append(out.Overdue, float64(row[step].overdue))
	}
	return out
}

// StepTrend is how one step of a flow went over the last hour, as far as this process has
// seen it.
func (h *Hub) StepTrend(flow string, step int, now flows.Time) StepTrend {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.steps[flow]; t != nil && step >= 0 {
		return t.of(step, now)
	}
	return StepTrend{}
}

func (h *Hub) sampleStepsLocked(health flows.Health) {
	t := h.steps[health.Flow]
	if t == nil {
		t = &stepTrends{}
		h.steps[health.Flow] = t
	}
	t.add(health)
}
