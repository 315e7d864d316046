package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"throughline/flows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is as much of Throughline as Live meets: events in, counts out.
type server struct {
	t      *testing.T
	refuse func(request int) bool // 503 for it
	lose   func(request int) bool // accepted, and never counted

	mu       sync.Mutex // guards the fields below
	requests int
	ids      map[string]bool
	started  int
	changed  chan int
}

// startServer begins to count at 40, as if others had been there before.
func startServer(t *testing.T, s *server) string {
	s.t, s.ids, s.started, s.changed = t, map[string]bool{}, 40, make(chan int, 10_000)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/events", s.events)
	mux.HandleFunc("GET /api/v1/live", s.live)
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return strings.TrimPrefix(h.URL, "http://")
}

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if r.Header.Get("Content-Type") == "application/cloudevents+json" {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	var batch []struct {
		ID, Type string
		Data     map[string]any
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.refuse != nil && s.refuse(s.requests) {
		http.Error(w, "full", http.StatusServiceUnavailable)
		return
	}
	for _, e := range batch {
		if e.Type != "bench.begun" || e.Data["bench_id"] == "" || s.ids[e.ID] {
			s.t.Errorf("event %+v", e)
		}
		s.ids[e.ID] = true
	}
	if s.lose == nil || !s.lose(s.requests) {
		s.started += len(batch)
		s.changed <- s.started
	}
	fmt.Fprintf(w, `{"accepted":%d,"rejected":[]}`, len(batch))
}

func (s *server) live(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("flow") != "bench" {
		s.t.Errorf("asked for %s", r.URL)
	}
	var up websocket.Upgrader
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	gone := make(chan struct{})
	go func() { // ends with the connection
		defer close(gone)
		_, _, _ = conn.ReadMessage()
	}()
	defer func() { _ = conn.Close(); <-gone }()
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"heartbeat"}`))
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"health","flow":"bench","started":40,"stuck":0}`))
	for {
		select {
		case started := <-s.changed:
			_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"health","flow":"bench","stuck":1}`))
			_ = conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"health","flow":"bench","started":%d}`, started))
		case <-gone:
			return
		}
	}
}

func TestLive(t *testing.T) {
	for _, batch := range []int{1, 10} {
		address := startServer(t, &server{})
		r, err := Live(t.Context(), LiveConfig{HTTP: address, Rate: 500, Duration: 400 * time.Millisecond, Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		if r.Accepted != 200 || r.Refused+r.Lost != 0 || r.P50Seconds <= 0 || r.P50Seconds > r.P99Seconds || r.P99Seconds > r.MaxSeconds {
			t.Fatalf("%+v", r)
		}
		if !strings.Contains(r.String(), "accepted  200, refused 0, lost 0") {
			t.Fatal(r)
		}
	}
}

func TestLiveCountsWhatIsRefused(t *testing.T) {
	address := startServer(t, &server{refuse: func(n int) bool { return n%4 == 0 }})
	r, err := Live(t.Context(), LiveConfig{HTTP: address, Rate: 500, Duration: 200 * time.Millisecond, Batch: 5})
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 75 || r.Refused != 25 || r.Lost != 0 || !strings.Contains(r.FirstRefusal, "503") {
		t.Fatalf("%+v", r)
	}
}

func TestLiveCountsWhatIsLost(t *testing.T) {
	address := startServer(t, &server{lose: func(n int) bool { return n == 7 }})
	r, err := Live(t.Context(), LiveConfig{HTTP: address, Rate: 500, Duration: 100 * time.Millisecond, Patience: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 50 || r.Refused != 0 || r.Lost != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestLiveNeedsAServer(t *testing.T) {
	h := httptest.NewServer(http.NotFoundHandler())
	defer h.Close()
	_, err := Live(t.Context(), LiveConfig{HTTP: strings.TrimPrefix(h.URL, "http://"), Rate: 1, Duration: time.Second})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Fatal(err)
	}
}

func TestDelays(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	f := func(due []time.Time, counts []count, want ...time.Duration) {
		t.Helper()
		for i := range want {
			want[i] *= time.Millisecond
		}
		if got := delays(due, counts); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	f(nil, nil)
	f([]time.Time{at(0), at(1)}, nil)
	f([]time.Time{at(0), at(1)}, []count{{at(5), 1}}, 5)
	f([]time.Time{at(1), at(0)}, []count{{at(5), 2}}, 5, 4) // as they were due, not as they were answered
	f([]time.Time{at(0), at(10), at(20)}, []count{{at(3), 0}, {at(5), 1}, {at(15), 1}, {at(25), 3}}, 5, 15, 5)
}

func TestRank(t *testing.T) {
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i+1)*time.Second)
	}
	if rank(sorted, 0.5) != 100 || rank(sorted, 0.99) != 198 || rank(sorted, 1) != 200 || rank(sorted[:1], 0.5) != 1 || rank(nil, 0.5) != 0 {
		t.Fatal(rank(sorted, 0.5), rank(sorted, 0.99), rank(sorted, 1))
	}
}

func TestFlowFileIsGood(t *testing.T) {
	if _, faults := flows.Parse("bench.yaml", FlowFile); len(faults) > 0 {
		t.Fatal(faults)
	}
}
