package store

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"throughline/flows"
)

// InsertSpans stores spans that were received at one time. The token names them: sent
// again, the same spans under the same token are stored once.
func (s *Store) InsertSpans(ctx context.Context, token string, blocks []flows.SpanBlock, received flows.Time) error {
	w := spanWriters.get()
	defer func() {
		w.blocks = nil
		clear(w.pieces)
		spanWriters.put(w)
	}()
	if w.read(blocks); w.rows == 0 {
		return nil
	}
	if err := s.releases.note(ctx, s, blocks); err != nil {
		return err
	}
	w.write(received)
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	settings := clickhouse.Settings{"optimize_on_insert": 0} // a merge does it later; a repeat is in another insert anyway
	if token != "" {
		settings["insert_deduplication_token"], settings["insert_deduplicate"] = token, 1
	}
	if err := s.insertNative(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), "INSERT INTO spans ("+spanList+")", &w.native, w.rows); err != nil {
		return fmt.Errorf("insert into spans: %w", err)
	}
	return nil
}

// spanWriters keep their buffers, which are as large as what is inserted at once.
var spanWriters = spare[spanWriter]{kept: make(chan *spanWriter, 1)}

// insertNative sends a block that is written already. Over HTTP it goes as it is; the
// driver's native protocol wants columns of its own, which read it.
func (s *Store) insertNative(ctx context.Context, query string, n *native, rows int) error {
	if s.http {
		return s.conn.InsertFormat(ctx, "Native", query, n.reader()) //nolint:wrapcheck // the caller says which table
	}
	batch, err := s.conn.PrepareBatch(ctx, query)
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	defer batch.Close() //nolint:errcheck // does nothing after Send
	if err := readColumns(batch.Columns(), n.reader(), rows); err != nil {
		return fmt.Errorf("%w: %w", errBadRow, err)
	}
	return batch.Send() //nolint:wrapcheck // as above
}

// readColumns fills columns from a block in the Native format that has the same.
func readColumns(columns []column.Interface, block io.Reader, rows int) error {
	r := proto.NewReader(block)
	for range 2 { // the numbers of columns and rows
		if _, err := r.UVarInt(); err != nil {
			return fmt.Errorf("read block: %w", err)
		}
	}
	for _, c := range columns {
		for range 2 { // name and type
			if _, err := r.Str(); err != nil {
				return fmt.Errorf("read column %s: %w", c.Name(), err)
			}
		}
		if prefixed, ok := c.(column.CustomSerialization); ok {
			if err := prefixed.ReadStatePrefix(r); err != nil {
				return fmt.Errorf("read column %s: %w", c.Name(), err)
			}
		}
		if err := c.Decode(r, rows); err != nil {
			return fmt.Errorf("read column %s: %w", c.Name(), err)
		}
	}
	return nil
}

// spanWriter turns blocks into one block of the table.
type spanWriter struct {
	native
	blocks []flows.SpanBlock
	rows   int
	heads  [8][]uint32  // of all rows: what flows.SpanHeads has
	events [2][]uint32  // what flows.SpanEventHeads has
	links  [1][]uint32  // what flows.SpanLinkHeads has
	firsts []spanOffset // of each block
}

// spanOffset is where a block's rows, events and links begin.
type spanOffset struct{ row, event, link int }

// What the numbers of a head are.
const (
	headResource = iota
	headScope
	headName
	headKind
	headStatus
	headAttributes
	headEvents
	headLinks
)

func (w *spanWriter) read(blocks []flows.SpanBlock) {
	w.blocks, w.rows, w.firsts = blocks, 0, w.firsts[:0]
	clearAll(w.heads[:])
	clearAll(w.events[:])
	clearAll(w.links[:])
	for i := range blocks {
		b := &blocks[i]
		w.firsts = append(w.firsts, spanOffset{w.rows, len(w.events[0]), len(w.links[0])})
		w.rows += b.Rows
		transpose(b.Column(flows.SpanHeads), w.heads[:])
		transpose(b.Column(flows.SpanEventHeads), w.events[:])
		transpose(b.Column(flows.SpanLinkHeads), w.links[:])
	}
	w.firsts = append(w.firsts, spanOffset{w.rows, len(w.events[0]), len(w.links[0])})
}

func clearAll(columns [][]uint32) {
	for i := range columns {
		columns[i] = columns[i][:0]
	}
}

// transpose deals the numbers of rows out to columns.
func transpose(rows []byte, columns [][]uint32) {
	for len(rows) > 0 {
		for i := range columns {
			var n uint64
			n, rows = flows.SpanNumber(rows)
			columns[i] = append(columns[i], uint32(n))
		}
	}
}

const (
	typeTime  = "DateTime64(9)"
	typeWord  = "LowCardinality(String)"
	typeMap   = "Map(LowCardinality(String), String)"
	typeArray = "Array("
)

// spanList is the columns in the order in which write writes them.
const spanList = "Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes, " +
	"ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage, Events.Timestamp, Events.Name, Events.Attributes, " +
	"Links.TraceId, Links.SpanId, Links.TraceState, Links.Attributes, Received"

func (w *spanWriter) write(received flows.Time) {
	const columns = 23
	w.begin(columns, w.rows)
	w.copied("Timestamp", typeTime, flows.SpanStarts)
	w.copied("TraceId", "String", flows.SpanTraceIDs)
	w.copied("SpanId", "String", flows.SpanIDs)
	w.copied("ParentSpanId", "String", flows.SpanParentIDs)
	w.copied("TraceState", "String", flows.SpanStates)
	w.rowWords("SpanName", func(b *flows.SpanBlock, row int) uint32 { return w.heads[headName][row] })
	w.rowWords("SpanKind", func(b *flows.SpanBlock, row int) uint32 { return w.heads[headKind][row] })
	w.rowWords("ServiceName", func(b *flows.SpanBlock, row int) uint32 { return b.Resources[w.heads[headResource][row]].Service })
	w.resources()
	w.rowWords("ScopeName", func(b *flows.SpanBlock, row int) uint32 { return b.Scopes[w.heads[headScope][row]].Name })
	w.rowWords("ScopeVersion", func(b *flows.SpanBlock, row int) uint32 { return b.Scopes[w.heads[headScope][row]].Version })
	w.column("SpanAttributes", typeMap)
	w.lowCardinalityPrefix()
	w.fields(w.heads[headAttributes], flows.SpanNames, flows.SpanValues)
	w.copied("Duration", "UInt64", flows.SpanDurations)
	w.rowWords("StatusCode", func(b *flows.SpanBlock, row int) uint32 { return w.heads[headStatus][row] })
	w.copied("StatusMessage", "String", flows.SpanMessages)
	w.writeEvents()
	w.writeLinks()
	w.column("Received", "DateTime('UTC')")
	seconds := uint32(received.Std().Unix())
	for range w.rows {
		w.uint32(seconds)
	}
}

func (w *spanWriter) writeEvents() {
	counts := w.heads[headEvents]
	w.arrays("Events.Timestamp", typeTime, counts, flows.SpanEventTimes)
	w.column("Events.Name", typeArray+typeWord+")")
	w.lowCardinalityPrefix()
	w.ends(counts)
	var d dictionary
	w.words = w.words[:0]
	for i := range w.blocks {
		d.enter(&w.blocks[i])
		for _, word := range w.events[0][w.firsts[i].event:w.firsts[i+1].event] {
			w.words = append(w.words, d.number(word))
		}
	}
	w.lowCardinality(&d, w.words)
	w.column("Events.Attributes", typeArray+typeMap+")")
	w.lowCardinalityPrefix()
	w.ends(counts)
	w.fields(w.events[1], flows.SpanEventNames, flows.SpanEventValues)
}

func (w *spanWriter) writeLinks() {
	counts := w.heads[headLinks]
	w.arrays("Links.TraceId", "String", counts, flows.SpanLinkTraceIDs)
	w.arrays("Links.SpanId", "String", counts, flows.SpanLinkIDs)
	w.arrays("Links.TraceState", "String", counts, flows.SpanLinkStates)
	w.column("Links.Attributes", typeArray+typeMap+")")
	w.lowCardinalityPrefix()
	w.ends(counts)
	w.fields(w.links[0], flows.SpanLinkNames, flows.SpanLinkValues)
}

// copied is a column whose data all blocks have as it must be.
func (w *spanWriter) copied(name, typ string, c flows.SpanColumn) {
	w.column(name, typ)
	w.copy(c)
}

func (w *spanWriter) copy(c flows.SpanColumn) {
	for i := range w.blocks {
		w.borrow(w.blocks[i].Column(c))
	}
}

func (w *spanWriter) arrays(name, typ string, counts []uint32, c flows.SpanColumn) {
	w.column(name, typeArray+typ+")")
	w.ends(counts)
	w.copy(c)
}

// rowWords is a column with a word a row.
func (w *spanWriter) rowWords(name string, word func(b *flows.SpanBlock, row int) uint32) {
	w.column(name, typeWord)
	w.lowCardinalityPrefix()
	var d dictionary
	w.words = w.words[:0]
	for i := range w.blocks {
		b := &w.blocks[i]
		d.enter(b)
		for row := w.firsts[i].row; row < w.firsts[i+1].row; row++ {
			w.words = append(w.words, d.number(word(b, row)))
		}
	}
	w.lowCardinality(&d, w.words)
}

// fields are maps with so many entries each.
func (w *spanWriter) fields(counts []uint32, names, values flows.SpanColumn) {
	w.ends(counts)
	var d dictionary
	w.words = w.words[:0]
	for i := range w.blocks {
		d.enter(&w.blocks[i])
		for rest := w.blocks[i].Column(names); len(rest) > 0; {
			var word uint64
			word, rest = flows.SpanNumber(rest)
			w.words = append(w.words, d.number(uint32(word)))
		}
	}
	w.lowCardinality(&d, w.words)
	w.copy(values)
}

// resources repeats the attributes of a resource for each of its spans.
func (w *spanWriter) resources() {
	w.column("ResourceAttributes", typeMap)
	w.lowCardinalityPrefix()
	var d dictionary
	w.words = w.words[:0]
	end := uint64(0)
	for i := range w.blocks {
		b := &w.blocks[i]
		d.enter(b)
		for _, r := range w.heads[headResource][w.firsts[i].row:w.firsts[i+1].row] {
			end += uint64(len(b.Resources[r].Names))
			w.uint64(end)
			for _, name := range b.Resources[r].Names {
				w.words = append(w.words, d.number(name))
			}
		}
	}
	w.lowCardinality(&d, w.words)
	for i := range w.blocks {
		rows := w.heads[headResource][w.firsts[i].row:w.firsts[i+1].row]
		for len(rows) > 0 { // most blocks are of one resource
			same := 1
			for same < len(rows) && rows[same] == rows[0] {
				same++
			}
			w.repeat(w.blocks[i].Resources[rows[0]].Values, same)
			rows = rows[same:]
		}
	}
}

// repeat lets bytes follow so many times. A copy of some of them is borrowed again and
// again.
func (w *spanWriter) repeat(b []byte, times int) {
	const together = 64
	if times >= 2*together {
		many := bytes.Repeat(b, together)
		for ; times >= together; times -= together {
			w.borrow(many)
		}
	}
	for range times {
		w.buf = append(w.buf, b...)
	}
}
