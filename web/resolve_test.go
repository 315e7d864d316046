package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"throughline/flows"
)

func TestResolve(t *testing.T) {
	var got []string
	var fails error
	h := newHouse(t, func(o *Options) {
		o.Resolve = func(_ context.Context, f *flows.Flow, r *flows.InstanceRecord, note string) error {
			got = append(got, f.Name+" "+r.Key+" "+note)
			return fails
		}
	})
	h.history.detail = stuckDetail()
	f := func(path, body string, status int, says string) {
		t.Helper()
		got = nil
		w := h.do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/flows/"+path+"/resolve", strings.NewReader(body)))
		if w.Code != status || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
		if (len(got) > 0) != (status == http.StatusOK || fails != nil) {
			t.Errorf("%s %s: published %q", path, body, got)
		}
	}
	f("order-to-cash/instances/SO-1", `{"note": " paid in cash "}`, http.StatusOK, `"note":"paid in cash"`)
	f("order-to-cash/instances/SO-1", ``, http.StatusBadRequest, "no JSON object")
	f("order-to-cash/instances/SO-1", `{"note": " "}`, http.StatusBadRequest, "Say in a note")
	f("order-to-cash/instances/SO-1", `{"note": "`+strings.Repeat("x", maxNote+1)+`"}`, http.StatusRequestEntityTooLarge, "at most 4096")
	f("order-to-cash/instances/SO-1", strings.Repeat(" ", 9000), http.StatusRequestEntityTooLarge, "too large")
	f("none/instances/SO-1", `{"note": "x"}`, http.StatusNotFound, "none")
	fails = errors.New("the bus is away")
	f("order-to-cash/instances/SO-1", `{"note": "x"}`, http.StatusServiceUnavailable, "Try again")
	fails = nil
	h.history.detail.State = flows.Completed
	f("order-to-cash/instances/SO-1", `{"note": "x"}`, http.StatusConflict, "completed")
	h.answered().err = flows.ErrNotFound
	f("order-to-cash/instances/SO-2", `{"note": "x"}`, http.StatusNotFound, "SO-2")
}
