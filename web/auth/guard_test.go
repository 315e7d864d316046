package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
)

// guarded is a Guard before a handler that says it was reached.
func guarded(t *testing.T) (*Guard, http.Handler, map[Scope]string) {
	t.Helper()
	dir := t.TempDir()
	tokens := tokensIn(t, dir)
	plain := map[Scope]string{}
	for _, scope := range Scopes() {
		plain[scope], _ = create(t, tokens, "the "+string(scope), scope)
	}
	g, err := NewGuard(Options{
		Tokens: tokens, Dir: dir, Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{},
		Problem: func(w http.ResponseWriter, _ *http.Request, status int, detail string) { http.Error(w, detail, status) },
		As:      func(r *http.Request, _ string) *http.Request { return r },
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "reached") })), plain
}

func ask(t *testing.T, h http.Handler, method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestWhoMay holds every kind of route against every scope.
func TestWhoMay(t *testing.T) {
	_, h, plain := guarded(t)
	for route, may := range map[string]string{ // the scopes that may; * is nobody in particular
		"GET /healthz": "* ingest read operate admin", "HEAD /readyz": "* ingest read operate admin",
		"GET /assets/app.css":         "* ingest read operate admin",
		"POST /api/v1/events":         "* ingest read operate admin", // asked at ingest's door
		"POST /api/v1/hooks/stripe":   "* ingest read operate admin",
		"GET /":                       "read operate admin",
		"GET /flows/f":                "read operate admin",
		"POST /flows/f/model/check":   "read operate admin", // it changes nothing
		"GET /api/v1/flows":           "read operate admin",
		"GET /api/v1/live":            "read operate admin",
		"GET /ws":                     "read operate admin",
		"GET /metrics":                "read operate admin",
		"GET /api/openapi.json":       "read operate admin",
		"GET /api/v1/events":          "read operate admin",
		"POST /assets/x":              "operate admin",
		"POST /alerts/1/ack":          "operate admin",
		"DELETE /api/v1/alerts/1/ack": "operate admin",
		"POST /api/v2/silences":       "operate admin",
		"POST /api/v1/flows/f/import": "operate admin",
		"PATCH /x":                    "operate admin",
		"GET /api/v1/tokens":          "admin",
		"DELETE /api/v1/tokens/x":     "admin",
		"DELETE /api/v1/keys/a:b":     "admin",
	} {
		method, path, _ := strings.Cut(route, " ")
		for _, scope := range append(Scopes(), "*", "unknown") {
			var header []string
			switch scope {
			case "*":
			case "unknown":
				header = []string{"Authorization", "Bearer " + strings.Repeat("x", tokenLength)}
			default:
				header = []string{"Authorization", "Bearer " + plain[scope]}
			}
			w := ask(t, h, method, path, nil, header...)
			want := http.StatusForbidden
			switch {
			case strings.Contains(" "+may+" ", " "+string(scope)+" "), strings.HasPrefix(may, "*"):
				want = http.StatusOK
			case scope == "*" || scope == "unknown":
				want = http.StatusUnauthorized
			}
			if w.Code != want || (w.Body.String() == "reached") != (want == http.StatusOK) {
				t.Errorf("%s with %s: %d %q, want %d", route, scope, w.Code, w.Body, want)
			}
			if want == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: no WWW-Authenticate", route)
			}
			if want != http.StatusOK && !strings.Contains(w.Body.String(), "token") {
				t.Errorf("%s with %s: %q does not say what to do", route, scope, w.Body)
			}
		}
	}
}

// signIn exchanges a token for a cookie.
func signIn(t *testing.T, h http.Handler, token, next string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	form := url.Values{"token": {token}, "next": {next}}.Encode()
	w := ask(t, h, "POST", "/login", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
	for _, c := range w.Result().Cookies() {
		if c.Name == cookieName {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
				t.Errorf("cookie %+v", c)
			}
			return w, c.Name + "=" + c.Value
		}
	}
	return w, ""
}

func TestSession(t *testing.T) {
	g, h, plain := guarded(t)
	w := ask(t, h, "GET", "/flows/f?range=1h", nil, "Accept", "text/html,*/*")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next=%2Fflows%2Ff%3Frange%3D1h" {
		t.Errorf("a page without a session: %d %v", w.Code, w.Header())
	}
	if w := ask(t, h, "GET", "/login?next=%2Fflows%2Ff", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `value="/flows/f"`) {
		t.Errorf("login page: %d %s", w.Code, w.Body)
	}
	if w, cookie := signIn(t, h, "tl_wrong", "/"); w.Code != http.StatusUnauthorized || cookie != "" || !strings.Contains(w.Body.String(), "not known") {
		t.Errorf("a wrong token: %d", w.Code)
	}
	if w, cookie := signIn(t, h, plain[Ingest], "/"); w.Code != http.StatusForbidden || cookie != "" {
		t.Errorf("a token that may not read: %d", w.Code)
	}
	w, cookie := signIn(t, h, " "+plain[Read]+"\n", "/flows/f")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/flows/f" || cookie == "" {
		t.Fatalf("sign in: %d %v", w.Code, w.Header())
	}
	if strings.Contains(cookie, plain[Read][len(plain[Read])-2*secretBytes:]) {
		t.Error("the cookie holds the secret")
	}
	if w := ask(t, h, "GET", "/flows/f", nil, "Cookie", cookie, "Accept", "text/html"); w.Body.String() != "reached" {
		t.Errorf("with a session: %d", w.Code)
	}
	if w := ask(t, h, "POST", "/alerts/1/ack", nil, "Cookie", cookie, "Accept", "text/html"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "needs operate") {
		t.Errorf("more than the token may: %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "GET", "/login", nil, "Cookie", cookie); !strings.Contains(w.Body.String(), "the read") || !strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("login page of somebody who is in: %s", w.Body)
	}
	for i := range len(cookie) - len(cookieName) - 1 {
		at := len(cookieName) + 1 + i
		changed := []byte(cookie)
		if changed[at]++; changed[at] == ';' {
			changed[at]++
		}
		if w := ask(t, h, "GET", "/", nil, "Cookie", string(changed)); w.Code != http.StatusUnauthorized {
			t.Fatalf("changed at %d: %d", at, w.Code)
		}
	}
	if w := ask(t, h, "POST", "/logout", nil, "Cookie", cookie); len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %v", w.Header())
	}
	if _, err := g.Tokens.Revoke("the read"); err != nil {
		t.Fatal(err)
	}
	if w := ask(t, h, "GET", "/", nil, "Cookie", cookie); w.Code != http.StatusUnauthorized {
		t.Errorf("a session whose token is revoked: %d", w.Code)
	}
}

func TestSessionEnds(t *testing.T) {
	key, other := []byte("0123456789abcdef"), []byte("0123456789abcdeg")
	now := time.Unix(1_800_000_000, 0)
	value := session{"id", now.Add(sessionFor)}.seal(key)
	for _, c := range []struct {
		key []byte
		at  time.Time
		ok  bool
	}{
		{key, now, true},
		{key, now.Add(sessionFor - time.Second), true},
		{key, now.Add(sessionFor), false},
		{other, now, false},
	} {
		if s, ok := unseal(c.key, value, c.at); ok != c.ok || ok && s.token != "id" {
			t.Errorf("%+v: %+v, %v", c, s, ok)
		}
	}
}

func TestKeySurvives(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKey(dir)
	if err != nil || len(first) != keyBytes {
		t.Fatal(err)
	}
	if again, err := loadKey(dir); err != nil || string(again) != string(first) {
		t.Errorf("another key after a restart: %v", err)
	}
	if other, err := loadKey(t.TempDir()); err != nil || string(other) == string(first) {
		t.Errorf("the same key elsewhere: %v", err)
	}
}

// TestSocketEndsWithItsToken: a websocket is asked once; a revoked token ends it all the same.
func TestSocketEndsWithItsToken(t *testing.T) {
	g, _, plain := guarded(t)
	var held sync.WaitGroup
	server := httptest.NewServer(g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		held.Go(func() {
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			io.Copy(io.Discard, conn)
			conn.Close()
		})
	})))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	defer running.Wait()
	defer stop()
	open := func(scope Scope) net.Conn {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer %s\r\n\r\n", plain[scope])
		buf := make([]byte, 12)
		if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "HTTP/1.1 101" {
			t.Fatalf("%q %v", buf, err)
		}
		return conn
	}
	gone, stays := open(Read), open(Operate)
	defer stays.Close()
	if _, err := g.Tokens.Revoke("the read"); err != nil {
		t.Fatal(err)
	}
	if err := gone.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, gone); err != nil { // until its end
		t.Errorf("the socket of a revoked token goes on: %v", err)
	}
	g.mu.Lock()
	left := len(g.sockets)
	g.mu.Unlock()
	if left != 1 {
		t.Errorf("%d sockets are known", left)
	}
	stays.Close()
	held.Wait()
}

// FuzzNext: wherever a form says to go, it is on this server.
func FuzzNext(f *testing.F) {
	for _, seed := range []string{"/flows/f?x=1", "//evil.example", "https://evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "", "/%2f/evil"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got := next(target)
		base, _ := url.Parse("https://here.example/login")
		to, err := base.Parse(got)
		if err != nil || to.Host != "here.example" || to.Scheme != "https" || len(got) > 1 && (got[1] == '/' || got[1] == '\\') {
			t.Errorf("%q leads to %v", target, to)
		}
	})
}

// FuzzUnseal: nothing that was not sealed is a session.
func FuzzUnseal(f *testing.F) {
	key := []byte("0123456789abcdef")
	f.Add("id.1900000000.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, value string) {
		if s, ok := unseal(key, value, time.Unix(1, 0)); ok && s.seal(key) != value {
			t.Errorf("%q is a session: %+v", value, s)
		}
	})
}
