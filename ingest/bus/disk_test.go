package bus

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"throughline/flows"
)

// smallDisk is a file system of so many bytes; the test is skipped where none can be made.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// incompressible is a signal of some 64 KB.
func incompressible(i int) flows.Batch {
	s := sample{newRand(uint64(i))}
	raw := make([]byte, 64<<10)
	for j := range raw {
		raw[j] = byte(s.Uint32())
	}
	return flows.Batch{Signals: []flows.Signal{{ID: strconv.Itoa(i), Sequence: string(raw)}}}
}

// TestFullDisk fills the disk, by what the bus takes and then by another's file. Every signal
// that was accepted is handed out, and none twice; the bus refuses meanwhile, and goes on by
// itself when there is room.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what was asked of a server that was stopped")
	}
	const size, keep = 32 << 20, 8 << 20
	disk := smallDisk(t, size)
	b, err := Open(t.Context(), Config{Dir: filepath.Join(disk, "nats"), KeepFree: keep, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var accepted, read []string
	next := 0
	fill := func(what string, reason error) {
		t.Helper()
		for ctx.Err() == nil {
			next++
			b.server.look(keep) // this is faster than any that comes from the network
			err := b.Publish(ctx, incompressible(next))
			if err == nil {
				accepted = append(accepted, strconv.Itoa(next))
				continue
			}
			if !Busy(err) {
				t.Fatalf("%s: %v", what, err)
			}
			if errors.Is(err, reason) {
				return
			}
		}
		t.Fatal(what)
	}
	recover := func(what string) {
		t.Helper()
		pause := time.NewTicker(50 * time.Millisecond)
		defer pause.Stop()
		for {
			next++
			err := b.Publish(ctx, incompressible(next))
			if err == nil {
				accepted = append(accepted, strconv.Itoa(next))
				return
			}
			select {
			case <-pause.C:
			case <-ctx.Done():
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	hold := make(chan struct{})
	running.Go(func() {
		err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(ctx context.Context, d Delivery) error {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range d.Signals {
				read = append(read, d.Signals[i].ID)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	fill("the bus fills its disk", ErrFull)
	if len(accepted) < (size-keep)/2/(64<<10) {
		t.Errorf("only %d were accepted", len(accepted))
	}
	// Now another takes what was kept free: what is written then fails.
	var other *os.File
	if other, err = os.Create(filepath.Join(disk, "other")); err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<16); err == nil; {
		_, err = other.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) || other.Close() != nil {
		t.Fatal(err)
	}
	if _, err := b.js.PublishAsync(Signals, make([]byte, 1<<20)); err != nil { // its answer never comes
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; !b.server.broken.Load(); <-tick.C {
		if ctx.Err() != nil {
			t.Fatal("the disk is not full")
		}
	}
	if err := b.Publish(ctx, incompressible(0)); !errors.Is(err, ErrFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := os.Remove(other.Name()); err != nil {
		t.Fatal(err)
	}
	close(hold)
	handled := func(what string) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			mu.Lock()
			all := len(read) >= len(accepted)
			mu.Unlock()
			if done, err := b.Done(ctx, Signals); err == nil && all {
				if last, err := b.LastSeq(ctx, Signals); err == nil && done == last && b.Trim(ctx, Signals, 1<<60) == nil {
					return
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				done, err := b.Done(context.Background(), Signals)
				last, err2 := b.LastSeq(context.Background(), Signals)
				t.Fatalf("%s: %d of %d were handed out, to %d of %d; %v, %v", what, len(read), len(accepted), done, last, err, err2)
			}
		}
	}
	handled("what was accepted before the disk was full")
	recover("room is there again")
	fill("it fills again", ErrFull)
	handled("what was accepted afterwards")
	cancel()
	running.Wait()
	slices.Sort(read)
	if unique := slices.Compact(slices.Clone(read)); len(unique) != len(read) {
		t.Errorf("%d handed out, of which %d are different", len(read), len(unique))
	}
	for _, id := range accepted {
		if _, ok := slices.BinarySearch(read, id); !ok {
			t.Errorf("%s was accepted and is lost", id)
		}
	}
}
