// Package bench is the project's own load client. It measures Throughline from outside,
// over its public protocols.
package bench

import (
	"cmp"
	"context"
	_ "embed" // for FlowFile
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// FlowFile is the flow that Live sends to by default, for the server's config_dir/flows.
//
//go:embed bench.yaml
var FlowFile []byte

// OrdersFile is the flow that Ingest sends to with Steps.
//
//go:embed orders.yaml
var OrdersFile []byte

// LiveConfig of a run of Live. The flow's numbers must move by this run alone.
type LiveConfig struct {
	HTTP     string        // address of the server, host:port
	Flow     string        // whose health is watched; "bench" where ""
	Event    string        // type of the event that starts an instance; "bench.begun" where ""
	Key      string        // the flow's key, a field of the event's data; "bench_id" where ""
	Rate     float64       // events a second
	Duration time.Duration // of sending
	Batch    int           // events a request; 1 where 0
	Token    string        // of scope admin, for a server that asks for one: it sends and reads
	Patience time.Duration // for the last events to show up; 10 s where 0
	first    time.Duration // patience for the first number; answerTime where 0
	counted  func(*health) *int
}

// maxRequests under way. A server that is slower than the rate makes requests wait for
// their turn; the wait counts, because an event's clock runs from when it was due.
const maxRequests = 256

// answerTime bounds one request, and the wait for the first message.
const answerTime = 10 * time.Second

// Live sends events that each start an instance, at a fixed rate whatever the server does,
// and measures how long each takes from the moment it was due to be sent until a message
// of /api/v1/live counts it: the n-th event sent is shown once `started` has grown by n.
func Live(ctx context.Context, cfg LiveConfig) (LiveReport, error) {
	cfg.Flow, cfg.Event, cfg.Key = cmp.Or(cfg.Flow, "bench"), cmp.Or(cfg.Event, "bench.begun"), cmp.Or(cfg.Key, "bench_id")
	cfg.Batch, cfg.Patience = max(cfg.Batch, 1), cmp.Or(cfg.Patience, 10*time.Second)
	if cfg.Rate <= 0 || cfg.Duration <= 0 {
		return LiveReport{}, errors.New("bench live: rate and duration must be above 0")
	}
	cfg.counted = started
	w, err := watchCount(ctx, cfg)
	if err != nil {
		return LiveReport{}, fmt.Errorf("bench live: %w", err)
	}
	s := newSender(cfg)
	began := time.Now()
	s.send(ctx, began)
	sending := time.Since(began)
	w.await(ctx, s.accepted(), cfg.Patience)
	counts, err := w.close()
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return LiveReport{}, fmt.Errorf("bench live: %w", err)
	}
	return s.report(sending, counts), nil
}

// count is what the number that is watched had grown by when a message came.
type count struct {
	at      time.Time
	started int
}

// watcher listens to the live websocket.
type watcher struct {
	conn    *websocket.Conn
	done    chan struct{}
	changed chan struct{} // holds a token when counts grew

	mu     sync.Mutex // guards counts and err
	counts []count
	err    error
}

// health is the part of a live message that counts instances.
type health struct {
	Type      string `json:"type"`
	Flow      string `json:"flow"`
	Started   *int   `json:"started"`
	Completed *int   `json:"completed"`
	Stuck     *int   `json:"stuck"`
}

// The numbers that are watched; nil where a message has none.
func started(h *health) *int   { return h.Started }
func completed(h *health) *int { return h.Completed }
func stuck(h *health) *int     { return h.Stuck }

// watchCount connects, and returns once the first message told what to count from.
func watchCount(ctx context.Context, cfg LiveConfig) (*watcher, error) {
	url := "ws://" + cfg.HTTP + "/api/v1/live?flow=" + cfg.Flow
	header := http.Header{}
	if cfg.Token != "" {
		header.Set("Authorization", "Bearer "+cfg.Token)
	}
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, url, header)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("connect to %s: %s: %w", url, resp.Status, errors.Join(err, resp.Body.Close()))
		}
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(cmp.Or(cfg.first, answerTime))); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var first health
	for cfg.counted(&first) == nil {
		if err := conn.ReadJSON(&first); err != nil {
			return nil, errors.Join(fmt.Errorf("no health of flow %s came from %s: %w", cfg.Flow, url, err), conn.Close())
		}
	}
	w := &watcher{conn: conn, done: make(chan struct{}), changed: make(chan struct{}, 1)}
	go w.run(cfg, *cfg.counted(&first)) // ends with the connection, awaited by close
	return w, nil
}

func (w *watcher) run(cfg LiveConfig, from int) {
	defer close(w.done)
	err := w.conn.SetReadDeadline(time.Time{})
	for err == nil {
		var m health
		err = w.conn.ReadJSON(&m)
		at := time.Now()
		if err != nil || m.Type != "health" || m.Flow != cfg.Flow || cfg.counted(&m) == nil {
			continue
		}
		w.mu.Lock()
		w.counts = append(w.counts, count{at, *cfg.counted(&m) - from})
		w.mu.Unlock()
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
}

// await returns when n were counted, or no more can be expected.
func (w *watcher) await(ctx context.Context, n int, longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		w.mu.Lock()
		enough := len(w.counts) > 0 && w.counts[len(w.counts)-1].started >= n
		w.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-w.changed:
		case <-w.done:
			return
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// close returns what came; an error if the connection had broken before.
func (w *watcher) close() ([]count, error) {
	var broken error
	select {
	case <-w.done:
		broken = fmt.Errorf("the live connection broke: %w", w.err)
	default:
	}
	err := errors.Join(broken, w.conn.Close())
	<-w.done
	return w.counts, err
}

// sender sends at a fixed rate and remembers when each event was due.
type sender struct {
	cfg  LiveConfig
	url  string
	http *http.Client
	run  string // part of every id: a second run must not repeat the first's

	mu      sync.Mutex // guards the fields below
	due     []time.Time
	refused int
	fault   error // the first refusal
}

func newSender(cfg LiveConfig) *sender {
	transport := &http.Transport{MaxIdleConnsPerHost: maxRequests}
	return &sender{
		cfg: cfg, url: "http://" + cfg.HTTP + "/api/v1/events", run: strconv.FormatInt(time.Now().UnixNano(), 36),
		http: &http.Client{Timeout: answerTime, Transport: transport},
	}
}

func (s *sender) send(ctx context.Context, began time.Time) {
	defer s.http.CloseIdleConnections()
	var requests sync.WaitGroup
	defer requests.Wait()
	turns := make(chan struct{}, maxRequests)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n += s.cfg.Batch {
		after := time.Duration(float64(n) / s.cfg.Rate * float64(time.Second))
		if after >= s.cfg.Duration {
			return
		}
		due := began.Add(after)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
		requests.Go(func() {
			s.record(due, s.post(ctx, n))
			<-turns
		})
	}
}

func (s *sender) record(due time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused += s.cfg.Batch
		s.fault = cmp.Or(s.fault, err)
		return
	}
	for range s.cfg.Batch {
		s.due = append(s.due, due)
	}
}

func (s *sender) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.due)
}
