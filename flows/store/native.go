package store

import (
	"encoding/binary"
	"io"
	"slices"

	"throughline/flows"
)

// native writes a block in ClickHouse's Native format, column after column. It is written
// here and not by the driver because the rows come as columns already: most of the block
// is theirs, and is not even copied. It is an io.Reader of the block, once it is written.
type native struct {
	buf    []byte  // what is written between the pieces that are borrowed
	pieces []piece // in their order
	words  []uint32
	names  []string // of a map at hand
	aside  []byte   // what follows later in a column, or is not in its place yet
}

// piece is so many bytes of buf, then borrowed ones.
type piece struct {
	own      int
	borrowed []byte
}

func (n *native) begin(columns, rows int) {
	clear(n.pieces)
	n.pieces = n.pieces[:0]
	n.buf = binary.AppendUvarint(n.buf[:0], uint64(columns))
	n.buf = binary.AppendUvarint(n.buf, uint64(rows))
}

// borrow lets bytes follow that stay as they are until the block is read.
func (n *native) borrow(b []byte) {
	const worthIt = 1 << 10 // less is copied
	if len(b) < worthIt {
		n.buf = append(n.buf, b...)
		return
	}
	n.pieces = append(n.pieces, piece{len(n.buf), b})
}

// reader reads the block from its beginning.
func (n *native) reader() io.Reader { return &nativeReader{block: n} }

type nativeReader struct {
	block *native
	next  int    // piece
	own   int    // of block.buf, read
	rest  []byte // at hand
}

func (r *nativeReader) Read(to []byte) (int, error) {
	for len(r.rest) == 0 {
		switch pieces := r.block.pieces; {
		case r.next < len(pieces) && r.own < pieces[r.next].own:
			r.rest = r.block.buf[r.own:pieces[r.next].own]
			r.own = pieces[r.next].own
		case r.next < len(pieces):
			r.rest = pieces[r.next].borrowed
			r.next++
		case r.own < len(r.block.buf):
			r.rest = r.block.buf[r.own:]
			r.own = len(r.block.buf)
		default:
			return 0, io.EOF
		}
	}
	n := copy(to, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// column begins a column; its data follows.
func (n *native) column(name, typ string) {
	n.text(name)
	n.text(typ)
}

func (n *native) text(s string) { n.buf = appendText(n.buf, s) }

func (n *native) bytes(b []byte) {
	n.buf = append(binary.AppendUvarint(n.buf, uint64(len(b))), b...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (n *native) uint64(v uint64) { n.buf = binary.LittleEndian.AppendUint64(n.buf, v) }
func (n *native) uint32(v uint32) { n.buf = binary.LittleEndian.AppendUint32(n.buf, v) }

// ends writes where each row's part of an array ends.
func (n *native) ends(counts []uint32) {
	n.buf = slices.Grow(n.buf, 8*len(counts))
	end := uint64(0)
	for _, c := range counts {
		end += uint64(c)
		n.uint64(end)
	}
}

// dictionary gives the words of a LowCardinality column their numbers. Each block has
// numbers of its own.
type dictionary struct {
	words   []string
	numbers map[string]uint32
	block   []string // words of the block at hand
	known   []uint32 // number + 1 of a word of the block; 0 is not known yet
	last    uint32   // of text
}

// enter makes block's words those that number speaks of.
func (d *dictionary) enter(block *flows.SpanBlock) {
	d.block = block.Words
	d.known = slices.Grow(d.known[:0], len(d.block))[:len(d.block)]
	clear(d.known)
}

func (d *dictionary) number(word uint32) uint32 {
	if n := d.known[word]; n != 0 {
		return n - 1
	}
	text := d.block[word]
	n, ok := d.numbers[text]
	if !ok {
		if d.numbers == nil {
			d.numbers = make(map[string]uint32)
		}
		n = uint32(len(d.words))
		d.words = append(d.words, text)
		d.numbers[text] = n
	}
	d.known[word] = n + 1
	return n
}

// The LowCardinality serialization: its version stands once before the data, then the
// dictionary and, as wide as they must be, the rows' numbers in it.
const (
	lowCardinalityVersion = 1
	lowCardinalityFlags   = 1<<9 | 1<<10 // has its keys with it; they are all new
)

func (n *native) lowCardinalityPrefix() { n.uint64(lowCardinalityVersion) }

func (n *native) lowCardinality(d *dictionary, rows []uint32) {
	if len(rows) == 0 {
		return
	}
	width := 0 // bytes are 1 << width
	switch {
	case len(d.words) > 1<<16:
		width = 2
	case len(d.words) > 1<<8:
		width = 1
	}
	n.uint64(lowCardinalityFlags | uint64(width))
	n.uint64(uint64(len(d.words)))
	for _, w := range d.words {
		n.text(w)
	}
	n.uint64(uint64(len(rows)))
	n.buf = slices.Grow(n.buf, len(rows)<<width)
	for _, row := range rows {
		switch width {
		case 0:
			n.buf = append(n.buf, byte(row))
		case 1:
			n.buf = binary.LittleEndian.AppendUint16(n.buf, uint16(row))
		default:
			n.uint32(row)
		}
	}
}
