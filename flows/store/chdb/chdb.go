// Package chdb runs a private ClickHouse (libchdb.so) in a child process: the program
// starts itself again, the child loads the library without cgo and serves ClickHouse's
// HTTP interface on loopback until its standard input closes.
//
// Guarantees: one engine a data folder, also across kills (a lock that the child inherits);
// the child never outlives its parent, however that ends; a child that dies or hangs is
// started again on the same address with the same password; what an insert acknowledged
// survives the death of any of the processes. Only HTTP is opened, since the native
// listener of this build can be crashed by anyone who can connect.
package chdb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// User is the name to log in with.
const User = "throughline"

// ErrInUse says that another process runs an engine on the data folder.
var ErrInUse = errors.New("the data folder is in use by another process: stop that one, or choose another folder")

// Options of an engine.
type Options struct {
	Lib       string // path of libchdb.so, from FindLib
	Dir       string // everything lives below it
	MaxMemory int64  // bytes, of the whole engine; 0 is 2 GiB
	Log       *slog.Logger
}

const (
	defaultMaxMemory = 2 << 30
	minBackoff       = 100 * time.Millisecond
	maxBackoff       = 5 * time.Second
	settled          = time.Minute // an engine that dies younger is started again less and less often
	startTimeout     = time.Minute // on a busy machine; a usual start takes half a second
	probeEvery       = 5 * time.Second
	hungAfter        = time.Minute // without an answer to a probe
)

// Server is a running engine and its supervisor.
type Server struct {
	Password string

	options Options
	locks   *locks
	addr    string
	stop    context.CancelFunc // ends the supervisor
	done    chan struct{}      // closed when the supervisor has ended

	mu    sync.Mutex // guards child
	child *child     // nil while there is none

	ending sync.Once // ends the child, guards err
	err    error
}

// Start runs an engine and returns when it answers. It fails with ErrInUse where another
// process has the folder. Main must have been called first in this program.
func Start(ctx context.Context, o Options) (*Server, error) {
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if o.Lib, err = filepath.Abs(o.Lib); err != nil { // the child runs in Dir
		return nil, fmt.Errorf("libchdb.so: %w", err)
	}
	o.MaxMemory = cmp.Or(o.MaxMemory, defaultMaxMemory)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if err := os.MkdirAll(filepath.Join(o.Dir, "boot"), 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	locks, err := lock(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{Password: rand.Text(), options: o, locks: locks, done: make(chan struct{})}
	c, err := s.start(ctx, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded ClickHouse: %w", err), locks.release())
	}
	s.addr = fmt.Sprintf("127.0.0.1:%d", c.port)
	s.child = c
	// The supervisor lives until Stop, whatever becomes of the context of the start.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.supervise(running, c)
	return s, nil
}

// Addr is host:port of the HTTP interface. It stays the same when the engine is restarted.
func (s *Server) Addr() string { return s.addr }

// Pid is the process id of the engine; 0 while it is being restarted.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return 0
	}
	return s.child.cmd.Process.Pid
}

// Stop lets the engine end and waits for it; it is killed when ctx ends first, which loses
// nothing that was acknowledged. It may be called more than once, and at once.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	<-s.done
	s.ending.Do(func() {
		if s.child != nil {
			s.err = s.child.end(ctx)
			s.setChild(nil)
		}
		s.err = errors.Join(s.err, s.locks.release())
	})
	return s.err
}

// supervise waits for the end of the child, probes it, and starts it again, until ctx ends.
// Stop ends it, waits for it, and then ends the child that it leaves.
func (s *Server) supervise(ctx context.Context, c *child) {
	defer close(s.done)
	wait := minBackoff
	for {
		began := time.Now()
		if hung := c.watch(ctx, s.addr); hung != nil {
			s.options.Log.Error("the embedded ClickHouse hangs and is killed", "error", hung)
			c.kill()
		}
		if ctx.Err() != nil {
			return
		}
		s.setChild(nil)
		s.options.Log.Error("the embedded ClickHouse ended and is started again", "error", c.exit())
		if time.Since(began) > settled {
			wait = minBackoff
		}
		if c = s.restart(ctx, c.port, wait); c == nil {
			return
		}
		wait = min(2*wait, maxBackoff)
		s.setChild(c)
		s.options.Log.Info("the embedded ClickHouse is back", "pid", c.cmd.Process.Pid)
	}
}

// restart tries until a child answers on port, or ctx ends: nil. It waits before each try.
func (s *Server) restart(ctx context.Context, port int, wait time.Duration) *child {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		limited, cancel := context.WithTimeout(ctx, startTimeout)
		c, err := s.start(limited, port)
		cancel()
		if err == nil {
			return c
		}
		if ctx.Err() == nil {
			s.options.Log.Error("the embedded ClickHouse does not start", "error", err)
		}
		wait = min(2*wait, maxBackoff)
	}
}

func (s *Server) setChild(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = c
}
