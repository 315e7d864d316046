package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPagesComeBeforeHistory asks for each kind of page while history does not answer: each is there soon, says that it is not
// whole, and is asked for again, by a browser without scripts, too. Who prefers to wait gets the whole page, or the fault.
func TestPagesComeBeforeHistory(t *testing.T) {
	t.Parallel()
	const again, script, socket = `<noscript><meta http-equiv="refresh" content="2"></noscript>`, `<meta name="unread"`, "hx-ws:connect"
	h := furnished(t)
	release := func() {}
	defer func() { release() }()
	ask := func(path, prefer string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if prefer != "" {
			r.Header.Set("Prefer", prefer)
		}
		return h.do(r)
	}
	const reading = "<h1>Reading history</h1>"
	for _, c := range []struct {
		path string
		by   string // what brings the rest where there are scripts
		says string
		then int // the status once history answers
	}{
		{"/?range=24h", script, reading, 200},
		{"/flows/order-to-cash?range=24h", script, reading, 200},
		{"/flows/order-to-cash/variants", socket, "Not read from history yet", 200},
		{"/flows/order-to-cash/instances", socket, "Not read from history yet", 200},
		{"/flows/order-to-cash/instances?at=2026-11-19T12:00:00Z", script, "Not read from history yet", 200},
		{"/flows/order-to-cash?at=2026-11-19T12:00:00Z", script, reading, 200},
		{"/flows/order-to-cash/model", script, "order-to-cash", 200},
		{"/systems", socket, "Not read from history yet", 200},
		{"/systems/payments", socket, "payments", 200},
		{"/systems/nobody", script, reading, 404},
		{"/instances/order-to-cash/nope", script, reading, 404},
		{"/entities/order_id/SO-1", script, reading, 200},
		{"/search?q=SO", script, reading, 200},
	} {
		gate := make(chan struct{})
		release = sync.OnceFunc(func() { close(gate) })
		h.history.waits.Store(&gate)
		began := time.Now()
		w := ask(c.path, "")
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, again) || !strings.Contains(body, c.by) || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %.2000s", c.path, w.Code, body[strings.Index(body, "<title>"):])
		}
		if strings.Contains(body, script) == strings.Contains(body, socket) {
			t.Errorf("%s: the rest comes both ways, or none", c.path)
		}
		if took := time.Since(began); took < waitFirst {
			t.Errorf("%s: waited %s only", c.path, took)
		}
		whole := make(chan *httptest.ResponseRecorder)
		go func() { whole <- ask(c.path, `handling=strict, wait=30`) }()
		select {
		case <-whole:
			t.Fatalf("%s: came before history, though the client waits", c.path)
		case <-time.After(waitFirst + waitFirst/4):
		}
		release()
		if w := <-whole; w.Code != c.then || strings.Contains(w.Body.String(), again) || strings.Contains(w.Body.String(), reading) {
			t.Errorf("%s: in the end %d, want %d; %v", c.path, w.Code, c.then, strings.Contains(w.Body.String(), again))
		}
		h.past.forget()
	}
}

// TestPatience reads how long a client waits.
func TestPatience(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"": waitFirst, "wait=5": 5 * time.Second, `respond-async, WAIT="7"`: 7 * time.Second, "wait=0": waitFirst, "wait=-1": waitFirst, "wait": waitFirst,
		"wait=999999999999999999999": waitFirst, "wait=99999999": historyWithin, "await=9": waitFirst,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Prefer", prefer)
		if got := patienceOf(r); got != want {
			t.Errorf("%q: %s, want %s", prefer, got, want)
		}
	}
}
