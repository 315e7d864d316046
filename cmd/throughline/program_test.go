package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"throughline/flows/store"
	"throughline/flows/store/chdb"
)

// program is a running Throughline in a process of its own, which a test may kill.
type program struct {
	house
	cmd   *exec.Cmd
	log   *lockedBuffer
	ended chan struct{} // closed when the process is gone
}

// lockedBuffer takes what a process writes while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// throughline is the program with arguments, not started.
func throughline(t *testing.T, env map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), exe, args...)
	cmd.Env = append(os.Environ(), runAsMain+"=1")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// runProgram starts serve on a folder that dataFolder made, and waits until it is ready.
// It is killed at the end of the test.
func runProgram(t *testing.T, dir string, env map[string]string) *program {
	t.Helper()
	settings := testEnv(dir)
	maps.Copy(settings, env)
	p := &program{house: house{t: t, dir: dir}, cmd: throughline(t, settings, "serve"), log: &lockedBuffer{}, ended: make(chan struct{})}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, readErr := lines.ReadBytes('\n') // before Wait, which closes the pipe
	go func() {
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
	if readErr != nil {
		p.kill()
		t.Fatalf("serve said nothing: %v", readErr)
	}
	if err := json.Unmarshal(line, &p.addr); err != nil || !p.addr.Ready {
		t.Fatalf("serve said %q: %v", line, err)
	}
	return p
}

// kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// terminate asks the process to end, and waits until it is gone, orderly.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(45 * time.Second):
		p.t.Fatal("still there 45 s after SIGTERM")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("after SIGTERM it ended with %v", p.cmd.ProcessState)
	}
}

func (p *program) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// engineChild is the process of the embedded ClickHouse; 0 while there is none.
func (p *program) engineChild() int {
	pid := p.cmd.Process.Pid
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(child); err == nil {
				return pid
			}
		}
	}
	return 0
}

// residentBytes is the memory that a process holds, its greatest so far.
func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(after, &kilobytes); !ok || err != nil {
		t.Skipf("this system does not tell the greatest resident size: %v", err)
	}
	return kilobytes << 10
}

// clickhouse is an embedded ClickHouse that stands for a server of the user's.
func clickhouse(t *testing.T, dir string) *chdb.Server {
	t.Helper()
	lib, err := chdb.FindLib("")
	if err != nil {
		t.Skip(err)
	}
	server, err := chdb.Start(t.Context(), chdb.Options{Lib: lib, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

// external are the settings for a ClickHouse elsewhere, which speaks HTTP.
func external(t *testing.T, addr, password string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"THROUGHLINE_CLICKHOUSE_MODE": "external", "THROUGHLINE_CLICKHOUSE_ADDR": addr, "THROUGHLINE_CLICKHOUSE_PROTOCOL": "http",
		"THROUGHLINE_CLICKHOUSE_USERNAME": chdb.User, "THROUGHLINE_CLICKHOUSE_PASSWORD_FILE": file,
	}
}

// openTables connects to the tables beside the product.
func openTables(t *testing.T, server *chdb.Server) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{
		Addr: []string{server.Addr()}, HTTP: true, Username: chdb.User, Password: server.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// askTable reads one number.
func askTable(t *testing.T, s *store.Store, query string) (n uint64) {
	t.Helper()
	if err := s.Root().QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// healthAnswer is the answer of a flow's health, as far as tests look at it.
type healthAnswer struct {
	Health    string
	AsOf      time.Time `json:"as_of"`
	Restoring bool
	Started   int
	Completed int
	InFlight  int `json:"in_flight"`
	Stuck     int
	AtRisk    map[string]string `json:"value_at_risk"`
	Latency   map[string]any
	Steps     []struct {
		Step                                       string
		Reached, Waiting, Overdue, Skipped, Errors int
	}
	Edges []struct {
		From, To string
		Count    int
	}
}

func (h *house) health(flow, query string) (a healthAnswer) {
	h.t.Helper()
	h.get("/api/v1/flows/"+flow+"/health?"+query, &a)
	return a
}

// instanceAnswer is one instance, as far as tests look at it.
type instanceAnswer struct {
	Key           string
	State, Reason string
	Version       string
	StuckSeconds  float64 `json:"stuck_seconds"`
	RecoveredLate bool    `json:"recovered_late"`
	Conforming    bool
	Deviations    []string
	Value         map[string]string
	WaitingOn     []struct {
		Step, System   string
		DueAt          time.Time `json:"due_at"`
		Deadline       time.Time
		OverdueSeconds float64 `json:"overdue_seconds"`
	} `json:"waiting_on"`
	Path    []string
	Signals []struct {
		Source, ID, Name, System, Kind string
		TraceID                        string `json:"trace_id"`
	}
}

// instance asks for one instance; false where there is none.
func (h *house) instance(flow, key string) (a instanceAnswer, ok bool) {
	h.t.Helper()
	status, body := h.call(http.MethodGet, "/api/v1/flows/"+flow+"/instances/"+key, "", nil)
	if status == http.StatusNotFound {
		return a, false
	}
	if status != http.StatusOK {
		h.t.Fatalf("instance %s: %d %s", key, status, body)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		h.t.Fatal(err)
	}
	return a, true
}

// readyAnswer is /readyz.
type readyAnswer struct {
	Ready bool
	Parts []struct {
		Name   string
		Ready  bool
		State  string
		Detail string
	}
}

// part is what /readyz says of a part: its state and its detail.
func (h *house) part(name string) (state, detail string) {
	h.t.Helper()
	status, body := h.call(http.MethodGet, "/readyz", "", nil)
	var a readyAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		h.t.Fatalf("readyz: %d %s", status, body)
	}
	for _, p := range a.Parts {
		if p.Name == name {
			return p.State, p.Detail
		}
	}
	h.t.Fatalf("readyz does not speak of %s: %s", name, body)
	return "", ""
}

// awaitClickHouse waits until an external ClickHouse can be used.
func (h *house) awaitClickHouse() {
	h.t.Helper()
	h.eventually("ClickHouse is there", 30*time.Second, func() bool { state, _ := h.part("clickhouse"); return state == "ok" })
}
