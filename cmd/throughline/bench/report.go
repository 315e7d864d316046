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

// IngestReport is the result of Ingest. Times are seconds from when a request was due to be
// sent; percentiles are nearest rank over requests.
type IngestReport struct {
	What             string  `json:"what"` // events, spans
	Batch            int     `json:"batch"`
	SendingSeconds   float64 `json:"sending_seconds"`
	Accepted         int     `json:"accepted"` // each is durable
	Refused          int     `json:"refused"`
	FirstRefusal     string  `json:"first_refusal,omitempty"`
	AcceptedRate     float64 `json:"accepted_rate"`      // a second of sending
	Visible          int     `json:"visible"`            // in ClickHouse
	VisibleRate      float64 `json:"visible_rate"`       // a second, to the last
	NotSeen          string  `json:"not_seen,omitempty"` // why visible could not be read at last
	AnswerP50Seconds float64 `json:"answer_p50_seconds"`
	AnswerP99Seconds float64 `json:"answer_p99_seconds"`
	VisibleP50       float64 `json:"visible_p50_seconds"`
	VisibleP99       float64 `json:"visible_p99_seconds"`
	Counted          int     `json:"counted,omitempty"`      // instances that the flow shows
	CountedRate      float64 `json:"counted_rate,omitempty"` // a second, to the last
}

func (l *load) report(began time.Time, sending time.Duration) IngestReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := IngestReport{
		What: "spans", Batch: l.cfg.Batch, SendingSeconds: sending.Seconds(), Accepted: len(l.requests) * l.cfg.Batch, Refused: l.refused,
	}
	if l.cfg.Events {
		r.What = "events"
	}
	if l.fault != nil {
		r.FirstRefusal = l.fault.Error()
	}
	if l.blind != nil && len(l.seen) == 0 {
		r.NotSeen = l.blind.Error()
	}
	r.AcceptedRate = float64(r.Accepted) / sending.Seconds()
	var answers []time.Duration
	var due []time.Time
	for _, q := range l.requests {
		answers, due = append(answers, q.answered.Sub(q.due)), append(due, q.due)
	}
	inRequests := make([]count, len(l.seen))
	for i, c := range l.seen {
		inRequests[i] = count{c.at, c.started / l.cfg.Batch}
	}
	visible := delays(due, inRequests)
	slices.Sort(answers)
	slices.Sort(visible)
	r.AnswerP50Seconds, r.AnswerP99Seconds = rank(answers, 0.5), rank(answers, 0.99)
	r.VisibleP50, r.VisibleP99 = rank(visible, 0.5), rank(visible, 0.99)
	if n := len(l.seen); n > 0 {
		r.Visible, r.VisibleRate = l.seen[n-1].started, float64(l.seen[n-1].started)/l.seen[n-1].at.Sub(began).Seconds()
	}
	return r
}

// count takes what a flow showed.
func (r *IngestReport) count(began time.Time, counts []count) {
	if n := len(counts); n > 0 {
		r.Counted, r.CountedRate = counts[n-1].started, float64(counts[n-1].started)/counts[n-1].at.Sub(began).Seconds()
	}
}

// String is the report for people.
func (r IngestReport) String() string {
	ms := func(seconds float64) string { return fmt.Sprintf("%.1f ms", 1000*seconds) }
	text := fmt.Sprintf(`%s, %d a request, sent for %.1f s
  accepted  %d (durable), refused %d; %.0f/s
  visible   %d in ClickHouse; %.0f/s to the last
  answered  p50 %s, p99 %s from when it was due
  visible   p50 %s, p99 %s from when it was due
`, r.What, r.Batch, r.SendingSeconds, r.Accepted, r.Refused, r.AcceptedRate, r.Visible, r.VisibleRate,
		ms(r.AnswerP50Seconds), ms(r.AnswerP99Seconds), ms(r.VisibleP50), ms(r.VisibleP99))
	if r.Counted > 0 {
		text += fmt.Sprintf("  counted   %d instances by the flow; %.0f/s to the last\n", r.Counted, r.CountedRate)
	}
	if r.FirstRefusal != "" {
		text += "  refusal   " + r.FirstRefusal + "\n"
	}
	if r.NotSeen != "" {
		text += "  not seen  " + r.NotSeen + "\n"
	}
	return text
}
