package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// command runs the program to its end, in this process, and returns its exit code.
func command(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, faults bytes.Buffer
	code = exitCode(run(t.Context(), args, func(name string) string { return env[name] }, &out, &faults), &faults)
	return code, out.String(), faults.String()
}

func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"serve"}, {"demo"}, {"check"}, {"import"}, {"migrate", "up"}, {"migrate", "status"}, {"bench", "live"},
	} {
		code, stdout, stderr := command(t, nil, append(args, "--help")...)
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "Example") || !strings.Contains(stdout, "throughline "+args[0]) {
			t.Errorf("%v --help: exit code %d, said %q %q", args, code, stdout, stderr)
		}
	}
	code, stdout, _ := command(t, nil)
	if code != exitDone || !strings.Contains(stdout, "serve") || !strings.Contains(stdout, "import") {
		t.Errorf("without a command: exit code %d, said %q", code, stdout)
	}
}

// closedAddr is an address where nobody listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nobody := closedAddr(t)
	log := filepath.Join(dir, "log.csv")
	if err := os.WriteFile(log, []byte("case_id,activity,timestamp\n1,order.placed,2026-01-01T00:00:00Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeFlow(t, dir, "bad", "flow: bad\nkey: order_id\nsteps:\n  - {id: a, match: {event: a}, afer: b}\n")
	env := testEnv(dir)
	away := map[string]string{"THROUGHLINE_CLICKHOUSE_MODE": "external", "THROUGHLINE_CLICKHOUSE_ADDR": nobody}
	for name, value := range env {
		away[name] = value
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		says string // on stderr or stdout
	}{
		{"unknown command", nil, []string{"srve"}, exitUsage, `did you mean "serve"`},
		{"unknown flag", nil, []string{"serve", "--prt", "1"}, exitUsage, "--prt"},
		{"unknown flag of a subcommand", nil, []string{"migrate", "up", "--al"}, exitUsage, "--al"},
		{"bad value of a flag", nil, []string{"bench", "live", "--rate", "many"}, exitUsage, "--rate"},
		{"missing argument", nil, []string{"import", "--flow", "f"}, exitUsage, "<file>"},
		{"missing flag", nil, []string{"import", log}, exitUsage, "--flow"},
		{"bad server", nil, []string{"import", "--flow", "f", "--server", "nowhere", log}, exitUsage, "http://"},
		{"no server", nil, []string{"import", "--flow", "f", "--server", "http://" + nobody, log}, exitUnreachable, nobody},
		{"no server to measure", nil, []string{"bench", "live", "--server", "http://" + nobody, "--duration", "100ms"}, exitUnreachable, nobody},
		{"no ClickHouse", away, []string{"migrate", "status"}, exitUnreachable, nobody},
		{"no such log", env, []string{"import", "--flow", "f", filepath.Join(dir, "nothing.csv")}, exitUsage, "nothing.csv"},
		{"a bad flow file", nil, []string{"check", filepath.Join(dir, "config")}, exitInput, "bad.yaml:4:"},
		{"not loopback", env, []string{"serve", "--http-addr", "0.0.0.0:0"}, exitInput, "loopback"},
		{"no address", env, []string{"serve", "--http-addr", "nonsense"}, exitInput, "http_addr"},
		{"no such configuration", env, []string{"serve", "--config", filepath.Join(dir, "nothing.yaml")}, exitInput, "nothing.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := command(t, c.env, c.args...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, want %d with %q; said %q %q", code, c.code, c.says, stdout, stderr)
			}
			if strings.Contains(stderr, "goroutine ") || strings.Count(stderr, "\n") > 3 {
				t.Errorf("not a sentence: %s", stderr)
			}
		})
	}
}

// TestDataFolderInUse runs commands on the folder of a running program.
func TestDataFolderInUse(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	p := runProgram(t, dir, nil)
	log := filepath.Join(dir, "log.csv")
	if err := os.WriteFile(log, []byte("case_id,activity,timestamp\n1,order.placed,2026-01-01T00:00:00Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"demo", "--data-dir", filepath.Join(dir, "data")}, {"import", "--flow", "orders", log}, {"migrate", "status"}} {
		cmd := throughline(t, testEnv(dir), args...)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { // ends with the process
			_ = cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(slow * 15 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			t.Fatalf("%v did not end: %s", args, &said)
		}
		if code := cmd.ProcessState.ExitCode(); code != exitInput {
			t.Errorf("%v: exit code %d", args, code)
		}
		var sentences []string
		for line := range strings.Lines(said.String()) {
			if strings.HasPrefix(line, "throughline: ") {
				sentences = append(sentences, line)
			}
		}
		if len(sentences) != 1 || !strings.Contains(sentences[0], "in use") || !strings.Contains(sentences[0], dir) || strings.Contains(out.String(), "ready") {
			t.Errorf("%v said %q %q", args, &said, &out)
		}
	}
	if status, body := p.call("GET", "/readyz", "", nil); status != 200 {
		t.Errorf("the running program is not ready: %d %s", status, body)
	}
	p.terminate()
}
