package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"
)

// charge is the part of the budget for bodies that one request holds.
type charge struct {
	budget *semaphore.Weighted
	held   int64
}

func (c *charge) take(n int64) error {
	if !c.budget.TryAcquire(n) {
		return Refuse(Busy, "too many bytes are being taken in at once; send it again")
	}
	c.held += n
	return nil
}

func (c *charge) free() {
	c.budget.Release(c.held)
	c.held = 0
}

// readBody reads r's body, decompressed, and never holds more than c may take.
func (in *Intake) readBody(w http.ResponseWriter, r *http.Request, c *charge) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	src := http.MaxBytesReader(w, r.Body, MaxBody)
	switch encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); encoding {
	case "", "identity":
		return readAll(src, c)
	case "gzip":
		unzip, err := gzip.NewReader(src)
		if err != nil {
			return nil, unreadable(err, "gzip")
		}
		return readAll(unzip, c)
	case "zstd":
		return in.readZstd(src, c)
	default:
		return nil, Refuse(Unsupported, fmt.Sprintf("Content-Encoding %s is not taken; send gzip, zstd or none", Excerpt(encoding)))
	}
}

// readZstd decodes in one go, because a stream decoder would first take the memory that
// the sender's window size asks for.
func (in *Intake) readZstd(src io.Reader, c *charge) ([]byte, error) {
	compressed, err := readAll(src, c)
	if err != nil {
		return nil, err
	}
	body, err := in.zstd.DecodeAll(compressed, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || len(body) > MaxBody {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, unreadable(err, "zstd")
	}
	c.free()
	return body, c.take(int64(cap(body)))
}

// readAll grows its buffer only as bytes really come, whatever was announced.
func readAll(src io.Reader, c *charge) ([]byte, error) {
	const first = 8 << 10
	if err := c.take(first); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, first)
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
		}
		if len(buf) == cap(buf) {
			if err := c.take(int64(cap(buf))); err != nil {
				return nil, err
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
	}
}

func tooLarge() error {
	return Refuse(TooLarge, fmt.Sprintf("the body has more than %d bytes after decompression; send smaller batches", MaxBody))
}

func unreadable(err error, what string) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	return Refuse(Invalid, fmt.Sprintf("the body is not %s: %v", what, err))
}
