package bench

import (
	"cmp"
	"context"
	_ "embed" // for LateFile
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// LateFile is the flow that Late sends to.
//
//go:embed late.yaml
var LateFile []byte

// lateWithin is the limit of the last step in LateFile.
const lateWithin = 5 * time.Second

// LateConfig of a run of Late. Nobody else may send to the flow of LateFile while it runs.
type LateConfig struct {
	HTTP        string // URL of the server
	Rate        float64
	Duration    time.Duration // of sending
	Batch       int           // signals a request
	Missing     int           // cases of each Batch that get no last step
	Connections int           // each with one request under way
	Token       string        // of scope admin; "" for none
	Patience    time.Duration // for the last verdicts, after the last limit
	within      time.Duration // the limit; that of LateFile where 0
}

// Late sends cases of six signals at a fixed rate, leaves out the last step of some, and
// measures how long after the limit of each of these has passed a message of /api/v1/live
// counts it as stuck: the n-th limit that passes is shown once `stuck` has grown by n. A
// request that is refused ends the run: what was late would not be known.
func Late(ctx context.Context, cfg LateConfig) (LateReport, error) {
	cfg.within = cmp.Or(cfg.within, lateWithin)
	host := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(cfg.HTTP, "http://"), "https://"), "/")
	w, err := watchCount(ctx, LiveConfig{HTTP: host, Flow: "bench-late", Token: cfg.Token, counted: stuck})
	if err != nil {
		return LateReport{}, fmt.Errorf("bench deadline: %w", err)
	}
	s := &lateSender{cfg: cfg, blocks: map[uint64]lateBlock{}, load: newLoad(IngestConfig{
		HTTP: cfg.HTTP, Events: true, Steps: true, Rate: cfg.Rate, Duration: cfg.Duration, Batch: cfg.Batch, Connections: cfg.Connections, Token: cfg.Token,
	})}
	defer s.load.http.CloseIdleConnections()
	sending, stop := context.WithCancel(ctx)
	s.stop = stop
	defer stop()
	began := time.Now()
	s.load.send(sending, began, s.sendMost)
	took := time.Since(began)
	if s.load.fault == nil {
		s.limits()
		w.await(ctx, len(s.due), cfg.within+cfg.Patience)
	}
	counts, err := w.close()
	if err = cmp.Or(ctx.Err(), s.load.fault, err); err != nil {
		return LateReport{}, fmt.Errorf("bench deadline: %w", err)
	}
	return s.report(took, counts), nil
}

// lateSender sends all but the last step of some cases.
type lateSender struct {
	cfg  LateConfig
	load *load
	stop func()

	mu     sync.Mutex           // guards blocks
	blocks map[uint64]lateBlock // by the number of the cases in a request
	due    []time.Time          // when the limit of each case passes that got no last step
}

// lateBlock are the cases of six requests.
type lateBlock struct {
	from  time.Time // of the step before the last; zero before it was sent
	ended bool      // most got the last step: sending ends anywhere
}

// limits says when which limits pass, once all is sent.
func (s *lateSender) limits() {
	for _, b := range s.blocks {
		late := s.cfg.Batch
		if b.ended {
			late = s.cfg.Missing
		}
		if !b.from.IsZero() {
			s.due = append(s.due, slices.Repeat([]time.Time{b.from.Add(s.cfg.within)}, late)...)
		}
	}
	slices.SortFunc(s.due, time.Time.Compare)
}

// sendMost sends the requests of one connection.
func (s *lateSender) sendMost() func(context.Context, uint64) error {
	bodies := newBodies(&s.load.cfg, s.load.run)
	last := len(bodies) - 1
	fewer := newBody(true, s.cfg.Batch-s.cfg.Missing, s.load.run, last)
	fewer.batch, bodies[last] = uint64(s.cfg.Batch), fewer
	return func(ctx context.Context, n uint64) error {
		step, now := int(n%uint64(len(bodies))), time.Now()
		body := bodies[step]
		err := s.load.post(ctx, body.of(n, now), len(body.ids))
		if err != nil {
			s.stop()
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		b := s.blocks[n/uint64(len(bodies))]
		switch step {
		case last - 1:
			b.from = now
		case last:
			b.ended = true
		}
		s.blocks[n/uint64(len(bodies))] = b
		return nil
	}
}

func (s *lateSender) report(sending time.Duration, counts []count) LateReport {
	took := delays(s.due, counts)
	slices.Sort(took)
	return LateReport{
		WantedRate: s.cfg.Rate, Rate: float64(len(s.load.requests)*s.cfg.Batch) / sending.Seconds(), Batch: s.cfg.Batch, SendingSeconds: sending.Seconds(),
		Late: len(s.due), Lost: len(s.due) - len(took), Early: early(s.due, counts), Messages: len(counts),
		P50Seconds: rank(took, 0.5), P90Seconds: rank(took, 0.9), P99Seconds: rank(took, 0.99), MaxSeconds: rank(took, 1),
	}
}

// early is the most that were counted before so many limits had passed.
func early(due []time.Time, counts []count) (most int) {
	passed := 0
	for _, c := range counts {
		for passed < len(due) && !due[passed].After(c.at) {
			passed++
		}
		most = max(most, c.started-passed)
	}
	return most
}

// LateReport is the result of Late. Times are seconds from when a limit passed to the
// message that counts the case as stuck; percentiles are nearest rank. A case that was never
// counted is lost, and has no time.
type LateReport struct {
	WantedRate     float64 `json:"wanted_rate"`
	Rate           float64 `json:"rate"` // accepted a second of sending
	Batch          int     `json:"batch"`
	SendingSeconds float64 `json:"sending_seconds"`
	Late           int     `json:"late"` // cases whose limit passed
	Lost           int     `json:"lost"`
	Early          int     `json:"early"`    // most that were counted before their limit
	Messages       int     `json:"messages"` // with a count, on the websocket
	P50Seconds     float64 `json:"p50_seconds"`
	P90Seconds     float64 `json:"p90_seconds"`
	P99Seconds     float64 `json:"p99_seconds"`
	MaxSeconds     float64 `json:"max_seconds"`
}

// String is the report for people.
func (r LateReport) String() string {
	ms := func(seconds float64) string { return fmt.Sprintf("%.1f ms", 1000*seconds) }
	return fmt.Sprintf(`limit to websocket, flow bench-late, %d events a request
  sent      %.0f signals/s wanted, %.0f accepted over %.1f s
  late      %d, lost %d, early %d, seen in %d messages
  delay     p50 %s, p90 %s, p99 %s, max %s
`, r.Batch, r.WantedRate, r.Rate, r.SendingSeconds, r.Late, r.Lost, r.Early, r.Messages,
		ms(r.P50Seconds), ms(r.P90Seconds), ms(r.P99Seconds), ms(r.MaxSeconds))
}
