package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"throughline/flows/store"
)

const erasableFlow = `flow: orders
title: Orders
key: order_id
links: [customer_id]
value: {amount: total, currency: currency}
segments: [region]
steps:
  - {id: placed, match: {event: order.placed, where: 'attributes.channel == "web"'}, start: true}
  - {id: paid, match: {event: order.paid}, after: placed, within: 1s}
  - {id: packed, match: {event: item.packed}, each: item, expect: items, after: paid, within: 1s}
  - {id: shipped, match: {event: order.shipped}, after: packed, within: 1h, end: completed}
`

const (
	erasedOrder    = "SECRET-4711"
	erasedCustomer = "anna.secret@example.com"
)

// sellErasable sends orders of one customer: whole, stuck and just begun.
func sellErasable(h *house) {
	at := time.Now().Add(-10 * time.Minute)
	say := func(n int, order, name string, data map[string]any) cloudEvent {
		data["order_id"] = order
		return cloudEvent{ID: fmt.Sprintf("%s-%d", name, n), Type: name, Time: at.Add(time.Duration(n) * time.Second).UTC().Format(time.RFC3339Nano), Data: data}
	}
	var events []cloudEvent
	for i, order := range []string{erasedOrder, "A-1", "A-2", "A-3"} {
		n := 10 * i
		events = append(
			events,
			say(n, order, "order.placed", map[string]any{"customer_id": erasedCustomer, "channel": "web", "region": "EU", "total": "12.50", "currency": "EUR", "items": 2, "address": "1 Secret Street"}),
			say(n+1, order, "order.paid", map[string]any{"card": "secret card"}),
		)
		if order == "A-2" {
			continue
		}
		events = append(
			events,
			say(n+2, order, "item.packed", map[string]any{"item": "x"}), say(n+3, order, "item.packed", map[string]any{"item": "y"}),
			say(n+4, order, "order.shipped", map[string]any{"note": "to " + order}),
		)
	}
	events = append(events, cloudEvent{ID: "bought", Type: "customer.rated", Data: map[string]any{"customer_id": erasedCustomer, "text": "my Secret Street"}})
	h.send(events...)
}

// erase has a key erased, which must be there.
func (h *house) erase(key string) (a eraseAnswer) {
	h.t.Helper()
	status, body := h.call(http.MethodDelete, "/api/v1/keys/"+url.PathEscape(key), "", nil)
	if status != http.StatusOK {
		h.t.Fatalf("erase %s: %d %s", key, status, body)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		h.t.Fatal(err)
	}
	return a
}

// beginErasing asks for it, whatever the answer is; the channel is closed once there is one.
func (h *house) beginErasing(key string) (answered chan struct{}) {
	h.t.Helper()
	r, err := http.NewRequest(http.MethodDelete, "http://"+h.addr.HTTP+"/api/v1/keys/"+url.PathEscape(key), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	answered = make(chan struct{})
	go func() { // ends with the answer, or with the program
		defer close(answered)
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
		}
	}()
	return answered
}

// numbers are all counts of the flow, less what differs each time.
func (h *house) numbers() string {
	h.t.Helper()
	var all []string
	for _, path := range []string{
		"health?window=all", "health?window=1h", "health?window=all&segment=region:EU", "variants", "directly-follows",
	} {
		var a map[string]any
		h.get("/api/v1/flows/orders/"+path, &a)
		for _, name := range []string{"as_of", "restoring", "open_age", "estimate", "throughput_per_minute"} {
			delete(a, name)
		}
		text, err := json.Marshal(a)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, path+" "+string(text))
	}
	return strings.Join(all, "\n")
}

// saysNothing looks for a text at all places where a person or a program may see it.
func (h *house) saysNothing(texts ...string) {
	h.t.Helper()
	for _, path := range []string{
		"/api/v1/flows/orders/instances?limit=1000", "/api/v1/search?q=secret", "/api/v1/alerts", "/alerts", "/flows/orders", "/flows/orders/steps/paid",
		"/flows/orders/instances?format=csv", "/search?q=secret", "/", "/api/v1/timeline?key=order_id:A-1", "/api/v1/timeline?key=order_id:A-2",
		"/instances/orders/A-1", "/entities/order_id/A-1", "/api/v1/dead-letters",
	} {
		_, body := h.call(http.MethodGet, path, "", nil)
		for _, text := range texts {
			shown := strings.ToLower(string(body))
			if strings.Contains(shown, strings.ToLower(text)) && !strings.HasPrefix(path, "/search") {
				h.t.Errorf("GET %s shows %q", path, text)
			}
		}
	}
}

// storesNothing looks for a text in all tables.
func storesNothing(t *testing.T, s *store.Store, texts ...string) {
	t.Helper()
	for _, table := range []string{
		"signals", "spans", "logs", "instances", "instances_by_time", "steps", "steps_by_time", "engine_state", "engine_left", "erasures", "erased_signals",
	} {
		for _, text := range texts {
			if n := askTable(t, s, fmt.Sprintf("SELECT count() FROM %s.%s WHERE positionCaseInsensitive(toString(tuple(*)), '%s') > 0", s.Database(), table, text)); n > 0 {
				t.Errorf("%d rows of %s have %q", n, table, text)
			}
		}
	}
}

// erasables is a program beside a ClickHouse of its own, with the orders of sellErasable.
type erasables struct {
	*program
	env     map[string]string
	tables  *store.Store
	numbers string // before anything was erased
}

func startErasables(t *testing.T) *erasables {
	t.Helper()
	db := clickhouse(t, t.TempDir())
	e := &erasables{env: external(t, db.Addr(), db.Password)}
	e.env[runAsMain] = settlingSoon
	e.program = runProgram(t, dataFolder(t, map[string]string{"orders": erasableFlow}), e.env)
	e.awaitClickHouse()
	e.tables = openTables(t, db)
	sellErasable(&e.house)
	e.eventually("all are stored, and one is stuck", 20*time.Second, func() bool {
		a := e.health("orders", "window=all")
		return a.Completed == 3 && a.Stuck == 1 && e.health("orders", "window=1h").Stuck == 1 && askTable(t, e.tables, "SELECT count() FROM "+e.tables.Database()+".signals") == 18
	})
	e.numbers = e.house.numbers()
	return e
}

// comeBack starts the program again that was killed, and has it hear the same once more.
func (e *erasables) comeBack() {
	e.t.Helper()
	e.program = runProgram(e.t, e.dir, e.env)
	e.awaitClickHouse()
	sellErasable(&e.house) // repeats, at once
}

func (e *erasables) whole() {
	e.t.Helper()
	e.eventually("the state is whole", 60*time.Second, func() bool { state, _ := e.part("engine"); return state == "ok" })
}

func (e *erasables) unchanged(when string) {
	e.t.Helper()
	if got := e.house.numbers(); got != e.numbers {
		e.t.Errorf("%s: the numbers were\n%s\nand are\n%s", when, e.numbers, got)
	}
}

// A person is erased: their timeline is 404, the counts unchanged. Over a restart, a kill and
// a changed file too; a repeat brings nothing back, and what comes new begins anew.
func TestRival14ErasedIsForgottenAndCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and erases for a while")
	}
	t.Parallel()
	p := startErasables(t)
	s := p.tables
	gone := func(when, key string) {
		t.Helper()
		if status, body := p.call(http.MethodGet, "/api/v1/timeline?key="+url.QueryEscape(key), "", nil); status != http.StatusNotFound {
			t.Errorf("%s: the timeline of %s is %d %s", when, key, status, body)
		}
	}

	if got := p.erase("order_id:" + erasedOrder); got.Signals != 5 || !strings.HasPrefix(got.Erased, "order_id:erased-") || got.State != "done" {
		t.Errorf("erased: %+v", got)
	}
	gone("erased", "order_id:"+erasedOrder)
	p.unchanged("erased")
	p.saysNothing(erasedOrder)
	storesNothing(t, s, erasedOrder)
	if status, _ := p.call(http.MethodDelete, "/api/v1/keys/"+url.PathEscape("order_id:"+erasedOrder), "", nil); status != http.StatusNotFound {
		t.Errorf("erased again: %d", status)
	}

	sellErasable(&p.house) // the same again: repeats
	if got := p.erase("customer_id:" + erasedCustomer); got.Signals != 5 {
		t.Errorf("erased: %+v", got)
	}
	gone("erased", "customer_id:"+erasedCustomer)
	p.unchanged("the customer is erased")
	p.saysNothing(erasedCustomer, "Secret Street", erasedOrder)
	storesNothing(t, s, erasedCustomer, "Secret Street", erasedOrder)
	if a, ok := p.instance("orders", "A-1"); !ok || a.State != "completed" || a.Value["EUR"] != "12.50" {
		t.Errorf("an order of the customer: %+v", a)
	}

	p.kill()
	p.comeBack()
	p.whole()
	gone("restarted", "customer_id:"+erasedCustomer)
	p.unchanged("restarted")

	writeFlow(t, p.dir, "orders", strings.Replace(erasableFlow, "title: Orders", "title: Sales\nidle: 300d", 1)+"  - {id: rated, match: {event: order.rated}, optional: true}\n")
	p.eventually("the other file is in force", 10*time.Second, func() bool {
		_, body := p.call(http.MethodGet, "/api/v1/flows", "", nil)
		return strings.Contains(string(body), "Sales")
	})
	code, _, stderr := command(t, nil, "backfill", "orders", "--server", "http://"+p.addr.HTTP)
	if code != 0 {
		t.Fatalf("backfill: %d %s", code, stderr)
	}
	if a := p.health("orders", "window=all"); a.Started != 4 || a.Completed != 3 || a.Stuck != 1 {
		t.Errorf("after another file and a backfill: %+v", a)
	}
	gone("another file", "order_id:"+erasedOrder)
	storesNothing(t, s, erasedCustomer, "Secret Street", erasedOrder)

	p.send(cloudEvent{ID: "new", Type: "order.placed", Data: map[string]any{"order_id": erasedOrder, "channel": "web"}})
	p.eventually("it begins as something new", 10*time.Second, func() bool {
		a, ok := p.instance("orders", erasedOrder)
		return ok && len(a.Path) == 1 && p.health("orders", "window=all").Started == 5
	})
}

// A process that is killed at any step of an erasure goes on with it when it starts again:
// nothing is seen of the key any more, and every number is what it was.
func TestKilledWhileErasing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and erases again and again")
	}
	t.Parallel()
	p := startErasables(t)
	s := p.tables
	key, values := "order_id:"+erasedOrder, []string{erasedOrder}
	for i, killAt := range []string{
		"SELECT max(cutoff) FROM %s.erasures",
		"SELECT count() FROM %s.steps WHERE startsWith(key, 'erased-') AND NOT deleted",
		"SELECT count() FROM %s.signals WHERE erased AND has(keys, 'order_id:A-3') AND arrayExists(k -> startsWith(k, 'customer_id:erased-'), keys)",
		"SELECT count() FROM %s.engine_state WHERE position(text, 'erased-') > 0",
	} {
		switch i {
		case 1:
			key, values = "order_id:A-1", append(values, "A-1")
		case 2:
			key, values = "customer_id:"+erasedCustomer, append(values, erasedCustomer, "Secret Street")
		case 3:
			key, values = "order_id:A-2", append(values, "A-2")
		}
		step := fmt.Sprintf(killAt, s.Database())
		before := askTable(t, s, step)
		asked := p.beginErasing(key)
		p.eventually(fmt.Sprintf("step %d", i), 90*time.Second, func() bool {
			select {
			case <-asked: // the step came and went between two looks
				return true
			default:
				return askTable(t, s, step) > before
			}
		})
		p.kill()
		<-asked
		p.comeBack()
		p.eventually(fmt.Sprintf("killed at step %d: it is erased", i), 60*time.Second, func() bool {
			status, _ := p.call(http.MethodGet, "/api/v1/timeline?key="+url.QueryEscape(key), "", nil)
			return status == http.StatusNotFound && askTable(t, s, "SELECT count() FROM "+s.Database()+".erasures FINAL WHERE NOT done") == 0
		})
		p.whole()
		p.unchanged(fmt.Sprintf("killed at step %d", i))
		storesNothing(t, s, values...)
	}
}

// What may be erased, and by whom.
func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	operator, admin := makeToken(t, dir, "--name", "anna", "--scope", "operate"), makeToken(t, dir, "--name", "dpo", "--scope", "admin")
	h := startIn(t, dir, map[string]string{"THROUGHLINE_AUTH_MODE": "local"})
	for _, c := range []struct {
		token, key string
		status     int
		says       string
	}{
		{"", "order_id:1", http.StatusUnauthorized, "token"},
		{operator, "order_id:1", http.StatusForbidden, "admin"},
		{admin, "order_id:1", http.StatusNotFound, "No signal carries"},
		{admin, "4711", http.StatusBadRequest, "type:value"},
		{admin, "order_id:", http.StatusBadRequest, "type:value"},
		{admin, "Order'id:1", http.StatusBadRequest, "no type of key"},
		{admin, "order_id:" + strings.Repeat("x", 5000), http.StatusBadRequest, "bytes"},
		{admin, "order_id:a\x00b", http.StatusBadRequest, "no text"},
	} {
		status, _, body := h.as(c.token, http.MethodDelete, "/api/v1/keys/"+url.PathEscape(c.key), "", nil)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%.30q: %d %s, want %d", c.key, status, body, c.status)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+h.addr.HTTP+"/api/v1/keys/order_id:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://elsewhere.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %d", response.StatusCode)
	}
}
