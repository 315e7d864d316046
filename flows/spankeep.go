package flows

import "encoding/binary"

// Keep is a block of those rows of b for which keep says so, in their order. Words and
// resources stay as they are. keep is called once a row, from the first to the last.
func (b *SpanBlock) Keep(keep func(row int) bool) SpanBlock {
	kept := SpanBlock{Words: b.Words, Resources: b.Resources, Scopes: b.Scopes}
	cut := blockCutter{from: b.columns, to: &kept.columns}
	for row := range b.Rows {
		if cut.keep = keep(row); cut.keep {
			kept.Rows++
		}
		cut.row()
	}
	return kept
}

// blockCutter walks all columns of a block that was checked, row by row.
type blockCutter struct {
	from [spanColumns][]byte // what is left
	to   *[spanColumns][]byte
	keep bool // the row at hand goes to to
}

func (c *blockCutter) row() {
	c.fixed(SpanStarts, SpanDurations)
	c.texts(1, SpanTraceIDs, SpanIDs, SpanParentIDs, SpanStates, SpanMessages)
	for range 5 { // resource, scope, name, kind, status
		c.number(SpanHeads)
	}
	attributes, events, links := c.number(SpanHeads), c.number(SpanHeads), c.number(SpanHeads)
	c.fields(attributes, SpanNames, SpanValues)
	for range events {
		c.fixed(SpanEventTimes)
		c.number(SpanEventHeads)
		c.fields(c.number(SpanEventHeads), SpanEventNames, SpanEventValues)
	}
	for range links {
		c.texts(1, SpanLinkTraceIDs, SpanLinkIDs, SpanLinkStates)
		c.fields(c.number(SpanLinkHeads), SpanLinkNames, SpanLinkValues)
	}
}

// take moves on by the first n bytes of a column.
func (c *blockCutter) take(column SpanColumn, n int) {
	if c.keep {
		c.to[column] = append(c.to[column], c.from[column][:n]...)
	}
	c.from[column] = c.from[column][n:]
}

func (c *blockCutter) fixed(columns ...SpanColumn) {
	for _, column := range columns {
		c.take(column, 8)
	}
}

func (c *blockCutter) number(column SpanColumn) uint64 {
	n, size := binary.Uvarint(c.from[column])
	c.take(column, size)
	return n
}

func (c *blockCutter) texts(n uint64, columns ...SpanColumn) {
	for _, column := range columns {
		for range n {
			text, size := binary.Uvarint(c.from[column])
			c.take(column, size+int(text))
		}
	}
}

func (c *blockCutter) fields(n uint64, names, values SpanColumn) {
	for range n {
		c.number(names)
	}
	c.texts(n, values)
}
