package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatalf("%s: %v in %s", name, err, got)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s differs from %s (rewrite with -update):\n%s", name, path, pretty.Bytes())
	}
}

// filled has an answer for every call.
func filled(t *testing.T) *house {
	h := newHouse(t, nil)
	publish(t, h.Server.hub, orderHealth(12, 2))
	h.history.health = orderHealth(99, 9)
	done := stuckRecord()
	done.Key, done.State, done.Reason, done.ReasonStep, done.System = "SO-2", flows.Completed, "", "", ""
	done.StuckSince, done.EndedAt, done.WaitingOn = flows.NoTime, noon.Add(-time.Minute), nil
	done.Recovered, done.Deviations, done.Amount = true, []flows.Deviation{flows.DeviationSkipped}, flows.Amount{}
	done.Currency, done.Segments = "", nil
	h.history.page = flows.InstancePage{Instances: []flows.InstanceRecord{stuckRecord(), done}, Next: "abc", AsOf: noon.Add(time.Minute)}
	h.history.detail = stuckDetail()
	h.history.variants = flows.Variants{Variants: []flows.Variant{{Steps: []string{"placed", "paid"}, Count: 3, Share: 0.75, Median: 90 * time.Second, Conforming: true}}, Total: 2}
	h.history.follows = flows.DirectlyFollows{
		Edges: []flows.Edge{{From: "placed", To: "paid", Count: 3, Median: 1500 * time.Millisecond}}, Starts: map[string]int{"placed": 4}, Ends: map[string]int{"paid": 3, "placed": 1},
	}
	h.history.signals = stuckDetail().Signals
	h.history.found = flows.Found{Instances: []flows.FoundInstance{{Flow: "order-to-cash", Key: "SO-1", State: flows.Stuck}}, Keys: []flows.Key{{Type: "order_id", Value: "SO-1"}}}
	return h
}

// calls are requests whose answers do not depend on the clock.
var calls = map[string]string{
	"flows":            "/api/v1/flows",
	"health":           "/api/v1/flows/order-to-cash/health",
	"health-at":        "/api/v1/flows/order-to-cash/health?window=all&at=2026-11-19T12:00:00Z&segment=region:EU",
	"instances":        "/api/v1/flows/order-to-cash/instances?state=open,stuck&sort=age",
	"instance":         "/api/v1/flows/order-to-cash/instances/SO-1?at=2026-11-19T12:00:00Z",
	"variants":         "/api/v1/flows/order-to-cash/variants",
	"directly-follows": "/api/v1/flows/order-to-cash/directly-follows",
	"timeline":         "/api/v1/timeline?key=order_id:SO-1",
	"search":           "/api/v1/search?q=order",
	"healthz":          "/healthz",
	"readyz":           "/readyz",
}

func TestAnswers(t *testing.T) {
	h := filled(t)
	for name, target := range calls {
		w := h.get(t, target)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s", target, w.Code, w.Header().Get("Content-Type"), w.Body)
			continue
		}
		golden(t, name, w.Body.Bytes())
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	h := filled(t)
	f := func(target string, status int, says ...string) {
		t.Helper()
		w := h.get(t, target)
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v: %s", target, err, w.Body)
		}
		if w.Code != status || p.Status != status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, %+v", target, w.Code, p)
		}
		for _, word := range says {
			if !strings.Contains(p.Detail, word) {
				t.Errorf("%s: %q does not say %q", target, p.Detail, word)
			}
		}
	}
	const flow = "/api/v1/flows/order-to-cash"
	f("/api/v1/flows/nope/health", 404, `"nope"`, "order-to-cash")
	f("/api/v1/flows?x=1", 400, `"x"`)
	f(flow+"/health?window=soon", 400, "15m", "all")
	f(flow+"/health?window=0s", 400, "15m")
	f(flow+"/health?window=-1h", 400, "15m")
	f(flow+"/health?at=yesterday", 400, "RFC 3339")
	f(flow+"/health?at=1800-01-01T00:00:00Z", 400, "1900")
	f(flow+"/health?segment=EU", 400, "name:value")
	f(flow+"/health?segment=colour:red", 400, "region")
	f(flow+"/health?window=1h&window=2h", 400, "once")
	f(flow+"/health?windows=1h", 400, "window, at, segment")
	f(flow+"/health?window=%zz", 400, "cannot be read")
	f(flow+"/instances?state=lost", 400, "open, held, stuck")
	f(flow+"/instances?step=nope", 400, "placed, paid, cash")
	f(flow+"/instances?sort=colour", 400, "started")
	f(flow+"/instances?path=placed,,paid", 400, "in their order")
	f(flow+"/instances?limit=0", 400, "1 to 1000")
	f(flow+"/instances?limit=1001", 400, "1 to 1000")
	f(flow+"/instances?limit=ten", 400, "1 to 1000")
	f(flow+"/instances/SO-9", 404, "SO-9", "order_id")
	f(flow+"/variants?from=2026-02-01&to=2026-01-01", 400, "before")
	f("/api/v1/timeline", 400, "order_id:4711")
	f("/api/v1/timeline?key=4711", 400, "type:value")
	f("/api/v1/timeline?key=a:"+strings.Repeat("x", 1<<20), 400, "1024")
	f("/api/v1/search", 400, "?q=")
	f("/api/v1/search?q="+strings.Repeat("x", 2000), 400, "1024")
	f("/api/v1/search?q=%ff", 400, "UTF-8")
	f("/api/v1/nope", 404, "/api/openapi.json")
	h.history.signals = nil
	f("/api/v1/timeline?key=order_id:nobody", 404, "order_id:nobody", "invoice_id")
	h.answered().err = errors.New("dial tcp 10.1.2.3: secret")
	f(flow+"/health?window=24h", 503, "live numbers")
	if w := h.get(t, flow+"/variants"); w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("a 503 says when to come back and nothing of the inside: %v %s", w.Header(), w.Body)
	}
	h.answered().err = &flows.InputError{Field: "cursor", Detail: "this cursor is of another list"}
	f(flow+"/instances?cursor=x", 400, "another list")
}

func TestWrongMethodIsNamed(t *testing.T) {
	h := filled(t)
	w := h.do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/flows", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" {
		t.Errorf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHealthWithoutAtIsTheHubs(t *testing.T) {
	h := filled(t)
	f := func(query string, inFlight int) {
		t.Helper()
		var got flows.Health
		if err := json.Unmarshal(h.get(t, "/api/v1/flows/order-to-cash/health"+query).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.InFlight != inFlight {
			t.Errorf("health%s: %d in flight, want %d", query, got.InFlight, inFlight)
		}
	}
	f("", 12)
	f("?window=1h", 12)
	f("?window=60m", 12)
	f("?window=24h", 99)
	f("?window=1h&segment=region:EU", 99)
	f("?at=2026-11-19T12:00:00Z", 99)
	if w := h.history.window; w.To != noon || w.From != noon.Add(-time.Hour) || !w.Hindsight {
		t.Errorf("window %+v", w)
	}
	f("?window=7d", 99)
	if w := h.history.window; w.To.Sub(w.From) != 7*24*time.Hour || w.Hindsight {
		t.Errorf("window %+v", w)
	}
	f("?window=all", 99)
	if w := h.history.window; w.From != flows.NoTime {
		t.Errorf("window %+v", w)
	}
	h.Server.hub.Drop("order-to-cash")
	f("", 99) // nothing live yet: stored numbers of the same window
}

func TestInstanceQueryIsReadWhole(t *testing.T) {
	h := filled(t)
	h.get(t, "/api/v1/flows/order-to-cash/instances?state=stuck,open&step=paid&since=2026-11-19&at=2026-11-19T13:00:00+01:00&sort=value&limit=7&cursor=abc&path=placed,paid")
	q := h.history.query
	if len(q.States) != 2 || q.States[0] != flows.Stuck || q.Step != "paid" || q.Since != noon.Add(-12*time.Hour) || q.At != noon ||
		q.Sort != flows.SortValue || q.Limit != 7 || q.Cursor != "abc" || !slices.Equal(q.Path, []string{"placed", "paid"}) {
		t.Errorf("%+v", q)
	}
	h.get(t, "/api/v1/flows/order-to-cash/instances?state=&at=")
	q = h.history.query
	if q.States != nil || q.Path != nil || q.At != flows.NoTime || q.Since != flows.NoTime || q.Sort != flows.SortAge || q.Limit != 50 {
		t.Errorf("%+v", q)
	}
}

func TestReadyzTellsWhichPartIsNot(t *testing.T) {
	parts := []Part{{Name: "bus", Ready: true, State: "ok"}, {Name: "engine", Ready: true, State: "restoring", Detail: "1,200 signals behind"}}
	h := newHouse(t, func(o *Options) { o.Ready = func() []Part { return parts } })
	h.rules.faults = []flows.Fault{{File: "flows/bad.yaml", Line: 3, Col: 5, Message: "unknown field `stpes`"}}
	w := h.get(t, "/readyz")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "restoring") || !strings.Contains(w.Body.String(), "stpes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	parts[0].Ready = false
	if w := h.get(t, "/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzQuery(f *testing.F) {
	for _, target := range calls {
		_, q, _ := strings.Cut(target, "?")
		f.Add(q)
	}
	f.Add("window=1d12h&at=2026-11-19T12:00:00%2B01:00&state=open,,stuck&limit=-1&key=a:b:c")
	flow := orderFlow()
	f.Fuzz(func(t *testing.T, q string) {
		r := &http.Request{Method: http.MethodGet, URL: mustURL(q)}
		p := query(r, "window", "at", "segment", "state", "step", "since", "sort", "limit", "cursor", "key", "q", "from", "to")
		window, limit := p.window(), p.limit()
		from, to := p.time("from"), p.time("to")
		p.ordered(from, to)
		p.time("at")
		p.segment(flow)
		p.states()
		p.step(flow)
		p.sort()
		p.text("cursor")
		key := p.key()
		if p.fault != nil {
			if p.fault.Status != http.StatusBadRequest || p.fault.Detail == "" || len(p.fault.Detail) > 1000 {
				t.Errorf("%q: %+v", q, p.fault)
			}
			return
		}
		if window < 0 || limit < 1 || limit > maxLimit || key.Type == "" || key.Value == "" {
			t.Errorf("%q: window %v, limit %d, key %v", q, window, limit, key)
		}
	})
}

func mustURL(rawQuery string) *url.URL { return &url.URL{Path: "/", RawQuery: rawQuery} }

// TestKeysMayHoldAnything asks for keys that paths give a meaning to.
func TestKeysMayHoldAnything(t *testing.T) {
	h := filled(t)
	for _, key := range []string{"a/b", "a//b", "ä ö", "50%", "a?b#c", "a+b"} {
		h.history.detail.Key = key
		w := h.get(t, "/api/v1/flows/order-to-cash/instances/"+url.PathEscape(key))
		if w.Code != http.StatusOK {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
}
