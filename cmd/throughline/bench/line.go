package bench

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// lines are connections to one server that requests are posted on, each with one under way.
// They speak plain HTTP/1.1. http.Client wakes two more goroutines for each request, which
// cost more than the rest of it, and the client shares the machine with what it measures.
type lines struct {
	to   *url.URL
	head []byte     // of each request, but for the length of its body
	idle chan *line // at hand
}

// line is a connection.
type line struct {
	conn net.Conn
	in   *bufio.Reader
	head []byte
	used time.Time
}

// lineIdle is how long a line may wait for its next request: less than servers wait.
const lineIdle = 5 * time.Second

func newLines(to, contentType, token string) (*lines, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the URL
	}
	l := &lines{to: u, idle: make(chan *line, 256)}
	l.head = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: throughline-bench\r\nContent-Type: %s\r\n", u.RequestURI(), u.Host, contentType)
	if token != "" {
		l.head = fmt.Appendf(l.head, "Authorization: Bearer %s\r\n", token)
	}
	return l, nil
}

func (l *lines) close() {
	for {
		select {
		case one := <-l.idle:
			one.conn.Close()
		default:
			return
		}
	}
}

// get is a line at hand, or a new one.
func (l *lines) get(ctx context.Context) (*line, error) {
	select {
	case one := <-l.idle:
		if time.Since(one.used) < lineIdle {
			return one, nil
		}
		one.conn.Close()
	default:
	}
	address, dialer := l.to.Host, net.Dialer{Timeout: answerTime}
	if l.to.Port() == "" {
		address = net.JoinHostPort(l.to.Hostname(), l.to.Scheme)
	}
	var conn net.Conn
	var err error
	if l.to.Scheme == "https" {
		conn, err = (&tls.Dialer{NetDialer: &dialer}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the address
	}
	return &line{conn: conn, in: bufio.NewReader(conn)}, nil
}

// post sends a body and reads the answer, of which it returns 4 KB at most.
func (l *lines) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	one, err := l.get(ctx)
	if err != nil {
		return 0, nil, err
	}
	unhook := func() bool { return true }
	if ctx.Done() != nil {
		unhook = context.AfterFunc(ctx, func() { one.conn.Close() })
	}
	status, answer, again, err := one.post(l.head, body)
	if unhook(); err != nil || !again {
		return status, answer, errors.Join(err, one.conn.Close())
	}
	select {
	case l.idle <- one:
	default:
		one.conn.Close()
	}
	return status, answer, nil
}

// post is one request; again says whether another one may follow it.
func (o *line) post(head, body []byte) (status int, answer []byte, again bool, err error) {
	o.used = time.Now()
	if err := o.conn.SetDeadline(o.used.Add(6 * answerTime)); err != nil {
		return 0, nil, false, err //nolint:wrapcheck // it names the address
	}
	o.head = fmt.Appendf(append(o.head[:0], head...), "Content-Length: %d\r\n\r\n", len(body))
	both := net.Buffers{o.head, body}
	_, fault := both.WriteTo(o.conn)
	resp, err := http.ReadResponse(o.in, nil) // there is one where the server did not want all of it
	if err != nil {
		return 0, nil, false, fmt.Errorf("read the answer: %w", cmp.Or(fault, err))
	}
	const most = 4096
	answer, err = io.ReadAll(io.LimitReader(resp.Body, most))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, nil, false, fmt.Errorf("read the answer: %w", err)
	}
	return resp.StatusCode, answer, fault == nil && !resp.Close && len(answer) < most, nil
}
