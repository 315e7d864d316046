package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// loadFlows are two flows that get the same traffic.
var loadFlows = map[string]string{"orders": loadFlow("order"), "parcels": loadFlow("parcel")}

func loadFlow(what string) string {
	return fmt.Sprintf("flow: %[1]ss\nkey: %[1]s_id\nsteps:\n"+
		"  - {id: begun, match: {event: %[1]s.begun}, start: true}\n"+
		"  - {id: moved, match: {event: %[1]s.moved}, after: begun, within: 1h}\n"+
		"  - {id: ended, match: {event: %[1]s.ended}, after: moved, within: 1h, end: completed}\n", what)
}

const (
	loadCases   = 2000 // of each flow
	loadEvents  = 2 * 3 * loadCases
	loadRate    = 2000 // events a second
	batchSize   = 40
	loadSenders = 4
)

// traffic sends loadEvents events and as many spans, each until it is accepted.
type traffic struct {
	addr     atomic.Pointer[readyLine] // of the process that runs now
	accepted atomic.Int64
	retries  atomic.Int64 // batches that were sent again
	took     time.Duration
	done     chan error
}

// send starts the traffic. Each third of it has one step of every case, so that an
// interruption at any time falls into the middle of cases.
func sendTraffic(ctx context.Context, addr readyLine) *traffic {
	l := &traffic{done: make(chan error, 1)}
	l.addr.Store(&addr)
	batches := make(chan int)
	go func() { // ends with the traffic, or with ctx
		defer close(batches)
		pace := time.NewTicker(time.Second * batchSize / loadRate)
		defer pace.Stop()
		for first := 0; first < loadEvents; first += batchSize {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
			select {
			case batches <- first:
			case <-ctx.Done():
				return
			}
		}
	}()
	began := time.Now()
	var senders sync.WaitGroup
	faults := make([]error, loadSenders)
	for i := range loadSenders {
		senders.Go(func() {
			for first := range batches {
				err := errors.Join(
					l.deliver(ctx, first, l.spans),
					l.deliver(ctx, first, l.events),
				)
				if err != nil && faults[i] == nil {
					faults[i] = err
				}
			}
		})
	}
	go func() { // ends after the senders
		senders.Wait()
		l.took = time.Since(began)
		l.done <- errors.Join(faults...)
	}()
	return l
}

// loadBody is a batch of events, as they are sent every time.
func loadBody(first int) []byte {
	events := make([]cloudEvent, batchSize)
	for i := range events {
		n := first + i
		what, n := []string{"order", "parcel"}[n%2], n/2
		step, number := []string{"begun", "moved", "ended"}[n/loadCases], n%loadCases
		events[i] = cloudEvent{
			SpecVersion: "1.0", ID: fmt.Sprintf("%s-%s-%d", what, step, number), Source: "/load", Type: what + "." + step,
			Time: time.Now().UTC().Format(time.RFC3339Nano), Data: map[string]any{what + "_id": fmt.Sprint(number)},
		}
	}
	body, err := json.Marshal(events)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return body
}

// deliver sends a batch until it is accepted.
func (l *traffic) deliver(ctx context.Context, first int, once func(context.Context, int) (bool, error)) error {
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		again, err := once(ctx, first)
		if !again {
			return err
		}
		l.retries.Add(1)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		}
	}
}

func (l *traffic) events(ctx context.Context, first int) (again bool, err error) {
	answer, again, err := sendOnce(ctx, "http://"+l.addr.Load().HTTP+"/api/v1/events", "application/cloudevents-batch+json", loadBody(first))
	if err != nil {
		return again, err
	}
	var a struct{ Accepted int }
	if err := json.Unmarshal(answer, &a); err != nil || a.Accepted != batchSize {
		return false, fmt.Errorf("a batch was answered %s", answer)
	}
	l.accepted.Add(batchSize)
	return false, nil
}

func (l *traffic) spans(ctx context.Context, first int) (again bool, err error) {
	answer, again, err := sendOnce(ctx, "http://"+l.addr.Load().OTLPHTTP+"/v1/traces", "application/json", spansBody(first, batchSize, usualName))
	if err == nil && bytes.Contains(answer, []byte("rejected")) {
		err = fmt.Errorf("spans were answered %s", answer)
	}
	return again, err
}

// sendOnce posts a request; again says that the sender is to repeat it.
func sendOnce(ctx context.Context, url, contentType string, body []byte) (answer []byte, again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, true, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil || response.StatusCode == http.StatusServiceUnavailable || response.StatusCode == http.StatusTooManyRequests {
		return nil, true, fmt.Errorf("%d %s: %w", response.StatusCode, answer, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("a request was answered %d %s", response.StatusCode, answer)
	}
	return answer, false, nil
}

// reach waits until so many events are accepted.
func (l *traffic) reach(t *testing.T, n int64) {
	t.Helper()
	(&house{t: t}).eventually(fmt.Sprintf("%d events are accepted", n), 60*time.Second, func() bool { return l.accepted.Load() >= n })
}

func (l *traffic) wait(t *testing.T) {
	t.Helper()
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events accepted in %v (%.0f a second), %d batches sent again",
		l.accepted.Load(), l.took, float64(l.accepted.Load())/l.took.Seconds(), l.retries.Load())
}

// allCounted says whether a flow's numbers are those of all cases, each once.
func allCounted(a healthAnswer) bool {
	for _, s := range a.Steps {
		if s.Reached != loadCases || s.Waiting+s.Overdue+s.Skipped+s.Errors > 0 {
			return false
		}
	}
	for _, e := range a.Edges {
		if e.Count != loadCases || e.From == e.To {
			return false
		}
	}
	return a.Started == loadCases && a.Completed == loadCases && a.InFlight == 0 && len(a.Edges) == 2
}

// countedOnce checks that accepted is counted: stored, live, and in the tables, which it
// reads after it has ended the process.
func countedOnce(t *testing.T, p *program) {
	t.Helper()
	for flow := range loadFlows {
		for _, window := range []string{"all", "1h"} {
			var a healthAnswer
			defer func() {
				if t.Failed() {
					t.Logf("%s, window %s: %+v", flow, window, a)
				}
			}()
			p.eventually(fmt.Sprintf("%s are counted, window %s", flow, window), 40*time.Second, func() bool {
				a = p.health(flow, "window="+window)
				return allCounted(a)
			})
		}
		var variants struct {
			Variants []variantAnswer
			Total    int
		}
		p.eventually("the variants of "+flow+" are counted", 40*time.Second, func() bool { // of what is stored
			p.get("/api/v1/flows/"+flow+"/variants", &variants)
			return variants.Total == 1 && variants.Variants[0].Count == loadCases
		})
	}
	p.terminate()
	s := openTables(t, clickhouse(t, p.dir+"/data/clickhouse"))
	for query, want := range map[string]uint64{
		"SELECT uniqExact(source, id) FROM throughline.signals":                                     loadEvents,
		"SELECT uniqExact(TraceId, SpanId) FROM throughline.spans":                                  loadEvents,
		"SELECT count() FROM throughline.spans FINAL":                                               loadEvents,
		"SELECT count() FROM throughline.steps FINAL":                                               loadEvents,
		"SELECT count() FROM throughline.instances FINAL":                                           2 * loadCases,
		"SELECT countIf(state = 'completed' AND length(path) = 3) FROM throughline.instances FINAL": 2 * loadCases,
	} {
		if got := askTable(t, s, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// TestKilledUnderLoad kills the program twice in a row, and then once more.
func TestKilledUnderLoad(t *testing.T) {
	needLoad(t)
	p := runProgram(t, dataFolder(t, loadFlows), nil)
	load := sendTraffic(t.Context(), p.addr)
	again := func() {
		p.kill()
		p = runProgram(t, p.dir, nil)
		load.addr.Store(&p.addr)
	}
	load.reach(t, loadEvents/5)
	again()
	again()
	load.reach(t, loadEvents/5*3)
	again()
	load.wait(t)
	if load.retries.Load() == 0 {
		t.Error("no batch failed: nothing was killed under load")
	}
	countedOnce(t, p)
}

// TestEngineKilledUnderLoad kills the ClickHouse child, which comes back by itself.
func TestEngineKilledUnderLoad(t *testing.T) {
	needLoad(t)
	p := runProgram(t, dataFolder(t, loadFlows), nil)
	load := sendTraffic(t.Context(), p.addr)
	for _, part := range []int64{1, 3} {
		load.reach(t, loadEvents/5*part)
		child := p.engineChild()
		if child == 0 {
			t.Fatal("there is no child")
		}
		if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.eventually("another child runs", 20*time.Second, func() bool { c := p.engineChild(); return c != 0 && c != child })
	}
	load.wait(t)
	if n := load.retries.Load(); n > 0 {
		t.Errorf("%d batches were refused, though the bus was there", n)
	}
	countedOnce(t, p)
}

// TestStoppedUnderLoad ends the program orderly, in the middle.
func TestStoppedUnderLoad(t *testing.T) {
	needLoad(t)
	p := runProgram(t, dataFolder(t, loadFlows), nil)
	load := sendTraffic(t.Context(), p.addr)
	load.reach(t, loadEvents/3)
	p.terminate()
	p = runProgram(t, p.dir, nil)
	load.addr.Store(&p.addr)
	load.wait(t)
	countedOnce(t, p)
}

// TestKilledWithAllOnTheBus kills the program when nothing of what it accepted is stored
// yet, because ClickHouse stands still.
func TestKilledWithAllOnTheBus(t *testing.T) {
	needLoad(t)
	p := runProgram(t, dataFolder(t, loadFlows), nil)
	child := p.engineChild()
	if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	load := sendTraffic(t.Context(), p.addr)
	load.reach(t, loadEvents/2)
	if now := p.engineChild(); now != child {
		t.Fatalf("ClickHouse is process %d, and was %d: it did not stand still", now, child)
	}
	p.kill()
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	p = runProgram(t, p.dir, nil)
	load.addr.Store(&p.addr)
	load.wait(t)
	countedOnce(t, p)
}

func needLoad(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("sends 2,000 events a second for some seconds")
	}
}

// TestAcceptedIsDurable kills the program while many large batches are on their way: every
// batch that was accepted is there after a restart, whole.
func TestAcceptedIsDurable(t *testing.T) {
	needLoad(t)
	const rounds, senders, size = 3, 16, 500
	server := clickhouse(t, t.TempDir())
	settings := external(t, server.Addr(), server.Password)
	p := runProgram(t, dataFolder(t, loadFlows), settings)
	accepted := make(chan string, 10_000)
	for round := range rounds {
		ctx, stop := context.WithCancel(t.Context())
		var count atomic.Int64
		var sending sync.WaitGroup
		for sender := range senders {
			sending.Go(func() { // ends with the process
				for n := 0; ctx.Err() == nil; n++ {
					source := fmt.Sprintf("/burst/%d/%d/%d", round, sender, n)
					if !acceptedBurst(ctx, p.addr.HTTP, source, size) {
						return
					}
					accepted <- source
					count.Add(1)
				}
			})
		}
		p.eventually("some batches are accepted", 20*time.Second, func() bool { return count.Load() >= 2*senders })
		p.kill()
		stop()
		sending.Wait()
		p = runProgram(t, p.dir, settings)
	}
	close(accepted)
	var sources []string
	for source := range accepted {
		sources = append(sources, "'"+source+"'")
	}
	s := openTables(t, server)
	query := fmt.Sprintf("SELECT count() FROM (SELECT source FROM throughline.signals WHERE source IN (%s) GROUP BY source HAVING uniqExact(id) = %d)",
		strings.Join(sources, ","), size)
	whole := uint64(0)
	defer func() { t.Logf("%d batches were accepted, %d of them are there", len(sources), whole) }()
	p.eventually("all that was accepted is stored", 30*time.Second, func() bool {
		whole = askTable(t, s, query)
		return whole == uint64(len(sources))
	})
}

// acceptedBurst sends a batch, once, and says whether it was accepted.
func acceptedBurst(ctx context.Context, addr, source string, size int) bool {
	events := make([]cloudEvent, size)
	for i := range events {
		events[i] = cloudEvent{SpecVersion: "1.0", ID: fmt.Sprint(i), Source: source, Type: "burst"}
	}
	body, err := json.Marshal(events)
	if err != nil {
		return false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/v1/events", bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/cloudevents-batch+json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusOK
}
