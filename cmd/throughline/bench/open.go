package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// OpenConfig of a run of Open.
type OpenConfig struct {
	Serve     []string      // command that starts a server; it is told its folders by the environment
	Instances int           // open at once, a multiple of Batch
	Batch     int           // events a request
	Deadline  time.Duration // from the start until all are late, in the same instant
	Log       io.Writer     // of the servers, and what is going on
}

// openFlow is the flow: six steps are seen, the seventh is waited for until the deadline.
const openFlow = `flow: bench-open
title: Benchmark of open instances
key: bench_id
links: [bench_parcel]
value: {amount: order.total, currency: order.currency}
steps:
  - {id: placed, match: {event: bench.placed}, start: true}
  - {id: paid, match: {event: bench.paid}, after: placed}
  - {id: picked, match: {event: bench.picked}, after: paid}
  - {id: packed, match: {event: bench.packed}, after: picked}
  - {id: shipped, match: {event: bench.shipped}, after: packed}
  - {id: delivered, match: {event: bench.delivered}, after: shipped}
  - {id: archived, match: {event: bench.archived}, after: delivered, within: %ds, end: completed}
`

// Open starts a server of its own in a folder of its own, fills it with open instances,
// waits until all of them become late in the same instant, stops it and starts it again.
func Open(ctx context.Context, cfg OpenConfig) (r OpenReport, err error) {
	o := &open{cfg: cfg, began: time.Now()}
	if o.dir, err = os.MkdirTemp("", "throughline-bench-"); err != nil {
		return r, fmt.Errorf("bench open: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	flow := fmt.Sprintf(openFlow, int(cfg.Deadline.Seconds()))
	if err := writeFile(filepath.Join(o.dir, "config", "flows", "bench-open.yaml"), flow); err != nil {
		return r, fmt.Errorf("bench open: %w", err)
	}
	if err := o.start(ctx); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, o.stop()) }()
	for _, phase := range []func(context.Context, *OpenReport) error{o.fill, o.late, o.again} {
		if err := phase(ctx, &r); err != nil {
			return r, fmt.Errorf("bench open: %w", err)
		}
	}
	return r, nil
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err //nolint:wrapcheck // it names the path
	}
	return os.WriteFile(path, []byte(text), 0o600) //nolint:wrapcheck // as above
}

type open struct {
	cfg     OpenConfig
	dir     string
	began   time.Time // the time of all events
	url     string
	server  *exec.Cmd
	started time.Time
	next    atomic.Int64
}

// start starts the server and waits until it takes requests.
func (o *open) start(ctx context.Context) error {
	o.started = time.Now()
	o.server = exec.CommandContext(ctx, o.cfg.Serve[0], o.cfg.Serve[1:]...) //nolint:gosec // this program itself
	o.server.Env = append(os.Environ(), "THROUGHLINE_DATA_DIR="+filepath.Join(o.dir, "data"), "THROUGHLINE_CONFIG_DIR="+filepath.Join(o.dir, "config"),
		"THROUGHLINE_HTTP_ADDR=127.0.0.1:0", "THROUGHLINE_OTLP_GRPC_ADDR=127.0.0.1:0", "THROUGHLINE_OTLP_HTTP_ADDR=127.0.0.1:0")
	o.server.Stderr = o.cfg.Log
	o.server.Cancel = func() error { return o.server.Process.Signal(syscall.SIGTERM) }
	o.server.WaitDelay = time.Minute
	out, err := o.server.StdoutPipe()
	if err != nil {
		return fmt.Errorf("bench open: %w", err)
	}
	if err := o.server.Start(); err != nil {
		return fmt.Errorf("bench open: %w", err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ HTTP string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bench open: the server said %q: %w", line, err), o.stop())
	}
	o.url = "http://" + ready.HTTP
	return nil
}

// stop has the server end in order.
func (o *open) stop() error {
	if err := o.server.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return fmt.Errorf("bench open: end the server: %w", err)
	}
	if err := o.server.Wait(); err != nil {
		return fmt.Errorf("bench open: the server ended with %w", err)
	}
	return nil
}

// fill sends all events, and waits until all instances are counted.
func (o *open) fill(ctx context.Context, r *OpenReport) error {
	began := time.Now()
	requests := int64(o.cfg.Instances / o.cfg.Batch * len(benchSteps))
	fault := make(chan error, 1)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			bodies := newBodies(&IngestConfig{Events: true, Steps: true, Batch: o.cfg.Batch}, uint64(o.began.UnixNano()))
			for {
				n := o.next.Add(1) - 1
				if n >= requests {
					return
				}
				body := bodies[n%int64(len(bodies))].of(uint64(n), o.began)
				if err := o.deliver(ctx, body); err != nil {
					select {
					case fault <- err:
					default:
					}
					return
				}
			}
		})
	}
	senders.Wait()
	select {
	case err := <-fault:
		return err
	default:
	}
	h, err := o.await(ctx, func(h openHealth) bool {
		return h.InFlight == o.cfg.Instances && h.Steps[len(benchSteps)-1].Reached == o.cfg.Instances
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	r.Instances, r.Signals, r.FillSeconds = h.InFlight, int(requests)*o.cfg.Batch, took.Seconds()
	r.SignalsPerSecond = float64(r.Signals) / took.Seconds()
	r.ResidentBytes, err = o.resident("VmRSS:")
	return err
}

// deliver sends a request until it is accepted.
func (o *open) deliver(ctx context.Context, body []byte) error {
	for {
		l := &load{cfg: IngestConfig{Events: true, Batch: o.cfg.Batch}, url: o.url + "/api/v1/events", http: http.DefaultClient}
		err := l.post(ctx, body, o.cfg.Batch)
		if err == nil || ctx.Err() != nil || !errors.Is(err, errRefused) {
			return err
		}
		pause(ctx) // a full bus says so
	}
}

// late waits until all are stuck.
func (o *open) late(ctx context.Context, r *OpenReport) error {
	deadline := o.began.Truncate(0).Add(o.cfg.Deadline)
	wait := time.Until(deadline)
	if wait < 0 {
		return fmt.Errorf("the deadline passed %v before all were open; give a later one", -wait)
	}
	timer := time.NewTimer(wait - beforeDeadline)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if r.RestingBytes, err = o.resident("VmRSS:"); err != nil {
		return err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", o.server.Process.Pid), []byte("5"), 0); err != nil { // the peak begins anew
		return fmt.Errorf("have the server's peak of memory begin anew: %w", err)
	}
	var first time.Time
	if _, err := o.await(ctx, func(h openHealth) bool {
		if h.Stuck > 0 && first.IsZero() {
			first = time.Now()
		}
		return h.Stuck == o.cfg.Instances
	}); err != nil {
		return err
	}
	r.FirstStuckSeconds, r.AllStuckSeconds = first.Sub(deadline).Seconds(), time.Since(deadline).Seconds()
	if r.PeakResidentBytes, err = o.resident("VmHWM:"); err != nil {
		return err
	}
	timer.Reset(rowsFollow)
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	following, err := o.resident("VmHWM:")
	r.PeakFollowingBytes = max(following, r.PeakResidentBytes) // the system counts it by batches of pages, and may say less than before
	return err
}

const (
	beforeDeadline = 200 * time.Millisecond // when the memory is looked at
	rowsFollow     = 5 * time.Second        // how long rows of the verdicts are being written before the server is stopped
)

// again stops the server and starts it again.
func (o *open) again(ctx context.Context, r *OpenReport) error {
	began := time.Now()
	if err := o.stop(); err != nil {
		return err
	}
	r.StopSeconds = time.Since(began).Seconds()
	if err := o.start(ctx); err != nil {
		return err
	}
	r.ReadySeconds = time.Since(o.started).Seconds()
	body := newBody(true, o.cfg.Batch, uint64(o.started.UnixNano()), -1).of(0, o.started) // of a flow that is not there
	if err := o.deliver(ctx, body); err != nil {
		return err
	}
	r.AcceptSeconds = time.Since(o.started).Seconds()
	// On the socket: until there are live numbers, the API answers from history.
	w, err := watchCount(ctx, LiveConfig{HTTP: strings.TrimPrefix(o.url, "http://"), Flow: "bench-open", first: restorePatience, counted: func(h *health) *int {
		if h.Stuck == nil || *h.Stuck != o.cfg.Instances {
			return nil
		}
		return h.Stuck
	}})
	if err != nil {
		return err
	}
	r.RestoreSeconds = time.Since(o.started).Seconds()
	_, err = w.close()
	return err
}

// restorePatience bounds the wait for the live numbers after a restart.
const restorePatience = 10 * time.Minute

// openHealth is what Open looks at.
type openHealth struct {
	InFlight int `json:"in_flight"`
	Stuck    int
	Steps    []struct{ Reached int }
}

// await asks until the answer fits.
func (o *open) await(ctx context.Context, fits func(openHealth) bool) (h openHealth, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if h, err = o.health(ctx); err != nil {
			return h, err
		}
		if len(h.Steps) > 0 && fits(h) {
			return h, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return h, fmt.Errorf("last seen: %+v: %w", h, ctx.Err())
		}
	}
}

func (o *open) health(ctx context.Context) (h openHealth, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/api/v1/flows/bench-open/health?window=1h", nil)
	if err != nil {
		return h, err //nolint:wrapcheck // it names the URL
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return h, err //nolint:wrapcheck // as above
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return h, fmt.Errorf("read health: %w", err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable { // ClickHouse is not there yet
		return openHealth{}, nil
	}
	if resp.StatusCode != http.StatusOK {
		return h, fmt.Errorf("read health: %s: %.300q", resp.Status, answer)
	}
	if err := json.Unmarshal(answer, &h); err != nil {
		return h, fmt.Errorf("read health: %w", err)
	}
	return h, nil
}

// resident is a figure of the server's memory, without that of its ClickHouse.
func (o *open) resident(what string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.server.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	_, after, _ := strings.Cut(string(status), what)
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0, fmt.Errorf("this system does not tell %s of a process", what)
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	return kilobytes << 10, nil
}

// OpenReport is the result of Open.
type OpenReport struct {
	Instances          int     `json:"instances"`
	Signals            int     `json:"signals"`
	FillSeconds        float64 `json:"fill_seconds"` // until all were counted
	SignalsPerSecond   float64 `json:"signals_per_second"`
	ResidentBytes      int64   `json:"resident_bytes"`      // then, without ClickHouse
	FirstStuckSeconds  float64 `json:"first_stuck_seconds"` // after the deadline
	AllStuckSeconds    float64 `json:"all_stuck_seconds"`
	RestingBytes       int64   `json:"resting_bytes"`        // resident right before the deadline
	PeakResidentBytes  int64   `json:"peak_resident_bytes"`  // from the deadline until all were stuck
	PeakFollowingBytes int64   `json:"peak_following_bytes"` // until 5 s later, while rows are written
	StopSeconds        float64 `json:"stop_seconds"`
	ReadySeconds       float64 `json:"ready_seconds"` // from the start of the process
	AcceptSeconds      float64 `json:"accept_seconds"`
	RestoreSeconds     float64 `json:"restore_seconds"` // to the live numbers of all instances
}

// String is the report for people.
func (r OpenReport) String() string {
	return fmt.Sprintf(`%d open instances of %d signals
  filled    in %.1f s, %.0f signals/s; resident %d MB
  deadline  first stuck after %.2f s, all after %.2f s; resident %d MB before it, peak %d MB until then, %d MB while rows follow
  restart   ended in %.1f s; accepts after %.2f s, live numbers after %.2f s
`, r.Instances, r.Signals, r.FillSeconds, r.SignalsPerSecond, r.ResidentBytes>>20, r.FirstStuckSeconds, r.AllStuckSeconds,
		r.RestingBytes>>20, r.PeakResidentBytes>>20, r.PeakFollowingBytes>>20, r.StopSeconds, r.AcceptSeconds, r.RestoreSeconds)
}
