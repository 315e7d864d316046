package web

import (
	"net/http"
	"net/url"
)

// AsReader is r as from a person of that name, unless their browser keeps another: what they
// acknowledge or silence is signed with it.
func AsReader(r *http.Request, name string) *http.Request {
	if keptName(r) != "" {
		return r
	}
	r = r.Clone(r.Context())
	r.AddCookie(&http.Cookie{Name: nameCookie, Value: url.QueryEscape(name)})
	return r
}
