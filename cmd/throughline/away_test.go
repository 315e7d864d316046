package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"throughline/flows/store/chdb"
	"throughline/ingest/bus"
)

// gate stands before a ClickHouse. Closed, it is a server that is down: connections are
// refused, and those that were open end.
type gate struct {
	t      *testing.T
	addr   string // of the gate
	server *chdb.Server
	done   sync.WaitGroup

	mu       sync.Mutex // guards all below
	listener net.Listener
	conns    map[net.Conn]bool
	trap     []byte // closes the gate when a client says this
}

// newGate is a closed gate before a new ClickHouse.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, server: clickhouse(t, t.TempDir()), conns: map[net.Conn]bool{}}
	l, err := net.Listen("tcp", "127.0.0.2:0") // where nobody else takes the port while it is closed
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.close()
		g.done.Wait()
	})
	return g
}

// settings make the product use the ClickHouse behind the gate.
func (g *gate) settings() map[string]string { return external(g.t, g.addr, g.server.Password) }

func (g *gate) open() {
	g.t.Helper()
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener = l
	g.done.Go(func() { // ends when close closes the listener
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			g.done.Go(func() { g.carry(client) })
		}
	})
}

// carry forwards a connection both ways until one side ends or the gate closes.
func (g *gate) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.server.Addr())
	if err != nil {
		return
	}
	defer server.Close()
	g.mu.Lock()
	open := g.listener != nil
	if open {
		g.conns[client], g.conns[server] = true, true
	}
	g.mu.Unlock()
	if !open {
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	ways.Go(func() {
		_, _ = io.Copy(trapped{g, server}, client)
		_ = server.Close()
	})
	ways.Wait()
	g.mu.Lock()
	delete(g.conns, client)
	delete(g.conns, server)
	g.mu.Unlock()
}

// trapped is the way to the server.
type trapped struct {
	gate   *gate
	server net.Conn
}

func (w trapped) Write(p []byte) (int, error) {
	w.gate.mu.Lock()
	caught := len(w.gate.trap) > 0 && bytes.Contains(p, w.gate.trap)
	if caught {
		w.gate.trap = nil
	}
	w.gate.mu.Unlock()
	if caught {
		w.gate.close()
		return 0, net.ErrClosed
	}
	return w.server.Write(p)
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		_ = g.listener.Close()
	}
	g.listener = nil
	for conn := range g.conns {
		_ = conn.Close()
	}
}

// setTrap closes the gate when the program next says this.
func (g *gate) setTrap(query string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trap = []byte(query)
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listener == nil
}

// orders sends placed orders from, from+1 ... below to.
func orders(h *house, from, to int) {
	h.t.Helper()
	var batch []cloudEvent
	for i := from; i < to; i++ {
		batch = append(batch, cloudEvent{ID: fmt.Sprintf("placed-%d", i), Type: "order.placed", Data: map[string]any{"order_id": fmt.Sprint(i)}})
	}
	h.send(batch...)
}

// stuck is the number that health says; -1 where it cannot be read.
func (h *house) stuck(flow, window string) int {
	h.t.Helper()
	status, body := h.call(http.MethodGet, "/api/v1/flows/"+flow+"/health?window="+window, "", nil)
	var a healthAnswer
	if status != http.StatusOK || json.Unmarshal(body, &a) != nil {
		return -1
	}
	return a.Stuck
}

// storedOnce checks what the tables hold of placed orders.
func (g *gate) storedOnce(t *testing.T, n uint64) {
	t.Helper()
	s := openTables(t, g.server)
	for query, want := range map[string]uint64{
		"SELECT uniqExact(source, id) FROM throughline.signals":                        n,
		"SELECT count() FROM throughline.steps FINAL WHERE flow = 'orders'":            n,
		"SELECT count() FROM throughline.instances FINAL WHERE flow = 'orders'":        n,
		"SELECT countIf(state = 'stuck') FROM throughline.instances FINAL":             n,
		"SELECT uniqExact(key) FROM throughline.instances FINAL WHERE flow = 'orders'": n,
	} {
		(&house{t: t}).eventually(fmt.Sprintf("%s is %d", query, want), 15*time.Second, func() bool { return askTable(t, s, query) == want })
	}
}

// TestClickHouseAwayAtStart starts the program twice before its ClickHouse is there.
func TestClickHouseAwayAtStart(t *testing.T) {
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	gate := newGate(t)
	settings := gate.settings()
	p := runProgram(t, dir, settings)
	p.eventually("readyz says that ClickHouse is away", 5*time.Second, func() bool {
		state, detail := p.part("clickhouse")
		return state == "away" && detail != ""
	})
	if status, body := p.call(http.MethodGet, "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("not ready to take signals: %d %s", status, body)
	}
	if state, _ := p.part("engine"); state != "restoring" {
		t.Errorf("the engine is %s", state)
	}
	orders(&p.house, 0, 300)
	if status, body := p.call(http.MethodGet, "/api/v1/flows/orders/instances", "", nil); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "history") {
		t.Errorf("instances without a store: %d %s", status, body)
	}
	if status, _ := p.call(http.MethodGet, "/", "", nil); status != http.StatusOK {
		t.Errorf("the overview is answered %d", status)
	}
	p.terminate()
	p = runProgram(t, dir, settings)
	orders(&p.house, 300, 600)
	gate.open()
	p.eventually("what was owed is stored", 30*time.Second, func() bool { return p.stuck("orders", "all") == 600 })
	for _, part := range []string{"clickhouse", "engine"} {
		if state, detail := p.part(part); state != "ok" {
			t.Errorf("%s is %s: %s", part, state, detail)
		}
	}
	gate.storedOnce(t, 600)
}

// TestClickHouseAwayMeanwhile takes ClickHouse away from a running program, in both ways a
// server can be away: it refuses, or it does not answer.
func TestClickHouseAwayMeanwhile(t *testing.T) {
	gate := newGate(t)
	gate.open()
	h := startIn(t, dataFolder(t, map[string]string{"orders": ordersFlow}), gate.settings())
	h.awaitClickHouse()
	live := h.live("orders")
	orders(h, 0, 100)
	live.await("100 in flight", 5*time.Second, func(a healthAnswer) bool { return a.InFlight == 100 })

	gate.close()
	h.eventually("readyz says away", 10*time.Second, func() bool { state, _ := h.part("clickhouse"); return state == "away" })
	orders(h, 100, 200)
	live.await("the numbers go on while it refuses", 2*time.Second, func(a healthAnswer) bool { return a.InFlight == 200 })
	live.await("verdicts go on too", 5*time.Second, func(a healthAnswer) bool { return a.Stuck == 200 })
	if status, _ := h.call(http.MethodGet, "/flows/orders", "", nil); status != http.StatusOK {
		t.Errorf("the flow's page is answered %d", status)
	}
	gate.open()
	h.eventually("it catches up", 20*time.Second, func() bool { state, _ := h.part("clickhouse"); return state == "ok" })

	pid := gate.server.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	defer goOn()
	orders(h, 200, 300)
	live.await("the numbers go on while it hangs", 2*time.Second, func(a healthAnswer) bool { return a.InFlight == 300 })
	live.await("verdicts go on too", 5*time.Second, func(a healthAnswer) bool { return a.Stuck == 300 })
	goOn()
	h.eventually("everything owed is stored", 30*time.Second, func() bool { return h.stuck("orders", "all") == 300 })
	gate.storedOnce(t, 300)
}

// TestDefinitionChangeWhileAway changes a flow when its history cannot be read.
func TestDefinitionChangeWhileAway(t *testing.T) {
	gate := newGate(t)
	gate.open()
	h := startIn(t, dataFolder(t, map[string]string{"orders": ordersFlow}), gate.settings())
	h.awaitClickHouse()
	orders(h, 0, 100)
	h.eventually("they are stored", 10*time.Second, func() bool { return h.health("orders", "window=all").InFlight == 100 })
	gate.close()
	live := h.live("orders")
	writeFlow(t, h.dir, "orders", strings.Replace(ordersFlow, "within: 3s", "within: 1s", 1))
	orders(h, 100, 200)
	live.await("the flow goes on", 15*time.Second, func(a healthAnswer) bool { return a.InFlight == 200 })
	live.await("its deadlines too", 10*time.Second, func(a healthAnswer) bool { return a.Stuck == 200 })
	gate.open()
	h.eventually("everything is stored", 40*time.Second, func() bool { return h.stuck("orders", "all") == 200 })
	version := h.version("orders")
	h.eventually("all are of the new version", 10*time.Second, func() bool {
		first, _ := h.instance("orders", "0")
		last, _ := h.instance("orders", "199")
		return first.Version == version && last.Version == version
	})
	if a := h.health("orders", "window=1h"); a.Stuck != 200 || a.Restoring {
		t.Errorf("live numbers: %+v", a)
	}

	gate.setTrap("FROM signals") // now it leaves while the history is read, as it is where a step takes other signals
	writeFlow(t, h.dir, "orders", strings.NewReplacer("within: 3s", "within: 2s", "id: shipped", "id: sent").Replace(ordersFlow))
	h.eventually("the history is read", 5*time.Second, gate.closed)
	orders(h, 200, 300)
	live.await("the new order arrives meanwhile", 5*time.Second, func(a healthAnswer) bool { return a.Restoring && a.InFlight >= 100 })
	gate.open()
	live.await("the flow is whole", 40*time.Second, func(a healthAnswer) bool { return !a.Restoring && a.Stuck == 300 })
	h.eventually("everything is stored", 40*time.Second, func() bool { return h.stuck("orders", "all") == 300 })
	gate.storedOnce(t, 300)
}

// TestClickHouseLeavesDuringRestore takes ClickHouse away while the program reads its state.
func TestClickHouseLeavesDuringRestore(t *testing.T) {
	dir := dataFolder(t, map[string]string{"orders": ordersFlow})
	gate := newGate(t)
	gate.open()
	settings := gate.settings()
	p := runProgram(t, dir, settings)
	p.awaitClickHouse()
	orders(&p.house, 0, 100)
	p.eventually("they are stored", 10*time.Second, func() bool { return p.health("orders", "window=all").Stuck == 100 })
	p.terminate()
	for _, query := range []string{"FROM checkpoints", "FROM engine_state", "FROM engine_left", "FROM instances"} {
		gate.setTrap(query)
		p = runProgram(t, dir, settings)
		p.eventually(query+" is asked", 10*time.Second, gate.closed)
		p.eventually("ClickHouse is away", 10*time.Second, func() bool { state, _ := p.part("clickhouse"); return state == "away" })
		gate.open()
		live := p.live("orders")
		live.await("the state is read after all", 20*time.Second, func(a healthAnswer) bool { return a.Stuck == 100 && a.Restoring })
		p.kill()
	}
	gate.storedOnce(t, 100)
}

// TestBacklogText: what is owed for minutes is told, with its bound; the message that a stream
// always keeps is not.
func TestBacklogText(t *testing.T) {
	owed := bus.Backlog{Messages: 300, Bytes: 1200 << 20, Limit: 8 << 30, Oldest: 4*time.Minute + 200*time.Millisecond}
	if got, want := backlogText(bus.Spans, owed), "1200 of 8192 MB for spans wait to be stored, the oldest since 4m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, b := range []bus.Backlog{{}, {Messages: 1, Bytes: 100, Oldest: time.Hour}, {Messages: 300, Oldest: 40 * time.Second}} {
		if got := backlogText(bus.Signals, b); got != "" {
			t.Errorf("%+v: %q", b, got)
		}
	}
}
