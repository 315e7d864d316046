package web

import (
	"compress/flate"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	heartbeatEvery = 5 * time.Second
	// A peer that answers no ping for so long is gone: two heartbeats may be lost.
	silentFor     = 3 * heartbeatEvery
	writeWithin   = 10 * time.Second
	maxFromSocket = 4 << 10 // bytes of a message; pages and programs have little to say
	maxSockets    = 8192    // each costs two goroutines and about 20 KB
)

// feed is what one socket sends. Its functions are called by the socket's writer alone.
type feed struct {
	wake  <-chan struct{}
	pull  func() ([]*websocket.PreparedMessage, error) // everything new since the pull before
	beat  func() ([]byte, error)                       // what is sent every heartbeatEvery
	hear  func([]byte)                                 // what the peer says, at most maxFromSocket bytes; may be nil
	close func()
}

// sockets upgrades requests and runs what comes of them until the peer leaves or close.
type sockets struct {
	upgrader websocket.Upgrader
	log      *slog.Logger
	slots    chan struct{}
	ctx      context.Context //nolint:containedctx // the owner's own end: all sockets end with it
	cancel   context.CancelFunc

	mu     sync.Mutex // guards closed, and wg.Add against wg.Wait
	closed bool
	wg     sync.WaitGroup
}

func newSockets(log *slog.Logger) *sockets {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sockets{log: log, slots: make(chan struct{}, maxSockets), ctx: ctx, cancel: cancel}
	s.upgrader = websocket.Upgrader{
		HandshakeTimeout:  writeWithin,
		ReadBufferSize:    1 << 10,
		WriteBufferSize:   4 << 10,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: true,
		// CheckOrigin stays nil: a browser's Origin must be the host it asks, programs send none.
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			WriteProblem(w, r, *problem(status, "This is a websocket: %v. Connect with a websocket client, from a page of this host or without an Origin.", reason))
		},
	}
	return s
}

// enter counts a socket in; false where there is no room or the server closes.
func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		s.wg.Add(1)
		return true
	default:
		return false
	}
}

func (s *sockets) leave() {
	<-s.slots
	s.wg.Done()
}

// close ends all sockets and waits for them until ctx ends.
func (s *sockets) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }() // ends with the last socket, each bounded by writeWithin
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("websockets did not end in time")
	}
}

// serve runs one socket: the request's goroutine reads, a second one writes.
func (s *sockets) serve(w http.ResponseWriter, r *http.Request, open func() feed) {
	if !s.enter() {
		WriteProblem(w, r, *problem(http.StatusServiceUnavailable, "There are %d websockets open already, or the server is closing. Try again in a moment.", maxSockets))
		return
	}
	defer s.leave()
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	ctx, cancel := context.WithCancel(s.ctx)
	feed := open()
	var writer sync.WaitGroup
	writer.Go(func() {
		defer conn.Close() // ends read, too
		if err := write(ctx, conn, feed); err != nil && !gone(err) {
			s.log.WarnContext(ctx, "websocket", "path", r.URL.Path, "error", err)
		}
	})
	read(conn, feed.hear)
	cancel()
	writer.Wait()
	feed.close()
}

// read hands on what the peer says, and returns when it is gone or silent.
func read(conn *websocket.Conn, hear func([]byte)) {
	conn.SetReadLimit(maxFromSocket)
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(silentFor)) }
	conn.SetPongHandler(func(string) error { return alive() })
	if alive() != nil {
		return
	}
	for {
		_, message, err := conn.NextReader()
		if err != nil {
			return
		}
		said, err := io.ReadAll(message) // the read limit bounds it
		if err != nil {
			return
		}
		if hear != nil {
			hear(said)
		}
		if alive() != nil {
			return
		}
	}
}

func write(ctx context.Context, conn *websocket.Conn, feed feed) error {
	if err := conn.SetCompressionLevel(flate.BestSpeed); err != nil {
		return err
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	beaten := false
	for {
		select {
		case <-ctx.Done():
			bye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
			return conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		case <-feed.wake:
			messages, err := feed.pull()
			if err != nil {
				return err
			}
			for _, message := range messages {
				if err := writeWith(conn, func() error { return conn.WritePreparedMessage(message) }); err != nil {
					return err
				}
			}
			if feed.hear != nil && !beaten { // a page sets its clock by it
				if err := beat(conn, feed); err != nil {
					return err
				}
				beaten = true
			}
		case <-heartbeat.C:
			if err := beat(conn, feed); err != nil {
				return err
			}
		}
	}
}

func beat(conn *websocket.Conn, feed feed) error {
	body, err := feed.beat()
	if err != nil {
		return err
	}
	if err := writeWith(conn, func() error { return conn.WriteMessage(websocket.TextMessage, body) }); err != nil {
		return err
	}
	return conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWithin))
}

// writeWith gives one write its deadline: a socket that takes nothing for so long is closed.
func writeWith(conn *websocket.Conn, write func() error) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return write()
}

// gone says that err is only a way in which peers leave.
func gone(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true // a deadline, a reset, a broken pipe
	}
	_, closed := errors.AsType[*websocket.CloseError](err)
	return closed || errors.Is(err, net.ErrClosed) || errors.Is(err, websocket.ErrCloseSent)
}
