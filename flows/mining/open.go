package mining

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxRecordBytes bounds one CSV record and one XML token, and with it the memory of a
// reader whatever the file is.
const maxRecordBytes = 1 << 20

// Formats are the names that Read knows.
func Formats() []string { return []string{"csv", "xes"} }

// Read reads an event log of a format of Formats; "" tells by the content. Gzip is
// detected. Memory is bounded by the longest record, not by the file.
//
// A faulty row is yielded as a *RowError and reading goes on; any other error is the last
// that is yielded. A Row and its attributes are the caller's.
func Read(r io.Reader, format string, o Options) iter.Seq2[Row, error] {
	plain, err := open(r)
	if err != nil {
		return failed(err)
	}
	if format == "" {
		format = "csv"
		if head, _ := plain.Peek(512); bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, utf8BOM), " \t\r\n"), []byte("<")) {
			format = "xes"
		}
	}
	switch format {
	case "csv":
		return readCSV(plain, o)
	case "xes":
		return readXES(plain, o)
	}
	return failed(fmt.Errorf("format %q is not known; there are %v", format, Formats()))
}

// CSV reads an event log in CSV, as Read does.
func CSV(r io.Reader, o Options) iter.Seq2[Row, error] { return Read(r, "csv", o) }

// XES reads an event log in XES, as Read does.
func XES(r io.Reader, o Options) iter.Seq2[Row, error] { return Read(r, "xes", o) }

func failed(err error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) { yield(Row{}, err) }
}

var utf8BOM = []byte("\xef\xbb\xbf")

// open is r without its compression.
func open(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read event log: %w", err)
	}
	if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("read event log: gzip: %w", err)
	}
	return bufio.NewReaderSize(z, 64<<10), nil
}

// bounded fails once more than maxRecordBytes were read since the last reset.
type bounded struct {
	r    io.Reader
	read int
}

func (b *bounded) reset() { b.read = 0 }

func (b *bounded) Read(p []byte) (int, error) {
	if b.read > maxRecordBytes {
		return 0, fmt.Errorf("one record has more than %d bytes; is a quote or a tag not closed?", maxRecordBytes)
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}
