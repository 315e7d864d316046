package flows

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// SpanBlock is spans as columns, the form in which they travel from ingest to the store:
// decoded once, when they come in, and from then on only copied. Texts that repeat are
// words, written once a block and named by number; the texts of a column stand one after
// the other, each after its length as uvarint, which is how ClickHouse takes them.
//
// A block is made by a SpanPacker, or read by ParseSpanBlock, which checks it: whoever
// walks its columns need not. It is read-only.
type SpanBlock struct {
	Rows      int
	Words     []string
	Resources []SpanResource
	Scopes    []SpanScope
	columns   [spanColumns][]byte
}

// SpanResource is what the spans of one resource share.
type SpanResource struct {
	Service uint32   // word
	Names   []uint32 // words: names of the attributes
	Values  []byte   // texts
}

// SpanScope is the instrumentation scope of spans, as words.
type SpanScope struct{ Name, Version uint32 }

// SpanColumn names a column of a SpanBlock.
type SpanColumn int

// The columns. A number is a uvarint.
const (
	SpanStarts       SpanColumn = iota // int64, little endian, nanoseconds
	SpanDurations                      // uint64, little endian, nanoseconds
	SpanTraceIDs                       // texts
	SpanIDs                            // texts
	SpanParentIDs                      // texts
	SpanStates                         // texts
	SpanMessages                       // texts
	SpanHeads                          // numbers: resource, scope, words of name, kind and status, count of attributes, of events, of links
	SpanNames                          // words, of the attributes
	SpanValues                         // texts, of the attributes
	SpanEventTimes                     // as SpanStarts
	SpanEventHeads                     // numbers: word of the name, count of attributes
	SpanEventNames                     // words, of the attributes
	SpanEventValues                    // texts, of the attributes
	SpanLinkTraceIDs                   // texts
	SpanLinkIDs                        // texts
	SpanLinkStates                     // texts
	SpanLinkHeads                      // numbers: count of attributes
	SpanLinkNames                      // words, of the attributes
	SpanLinkValues                     // texts, of the attributes
	spanColumns
)

// Column is one column's bytes.
func (b *SpanBlock) Column(c SpanColumn) []byte { return b.columns[c] }

// SpanNumber reads the number at the start of a column that was checked. Almost all are below
// 128.
func SpanNumber(column []byte) (n uint64, rest []byte) {
	if column[0] < 0x80 {
		return uint64(column[0]), column[1:]
	}
	n, size := binary.Uvarint(column)
	return n, column[size:]
}

// SpanText is the text at the start of a column that was checked.
func SpanText(column []byte) (text, rest []byte) {
	n, rest := SpanNumber(column)
	return rest[:n], rest[n:]
}

// AppendTo writes the block for ParseSpanBlock.
func (b *SpanBlock) AppendTo(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(b.Rows))
	to = binary.AppendUvarint(to, uint64(len(b.Words)))
	for _, w := range b.Words {
		to = appendSized(to, w)
	}
	to = binary.AppendUvarint(to, uint64(len(b.Resources)))
	for i := range b.Resources {
		r := &b.Resources[i]
		to = binary.AppendUvarint(to, uint64(r.Service))
		to = binary.AppendUvarint(to, uint64(len(r.Names)))
		for _, name := range r.Names {
			to = binary.AppendUvarint(to, uint64(name))
		}
		to = appendSized(to, r.Values)
	}
	to = binary.AppendUvarint(to, uint64(len(b.Scopes)))
	for _, s := range b.Scopes {
		to = binary.AppendUvarint(to, uint64(s.Name))
		to = binary.AppendUvarint(to, uint64(s.Version))
	}
	for _, c := range b.columns {
		to = appendSized(to, c)
	}
	return to
}

// Size is about what AppendTo writes, in bytes.
func (b *SpanBlock) Size() int {
	n := 0
	for _, c := range b.columns {
		n += len(c)
	}
	for i := range b.Resources {
		n += len(b.Resources[i].Values) + 2*len(b.Resources[i].Names)
	}
	for _, w := range b.Words {
		n += len(w) + 1
	}
	return n
}

func appendSized[T string | []byte](to []byte, text T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

var errSpanBlock = errors.New("not a block of spans")

// ParseSpanBlock reads and checks what AppendTo wrote. The block refers to b.
func ParseSpanBlock(b []byte) (SpanBlock, error) {
	r := blockReader{rest: b}
	block := r.block()
	if !r.failed {
		block.check(&r)
	}
	if r.failed || len(r.rest) > 0 {
		return SpanBlock{}, fmt.Errorf("%w, of %d bytes", errSpanBlock, len(b))
	}
	return block, nil
}

// blockReader reads numbers and texts until something is wrong; then it gives zeros.
type blockReader struct {
	rest   []byte
	failed bool
}

func (r *blockReader) number() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		n := r.rest[0]
		r.rest = r.rest[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *blockReader) fail() { r.failed, r.rest = true, nil }

// count is a number of things that take at least a byte each.
func (r *blockReader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

// below is a number less than n.
func (r *blockReader) below(n int) uint32 {
	v := r.number()
	if v >= uint64(n) {
		r.fail()
		return 0
	}
	return uint32(v)
}

func (r *blockReader) text() []byte {
	n := r.count()
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}

func (r *blockReader) block() SpanBlock {
	var b SpanBlock
	b.Rows = r.count()
	b.Words = make([]string, r.count())
	for i := range b.Words {
		b.Words[i] = string(r.text())
	}
	b.Resources = make([]SpanResource, r.count())
	for i := range b.Resources {
		b.Resources[i].Service = r.below(len(b.Words))
		b.Resources[i].Names = make([]uint32, r.count())
		for j := range b.Resources[i].Names {
			b.Resources[i].Names[j] = r.below(len(b.Words))
		}
		b.Resources[i].Values = r.text()
	}
	b.Scopes = make([]SpanScope, r.count())
	for i := range b.Scopes {
		b.Scopes[i] = SpanScope{r.below(len(b.Words)), r.below(len(b.Words))}
	}
	for c := range b.columns {
		b.columns[c] = r.text()
	}
	return b
}

// check fails r where a column has not what the others say it has.
func (b *SpanBlock) check(r *blockReader) {
	fixed := func(c SpanColumn, n int) {
		if len(b.columns[c]) != 8*n {
			r.failed = true
		}
	}
	texts := func(column []byte, n int) {
		in := blockReader{rest: column}
		for range n {
			in.text()
			if in.failed {
				break
			}
		}
		r.failed = r.failed || in.failed || len(in.rest) > 0
	}
	words := func(c SpanColumn, n int) {
		in := blockReader{rest: b.columns[c]}
		for range n {
			in.below(len(b.Words))
			if in.failed {
				break
			}
		}
		r.failed = r.failed || in.failed || len(in.rest) > 0
	}
	for i := range b.Resources {
		texts(b.Resources[i].Values, len(b.Resources[i].Names))
	}
	n := b.counts(r)
	if r.failed {
		return
	}
	fixed(SpanStarts, b.Rows)
	fixed(SpanDurations, b.Rows)
	for _, c := range [...]SpanColumn{SpanTraceIDs, SpanIDs, SpanParentIDs, SpanStates, SpanMessages} {
		texts(b.columns[c], b.Rows)
	}
	words(SpanNames, n.attributes)
	texts(b.columns[SpanValues], n.attributes)
	fixed(SpanEventTimes, n.events)
	words(SpanEventNames, n.eventAttributes)
	texts(b.columns[SpanEventValues], n.eventAttributes)
	for _, c := range [...]SpanColumn{SpanLinkTraceIDs, SpanLinkIDs, SpanLinkStates} {
		texts(b.columns[c], n.links)
	}
	words(SpanLinkNames, n.linkAttributes)
	texts(b.columns[SpanLinkValues], n.linkAttributes)
}

type spanCounts struct{ attributes, events, eventAttributes, links, linkAttributes int }

// counts reads and checks the columns of heads.
func (b *SpanBlock) counts(r *blockReader) (n spanCounts) {
	in := blockReader{rest: b.columns[SpanHeads]}
	most := 0 // nothing is more than the bytes there are
	for _, c := range b.columns {
		most += len(c)
	}
	add := func(to *int) {
		v := in.number()
		if v > uint64(most-*to) {
			in.fail()
			return
		}
		*to += int(v)
	}
	for i := 0; i < b.Rows && !in.failed; i++ {
		in.below(len(b.Resources))
		in.below(len(b.Scopes))
		for range 3 { // name, kind, status
			in.below(len(b.Words))
		}
		add(&n.attributes)
		add(&n.events)
		add(&n.links)
	}
	r.failed = r.failed || in.failed || len(in.rest) > 0
	in = blockReader{rest: b.columns[SpanEventHeads]}
	for i := 0; i < n.events && !in.failed; i++ {
		in.below(len(b.Words))
		add(&n.eventAttributes)
	}
	r.failed = r.failed || in.failed || len(in.rest) > 0
	in = blockReader{rest: b.columns[SpanLinkHeads]}
	for i := 0; i < n.links && !in.failed; i++ {
		add(&n.linkAttributes)
	}
	r.failed = r.failed || in.failed || len(in.rest) > 0
	return n
}
