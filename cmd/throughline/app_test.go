package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"throughline/flows/store/chdb"
)

// runAsMain makes the test binary the program itself, for tests that kill it. One that settles
// soon waits two seconds, not thirty, until its state counts as whole after a start; one that
// spills soon has 2,000 signals wait in memory.
const (
	runAsMain    = "THROUGHLINE_TEST_RUN_AS_MAIN"
	settlingSoon = "soon"
	spillingSoon = "spill"
)

func TestMain(m *testing.M) {
	chdb.Main()
	if how := os.Getenv(runAsMain); how != "" {
		switch how {
		case settlingSoon:
			settleAfter = 2 * time.Second
		case spillingSoon:
			spillFrom = 2000
		}
		main()
	}
	os.Exit(m.Run())
}

// shared is the folder of test data beside the checkout.
const shared = "../../../shared/data"

func needShared(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("test data not here: %v", err)
	}
}

// house is a running Throughline.
type house struct {
	t    *testing.T
	dir  string
	addr readyLine
}

// dataFolder is a data folder with flow files.
func dataFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := chdb.FindLib(""); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		writeFlow(t, dir, name, text)
	}
	return dir
}

func writeFlow(t *testing.T, dir, name, text string) {
	t.Helper()
	folder := filepath.Join(dir, "config", "flows")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testEnv are the settings of a test's process.
func testEnv(dir string) map[string]string {
	return map[string]string{
		"THROUGHLINE_HTTP_ADDR": "127.0.0.1:0", "THROUGHLINE_OTLP_GRPC_ADDR": "127.0.0.1:0", "THROUGHLINE_OTLP_HTTP_ADDR": "127.0.0.1:0",
		"THROUGHLINE_DATA_DIR": filepath.Join(dir, "data"), "THROUGHLINE_CONFIG_DIR": filepath.Join(dir, "config"),
	}
}

// start runs serve in this process until the test ends.
func start(t *testing.T, files map[string]string) *house {
	t.Helper()
	return startWith(t, files, nil)
}

// startWith is start with more settings.
func startWith(t *testing.T, files, settings map[string]string) *house {
	t.Helper()
	return startIn(t, dataFolder(t, files), settings)
}

// startIn is start in a folder that dataFolder made.
func startIn(t *testing.T, dir string, settings map[string]string) *house {
	t.Helper()
	h := &house{t: t, dir: dir}
	env := testEnv(h.dir)
	maps.Copy(env, settings)
	getenv := func(name string) string { return env[name] }
	config, err := Load("", getenv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan readyLine, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	go func() {
		ended <- serve(ctx, config, getenv, log, func(line readyLine) error { ready <- line; return nil })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	select {
	case h.addr = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return h
}

// get decodes the answer of an API call, which must be 200.
func (h *house) get(path string, to any) {
	h.t.Helper()
	status, body := h.call(http.MethodGet, path, "", nil)
	if status != http.StatusOK {
		h.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal(body, to); err != nil {
		h.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

func (h *house) call(method, path, contentType string, body []byte) (int, []byte) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr.HTTP+path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, answer
}

// cloudEvent is an event as a client sends it.
type cloudEvent struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	Time        string         `json:"time,omitempty"`
	Sequence    string         `json:"sequence,omitempty"`
	Data        map[string]any `json:"data"`
}

// send posts a batch, all of which must be accepted.
func (h *house) send(events ...cloudEvent) {
	h.t.Helper()
	for i := range events {
		events[i].SpecVersion = "1.0"
		if events[i].Source == "" {
			events[i].Source = "/test"
		}
	}
	body, err := json.Marshal(events)
	if err != nil {
		h.t.Fatal(err)
	}
	status, answer := h.call(http.MethodPost, "/api/v1/events", "application/cloudevents-batch+json", body)
	want := fmt.Sprintf(`{"accepted":%d,"rejected":[]}`, len(events))
	if status != http.StatusOK || string(bytes.TrimSpace(answer)) != want {
		h.t.Fatalf("sent %d events: %d %s", len(events), status, answer)
	}
}

// standsStill is how long a condition is waited for at least, whatever a quiet machine needs:
// one that does other things may stand still for long. What is promised in time is measured.
const standsStill = time.Minute

// eventually waits until a condition holds that something under way brings about.
func (h *house) eventually(what string, within time.Duration, holds func() bool) {
	h.t.Helper()
	within = max(within, standsStill)
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			h.t.Fatalf("not within %v: %s", within, what)
		}
	}
}
