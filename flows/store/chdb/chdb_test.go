package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const holder = "throughline-chdb-test-holder" // program name of a second process that holds an engine

func TestMain(m *testing.M) {
	Main()
	if os.Args[0] == holder {
		hold(os.Args[1], os.Args[2])
	}
	goleak.VerifyTestMain(m)
}

// hold runs an engine until it is killed.
func hold(lib, dir string) {
	s, err := Start(context.Background(), Options{Lib: lib, Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", s.Pid())
	select {}
}

func findLib(t *testing.T) string {
	t.Helper()
	lib, err := FindLib("")
	if err != nil {
		t.Skip(err)
	}
	return lib
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{Lib: findLib(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// ask runs a query over plain HTTP.
func ask(t *testing.T, s *Server, user, password, query string) (string, int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	res, err := direct.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(b)), res.StatusCode, err
}

func mustAsk(t *testing.T, s *Server, query string) string {
	t.Helper()
	answer, status, err := ask(t, s, User, s.Password, query)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s %v", query, status, answer, err)
	}
	return answer
}

func TestServesOnlyItsUser(t *testing.T) {
	s := start(t, t.TempDir())
	if got := mustAsk(t, s, "SELECT 1 + 1, timezone()"); got != "2\tUTC" {
		t.Errorf("got %q", got)
	}
	for _, who := range [][2]string{{User, "wrong"}, {User, ""}, {"default", ""}, {"default", s.Password}} {
		if answer, status, err := ask(t, s, who[0], who[1], "SELECT 1"); err != nil || status == http.StatusOK {
			t.Errorf("%s with %q may in: %d %s %v", who[0], who[1], status, answer, err)
		}
	}
	if log, err := os.ReadFile(filepath.Join(s.options.Dir, "engine.log")); err == nil && strings.Contains(string(log), "<Error> StaticRequestHandler") {
		t.Errorf("probes make the engine log errors:\n%.500s", log)
	}
	if mode := fileMode(t, filepath.Join(s.options.Dir, "boot", "users.xml")); mode != 0o600 {
		t.Errorf("users.xml has mode %o", mode)
	}
}

func fileMode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestComesBackAfterKill(t *testing.T) {
	s := start(t, t.TempDir())
	mustAsk(t, s, "CREATE DATABASE d ENGINE = Atomic")
	mustAsk(t, s, "CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	addr := s.Addr()
	for round := 1; round <= 3; round++ {
		mustAsk(t, s, fmt.Sprintf("INSERT INTO d.t SELECT number FROM numbers(%d)", 1000*round))
		pid := s.Pid()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		awaitOther(t, s, pid)
		if s.Addr() != addr {
			t.Fatalf("address changed from %s to %s", addr, s.Addr())
		}
		if got, want := mustAsk(t, s, "SELECT count() FROM d.t"), fmt.Sprint(1000*round*(round+1)/2); got != want {
			t.Fatalf("round %d: %s rows, want %s", round, got, want)
		}
	}
}

// awaitOther waits until another child than pid runs.
func awaitOther(t *testing.T, s *Server, pid int) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		if now := s.Pid(); now != 0 && now != pid {
			return
		}
		select {
		case <-limit:
			t.Fatal("the engine does not come back")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	lib := findLib(t)
	begin := time.Now()
	_, err := Start(t.Context(), Options{Lib: lib, Dir: dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %s to say so", took)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("not one sentence: %v", err)
	}
}

// TestOrphanEnds kills the owner of an engine: the engine ends, and the folder can be used.
func TestOrphanEnds(t *testing.T) {
	lib, dir := findLib(t), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{holder, lib, dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "ready %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Lib: lib, Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Fatalf("while another process has it: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, so it is an error
	s := start(t, dir)
	if runs(pid) {
		t.Errorf("the orphan %d still runs", pid)
	}
	mustAsk(t, s, "SELECT 1")
}

// runs says whether a process exists and is not just waiting to be reaped.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestStopIsIdempotent(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	pid := s.Pid()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := s.Stop(context.Background()); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	wg.Wait()
	if s.Pid() != 0 {
		t.Errorf("pid %d after stop", s.Pid())
	}
	if runs(pid) {
		t.Errorf("the engine %d still runs", pid)
	}
	start(t, dir) // the folder is free again
}

func TestStopWhileRestarting(t *testing.T) {
	s, err := Start(t.Context(), Options{Lib: findLib(t), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = s.Stop(context.Background()) // may tell of the kill; must return
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(lib, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Lib: lib, Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "libchdb.so") {
		t.Fatalf("got %v", err)
	}
	start(t, dir) // and the folder is not left locked
}

func TestFindLib(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if _, err := FindLib(filepath.Join(dir, "none.so")); err == nil {
		t.Error("an explicit path that does not exist is taken")
	}
	if lib, err := FindLib(""); err == nil {
		t.Skip("this machine has one in a system folder:", lib)
	} else if !strings.Contains(err.Error(), "npm ci") || !strings.Contains(err.Error(), "clickhouse.mode: external") {
		t.Errorf("does not say how to get it: %v", err)
	}
	want := filepath.Join(dir, "node_modules", npmPackage(), libName)
	if err := os.MkdirAll(filepath.Dir(want), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := FindLib("")
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := filepath.EvalSymlinks(want); got != want && got != same {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := FindLib(want); err != nil || got != want {
		t.Errorf("explicit: %s, %v", got, err)
	}
}
