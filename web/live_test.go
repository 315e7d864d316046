package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

// serve runs the house on a real port until the test ends.
func (h *house) serve(t *testing.T) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(h.Handler())
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		ts.Close()
	})
	return ts
}

func dial(t *testing.T, ts *httptest.Server, path string) *websocket.Conn {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+path, nil)
	if err != nil {
		t.Fatalf("dial %s: %v (%v)", path, err, response)
	}
	response.Body.Close()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func next(t *testing.T, conn *websocket.Conn) map[string]any {
	t.Helper()
	var m map[string]any
	if err := conn.ReadJSON(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func asMap(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLiveSendsAllThenChanges(t *testing.T) {
	h := newHouse(t, nil)
	hub := h.Server.hub
	publish(t, hub, orderHealth(12, 2))
	conn := dial(t, h.serve(t), "/api/v1/live?flow=order-to-cash")
	first := next(t, conn)
	want := asMap(t, orderHealth(12, 2))
	want["type"] = "health"
	if !reflect.DeepEqual(first, want) {
		t.Errorf("first message\n got %v\nwant %v", first, want)
	}
	moved := orderHealth(12, 2)
	moved.AsOf = noon.Add(time.Second)
	publish(t, hub, moved) // only the clock: pushed to nobody
	other := orderHealth(1, 1)
	other.Flow = "another"
	publish(t, hub, other) // not asked for
	changed := orderHealth(12, 3)
	changed.AsOf = noon.Add(2 * time.Second)
	changed.ValueAtRisk = flows.Money{"EUR": decimal.NewFromInt(7)}
	publish(t, hub, changed)
	got := next(t, conn)
	all := asMap(t, changed)
	for _, name := range []string{"stuck", "as_of", "value_at_risk", "steps", "flow"} {
		if !reflect.DeepEqual(got[name], all[name]) {
			t.Errorf("change: %s is %v, want %v", name, got[name], all[name])
		}
		delete(got, name)
	}
	if got["type"] != "health" || len(got) != 1 {
		t.Errorf("change holds more than changed: %v", got)
	}
}

func TestLiveAlerts(t *testing.T) {
	h := newHouse(t, nil)
	hub := h.Server.hub
	alert := stuckAlert()
	publishAlerts := func(alerts ...Alert) {
		t.Helper()
		if err := hub.PublishAlerts(alerts); err != nil {
			t.Fatal(err)
		}
	}
	publishAlerts(alert)
	ts := h.serve(t)
	conn, elsewhere := dial(t, ts, "/api/v1/live"), dial(t, ts, "/api/v1/live?flow=order-to-cash")
	for _, c := range []*websocket.Conn{conn, elsewhere} {
		if m := next(t, c); m["type"] != "alert" || m["state"] != "firing" || m["count"] != 214.0 || m["id"] != "a1" || m["step"] != "paid" {
			t.Errorf("%v", m)
		}
	}
	publishAlerts(alert) // the same: said to nobody
	alert.Count = 215
	publishAlerts(alert)
	if m := next(t, conn); m["count"] != 215.0 {
		t.Errorf("%v", m)
	}
	publishAlerts()
	if m := next(t, conn); m["state"] != "resolved" || m["id"] != "a1" || m["resolved_at"] == nil {
		t.Errorf("%v", m)
	}
}

// TestNoGapBetweenSnapshotAndChanges lets sockets join while numbers change. Whoever applies
// the messages in order must end with what the hub holds, and never see a number go back.
func TestNoGapBetweenSnapshotAndChanges(t *testing.T) {
	h := newHouse(t, nil)
	hub := h.Server.hub
	other := orderFlow()
	other.Name = "another"
	h.rules.set = setOf(t, orderFlow(), other)
	ts := h.serve(t)
	const last = 400
	var writers, readers sync.WaitGroup
	for _, name := range []string{"order-to-cash", "another"} {
		writers.Go(func() {
			for n := 1; n <= last; n++ {
				health := orderHealth(n, n%7)
				health.Flow, health.Completed = name, n/10
				hub.Show(Update{Health: health, Heard: flows.NoTime})
				if err := hub.Announce(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 8 {
		conn := dial(t, ts, "/api/v1/live")
		readers.Go(func() { follow(t, conn, last) })
	}
	writers.Wait()
	readers.Wait()
}

func follow(t *testing.T, conn *websocket.Conn, last int) {
	state := map[string]map[string]any{}
	done := 0
	for done < 2 {
		var m map[string]any
		if err := conn.ReadJSON(&m); err != nil {
			t.Error(err)
			return
		}
		if m["type"] == "heartbeat" {
			continue
		}
		name := fmt.Sprint(m["flow"])
		known := state[name]
		if known == nil {
			known = map[string]any{"in_flight": 0.0}
			state[name] = known
			if m["steps"] == nil {
				t.Errorf("first message of %s is not in full: %v", name, m)
			}
		}
		before := known["in_flight"].(float64)
		for k, v := range m {
			known[k] = v
		}
		now := known["in_flight"].(float64)
		if now < before {
			t.Errorf("%s went back from %v to %v", name, before, now)
		}
		if int(known["stuck"].(float64)) != int(now)%7 || int(known["completed"].(float64)) != int(now)/10 {
			t.Errorf("%s is of two instants: %v", name, known)
		}
		if int(now) == last {
			done++
		}
	}
}

// TestSlowSubscriberGetsTheLatest takes only after a thousand publications: one message.
func TestSlowSubscriberGetsTheLatest(t *testing.T) {
	hub := NewHub()
	publish(t, hub, orderHealth(1, 0))
	sub := hub.subscribe("")
	defer sub.close()
	live := &liveFeed{sub: sub, sent: map[string]*healthState{}, alerts: map[string]*alertState{}}
	if messages, err := live.pull(); err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	for n := range 1000 {
		publish(t, hub, orderHealth(n, n))
	}
	if len(sub.wake) != 1 {
		t.Errorf("%d tokens wait", len(sub.wake))
	}
	if messages, err := live.pull(); err != nil || len(messages) != 1 || live.sent["order-to-cash"].health.InFlight != 999 {
		t.Errorf("%d messages, %v, last %+v", len(messages), err, live.sent)
	}
	if messages, err := live.pull(); err != nil || len(messages) != 0 {
		t.Errorf("nothing is new, but %d messages, %v", len(messages), err)
	}
}

func TestChangesAreSharedByAllThatKeepUp(t *testing.T) {
	hub := NewHub()
	publish(t, hub, orderHealth(1, 0))
	feeds := make([]*liveFeed, 3)
	for i := range feeds {
		feeds[i] = &liveFeed{sub: hub.subscribe(""), sent: map[string]*healthState{}, alerts: map[string]*alertState{}}
		defer feeds[i].sub.close()
	}
	for range 3 {
		var first *websocket.PreparedMessage
		for i, f := range feeds {
			messages, err := f.pull()
			if err != nil || len(messages) != 1 {
				t.Fatalf("%d messages, %v", len(messages), err)
			}
			if i == 0 {
				first = messages[0]
			} else if messages[0] != first {
				t.Error("the same change was written twice")
			}
		}
		health, _ := hub.Health("order-to-cash")
		publish(t, hub, orderHealth(health.InFlight+1, 0))
	}
}

func TestHeartbeatTellsTheDataTime(t *testing.T) {
	hub := NewHub()
	publish(t, hub, orderHealth(1, 0))
	live := &liveFeed{sub: hub.subscribe("")}
	defer live.sub.close()
	b, err := live.beat()
	if err != nil || string(b) != `{"type":"heartbeat","as_of":"2026-11-19T12:00:00Z"}` {
		t.Errorf("%s %v", b, err)
	}
}

func TestSocketOfAnotherSiteIsRefused(t *testing.T) {
	h := newHouse(t, nil)
	ts := h.serve(t)
	f := func(origin string, status int) {
		t.Helper()
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+"/api/v1/live", header)
		if err == nil {
			conn.Close()
		}
		if response.StatusCode != status {
			t.Errorf("origin %q: %d, want %d", origin, response.StatusCode, status)
		}
		response.Body.Close()
	}
	f("", http.StatusSwitchingProtocols)
	f(ts.URL, http.StatusSwitchingProtocols)
	f("https://evil.example", http.StatusForbidden)
	f("null", http.StatusForbidden)
}

func TestLiveOfNoFlow(t *testing.T) {
	h := newHouse(t, nil)
	if w := h.get(t, "/api/v1/live?flow=nope"); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := h.get(t, "/api/v1/live"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "websocket") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestCloseEndsSockets(t *testing.T) {
	h := newHouse(t, nil)
	ts := h.serve(t)
	conn := dial(t, ts, "/api/v1/live")
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("%v", err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+"/api/v1/live", nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a closed server takes sockets: %v", response)
	}
	response.Body.Close()
}

// TestPeerThatReadsNothingDoesNotHoldTheHub fills the line of a peer that never reads: the hub goes on,
// and the socket ends when the peer does.
func TestPeerThatReadsNothingDoesNotHoldTheHub(t *testing.T) {
	h := newHouse(t, nil)
	ts := h.serve(t)
	deaf, lively := dial(t, ts, "/api/v1/live"), dial(t, ts, "/api/v1/live")
	for n := range 3000 {
		publish(t, h.Server.hub, orderHealth(n, n%5))
	}
	for {
		if m := next(t, lively); m["in_flight"] == 2999.0 {
			break
		}
	}
	deaf.Close()
}

func TestTooMuchFromASocketEndsIt(t *testing.T) {
	h := newHouse(t, nil)
	conn := dial(t, h.serve(t), "/api/v1/live")
	if err := conn.WriteMessage(websocket.TextMessage, make([]byte, maxFromSocket+1)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}
