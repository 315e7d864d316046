package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestPages measures a server whose numbers are 40 ms old, and that ends one socket early.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for eight seconds")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /flows/bench", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<div id="socket" hidden hx-ws:connect="/ws?flow=bench&amp;view=flow"></div>`)
	})
	cpu := 0.0
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		cpu++
		fmt.Fprintf(w, "process_cpu_seconds_total %g\ngo_memstats_heap_inuse_bytes 1e6\ngo_memstats_stack_inuse_bytes 1e6\n", cpu)
	})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	upgrader := websocket.Upgrader{EnableCompression: true}
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("view") != "flow" {
			t.Errorf("asked for %s", r.URL)
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
			select {
			case <-first:
				return
			default:
			}
			at := time.Now().Add(-40 * time.Millisecond).UnixMilli()
			if conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `<time id="asof" data-at="%d" data-now="1">`, at)) != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	report, err := Pages(t.Context(), PagesConfig{HTTP: server.URL, Paths: []string{"/flows/bench"}, Sockets: 20, Duration: 2500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	// How many come, and how soon, depends on the machine: the race detector beside others' work gave 71.
	if report.Dropped != 1 || report.Behind < 1 || report.Behind == 20 || report.Messages < 20 || report.P50Seconds < 0.04 || report.P50Seconds > 2.5 || report.KBPerSocket != 0 || report.Cores <= 0 {
		t.Errorf("%+v\n%s", report, report)
	}
}
