package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// bar is a progress bar on one line of a terminal or a log.
type bar struct {
	w     io.Writer
	what  string
	total int64
	done  int64
	shown time.Time
}

func newBar(w io.Writer, what string, total int64) *bar {
	return &bar{w: w, what: what, total: max(total, 1)}
}

const barWidth = 30

// set shows how much is done, at most five times a second.
func (b *bar) set(done int64) {
	b.done = min(done, b.total)
	if time.Since(b.shown) >= 200*time.Millisecond {
		b.show()
	}
}

func (b *bar) show() {
	b.shown = time.Now()
	full := int(barWidth * b.done / b.total)
	fmt.Fprintf(b.w, "\r%s [%s%s] %3d %%", b.what, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*b.done/b.total)
}

// end shows the last state and leaves the line.
func (b *bar) end() {
	b.show()
	fmt.Fprintln(b.w)
}

// reader counts what is read of r.
func (b *bar) reader(r io.Reader) io.Reader { return &barReader{b, r} }

type barReader struct {
	bar *bar
	r   io.Reader
}

func (r *barReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.bar.set(r.bar.done + int64(n))
	return n, err //nolint:wrapcheck // an io.Reader hands its error on
}
