package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"throughline/web/assets"
)

// Options are what a Guard is made of. All are needed.
type Options struct {
	Tokens *Tokens
	Dir    string // the data folder, for the key that signs sessions
	Log    *slog.Logger
	Meter  metric.Meter
	// Problem answers an API call that is refused (RFC 9457).
	Problem func(w http.ResponseWriter, r *http.Request, status int, detail string)
	// As makes a request one of a person of that name, who signs what they do with it.
	As func(r *http.Request, name string) *http.Request
}

// Guard asks who it is on every route that is not open, and lets in who may.
type Guard struct {
	Options
	key     []byte
	refused metric.Int64Counter

	mu      sync.Mutex // guards sockets
	sockets map[*socket]session
}

// NewGuard reads or makes the key that signs sessions.
func NewGuard(o Options) (*Guard, error) {
	key, err := loadKey(o.Dir)
	if err != nil {
		return nil, err
	}
	refused, err := o.Meter.Int64Counter("throughline.auth.refused", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to pages and API without a token, or without one that may"))
	if err != nil {
		return nil, fmt.Errorf("make instrument: %w", err)
	}
	return &Guard{Options: o, key: key, refused: refused, sockets: map[*socket]session{}}, nil
}

// lookEvery is how soon a revoked token is noticed, and its websockets end.
const lookEvery = 500 * time.Millisecond

// Run takes changes of the tokens, and ends the websockets of those that are gone, until ctx
// ends.
func (g *Guard) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		_, err := g.Tokens.Look()
		if err != nil && err.Error() != said {
			g.Log.Error("tokens cannot be read; those that were known stay", "error", err)
			said = err.Error()
		}
		g.sweep(time.Now())
	}
}

// open are the paths that nobody is asked for: what probes and the login page need, and
// those whose handlers ask for themselves (senders of signals, at ingest's own door).
var open = []string{"GET /healthz", "GET /readyz", "GET /login", "POST /login", "POST /logout", "POST /api/v1/events"}

// needOf is what a request needs; false for nothing. Who reads needs read, who changes
// something operate, whatever routes there are.
func needOf(method, path string) (Scope, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	switch {
	case slices.Contains(open, method+" "+path),
		method == http.MethodGet && strings.HasPrefix(path, assets.Prefix),
		method == http.MethodPost && strings.HasPrefix(path, "/api/v1/hooks/"):
		return "", false
	case path == "/api/v1/tokens", strings.HasPrefix(path, "/api/v1/tokens/"), strings.HasPrefix(path, "/api/v1/keys/"):
		return Admin, true
	case method == http.MethodGet,
		method == http.MethodPost && strings.HasPrefix(path, "/flows/") && strings.HasSuffix(path, "/model/check"): // it changes nothing
		return Read, true
	}
	return Operate, true
}

// Wrap puts the guard, and /login, before next.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /login":
			g.showLogin(w, r, http.StatusOK, r.URL.Query().Get("next"), "")
			return
		case "POST /login":
			g.login(w, r)
			return
		case "POST /logout":
			http.SetCookie(w, cookie(r, "", -time.Second))
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		need, asked := needOf(r.Method, r.URL.Path)
		if !asked {
			next.ServeHTTP(w, r)
			return
		}
		token, s, err := g.who(r)
		switch {
		case err != nil:
			g.count(r, "unauthenticated")
			g.unauthenticated(w, r, err)
		case !token.Scope.Allows(need):
			g.count(r, "forbidden")
			g.forbidden(w, r, token, need)
		case r.Header.Get("Upgrade") != "":
			next.ServeHTTP(&upgrade{w, g, s}, r)
		default:
			next.ServeHTTP(w, g.As(r, token.Name))
		}
	})
}

func (g *Guard) count(r *http.Request, why string) {
	g.refused.Add(r.Context(), 1, metric.WithAttributes(attribute.String("reason", why)))
}

// who is the token of the request's header, else of its session.
func (g *Guard) who(r *http.Request) (Token, session, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		plain, err := Bearer(header)
		if err != nil {
			return Token{}, session{}, err
		}
		token, err := g.Tokens.Identify(plain)
		return token, session{token: token.ID}, err
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return Token{}, session{}, ErrNoToken
	}
	s, ok := unseal(g.key, c.Value, time.Now())
	if !ok {
		return Token{}, session{}, errOver
	}
	token, ok := g.Tokens.Get(s.token)
	if !ok {
		return Token{}, session{}, errOver
	}
	return token, s, nil
}

// Known says whether who asks may read; a route that is open tells others less.
func (g *Guard) Known(r *http.Request) bool {
	token, _, err := g.who(r)
	return err == nil && token.Scope.Allows(Read)
}

var errOver = errors.New("the session is over; sign in again at /login, or send a token")

// Name is the name of the token by which who asks comes in; "" for nobody.
func (g *Guard) Name(r *http.Request) string {
	token, _, err := g.who(r)
	if err != nil {
		return ""
	}
	return token.Name
}

// isPage says whether a person looks at the answer.
func isPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/")
}

func (g *Guard) unauthenticated(w http.ResponseWriter, r *http.Request, err error) {
	if isPage(r) {
		target := "/login"
		if r.Method == http.MethodGet && r.URL.Path != "/" {
			target += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, target, http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	g.Problem(w, r, http.StatusUnauthorized, sentence(err.Error()))
}

func (g *Guard) forbidden(w http.ResponseWriter, r *http.Request, token Token, need Scope) {
	detail := fmt.Sprintf("The token %q has scope %s, and this needs %s. `throughline token create --scope %s` makes one that may.",
		token.Name, token.Scope, need, need)
	if isPage(r) {
		g.showLogin(w, r, http.StatusForbidden, "", detail)
		return
	}
	g.Problem(w, r, http.StatusForbidden, detail)
}

// sentence begins with a capital and ends with a stop.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
