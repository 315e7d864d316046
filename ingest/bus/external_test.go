package bus

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"throughline/flows"
)

// startServer is a NATS server of the user's, on an address where nobody else takes its port
// while it is away.
func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.2", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("server is not ready")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func TestExternalServerGoesAndComesBack(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, server.RANDOM_PORT)
	port := s.Addr().(*net.TCPAddr).Port
	b := openAt(t, Config{URL: s.ClientURL(), MaxBytes: 64 << 20})
	publish(t, b, numbered(0, 3))

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	followed, ranged := make(chan string, 100), make(chan string, 100)
	ends := make(chan error, 2)
	go func() { // ends with ctx, awaited below
		ends <- b.Follow(ctx, FollowConfig{Stream: Signals}, pass(followed))
	}()
	go func() {
		ends <- b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, pass(ranged))
	}()
	take := func(from <-chan string, n int) (ids []string) {
		for len(ids) < n {
			select {
			case id := <-from:
				ids = append(ids, id)
			case <-ctx.Done():
				t.Fatalf("only %v came", ids)
			}
		}
		return ids
	}
	take(followed, 3)
	take(ranged, 3)

	s.Shutdown()
	s.WaitForShutdown()
	for err := error(nil); err == nil; { // the connection may need a moment to notice
		if err = b.Publish(ctx, flows.Batch{Signals: numbered(90, 1).Signals}); err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	startServer(t, dir, port)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for b.Publish(ctx, numbered(3, 1)) != nil {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("the bus did not come back")
		}
	}
	for _, from := range []<-chan string{followed, ranged} {
		if got := take(from, 1); !slices.Equal(got, []string{"3"}) {
			t.Fatalf("after the return came %v", got)
		}
	}
	cancel()
	if err := errors.Join(<-ends, <-ends); err != nil {
		t.Fatal(err)
	}
}

// pass hands the ids of what is delivered on.
func pass(to chan<- string) func(context.Context, Delivery) error {
	return func(_ context.Context, d Delivery) error {
		for i := range d.Signals {
			to <- d.Signals[i].ID
		}
		return nil
	}
}
