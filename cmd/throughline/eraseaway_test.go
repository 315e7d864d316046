package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"throughline/flows"
)

// ClickHouse goes right after an erasure was noted, and something new of the key comes first:
// what was erased is stored under its token nevertheless, also where the process is killed
// then, and the new one begins beside it. Replaced rows are merged all the while.
func TestErasedWhileClickHouseGoes(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the state counts as whole again")
	}
	t.Parallel()
	dir := dataFolder(t, map[string]string{"orders": erasableFlow})
	gate := newGate(t)
	gate.open()
	p := runProgram(t, dir, gate.settings())
	p.awaitClickHouse()
	s := openTables(t, gate.server)
	sellErasable(&p.house)
	p.eventually("all are stored, and one is stuck", 20*time.Second, func() bool {
		a := p.health("orders", "window=all")
		return a.Completed == 3 && a.Stuck == 1 && askTable(t, s, "SELECT count() FROM "+s.Database()+".instances FINAL WHERE state = 'stuck'") == 1
	})
	for i, key := range []string{erasedOrder, "A-2"} {
		gate.setTrap("SELECT * REPLACE (concat({token:String}")
		asked := p.beginErasing("order_id:" + key)
		p.eventually("it is erased, and ClickHouse goes", 30*time.Second, gate.closed)
		p.send(cloudEvent{ID: fmt.Sprint("new", i), Type: "order.placed", Data: map[string]any{"order_id": key, "channel": "web"}})
		if i == 1 {
			p.kill()
			<-asked
			p = runProgram(t, dir, gate.settings())
		}
		gate.open()
		count := func(what string) uint64 { return askTable(t, s, "SELECT count() FROM "+s.Database()+"."+what) }
		p.eventually("the new one is stored beside the erased one", 90*time.Second, func() bool {
			for _, table := range []string{"instances", "steps"} {
				if err := s.Compact(t.Context(), s.Database()+"."+table); err != nil {
					t.Fatal(err)
				}
			}
			return count("erasures FINAL WHERE done") == uint64(i+1) && count("steps FINAL WHERE key = '"+key+"' AND deleted = 0") == 1
		})
		<-asked
		if n, want := count("instances FINAL WHERE startsWith(key, 'erased-') AND deleted = 0"), uint64(i+1); n != want {
			t.Errorf("%d instances are stored under tokens, want %d", n, want)
		}
		if n, want := count("steps FINAL WHERE startsWith(key, 'erased-') AND deleted = 0"), uint64(5+2*i); n != want {
			t.Errorf("%d signals are stored under tokens, want %d", n, want)
		}
		if a := p.health("orders", "window=all"); a.Started != 5+i || a.Completed != 3 {
			t.Errorf("with %d new ones: %+v", i+1, a)
		}
	}
}

// An erasure that takes long is answered 202, and asked for again it is the same one.
func TestEraseThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, err := flows.NewSet(nil)
		if err != nil {
			t.Fatal(err)
		}
		a := &app{rules: &rules{}}
		a.rules.now.Store(&rulesNow{set: set})
		key := flows.Key{Type: "order_id", Value: "A:1"}
		running := &erasing{done: make(chan struct{})}
		a.erasures.running = map[flows.Key]*erasing{key: running}
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/api/v1/keys/"+url.PathEscape(key.String()), nil)
			r.SetPathValue("key", key.String())
			a.serveErase(w, r)
			return w
		}
		began := time.Now()
		if w := ask(); w.Code != http.StatusAccepted || w.Body.String() != `{"state":"running","erased":"","signals":0}`+"\n" || time.Since(began) != eraseAnswersWithin {
			t.Errorf("after %s: %d %s", time.Since(began), w.Code, w.Body)
		}
		running.erasure.Token, running.erasure.Signals = "erased-x", 3
		time.AfterFunc(time.Second, func() { close(running.done) })
		if w := ask(); w.Code != http.StatusOK || w.Body.String() != `{"state":"done","erased":"order_id:erased-x","signals":3}`+"\n" {
			t.Errorf("asked again: %d %s", w.Code, w.Body)
		}
	})
}

// The command asks until it is done.
func TestEraseAsksAgain(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"state":"running","erased":"","signals":0}`)
			return
		}
		fmt.Fprint(w, `{"state":"done","erased":"order_id:erased-x","signals":3}`)
	}))
	defer server.Close()
	code, stdout, stderr := command(t, nil, "erase", "order_id:4711", "--server", server.URL)
	if want := "erased: it is order_id:erased-x now, in 3 signals\n"; code != 0 || stdout != want || asked != 3 {
		t.Errorf("asked %d times: %d %q %s", asked, code, stdout, stderr)
	}
}

// A key is erased while its signals come, one after the other: each counts once, under the
// token or, where it came later, as something new.
func TestErasedWhileItsSignalsCome(t *testing.T) {
	t.Parallel()
	db := clickhouse(t, t.TempDir())
	h := startIn(t, dataFolder(t, map[string]string{"orders": erasableFlow}), external(t, db.Addr(), db.Password))
	h.awaitClickHouse()
	s := openTables(t, db)
	send := func(n int) {
		h.send(cloudEvent{ID: fmt.Sprint("packed-", n), Type: "item.packed", Data: map[string]any{"order_id": "K", "item": fmt.Sprint(n)}})
	}
	send(0)
	h.eventually("the first is stored", 10*time.Second, func() bool { return askTable(t, s, "SELECT count() FROM "+s.Database()+".signals") == 1 })
	asked := h.beginErasing("order_id:K")
	sent := uint64(1)
	for erased := false; !erased; sent++ {
		send(int(sent))
		select {
		case <-asked:
			erased = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	send(int(sent))
	sent++
	for query, want := range map[string]uint64{
		"count() FROM %s.signals": sent,
		"count() FROM %s.signals WHERE erased OR has(keys, 'order_id:K')": sent,
		"uniqExact(id) FROM %s.steps FINAL WHERE deleted = 0":             sent,
		"count() FROM %s.steps FINAL WHERE deleted = 0":                   sent,
		"count() FROM %s.instances FINAL WHERE deleted = 0":               2,
	} {
		query = "SELECT " + fmt.Sprintf(query, s.Database())
		h.eventually(fmt.Sprintf("%s is %d", query, want), 20*time.Second, func() bool { return askTable(t, s, query) == want })
	}
	if n := askTable(t, s, "SELECT count() FROM "+s.Database()+".signals WHERE erased"); n == 0 {
		t.Error("nothing was erased")
	}
}

// Rows under the value are removed once the instances are renamed, not meanwhile: the row that
// takes an instance back would be written after the removal, and stay with the value in it.
func TestErasedRowsGoOnceRenamed(t *testing.T) {
	t.Parallel()
	db := clickhouse(t, t.TempDir())
	direct, err := url.Parse("http://" + db.Addr())
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(direct)
	var renamed, early atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rename := bytes.Contains(body, []byte("SELECT * REPLACE (concat({token:String}"))
		if rename {
			select { // ClickHouse is slow
			case <-time.After(500 * time.Millisecond):
			case <-r.Context().Done():
			}
		} else if bytes.HasPrefix(body, []byte("ALTER TABLE instances DELETE")) && renamed.Load() < 2 {
			early.Add(1)
		}
		through.ServeHTTP(w, r)
		if rename {
			renamed.Add(1) // of steps, of instances
		}
	}))
	t.Cleanup(front.Close)
	h := startIn(t, dataFolder(t, map[string]string{"orders": erasableFlow}), external(t, front.Listener.Addr().String(), db.Password))
	h.awaitClickHouse()
	s := openTables(t, db)
	sellErasable(h)
	h.eventually("all are stored", 20*time.Second, func() bool {
		return askTable(t, s, "SELECT count() FROM "+s.Database()+".instances FINAL WHERE state = 'completed'") == 3
	})
	h.erase("order_id:" + erasedOrder)
	storesNothing(t, s, erasedOrder)
	if early, renamed := early.Load(), renamed.Load(); early > 0 || renamed != 2 {
		t.Errorf("rows of instances were removed before they were renamed: %d times; renamed in %d tables, want 2", early, renamed)
	}
}
