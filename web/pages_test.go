package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"throughline/flows"
)

// pagePaths are all pages of a house that is filled.
var pagePaths = []string{
	"/", "/?range=24h", "/flows", "/flows/order-to-cash", "/flows/order-to-cash?range=all", "/flows/order-to-cash/steps/paid",
	"/flows/order-to-cash/model", "/alerts", "/alerts/a1", "/instances/order-to-cash/SO-1", "/instances/order-to-cash/SO-1?at=2026-11-19T12:00:00Z",
	"/flows/order-to-cash/instances", "/flows/order-to-cash/instances?state=stuck,unknown&step=paid&since=60m&sort=value&cursor=c&limit=10",
	"/flows/order-to-cash/instances?at=2026-11-19T12:00:00Z&since=2026-11-01", "/search", "/search?q=SO", "/entities/order_id/SO-1", "/_/components",
}

func furnished(t *testing.T) *house {
	t.Helper()
	h := filled(t)
	if err := h.Server.hub.PublishAlerts([]Alert{stuckAlert()}); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPagesAreWhole(t *testing.T) {
	h := furnished(t)
	for _, path := range pagePaths {
		w := h.get(t, path)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if strings.Contains(body, " style=") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(body) || strings.Contains(body, " onclick=") {
			t.Errorf("%s: has inline script or style, which the policy forbids", path)
		}
	}
}

func TestWhatIsNotThereNamesWhatIs(t *testing.T) {
	h := furnished(t)
	for _, path := range []string{"/nothing", "/flows/nope", "/flows/order-to-cash/steps/nope", "/alerts/nope", "/instances/order-to-cash/nope", "/instances/nope/SO-1", "/flows/nope/model"} {
		w := h.get(t, path)
		if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := h.get(t, "/instances/order-to-cash/no%2Fpe"); strings.Contains(w.Body.String(), "/api/v1") || !strings.Contains(w.Body.String(), `href="/search?q=no%2Fpe"`) || !strings.Contains(w.Body.String(), `href="/flows/order-to-cash/instances"`) {
		t.Errorf("a key that is not there leads nowhere: %s", w.Body)
	}
	if w := h.get(t, "/flows/order-to-cash?range=3h"); w.Code != http.StatusBadRequest {
		t.Errorf("%d", w.Code)
	}
	h.answered().signals = nil
	if w := h.get(t, "/entities/order_id/none"); w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/flows", nil)
	if w := h.do(r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d", w.Code)
	}
}

func TestPagesGoOnWhileHistoryIsAway(t *testing.T) {
	h := furnished(t)
	h.get(t, "/flows/order-to-cash") // an answer to keep
	h.answered().err = errors.New("dial: connection refused")
	for _, path := range []string{"/", "/?range=7d", "/flows", "/flows/order-to-cash", "/flows/order-to-cash/steps/paid", "/alerts", "/alerts/a1", "/search?q=order"} {
		if w := h.get(t, path); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if h.past.awaySince() == flows.NoTime {
		t.Error("nobody is told that history is away")
	}
	for _, path := range []string{"/instances/order-to-cash/SO-7", "/entities/order_id/SO-1"} {
		if w := h.get(t, path); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestFirstRunUntilSomethingCame(t *testing.T) {
	intake := Intake{Last: flows.NoTime}
	h := newHouse(t, func(o *Options) { o.Intake = func() Intake { return intake } })
	first := func() bool { return strings.Contains(h.get(t, "/").Body.String(), `id="first-run"`) || h.firstRun(t) }
	if !first() {
		t.Error("nothing ever came, but the page is another")
	}
	intake.Accepted = 1
	if first() {
		t.Error("a signal came, but the page is still the first-run page")
	}
	h.rules.set = setOf(t)
	if !first() {
		t.Error("no flow is loaded, but the page is another")
	}
	intake.Accepted, h.rules.set = 0, setOf(t, orderFlow())
	publish(t, h.Server.hub, orderHealth(3, 0)) // what an import brought
	if first() {
		t.Error("there are instances, but the page is still the first-run page")
	}
}

// firstRun looks at the values: which page it is does not depend on the HTML.
func (h *house) firstRun(t *testing.T) bool {
	t.Helper()
	l, err := h.load(t.Context(), target{view: viewOverview, at: flows.NoTime, rng: "60m", site: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	return len(l.parts) == 1 && l.parts[0].ID == "first-run"
}

func TestSocketsOfPagesPushWhatThePageShows(t *testing.T) {
	h := furnished(t)
	ts := h.serve(t)
	for _, path := range []string{
		"/ws?view=overview", "/ws?view=flows", "/ws?view=flow&flow=order-to-cash", "/ws?view=flow&flow=order-to-cash&range=24h",
		"/ws?view=step&flow=order-to-cash&step=paid", "/ws?view=alerts", "/ws?view=alert&id=a1", "/ws?view=instance&flow=order-to-cash&key=SO-1",
	} {
		conn := dial(t, ts, path)
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"#asof", "#notices", "#nav-alerts", "#page-version"} {
			if !strings.Contains(string(message), `<hx-partial hx-target="`+id+`" hx-swap="outerMorph">`) {
				t.Errorf("%s: the first message lacks %s", path, id)
			}
		}
	}
}

func TestSocketPushesWhatChanged(t *testing.T) {
	h := furnished(t)
	conn := dial(t, h.serve(t), "/ws?view=flow&flow=order-to-cash")
	if _, message, err := conn.ReadMessage(); err != nil || strings.Contains(string(message), "4,711") {
		t.Fatalf("%s %v", message, err)
	}
	publish(t, h.Server.hub, orderHealth(4711, 5))
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(message), "4,711") {
			if strings.Contains(string(message), `hx-target="#nav-alerts"`) {
				t.Errorf("what did not change is sent again: %s", message)
			}
			return
		}
	}
}

func TestPageThatIsGoneLoadsItselfAnew(t *testing.T) {
	h := furnished(t)
	conn := dial(t, h.serve(t), "/ws?view=flow&flow=order-to-cash")
	if _, _, err := conn.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	other := orderFlow()
	other.Name = "another"
	h.rules.put(setOf(t, other))
	h.Server.hub.Touch()
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(message), `hx-target="#page-version"`) {
			return
		}
	}
}

func TestPagesShowTheirValues(t *testing.T) {
	h := furnished(t)
	f := func(path string, says ...string) {
		t.Helper()
		h.get(t, path)
		h.answered() // what the page did not wait for
		body := h.get(t, path).Body.String()
		for _, word := range says {
			if !strings.Contains(body, word) {
				t.Errorf("%s does not say %q", path, word)
			}
		}
	}
	f("/", `href="/flows/order-to-cash`, "Order to cash", "/ws?view=overview", "214")
	f("/flows", `href="/flows/order-to-cash`)
	f("/flows/order-to-cash", "/flows/order-to-cash/steps/paid", "/instances/order-to-cash/SO-1")
	f("/flows/order-to-cash/steps/paid", "/instances/order-to-cash/SO-1", "Payment taken")
	f("/flows/order-to-cash/model", "flow: order-to-cash")
	f("/alerts", `href="/alerts/a1`, "214")
	f("/alerts/a1", "214", "/instances/order-to-cash/SO-1")
	f("/instances/order-to-cash/SO-1", "SO-1", "POST /capture", "order.placed")
	f("/search?q=cash", `href="/flows/order-to-cash`)
	f("/entities/order_id/SO-1", "POST /capture")
	f("/flows/nope", "order-to-cash", "There is no flow")
	f("/alerts/nope", "nope", `href="/alerts"`)
	h.rules.faults = []flows.Fault{{File: "flows/order-to-cash.yaml", Line: 3, Col: 5, Message: "unknown field stpes"}}
	f("/", "unknown field stpes")
	f("/flows/order-to-cash/model", "unknown field stpes")
	h.rules.set = setOf(t)
	f("/", "http://localhost:8080/api/v1/events")
}

func TestSocketAddressIsThePages(t *testing.T) {
	h := furnished(t)
	for _, path := range []string{"/", "/?range=7d", "/flows", "/flows/order-to-cash", "/flows/order-to-cash/steps/paid", "/alerts", "/alerts/a1", "/instances/order-to-cash/SO-1"} {
		var want target
		capture := func(v view) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) { want, _ = pageTarget(r, v) }
		}
		mux := http.NewServeMux()
		for pattern, v := range livePages {
			mux.HandleFunc(pattern, capture(v))
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		mux.ServeHTTP(httptest.NewRecorder(), r)
		got, fault := socketTarget(httptest.NewRequestWithContext(t.Context(), http.MethodGet, want.socket(), nil))
		if fault != nil || got != want {
			t.Errorf("%s: the socket is of %+v, the page of %+v (%v)", path, got, want, fault)
		}
		if _, err := h.load(t.Context(), want); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSocketOfNoPage(t *testing.T) {
	h := furnished(t)
	ts := h.serve(t)
	f := func(query string, status int) {
		t.Helper()
		_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+"/ws?"+query, nil)
		if err == nil || response.StatusCode != status {
			t.Errorf("%s: %v %v", query, response, err)
		}
		response.Body.Close()
	}
	f("", 400)
	f("view=nope", 400)
	f("view=flow", 404)
	f("view=flow&flow=nope", 404)
	f("view=alert&id=nope", 404)
	f("view=flow&flow=order-to-cash&range=1y", 400)
	f("view=flow&colour=red", 400)
}

// From a day on history is asked only for what happened: how long what is in flight has been is known.
func TestLongRangesKnowWhatIsInFlight(t *testing.T) {
	for rng, known := range map[string]bool{"15m": false, "24h": true, "7d": true, "all": false} {
		h := newHouse(t, nil)
		ages := new(flows.Sketch)
		h.hub.Show(Update{Health: orderHealth(12, 2), Ages: ages, Heard: flows.NoTime})
		h.get(t, "/flows/order-to-cash?range="+rng)
		if got := h.history.window.Ages; (got == ages) != known {
			t.Errorf("%s: history is asked with the ages %v", rng, got)
		}
	}
}
