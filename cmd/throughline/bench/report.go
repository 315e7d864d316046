package bench

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// LiveReport is the result of Live. Times are seconds from when an event was due to be
// sent to the message that counts it; percentiles are nearest rank. An event that was
// accepted and not shown in the end is lost, and has no time.
type LiveReport struct {
	Flow           string  `json:"flow"`
	WantedRate     float64 `json:"wanted_rate"`
	Rate           float64 `json:"rate"` // accepted a second of sending
	Batch          int     `json:"batch"`
	SendingSeconds float64 `json:"sending_seconds"`
	Accepted       int     `json:"accepted"`
	Refused        int     `json:"refused"`
	FirstRefusal   string  `json:"first_refusal,omitempty"`
	Lost           int     `json:"lost"`
	Messages       int     `json:"messages"` // with a count, on the websocket
	P50Seconds     float64 `json:"p50_seconds"`
	P90Seconds     float64 `json:"p90_seconds"`
	P99Seconds     float64 `json:"p99_seconds"`
	MaxSeconds     float64 `json:"max_seconds"`
}

func (s *sender) report(sending time.Duration, counts []count) LiveReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := delays(s.due, counts)
	slices.Sort(took)
	r := LiveReport{
		Flow: s.cfg.Flow, WantedRate: s.cfg.Rate, Rate: float64(len(s.due)) / sending.Seconds(), Batch: s.cfg.Batch,
		SendingSeconds: sending.Seconds(), Accepted: len(s.due), Refused: s.refused, Lost: len(s.due) - len(took), Messages: len(counts),
		P50Seconds: rank(took, 0.5), P90Seconds: rank(took, 0.9), P99Seconds: rank(took, 0.99), MaxSeconds: rank(took, 1),
	}
	if s.fault != nil {
		r.FirstRefusal = s.fault.Error()
	}
	return r
}

// delays gives each event the time of the first message that counts at least as many as
// were sent up to it.
func delays(due []time.Time, counts []count) []time.Duration {
	slices.SortFunc(due, time.Time.Compare)
	took := make([]time.Duration, 0, len(due))
	next := 0
	for n, at := range due {
		for next < len(counts) && counts[next].started < n+1 {
			next++
		}
		if next == len(counts) {
			break
		}
		took = append(took, counts[next].at.Sub(at))
	}
	return took
}

// rank is the value at q of sorted ones, in seconds; 0 for none.
func rank(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1].Seconds()
}

// String is the report for people.
func (r LiveReport) String() string {
	ms := func(seconds float64) string { return fmt.Sprintf("%.1f ms", 1000*seconds) }
	text := fmt.Sprintf(`event to websocket, flow %s, %d events a request
  sent      %.0f events/s wanted, %.0f accepted over %.1f s
  accepted  %d, refused %d, lost %d, seen in %d messages
  delay     p50 %s, p90 %s, p99 %s, max %s
`, r.Flow, r.Batch, r.WantedRate, r.Rate, r.SendingSeconds, r.Accepted, r.Refused, r.Lost, r.Messages,
		ms(r.P50Seconds), ms(r.P90Seconds), ms(r.P99Seconds), ms(r.MaxSeconds))
	if r.FirstRefusal != "" {
		text += "  refusal   " + r.FirstRefusal + "\n"
	}
	return text
}
