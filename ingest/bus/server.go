package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embeddedMaxPayload is the largest message of the embedded server, the most that NATS
// advises. Batches are cut far below; it bounds what a single item may have. A server of
// the user's has its own limit, 1 MiB by default.
const embeddedMaxPayload = 8 << 20

// smallState is room for positions and dead letters beside the two streams.
const smallState = 256 << 20

// embedded is a JetStream server in this process that opens no port. When its disk was full
// it is started anew as soon as there is room: its streams take nothing before.
type embedded struct {
	options server.Options
	log     *slog.Logger
	lock    *os.File // held while the folder is in use

	mu     sync.Mutex // guards server
	server *server.Server

	low    atomic.Bool // the disk has less room than is kept free
	broken atomic.Bool // a write failed for want of room
	ending chan struct{}
	done   sync.WaitGroup
}

// diskEvery is how often the room on the disk is looked at; in that time less is written
// than is kept free.
const diskEvery = 250 * time.Millisecond

func startEmbedded(cfg Config) (*embedded, error) {
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{log: cfg.Log, lock: lock, ending: make(chan struct{}), options: server.Options{
		ServerName:             "throughline",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               cfg.Dir,
		JetStreamMaxStore:      2*cfg.MaxBytes + smallState,
		SyncAlways:             cfg.SyncAlways,
		MaxPayload:             embeddedMaxPayload,
		MaxPending:             4 * embeddedMaxPayload,
	}}
	if err := e.start(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	e.look(cfg.KeepFree)
	e.done.Go(func() { // ended and awaited by stop
		tick := time.NewTicker(diskEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				e.look(cfg.KeepFree)
			case <-e.ending:
				return
			}
		}
	})
	return e, nil
}

func (e *embedded) start() error {
	options := e.options // the server keeps and changes them
	s, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("configure embedded NATS server: %w", err)
	}
	s.SetLoggerV2(serverLog{e.log.With("part", "nats"), &e.broken}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start embedded NATS server on %s: not ready after 30 s", e.options.StoreDir)
	}
	e.server = s
	return nil
}

// InProcessConn connects to the server that runs now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server.InProcessConn() //nolint:wrapcheck // the client says what it was doing
}

// look finds out whether there is room on the disk, keep bytes, and mends what a full disk
// left behind.
func (e *embedded) look(keep uint64) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(e.options.StoreDir, &disk); err != nil {
		e.log.Warn("room on the disk of the bus not known", "error", err)
		return
	}
	free := uint64(disk.Bavail) * uint64(disk.Bsize)
	if low := free < keep; e.low.Swap(low) != low {
		if low {
			e.log.Error("the bus refuses signals: make room on its disk", "folder", e.options.StoreDir, "free", free, "kept_free", keep)
		} else {
			e.log.Info("the bus has room on its disk again", "free", free)
		}
	}
	// A part of what is kept free is enough for positions, with which readers go on and
	// streams get shorter.
	if !e.broken.Load() || free < keep/4 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server.Shutdown()
	e.server.WaitForShutdown()
	e.broken.Store(false)
	if err := e.start(); err != nil {
		e.broken.Store(true) // the next look tries again
		e.log.Error("the bus was not started again after its disk was full", "error", err)
		return
	}
	e.log.Info("the bus was started again after its disk was full")
}

// full says whether the disk is.
func (e *embedded) full() bool { return e.low.Load() || e.broken.Load() }

// stop ends the server after it has written its state, and frees the folder.
func (e *embedded) stop() error {
	close(e.ending)
	e.done.Wait()
	e.server.Shutdown()
	e.server.WaitForShutdown()
	return e.lock.Close()
}

// lockFolder keeps a second process off the folder: JetStream itself would let it in, and
// the two would destroy each other's files. The lock goes with the process.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create bus folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock bus folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("bus folder %s is in use by another process; stop that one or choose another data_dir", dir), f.Close())
	}
	return f, nil
}

// serverLog passes on what an operator must know; the rest of the server's talk is about
// ports and clients that do not exist here. It takes note of a write that had no room, of
// which the server tells in no other way.
type serverLog struct {
	log    *slog.Logger
	noRoom *atomic.Bool
}

func (l serverLog) Noticef(string, ...any)        {}
func (l serverLog) Debugf(string, ...any)         {}
func (l serverLog) Tracef(string, ...any)         {}
func (l serverLog) Warnf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l serverLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
}

func (l serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, syscall.ENOSPC.Error()) && !l.noRoom.Swap(true) {
		l.log.Error("the disk of the bus is full", "error", text)
		return
	}
	l.log.Error(text)
}
