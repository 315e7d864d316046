package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// PagesConfig of a run of Pages.
type PagesConfig struct {
	HTTP     string        // URL of the server
	Paths    []string      // pages to look at, in turn; none is a mix of all kinds
	Sockets  int           // how many look
	Duration time.Duration // of looking, once all are there
	Token    string        // sent where the server asks who is there; may be empty
}

// PagesReport is the result of Pages. A delay runs from the instant that a page's numbers
// speak of to the end of the read of the message that brings them, percentiles are nearest
// rank. Memory and CPU are the server's whole process.
type PagesReport struct {
	Sockets     int      `json:"sockets"`
	Paths       []string `json:"paths"`
	Seconds     float64  `json:"seconds"`
	Messages    int      `json:"messages"`       // on all sockets
	Megabytes   float64  `json:"megabytes_read"` // of those that were unpacked
	Dropped     int      `json:"dropped"`        // sockets that ended before their time
	Behind      int      `json:"behind"`         // sockets whose last numbers were more than 2 s older than the newest of their page
	P50Seconds  float64  `json:"p50_seconds"`
	P99Seconds  float64  `json:"p99_seconds"`
	MaxSeconds  float64  `json:"max_seconds"`
	Cores       float64  `json:"cores"`        // busy while all looked
	CoresBefore float64  `json:"cores_before"` // busy in the 5 s before the first looked
	HeapBefore  float64  `json:"heap_before_megabytes"`
	HeapAfter   float64  `json:"heap_after_megabytes"`
	KBPerSocket float64  `json:"kilobytes_per_socket"` // heap and stacks that came with the sockets
}

// String is the report for people.
func (r PagesReport) String() string {
	return fmt.Sprintf("%d sockets on %d pages for %.0f s: %d messages (%.0f a second), %.1f MB\n"+
		"from the instant of the numbers to the socket: p50 %.0f ms, p99 %.0f ms, max %.0f ms\n"+
		"%d dropped, %d behind at the end\n"+
		"server: %.2f cores busy (%.2f before), %.0f KB a socket (%.1f MB, %.1f MB before)",
		r.Sockets, len(r.Paths), r.Seconds, r.Messages, float64(r.Messages)/r.Seconds, r.Megabytes,
		1000*r.P50Seconds, 1000*r.P99Seconds, 1000*r.MaxSeconds, r.Dropped, r.Behind, r.Cores, r.CoresBefore, r.KBPerSocket, r.HeapAfter, r.HeapBefore)
}

var (
	socketAddress = regexp.MustCompile(`hx-ws:connect="([^"]*)"`)
	numbersAt     = regexp.MustCompile(`id="asof" data-at="(\d+)"`)
	flowNames     = regexp.MustCompile(`"flow":"([^"]+)"`)
)

// onlookers open so many connections at a time.
const dialing = 32

// looker is one open page. Its fields belong to its goroutine until that ends.
type looker struct {
	path  string
	conn  *websocket.Conn
	seen  int
	bytes int64 // of those that were read, unpacked
	took  []time.Duration
	last  int64 // instant of the last numbers, in ms
	lost  bool
}

// Pages opens the sockets of pages, as browsers do, and measures how old their numbers are
// when they come, and what that costs the server. Something else has to make numbers move.
func Pages(ctx context.Context, cfg PagesConfig) (PagesReport, error) {
	c := &pagesClient{cfg: cfg, http: &http.Client{Timeout: answerTime}}
	paths, err := c.paths(ctx)
	if err != nil {
		return PagesReport{}, fmt.Errorf("bench pages: %w", err)
	}
	report := PagesReport{Paths: paths, Sockets: cfg.Sockets}
	before, err := c.busy(ctx, 5*time.Second)
	if err != nil {
		return report, fmt.Errorf("bench pages: %w", err)
	}
	report.CoresBefore, report.HeapBefore = before.cores, before.memory
	lookers, err := c.open(ctx, paths)
	if err == nil {
		err = c.look(ctx, lookers, &report)
	}
	for _, l := range lookers {
		if l != nil && l.conn != nil {
			err = errors.Join(err, l.conn.Close())
		}
	}
	if err != nil {
		return report, fmt.Errorf("bench pages: %w", err)
	}
	return report, nil
}

type pagesClient struct {
	cfg  PagesConfig
	http *http.Client
}

func (c *pagesClient) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.cfg.HTTP, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return body, nil
}

// paths are those that were asked for, or a mix: what all see, and of each flow its own.
func (c *pagesClient) paths(ctx context.Context) ([]string, error) {
	if len(c.cfg.Paths) > 0 {
		return c.cfg.Paths, nil
	}
	flows, err := c.get(ctx, "/api/v1/flows")
	if err != nil {
		return nil, err
	}
	paths := []string{"/", "/", "/flows", "/alerts", "/systems"}
	for _, name := range flowNames.FindAllSubmatch(flows, -1) {
		flow := "/flows/" + url.PathEscape(string(name[1]))
		paths = append(paths, flow, flow, flow+"/instances", flow+"?range=24h")
	}
	return paths, nil
}

// open gives each looker its page, and its page's socket.
func (c *pagesClient) open(ctx context.Context, paths []string) ([]*looker, error) {
	sockets := make(map[string]string, len(paths))
	for _, path := range paths {
		page, err := c.get(ctx, path)
		if err != nil {
			return nil, err
		}
		address := socketAddress.FindSubmatch(page)
		if address == nil {
			return nil, fmt.Errorf("%s is not live", path)
		}
		sockets[path] = "ws" + strings.TrimPrefix(strings.TrimSuffix(c.cfg.HTTP, "/"), "http") + html.UnescapeString(string(address[1]))
	}
	lookers := make([]*looker, c.cfg.Sockets)
	faults := make([]error, dialing)
	var wg sync.WaitGroup
	for worker := range dialing {
		wg.Go(func() {
			for i := worker; i < len(lookers) && faults[worker] == nil && ctx.Err() == nil; i += dialing {
				path := paths[i%len(paths)]
				lookers[i] = &looker{path: path}
				lookers[i].conn, faults[worker] = c.dial(ctx, sockets[path])
			}
		})
	}
	wg.Wait()
	return lookers, cmp.Or(ctx.Err(), errors.Join(faults...))
}

func (c *pagesClient) dial(ctx context.Context, address string) (*websocket.Conn, error) {
	header := http.Header{}
	if c.cfg.Token != "" {
		header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	// As browsers do, but with small buffers: this client shares the machine.
	dialer := websocket.Dialer{HandshakeTimeout: answerTime, EnableCompression: true, ReadBufferSize: 4 << 10, WriteBufferSize: 512}
	conn, resp, err := dialer.DialContext(ctx, address, header)
	if err != nil && resp != nil {
		err = fmt.Errorf("%s: %s: %w", address, resp.Status, errors.Join(err, resp.Body.Close()))
	}
	return conn, err
}

// readGap is how long a looker of a thousand lets messages pass after one that it read:
// unpacking all of them would cost more than sending them.
const readGap = 250 * time.Millisecond

func (c *pagesClient) look(ctx context.Context, lookers []*looker, report *PagesReport) error {
	until := time.Now().Add(c.cfg.Duration)
	var wg sync.WaitGroup
	gap := readGap * time.Duration(len(lookers)) / 1000
	for _, l := range lookers {
		wg.Go(func() { l.run(until, gap) })
	}
	after, err := c.busy(ctx, c.cfg.Duration-min(c.cfg.Duration/10, 500*time.Millisecond))
	wg.Wait()
	if err != nil {
		return err
	}
	report.Seconds, report.Cores, report.HeapAfter = c.cfg.Duration.Seconds(), after.cores, after.memory
	report.KBPerSocket = max(after.memory-report.HeapBefore, 0) * 1024 / float64(max(len(lookers), 1))
	report.sum(lookers)
	return nil
}

func (r *PagesReport) sum(lookers []*looker) {
	var took []time.Duration
	newest := map[string]int64{}
	for _, l := range lookers {
		r.Messages += l.seen
		r.Megabytes += float64(l.bytes) / (1 << 20)
		took = append(took, l.took...)
		newest[l.path] = max(newest[l.path], l.last)
		if l.lost {
			r.Dropped++
		}
	}
	for _, l := range lookers {
		if newest[l.path]-l.last > 2000 {
			r.Behind++
		}
	}
	slices.Sort(took)
	r.P50Seconds, r.P99Seconds, r.MaxSeconds = rank(took, 0.5), rank(took, 0.99), rank(took, 1)
}

// run reads until an instant. Messages of the last second, which tell who is behind, are all
// unpacked.
func (l *looker) run(until time.Time, gap time.Duration) {
	began := time.Now()
	if err := l.conn.SetReadDeadline(until.Add(time.Second)); err != nil {
		l.lost = true
		return
	}
	var unpacked time.Time
	for time.Now().Before(until) {
		_, message, err := l.conn.NextReader()
		if err != nil {
			l.lost = time.Now().Before(until)
			return
		}
		l.seen++
		if time.Since(unpacked) < gap && time.Until(until) > time.Second {
			continue
		}
		unpacked = time.Now()
		body, err := io.ReadAll(message)
		now := time.Now()
		if err != nil {
			l.lost = true
			return
		}
		l.bytes += int64(len(body))
		at := numbersAt.FindSubmatch(body)
		if at == nil {
			continue
		}
		ms, err := strconv.ParseInt(string(at[1]), 10, 64)
		if err != nil || ms <= l.last {
			continue
		}
		if l.last = ms; now.Sub(began) > time.Second {
			l.took = append(l.took, now.Sub(time.UnixMilli(ms)))
		}
	}
}

// effort is what the server's process costs.
type effort struct {
	cores  float64
	memory float64 // heap in use and stacks, in MB
}

// busy measures for so long. Of the heap it takes the least of several looks: between two
// collections it holds what nobody needs.
func (c *pagesClient) busy(ctx context.Context, d time.Duration) (effort, error) {
	cpu, least, err := c.metrics(ctx)
	if err != nil {
		return effort{}, err
	}
	began := time.Now()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	after := cpu
	for time.Since(began) < d {
		select {
		case <-look.C:
		case <-ctx.Done():
			return effort{}, ctx.Err()
		}
		var memory float64
		if after, memory, err = c.metrics(ctx); err != nil {
			return effort{}, err
		}
		least = min(least, memory)
	}
	return effort{(after - cpu) / time.Since(began).Seconds(), least / (1 << 20)}, nil
}

// metrics are the CPU seconds of the server so far, and its heap in use and stacks in bytes.
func (c *pagesClient) metrics(ctx context.Context) (cpu, memory float64, err error) {
	body, err := c.get(ctx, "/metrics")
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch name {
		case "process_cpu_seconds_total", "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("metric %s: %w", name, err)
			}
			if name == "process_cpu_seconds_total" {
				cpu = n
			} else {
				memory += n
			}
		}
	}
	return cpu, memory, nil
}
