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
)

// sink takes events and spans, and says in its metrics how many; of every fifth request it
// refuses all.
type sink struct {
	t *testing.T

	mu       sync.Mutex // guards the fields below
	requests int
	rows     map[string]int
	ids      map[string]bool
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/metrics" {
		for table, n := range s.rows {
			fmt.Fprintf(w, "# HELP x\nthroughline_store_rows_total{otel_scope_name=\"t\",table=%q} %d\n", table, n)
		}
		return
	}
	if r.Header.Get("Authorization") != "Bearer secret" {
		s.t.Errorf("sent with %q", r.Header.Get("Authorization"))
	}
	if s.requests++; s.requests%5 == 0 {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == "/v1/traces" {
		s.rows["spans"] += strings.Count(string(body), "http.request.method")
		return
	}
	var batch []struct {
		ID   string
		Time time.Time
		Data struct {
			BenchID string `json:"bench_id"`
		}
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		s.t.Errorf("%v: %s", err, body)
	}
	for _, e := range batch {
		if s.ids[e.ID] || e.ID != e.Data.BenchID || time.Since(e.Time).Abs() > time.Minute {
			s.t.Errorf("event %+v", e)
		}
		s.ids[e.ID] = true
	}
	s.rows["signals"] += len(batch)
	fmt.Fprintf(w, `{"accepted":%d,"rejected":[]}`, len(batch))
}

// TestSteps: each case gets its six steps, by its first key, by both, then by the second.
func TestSteps(t *testing.T) {
	const batch, rounds = 5, 4
	bodies := newBodies(&IngestConfig{Events: true, Steps: true, Batch: batch}, 7)
	ids, cases := map[string]bool{}, map[string][]string{}
	parcels := map[string]string{}
	for n := range uint64(rounds * len(benchSteps)) {
		var events []struct {
			ID, Type string
			Data     struct {
				Bench  string `json:"bench_id"`
				Parcel string `json:"bench_parcel"`
			}
		}
		body := bodies[n%uint64(len(bodies))].of(n, time.Now())
		if err := json.Unmarshal(body, &events); err != nil || len(events) != batch {
			t.Fatalf("%v: %s", err, body)
		}
		for _, e := range events {
			ids[e.ID] = true
			key := e.Data.Bench
			if e.Data.Parcel != "" && key != "" {
				parcels[e.Data.Parcel] = key
			} else if key == "" {
				key = parcels[e.Data.Parcel]
			}
			cases[key] = append(cases[key], strings.TrimPrefix(e.Type, "bench."))
		}
	}
	if len(ids) != batch*rounds*len(benchSteps) || len(cases) != batch*rounds || len(parcels) != batch*rounds {
		t.Fatalf("%d ids, %d cases, %d links", len(ids), len(cases), len(parcels))
	}
	for key, steps := range cases {
		if key == "" || !slices.Equal(steps, benchSteps[:]) {
			t.Errorf("case %q: %v", key, steps)
		}
	}
}

// TestIngest counts what is sent, against a server that refuses some of it.
func TestIngest(t *testing.T) {
	for _, events := range []bool{true, false} {
		s := &sink{t: t, rows: map[string]int{"signals": 40, "spans": 7}, ids: map[string]bool{}}
		h := httptest.NewServer(s)
		defer h.Close()
		r, err := Ingest(t.Context(), IngestConfig{
			HTTP: h.URL, OTLP: h.URL, Events: events, Rate: 300, Duration: time.Second, Batch: 10, Connections: 3,
			Token: "secret", Poll: 5 * time.Millisecond, Patience: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		sent := s.requests * 10
		if refused := s.requests / 5 * 10; sent < 50 || sent > 330 || r.Refused != refused || r.Accepted != sent-refused || r.Visible != r.Accepted {
			t.Errorf("%d requests, report %+v", s.requests, r)
		}
		if !strings.Contains(r.FirstRefusal, "503") || r.AnswerP99Seconds < r.AnswerP50Seconds || r.VisibleP50 <= 0 || r.VisibleP50 > 5 {
			t.Errorf("report %+v", r)
		}
		if text := r.String(); !strings.Contains(text, "busy") || !strings.Contains(text, fmt.Sprint(r.Accepted)) {
			t.Errorf("report %s", text)
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	if _, err := Ingest(t.Context(), IngestConfig{HTTP: gone.URL, Connections: 1}); err == nil || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("without metrics: %v", err)
	}
}
