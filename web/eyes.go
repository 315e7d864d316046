package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// pageBeat is a heartbeat for a page.
type pageBeat struct {
	heartbeat
	Restoring bool    `json:"restoring"`
	Now       float64 `json:"now"`    // ms since 1970: the browser answers with it, and sets its clock by it
	RoundTrip float64 `json:"rtt_ms"` // the shortest so far; 0 before the first answer
}

// eyes are those of one browser: it measures how long after the reception of a signal the
// screen shows it, and tells.
type eyes struct {
	seen metric.Float64Histogram // may be nil

	mu    sync.Mutex // the socket's reader and writer share what follows
	sent  float64    // Now of the last beat; 0 once it was answered
	at    time.Time
	short time.Duration // 0 before the first answer
}

// beat is the Now of a heartbeat that is sent now.
func (e *eyes) beat(now time.Time) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent, e.at = float64(now.UnixMicro())/1000, now
	return e.sent
}

func (e *eyes) roundTrip() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return float64(e.short.Microseconds()) / 1000
}

// seenMessage is what a page says after a heartbeat.
type seenMessage struct {
	Echo  float64   `json:"echo"`     // its Now
	Shown []float64 `json:"shown_ms"` // from reception to screen, of updates since the message before
}

const (
	maxShown   = 100              // of one message
	maxLatency = 10 * time.Minute // a clock that is off, or a lie
)

// hear takes what a browser says. It may say anything: what makes no sense is dropped.
func (e *eyes) hear(said []byte) {
	var m seenMessage
	if json.Unmarshal(said, &m) != nil {
		return
	}
	e.mu.Lock()
	if m.Echo != 0 && m.Echo == e.sent {
		if took := max(time.Since(e.at), time.Microsecond); e.short == 0 || took < e.short {
			e.short = took
		}
		e.sent = 0
	}
	e.mu.Unlock()
	if e.seen == nil {
		return
	}
	for _, ms := range m.Shown[:min(len(m.Shown), maxShown)] {
		if ms >= 0 && ms <= float64(maxLatency.Milliseconds()) && !math.IsNaN(ms) {
			e.seen.Record(context.Background(), ms/1000)
		}
	}
}

// latencyMetric is what all eyes measure; nil without meters.
func latencyMetric(meters metric.MeterProvider) (metric.Float64Histogram, error) {
	if meters == nil {
		return nil, nil
	}
	seen, err := meters.Meter("throughline").Float64Histogram(
		"throughline.web.event.to.screen", metric.WithUnit("s"),
		metric.WithDescription("from the reception of the oldest signal in an update to its pixels, as browsers measure it"),
		metric.WithExplicitBucketBoundaries(.01, .02, .03, .04, .05, .06, .08, .1, .125, .15, .2, .25, .35, .5, .75, 1, 2, 5, 10, 60),
	)
	if err != nil {
		return nil, fmt.Errorf("make the instrument of what browsers see: %w", err)
	}
	return seen, nil
}
