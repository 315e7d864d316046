package web

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPagesComeBeforeHistory asks for each kind of page while history does not answer: a page of live numbers is there after a
// moment, any other after a while, and each says that it is not whole and is asked for again. Once history answers it is whole.
func TestPagesComeBeforeHistory(t *testing.T) {
	const (
		reading = "<h1>Reading history</h1>"
		socket  = "hx-ws:connect"
		refresh = `<meta http-equiv="refresh" content="1">`
		still   = `<div data-unread>`
		again   = `<a href="">Load it again</a>`
	)
	for _, c := range []struct {
		path  string
		by    string // what brings the rest
		says  string
		after time.Duration
		then  int // the status once history answers
	}{
		{"/", socket, "Overview", waitFirst, 200},
		{"/?range=24h", refresh, reading, waitWhole, 200},
		{"/flows/order-to-cash?range=24h", refresh, reading, waitWhole, 200},
		{"/flows/order-to-cash/variants", socket, "Not read from history yet", waitWhole, 200},
		{"/flows/order-to-cash/instances", socket, "Not read from history yet", waitWhole, 200},
		{"/flows/order-to-cash/instances?at=1999-12-31T12:00:00Z", still, "Not read from history yet", waitWhole, 200},
		{"/flows/order-to-cash?at=1999-12-31T12:00:00Z", refresh, reading, waitWhole, 200},
		{"/systems", socket, "Not read from history yet", waitWhole, 200},
		{"/systems/payments", socket, "payments", waitWhole, 200},
		{"/systems/nobody", refresh, reading, waitWhole, 404},
		{"/instances/order-to-cash/nope", refresh, reading, waitWhole, 404},
		{"/search?q=SO", refresh, reading, waitWhole, 200},
	} {
		t.Run(c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := furnished(t)
				defer h.past.close()
				gate := make(chan struct{})
				h.history.waits.Store(&gate)
				began := time.Now()
				w := h.get(t, c.path)
				status := http.StatusOK
				if c.says == reading {
					status = http.StatusServiceUnavailable
				}
				body := w.Body.String()
				if w.Code != status || !strings.Contains(body, c.by) || !strings.Contains(body, c.says) || strings.Contains(body, again) == (c.by == refresh) || strings.Contains(body, refresh) != (c.by == refresh) {
					t.Errorf("%d %.2000s", w.Code, body[strings.Index(body, "<title>"):])
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("waited %s, want %s", took, c.after)
				}
				close(gate)
				synctest.Wait()
				if w := h.get(t, c.path); w.Code != c.then || strings.Contains(w.Body.String(), refresh) || strings.Contains(w.Body.String(), again) || strings.Contains(w.Body.String(), reading) {
					t.Errorf("in the end %d, want %d", w.Code, c.then)
				}
			})
		})
	}
}
