package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// embedded is a JetStream server in this process that opens no port.
type embedded struct {
	*server.Server
	lock *os.File // held while the folder is in use
}

func startEmbedded(cfg Config) (*embedded, error) {
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
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
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("configure embedded NATS server: %w", err), lock.Close())
	}
	s.SetLoggerV2(serverLog{cfg.Log.With("part", "nats")}, false, false, false)
	s.Start()
	e := &embedded{s, lock}
	if !s.ReadyForConnections(30 * time.Second) {
		return nil, errors.Join(fmt.Errorf("start embedded NATS server on %s: not ready after 30 s", cfg.Dir), e.stop())
	}
	return e, nil
}

// stop ends the server after it has written its state, and frees the folder.
func (e *embedded) stop() error {
	e.Shutdown()
	e.WaitForShutdown()
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
// ports and clients that do not exist here.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any)         {}
func (l serverLog) Debugf(string, ...any)          {}
func (l serverLog) Tracef(string, ...any)          {}
func (l serverLog) Warnf(format string, v ...any)  { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l serverLog) Errorf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
func (l serverLog) Fatalf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
