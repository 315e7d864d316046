package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// lateServer counts a case as stuck some time after its limit.
type lateServer struct {
	t      *testing.T
	within time.Duration
	after  time.Duration
	refuse int // the number of a request; 0 for none

	mu       sync.Mutex // guards the fields below
	requests int
	shipped  map[string]time.Time
	done     map[string]bool
}

func (s *lateServer) events(w http.ResponseWriter, r *http.Request) {
	var batch []struct {
		Type string
		Time time.Time
		Data struct {
			Order  string `json:"bench_id"`
			Parcel string `json:"bench_parcel"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests++; s.requests == s.refuse {
		http.Error(w, "full", http.StatusServiceUnavailable)
		return
	}
	for _, e := range batch {
		switch e.Type {
		case "bench.shipped":
			s.shipped[e.Data.Parcel] = e.Time
		case "bench.delivered":
			s.done[e.Data.Parcel] = true
		}
	}
	fmt.Fprintf(w, `{"accepted":%d,"rejected":[]}`, len(batch))
}

// stuck are as many as missed the limit, beside three that were there before.
func (s *lateServer) stuck(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 3
	for parcel, at := range s.shipped {
		if !s.done[parcel] && now.Sub(at) > s.within+s.after {
			n++
		}
	}
	return n
}

func (s *lateServer) live(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		err = conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"health","flow":"bench-late","started":9,"stuck":%d}`, s.stuck(time.Now())))
		<-tick.C
	}
}

func runLate(t *testing.T, s *lateServer) (LateReport, error) {
	s.t, s.within, s.shipped, s.done = t, 500*time.Millisecond, map[string]time.Time{}, map[string]bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/events", s.events)
	mux.HandleFunc("GET /api/v1/live", s.live)
	h := httptest.NewServer(mux)
	defer h.Close()
	return Late(t.Context(), LateConfig{
		HTTP: h.URL, Rate: 2000, Duration: 600 * time.Millisecond, Batch: 20, Missing: 4, Connections: 3, Patience: 5 * time.Second, within: s.within,
	})
}

func TestLate(t *testing.T) {
	r, err := runLate(t, &lateServer{after: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	// How much is sent depends on the machine, but not that it is four of twenty, and all of those under way at the end.
	if blocks := 2000 * 6 / 10 / 20 / len(benchSteps); r.Late < 4 || r.Late > 4*blocks+3*20 || r.Lost != 0 || r.Early != 0 ||
		r.P50Seconds < 0.1 || r.P50Seconds > r.P99Seconds || r.P99Seconds > r.MaxSeconds {
		t.Errorf("%+v", r)
	}
}

// What is counted before its limit is told.
func TestLateEarly(t *testing.T) {
	r, err := runLate(t, &lateServer{after: -450 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Early < 4 {
		t.Errorf("%+v", r)
	}
}

// After a refusal nobody knows what is late.
func TestLateRefused(t *testing.T) {
	if r, err := runLate(t, &lateServer{refuse: 1}); !errors.Is(err, errRefused) {
		t.Errorf("%+v, %v", r, err)
	}
}
