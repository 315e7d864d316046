package chdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// locks keep a data folder for one engine. The first is held by this process only: whoever
// has it is the owner. The second is inherited by the child and held as long as either
// lives, so that the child of an owner that was killed can finish.
type locks struct{ owner, engine *os.File }

const (
	ownerWait  = 2 * time.Second  // for an owner that is just ending
	engineWait = 30 * time.Second // for an engine whose owner was killed
)

func lock(ctx context.Context, dir string) (*locks, error) {
	owner, err := lockFile(ctx, filepath.Join(dir, "owner.lock"), ownerWait)
	if err != nil {
		return nil, err
	}
	engine, err := lockFile(ctx, filepath.Join(dir, "engine.lock"), engineWait)
	if err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	return &locks{owner, engine}, nil
}

func (l *locks) release() error { return errors.Join(l.engine.Close(), l.owner.Close()) }

// lockFile tries for a while; ErrInUse says that it is still locked.
func lockFile(ctx context.Context, path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-limited.Done():
			return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Dir(path), ErrInUse), ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}
