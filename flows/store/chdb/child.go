package chdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// child is one process of the engine.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer // closing it ends the child
	output string    // file with what it wrote
	port   int
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended; read it after done
}

// start runs a child on port, 0 for any, and waits until it answers.
func (s *Server) start(ctx context.Context, port int) (*child, error) {
	dir := s.options.Dir
	boot := filepath.Join(dir, "boot")
	if err := writeConfig(s.options, boot, s.Password, port); err != nil {
		return nil, err
	}
	ports := filepath.Join(boot, "port.tsv")
	if err := os.Remove(ports); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the last port: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := &child{output: filepath.Join(boot, "output.log"), done: make(chan struct{})}
	output, err := os.OpenFile(c.output, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the engine's log: %w", err)
	}
	defer output.Close() // the child has its own
	c.cmd = exec.Command(self)
	c.cmd.Args = []string{role, s.options.Lib, boot}
	c.cmd.Dir = dir
	c.cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "TZ=UTC"} // no secret of ours
	c.cmd.ExtraFiles = []*os.File{s.locks.engine}
	c.cmd.Stdout, c.cmd.Stderr = output, output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, not for the child
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("make the engine's input: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	go func() { // ends with the process; everybody who ends it waits for done
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if err := c.awaitReady(ctx, ports); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// awaitReady waits until the child wrote its port and answers on it.
func (c *child) awaitReady(ctx context.Context, ports string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(ports)
		if err == nil && bytes.HasSuffix(b, []byte("\n")) {
			if c.port, err = strconv.Atoi(string(bytes.TrimSpace(b))); err != nil {
				return fmt.Errorf("read the engine's port: %w", err)
			}
			if ping(ctx, fmt.Sprintf("127.0.0.1:%d", c.port)) == nil {
				return nil
			}
		}
		select {
		case <-c.done:
			return c.exit()
		case <-ctx.Done():
			return fmt.Errorf("wait for the engine: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// watch returns nil when the child has ended or ctx has, and an error when the child lives
// but has not answered for long.
func (c *child) watch(ctx context.Context, addr string) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := ping(ctx, addr); err == nil {
			heard = time.Now()
		} else if silent := time.Since(heard); silent > hungAfter {
			return fmt.Errorf("no answer for %s: %w", silent.Round(time.Second), err)
		}
	}
}

// ping asks the engine whether it is alive.
func ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ping", nil)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	req.Close = true
	res, err := direct.Do(req)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	defer res.Body.Close()
	// A connection closed before the answer was read makes the engine log an error.
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<10)); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", res.Status)
	}
	return nil
}

// direct asks no proxy.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// end lets the child finish, and kills it when ctx ends first. One that has ended already
// is no error: it was reported, or is what was wanted.
func (c *child) end(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	if err := c.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		c.kill()
		return fmt.Errorf("close the engine's input: %w", err)
	}
	select {
	case <-c.done:
		if c.err != nil {
			return c.exit()
		}
		return nil
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("wait for the engine to end: %w", ctx.Err())
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself; done tells
	<-c.done
}

// exit says how the child ended, with the last of what it wrote. It may be called when
// done is closed.
func (c *child) exit() error {
	const lines = 2 << 10
	b, err := os.ReadFile(c.output)
	if err != nil {
		return fmt.Errorf("the engine ended (%v), its log is gone: %w", c.cmd.ProcessState, err)
	}
	b = bytes.TrimSpace(b)
	return fmt.Errorf("the engine ended (%v): %s", c.cmd.ProcessState, b[max(0, len(b)-lines):])
}
