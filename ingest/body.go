package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"
)

// Body is the body of one request, and the part of the budget of memory that the request
// holds. One goroutine uses it.
type Body struct {
	Bytes  []byte
	budget *semaphore.Weighted
	share  *semaphore.Weighted // of the sender in the budget; nil for no bound
	held   int64
	room   *[]byte // of rooms, which Bytes are in; nil where they are elsewhere
}

// rooms are buffers of bodies that were freed.
var rooms = sync.Pool{New: func() any { room := make([]byte, 0, firstRoom); return &room }}

const (
	firstRoom = 8 << 10
	keptRoom  = 256 << 10 // a larger one is not kept
)

// Grow takes n more bytes of the budget, before they are allocated. The error is a
// Refusal: later there may be room, unless the request alone is more than the budget.
func (b *Body) Grow(n int) error {
	if b.held+int64(n) > maxInFlight {
		return Refuse(TooLarge, "the request takes too much memory; send smaller batches")
	}
	if b.share != nil && !b.share.TryAcquire(int64(n)) {
		return Refuse(Busy, "too much is being taken in at once of this token; send it again")
	}
	if !b.budget.TryAcquire(int64(n)) {
		if b.share != nil {
			b.share.Release(int64(n))
		}
		return Refuse(Busy, "too much is being taken in at once; send it again")
	}
	b.held += int64(n)
	return nil
}

// Free gives back what the request holds, when its body, and what was decoded from it,
// is no longer needed: texts that refer to it change then.
func (b *Body) Free() {
	if b.room != nil && cap(*b.room) <= keptRoom {
		rooms.Put(b.room)
	}
	b.room, b.Bytes = nil, nil
	b.budget.Release(b.held)
	if b.share != nil {
		b.share.Release(b.held)
	}
	b.held = 0
}

// read reads r's body, decompressed, and never holds more than Grow allows.
func (b *Body) read(w http.ResponseWriter, r *http.Request, decoder *zstd.Decoder) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	waiting := &patient{body: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(bodyWithin)}
	body, err := b.unpack(http.MaxBytesReader(w, waiting, MaxBody), r, decoder)
	if err == nil {
		waiting.done()
	}
	return body, err
}

func (b *Body) unpack(src io.Reader, r *http.Request, decoder *zstd.Decoder) ([]byte, error) {
	switch encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); encoding {
	case "", "identity":
		return b.readAll(src)
	case "gzip":
		unzip, err := gzip.NewReader(src)
		if err != nil {
			return nil, unreadable(err, "gzip")
		}
		return b.readAll(unzip)
	case "zstd":
		return b.readZstd(src, decoder)
	default:
		return nil, Refuse(Unsupported, fmt.Sprintf("Content-Encoding %s is not taken; send gzip, zstd or none", Excerpt(encoding)))
	}
}

// readZstd decodes in one go, because a stream decoder would first take the memory that
// the sender's window size asks for.
func (b *Body) readZstd(src io.Reader, decoder *zstd.Decoder) ([]byte, error) {
	compressed, err := b.readAll(src)
	if err != nil {
		return nil, err
	}
	body, err := decoder.DecodeAll(compressed, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || len(body) > MaxBody {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, unreadable(err, "zstd")
	}
	b.Free() // of the compressed bytes
	return body, b.Grow(cap(body))
}

// readAll grows its buffer only as bytes really come, whatever was announced.
func (b *Body) readAll(src io.Reader) ([]byte, error) {
	b.room = rooms.Get().(*[]byte)
	if err := b.Grow(cap(*b.room)); err != nil {
		return nil, err
	}
	buf := (*b.room)[:0]
	for {
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxBody:
			return nil, tooLarge()
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, unreadable(err, "whole")
		case len(buf) < cap(buf):
			continue
		}
		more := min(cap(buf), MaxBody+1-cap(buf)) // one byte over shows that there is more
		if err := b.Grow(more); err != nil {
			return nil, err
		}
		buf = append(make([]byte, 0, cap(buf)+more), buf...)
		*b.room = buf
	}
}

func tooLarge() error {
	return Refuse(TooLarge, fmt.Sprintf("the body has more than %d bytes after decompression; send smaller batches", MaxBody))
}

func unreadable(err error, what string) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Refuse(Slow, fmt.Sprintf("the body did not come: nothing for %v, or not all within %v; send smaller batches", silentWithin, bodyWithin))
	}
	return Refuse(Invalid, fmt.Sprintf("the body is not %s: %v", what, err))
}

// patient reads a body as long as some of it comes now and then, and not for ever: who sends
// a byte at a time, or stops, holds what was read so far for a bounded time.
type patient struct {
	body  io.ReadCloser
	conn  *http.ResponseController
	until time.Time
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	next := time.Now().Add(silentWithin)
	if next.After(p.until) {
		next = p.until
	}
	if err := p.conn.SetReadDeadline(next); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("wait for the body: %w", err)
	}
	return p.body.Read(b) //nolint:wrapcheck // it is looked at by type
}

// Close implements io.Closer.
func (p *patient) Close() error { return p.body.Close() } //nolint:wrapcheck // as Read

// done gives the connection its own time again, when all is here. After a body that was not
// read to its end, the server reads on for a while: that must end soon, too.
func (p *patient) done() {
	_ = p.conn.SetReadDeadline(p.until) // where it cannot be set, it was not set before
}
