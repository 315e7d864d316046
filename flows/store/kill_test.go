package store

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"throughline/flows"
	"throughline/flows/store/chdb"
)

// TestKillWhileInserting kills the engine again and again while a writer inserts, each batch
// repeated until it got nil: nothing is lost or doubled.
func TestKillWhileInserting(t *testing.T) {
	if testing.Short() {
		t.Skip("kills and restarts an engine")
	}
	lib, err := chdb.FindLib("")
	if err != nil {
		t.Skip(err)
	}
	server, err := chdb.Start(t.Context(), chdb.Options{Lib: lib, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := storeOn(t, server, "kill")
	const batches, size = 60, 200
	progress := make(chan int)
	failures := make(chan error, 1)
	go func() { // ends with its batches; the test reads progress until it is closed
		defer close(progress)
		for b := range batches {
			if err := insertUntilStored(t.Context(), s, b, size); err != nil {
				failures <- err
				return
			}
			progress <- b
		}
	}()
	kills := 0
	for b := range progress {
		if pid := server.Pid(); b%15 == 7 && pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				kills++
			}
		}
	}
	select {
	case err := <-failures:
		t.Fatal(err)
	default:
	}
	if kills == 0 {
		t.Fatal("nothing was killed")
	}
	for query, want := range map[string]uint64{
		"SELECT count() FROM signals":                  batches * size,
		"SELECT uniqExact(id) FROM signals":            batches * size,
		"SELECT count() FROM spans":                    batches * size,
		"SELECT count() FROM instances FINAL":          size,
		"SELECT min(row_version) FROM instances FINAL": batches,
	} {
		if got := count(t, s, query); got != want {
			t.Errorf("%s: %d, want %d (%d kills)", query, got, want, kills)
		}
	}
}

// insertUntilStored sends batch b of everything until all of it is stored.
func insertUntilStored(ctx context.Context, s *Store, b, size int) error {
	signals, states := make([]flows.Signal, size), make([]flows.InstanceRecord, size)
	var spans flows.SpanPacker
	for i := range size {
		id := fmt.Sprintf("%d-%d", b, i)
		signals[i] = flows.Signal{ID: id, Name: "n", Received: heard(), Data: map[string]any{"order_id": id}}
		if err := spans.Add(&flows.SpanRecord{TraceID: id, SpanID: id, Start: bounds[5]}); err != nil {
			return err
		}
		states[i] = flows.InstanceRecord{Flow: "f", Key: fmt.Sprint(i)}
	}
	blocks := spans.Blocks()
	token := fmt.Sprintf("%d-%d", b*size, (b+1)*size-1)
	for _, write := range []func() error{
		func() error { return s.InsertSignals(ctx, "SIGNALS:"+token, signals) },
		func() error { return s.InsertSpans(ctx, "SPANS:"+token, blocks, heard()) },
		func() error { return s.WriteInstances(ctx, uint64(b+1), states) },
	} {
		limit := time.After(time.Minute)
		for {
			err := write()
			if err == nil {
				break
			}
			if !Retryable(err) {
				return fmt.Errorf("not retryable: %w", err)
			}
			select {
			case <-limit:
				return err
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}
