package web

import (
	"time"

	"throughline/flows"
)

// trendMinutes is how far back a Trend goes.
const trendMinutes = 60

// Trend is what was in flight at the end of each of the last minutes, oldest first; the last
// value is now's. Both lists are equally long, and empty where nothing is known.
type Trend struct{ InFlight, Stuck []float64 }

// trend is a ring of samples, one a minute. A flow that says nothing stays as it was.
type trend struct {
	first, last int64 // minutes since 1970 that are known, both included; 0 for none
	ring        [trendMinutes]sample
}

type sample struct{ inFlight, stuck int }

func minuteOf(t flows.Time) int64 { return int64(t) / int64(time.Minute) }

// add takes the latest numbers. What the engine says while it restores is short, and no sample.
func (t *trend) add(h flows.Health) {
	minute := minuteOf(h.AsOf)
	if h.Restoring || h.AsOf == flows.NoTime || minute <= 0 || minute < t.last {
		return
	}
	if t.last == 0 || minute-t.last >= trendMinutes {
		t.first = minute
	} else {
		for m := t.last + 1; m < minute; m++ {
			t.ring[m%trendMinutes] = t.ring[t.last%trendMinutes]
		}
		t.first = max(t.first, minute-trendMinutes+1)
	}
	t.last = minute
	t.ring[minute%trendMinutes] = sample{h.InFlight, h.Stuck}
}

// until is the trend up to now.
func (t *trend) until(now flows.Time) Trend {
	if t.last == 0 {
		return Trend{}
	}
	end := max(minuteOf(now), t.last)
	if end-t.last >= trendMinutes {
		return Trend{}
	}
	var out Trend
	for m := max(t.first, end-trendMinutes+1); m <= end; m++ {
		s := t.ring[min(m, t.last)%trendMinutes]
		out.InFlight, out.Stuck = append(out.InFlight, float64(s.inFlight)), append(out.Stuck, float64(s.stuck))
	}
	return out
}

// Trend is how the flow went over the last hour, as far as this process has seen it.
func (h *Hub) Trend(flow string, now flows.Time) Trend {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.trends[flow]; t != nil {
		return t.until(now)
	}
	return Trend{}
}

func (h *Hub) sampleLocked(health flows.Health) {
	t := h.trends[health.Flow]
	if t == nil {
		t = &trend{}
		h.trends[health.Flow] = t
	}
	t.add(health)
}
