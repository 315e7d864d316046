package auth

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// upgrade hands out the connection of a websocket such that it ends with its session: a
// request is asked once, a socket lasts for hours.
type upgrade struct {
	http.ResponseWriter
	guard   *Guard
	session session
}

// Unwrap is for http.ResponseController.
func (u *upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // a decorator adds nothing
	}
	s := &socket{conn, u.guard}
	u.guard.mu.Lock()
	defer u.guard.mu.Unlock()
	u.guard.sockets[s] = u.session
	return s, buffer, nil
}

// socket is a connection that the guard knows until it is closed.
type socket struct {
	net.Conn
	guard *Guard
}

// Close implements net.Conn.
func (s *socket) Close() error {
	s.guard.mu.Lock()
	delete(s.guard.sockets, s)
	s.guard.mu.Unlock()
	return s.Conn.Close() //nolint:wrapcheck // a decorator adds nothing
}

// sweep ends the sockets whose token or session is gone.
func (g *Guard) sweep(now time.Time) {
	g.mu.Lock()
	var over []*socket
	for s, session := range g.sockets {
		if _, ok := g.Tokens.Get(session.token); !ok || !session.until.IsZero() && now.After(session.until) {
			over = append(over, s)
		}
	}
	g.mu.Unlock()
	for _, s := range over {
		s.Close() //nolint:errcheck // its reader and writer see the end, and say what there is to say
	}
}
