package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// contentPolicy lets a page load what this server serves and nothing else; no inline script
// or style runs. Images may be data: URLs for the icons that CSS draws.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secured sets the headers that keep a page from being framed, sniffed or fed foreign code.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		next.ServeHTTP(w, r)
	})
}

// knownHost refuses requests for names that are not this machine's while the server listens
// on loopback: a foreign name that resolves to 127.0.0.1 would let that site's pages in.
// On other addresses a person has to sign in, and names are the operator's business.
func (s *Server) knownHost(next http.Handler) http.Handler {
	bound := hostOnly(s.Host)
	if bound != "" && !isLoopback(bound) {
		return next
	}
	known := slices.Concat([]string{bound}, s.Hosts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOnly(r.Host)
		if !isLoopback(host) && (host == "" || !slices.Contains(known, host)) {
			WriteProblem(w, r, *problem(http.StatusMisdirectedRequest, "This server does not answer for the host %q. Ask for localhost or 127.0.0.1.", shorten(host)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOnly takes the port and the brackets of an IPv6 address away.
func hostOnly(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
