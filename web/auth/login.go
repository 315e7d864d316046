package auth

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"throughline/web/assets"
	"throughline/web/views"
)

const maxForm = 16 << 10 // bytes

// login exchanges a token for a session.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		g.showLogin(w, r, http.StatusBadRequest, "", "The form cannot be read. Paste the token again.")
		return
	}
	token, err := g.Tokens.Identify(strings.TrimSpace(r.PostForm.Get("token")))
	if err != nil {
		g.count(r, "unauthenticated")
		g.showLogin(w, r, http.StatusUnauthorized, r.PostForm.Get("next"), sentence(err.Error()))
		return
	}
	if !token.Scope.Allows(Read) {
		g.count(r, "forbidden")
		g.showLogin(w, r, http.StatusForbidden, r.PostForm.Get("next"), "This token is for sending signals only. Sign in with one of scope read, operate or admin.")
		return
	}
	s := session{token.ID, time.Now().Add(sessionFor)}
	http.SetCookie(w, cookie(r, s.seal(g.key), sessionFor))
	http.Redirect(w, r, next(r.PostForm.Get("next")), http.StatusSeeOther)
}

// next is where to go after signing in: a path of this server, nothing else.
func next(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") {
		return "/"
	}
	return target
}

func (g *Guard) showLogin(w http.ResponseWriter, r *http.Request, status int, then, fault string) {
	v := views.Login{
		Next: next(then), Fault: fault,
		Assets: views.Assets{CSS: assets.URL(assets.CSS), Icon: assets.URL(assets.Icon)},
	}
	if token, _, err := g.who(r); err == nil {
		v.Name, v.Scope = token.Name, string(token.Scope)
	}
	var page bytes.Buffer
	if err := views.LoginDocument(v).Render(r.Context(), &page); err != nil {
		g.Log.ErrorContext(r.Context(), "the login page cannot be rendered", "error", err)
		http.Error(w, "This page cannot be written. The server's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(page.Bytes()) //nolint:errcheck // the reader is gone, nobody is left to tell
}
