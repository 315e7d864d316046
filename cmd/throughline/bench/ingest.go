package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// IngestConfig of a run of Ingest. Nobody else should send while it runs: what becomes
// visible is counted for the whole server.
type IngestConfig struct {
	HTTP        string // URL of the server: events go there, and its metrics are read
	OTLP        string // URL of its OTLP over HTTP, for spans
	Events      bool   // CloudEvents; else spans
	Rate        float64
	Duration    time.Duration // of sending
	Batch       int           // signals a request
	Connections int           // each with one request under way
	Token       string        // "" for none
	Flow        string        // of events, whose instances are counted too; "" for none
	Steps       bool          // six events a case, for OrdersFile; Flow counts what is completed
	Poll        time.Duration // from one look at what is visible to the next
	Patience    time.Duration // for the last to become visible
}

// rowsMetric is the server's counter of rows that ClickHouse has.
const rowsMetric = "throughline_store_rows_total"

// errRefused is an answer that means that nothing of the request was taken.
var errRefused = errors.New("refused")

// Ingest sends signals for a while, and measures how long each request takes until it is
// answered, which means that its signals are durable, and until ClickHouse has them. At a
// rate, the clock of a request runs from when it was due, whatever the server does; at rate
// 0 each connection sends as soon as its last request is answered.
func Ingest(ctx context.Context, cfg IngestConfig) (IngestReport, error) {
	l := newLoad(cfg)
	defer l.http.CloseIdleConnections()
	base, err := l.rows(ctx)
	if err != nil {
		return IngestReport{}, fmt.Errorf("bench ingest: %w", err)
	}
	var instances *watcher
	if cfg.Flow != "" {
		host := strings.TrimPrefix(strings.TrimPrefix(cfg.HTTP, "http://"), "https://")
		watched := started
		if cfg.Steps {
			watched = completed
		}
		if instances, err = watchCount(ctx, LiveConfig{HTTP: host, Flow: cfg.Flow, Token: cfg.Token, counted: watched}); err != nil {
			return IngestReport{}, fmt.Errorf("bench ingest: %w", err)
		}
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watch sync.WaitGroup
	watch.Go(func() { l.watch(watching, base) })
	began := time.Now()
	l.send(ctx, began, l.sendAll)
	sending := time.Since(began)
	l.settle(ctx)
	stop()
	watch.Wait()
	r := l.report(began, sending)
	if instances != nil {
		await := r.Accepted
		if cfg.Steps {
			await = r.Accepted / cfg.Batch / len(benchSteps) * cfg.Batch // the last cases may lack steps
		}
		instances.await(ctx, await, cfg.Patience)
		counts, err := instances.close()
		if err != nil {
			return r, fmt.Errorf("bench ingest: %w", err)
		}
		r.count(began, counts)
	}
	return r, ctx.Err() //nolint:wrapcheck // nothing to add
}

// load is a run.
type load struct {
	cfg     IngestConfig
	url     string
	http    *http.Client
	run     uint64
	next    atomic.Uint64 // request
	changed chan struct{} // holds a token when more is visible

	mu       sync.Mutex // guards the fields below
	requests []request
	refused  int
	fault    error   // the first that was not accepted
	seen     []count // what is visible, each time it was more
	blind    error   // the last look that failed
}

// request that was accepted.
type request struct{ due, answered time.Time }

func newLoad(cfg IngestConfig) *load {
	url := strings.TrimSuffix(cfg.OTLP, "/") + "/v1/traces"
	if cfg.Events {
		url = strings.TrimSuffix(cfg.HTTP, "/") + "/api/v1/events"
	}
	return &load{
		cfg: cfg, url: url, run: uint64(time.Now().UnixNano()), changed: make(chan struct{}, 1),
		http: &http.Client{Timeout: 6 * answerTime, Transport: &http.Transport{
			MaxIdleConnsPerHost: cfg.Connections + 1, WriteBufferSize: 256 << 10, DisableCompression: true,
		}},
	}
}

// sendAll sends the requests of one connection, each when it is called with its number.
func (l *load) sendAll() func(ctx context.Context, n uint64) error {
	bodies := newBodies(&l.cfg, l.run)
	return func(ctx context.Context, n uint64) error {
		return l.post(ctx, bodies[n%uint64(len(bodies))].of(n, time.Now()), l.cfg.Batch)
	}
}

// send keeps all connections busy for the duration, each with a sender of its own.
func (l *load) send(ctx context.Context, began time.Time, sender func() func(context.Context, uint64) error) {
	ctx, cancel := context.WithDeadline(ctx, began.Add(l.cfg.Duration))
	defer cancel()
	var connections sync.WaitGroup
	defer connections.Wait()
	for range l.cfg.Connections {
		connections.Go(func() {
			send := sender()
			timer := time.NewTimer(0)
			defer timer.Stop()
			for {
				n, due := l.next.Add(1)-1, time.Now()
				if l.cfg.Rate > 0 {
					due = began.Add(time.Duration(float64(n) * float64(l.cfg.Batch) / l.cfg.Rate * float64(time.Second)))
				}
				timer.Reset(time.Until(due))
				select {
				case <-timer.C:
				case <-ctx.Done():
					return
				}
				if ctx.Err() != nil {
					return
				}
				// What is under way at the end is waited for: it counts.
				err := send(context.WithoutCancel(ctx), n)
				if l.record(due, err); err != nil {
					pause(ctx)
				}
			}
		})
	}
}

// pause keeps a server that refuses from being asked without end.
func pause(ctx context.Context) {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *load) do(ctx context.Context, method, url, contentType string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the URL
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if l.cfg.Token != "" {
		r.Header.Set("Authorization", "Bearer "+l.cfg.Token)
	}
	return l.http.Do(r) //nolint:wrapcheck // as above
}

// post sends a request of so many signals.
func (l *load) post(ctx context.Context, body []byte, signals int) error {
	contentType := "application/x-protobuf"
	if l.cfg.Events {
		contentType = "application/cloudevents-batch+json"
	}
	resp, err := l.do(ctx, http.MethodPost, l.url, contentType, body)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	whole := len(answer) == 0 // an empty ExportTraceServiceResponse
	if l.cfg.Events {
		whole = bytes.Contains(answer, fmt.Appendf(nil, `"accepted":%d`, signals))
	}
	if resp.StatusCode != http.StatusOK || !whole {
		return fmt.Errorf("%w: %s: %.300q", errRefused, resp.Status, answer)
	}
	return nil
}

func (l *load) record(due time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.refused += l.cfg.Batch
		l.fault = cmp.Or(l.fault, err)
		return
	}
	l.requests = append(l.requests, request{due, time.Now()})
}

// watch looks at what is visible until ctx ends.
func (l *load) watch(ctx context.Context, base int) {
	tick := time.NewTicker(l.cfg.Poll)
	defer tick.Stop()
	for {
		n, err := l.rows(ctx)
		l.mu.Lock()
		if err == nil && (len(l.seen) == 0 || l.seen[len(l.seen)-1].started < n-base) {
			l.seen = append(l.seen, count{time.Now(), n - base})
		}
		l.blind = err
		l.mu.Unlock()
		select {
		case l.changed <- struct{}{}:
		default:
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// settle returns when all that was accepted is visible, or when nothing more became so for
// as long as it is patient.
func (l *load) settle(ctx context.Context) {
	timer := time.NewTimer(l.cfg.Patience)
	defer timer.Stop()
	last := 0
	for {
		l.mu.Lock()
		n := 0
		if len(l.seen) > 0 {
			n = l.seen[len(l.seen)-1].started
		}
		enough := n >= len(l.requests)*l.cfg.Batch
		l.mu.Unlock()
		if enough {
			return
		}
		if n > last {
			last = n
			timer.Reset(l.cfg.Patience)
		}
		select {
		case <-l.changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// rows is how many of what is sent ClickHouse has, by the server's own metric.
func (l *load) rows(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resp, err := l.do(ctx, http.MethodGet, strings.TrimSuffix(l.cfg.HTTP, "/")+"/metrics", "", nil)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("read metrics: %s", resp.Status)
	}
	table := `table="spans"`
	if l.cfg.Events {
		table = `table="signals"`
	}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, rowsMetric) && strings.Contains(line, table) {
			n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				return 0, fmt.Errorf("read metrics: %q: %w", line, err)
			}
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("read metrics: there is no %s{%s}; is %s a Throughline of this version?", rowsMetric, table, l.cfg.HTTP)
}
