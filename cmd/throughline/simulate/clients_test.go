package simulate

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func sampleEvent(id string) event.Event {
	e := event.New()
	e.SetID(id)
	e.SetSource("webshop")
	e.SetType("order.placed")
	return e
}

func address(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func TestEventsAreSentUntilTaken(t *testing.T) {
	var asked atomic.Int32
	var got []event.Event
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if cehttp.IsHTTPBatch(r.Header) {
			events, err := cehttp.NewEventsFromHTTPRequest(r)
			if err != nil {
				t.Error(err)
			}
			got = append(got, events...)
		} else {
			e, err := cehttp.NewEventFromHTTPRequest(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *e)
		}
		_, _ = io.WriteString(w, `{"accepted":1,"rejected":[]}`)
	}))
	defer server.Close()
	c := newEventClient(address(server), quiet)
	defer c.close()
	c.post(t.Context(), []event.Event{sampleEvent("x-1")})
	c.post(t.Context(), []event.Event{sampleEvent("x-2")})
	c.post(t.Context(), []event.Event{sampleEvent("x-3"), sampleEvent("x-4")})
	if len(got) != 4 || got[0].ID() != "x-1" || got[1].ID() != "x-2" || got[3].ID() != "x-4" || asked.Load() != 4 {
		t.Fatalf("asked %d times, got %v", asked.Load(), got)
	}
}

func TestRefusedEventsAreNotSentAgain(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusBadRequest)
	}))
	defer server.Close()
	c := newEventClient(address(server), quiet)
	defer c.close()
	c.post(t.Context(), []event.Event{sampleEvent("x-1")})
	if asked.Load() != 1 {
		t.Fatalf("asked %d times", asked.Load())
	}
}

// TestRun plays to a server of each kind until both have heard something.
func TestRun(t *testing.T) {
	heard := make(chan string, 1000)
	events := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/v1/events" {
			heard <- "event"
		}
		_, _ = io.WriteString(w, `{"accepted":1,"rejected":[]}`)
	}))
	defer events.Close()
	spans := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if name, _ := grpc.MethodFromServerStream(stream); name == "/opentelemetry.proto.collector.trace.v1.TraceService/Export" {
			heard <- "span"
		}
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		return stream.SendMsg(&emptypb.Empty{})
	}))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = spans.Serve(listener) }() // ends with Stop
	defer spans.Stop()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{HTTP: address(events), OTLPGRPC: listener.Addr().String(), Rate: 20, Seed: 1, Log: quiet})
	}()
	for got := map[string]bool{}; len(got) < 2; {
		select {
		case what := <-heard:
			got[what] = true
		case <-ctx.Done():
			t.Fatalf("heard only %v", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
