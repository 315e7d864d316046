package bus

import (
	"errors"
	"fmt"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/klauspost/compress/s2"

	"throughline/flows"
)

// A message of the bus is a frame: the byte frameVersion, a byte that says how the body is
// packed, and the body. The body is a protobuf message with the repeated fields below, so
// that two bodies one after the other are the body of both; group commit rests on that.
//
// Within signals and logs the numbers of the fields are those in encode.go and
// decode.go; they are never given a second meaning. Fields with the zero value are not
// written. Times are nanoseconds as sfixed64, durations zigzag.
const (
	frameVersion = 1
	frameHeader  = 2

	packedNone = 0
	packedS2   = 1

	bodySignal = 1
	bodyLog    = 3
	bodySpans  = 4 // a flows.SpanBlock
)

const (
	// targetBody is the size at which a body is closed. From some 50 KB on a message costs
	// the server by its bytes, not by itself; far below every server's limit of 1 MiB.
	targetBody = 512 << 10
	// packFrom is the size from which packing is worth its time.
	packFrom = 1 << 10
	// maxItems in a message bounds what decoding many empty items costs.
	maxItems = 1 << 14
)

var marshalers easyproto.MarshalerPool

// chunk is a body that is ready to be framed, or to be joined with others before.
type chunk struct {
	body  []byte
	items int
}

// chunker cuts encoded items into chunks of about targetBody bytes.
type chunker struct {
	limit  int // of one item in bytes
	chunks []chunk
	open   chunk
}

// add appends an item; to come is how many there are, with this one.
func (c *chunker) add(encode func([]byte) ([]byte, error), toCome int) error {
	before := len(c.open.body)
	body, err := encode(c.open.body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	size := len(body) - before
	if size > c.limit {
		return fmt.Errorf("%w: %d bytes, at most %d are carried", ErrTooLarge, size, c.limit)
	}
	if c.open.body = body; before == 0 { // the others are about as large
		c.open.body = append(room(len(body)+min(targetBody, toCome*(size+size/4))), body...)
	}
	if before > 0 && (len(body) > targetBody || c.open.items == maxItems) {
		last := append(make([]byte, 0, targetBody/8), body[before:]...)
		c.open.body = body[:before]
		c.chunks = append(c.chunks, c.open)
		c.open = chunk{body: last}
	}
	c.open.items++
	return nil
}

func (c *chunker) done() []chunk {
	if c.open.items > 0 {
		c.chunks = append(c.chunks, c.open)
	}
	return c.chunks
}

func encodeSignals(signals []flows.Signal, limit int) ([]chunk, error) {
	c := chunker{limit: limit}
	for i := range signals {
		s := &signals[i]
		if err := c.add(func(b []byte) ([]byte, error) { return appendSignal(b, s) }, len(signals)-i); err != nil {
			return nil, fmt.Errorf("signal %q: %w", s.ID, err)
		}
	}
	return c.done(), nil
}

// encodeSpans gives each block a chunk of its own, and the logs others.
func encodeSpans(blocks []flows.SpanBlock, logs []flows.LogRecord, limit int) ([]chunk, error) {
	m := marshalers.Get()
	defer marshalers.Put(m)
	c := chunker{limit: limit}
	for i := range logs {
		encode := func(b []byte) ([]byte, error) {
			m.Reset()
			err := appendLog(m.MessageMarshaler().AppendMessage(bodyLog), &logs[i])
			return m.Marshal(b), err
		}
		if err := c.add(encode, len(logs)-i); err != nil {
			return nil, fmt.Errorf("log record: %w", err)
		}
	}
	chunks := c.done()
	for i := range blocks {
		body := appendSpans(&blocks[i])
		if len(body) > limit {
			return nil, fmt.Errorf("spans: %w: %d bytes, at most %d are carried", ErrTooLarge, len(body), limit)
		}
		chunks = append(chunks, chunk{body: body, items: blocks[i].Rows})
	}
	return chunks, nil
}

// appendSpans writes a block as a field of a body: its tag, its length in as many bytes as
// the longest takes, so that it is known where the block begins, and the block.
func appendSpans(block *flows.SpanBlock) []byte {
	head, start := openMessage(room(1+lengthBytes+block.Size()+block.Size()/8+256), bodySpans)
	return closeMessage(block.AppendTo(head), start)
}

// frame joins chunks to one message, packed where that makes it smaller.
func frame(chunks []chunk) []byte {
	size := 0
	for _, c := range chunks {
		size += len(c.body)
	}
	if size < packFrom {
		return joined(chunks, size)
	}
	var whole []byte
	body := chunks[0].body
	if len(chunks) > 1 {
		whole = joined(chunks, size)
		body = whole[frameHeader:]
	}
	most := frameHeader + s2.MaxEncodedLen(size)
	packed := room(most)[:most]
	packed[0], packed[1] = frameVersion, packedS2
	n := len(s2.Encode(packed[frameHeader:], body))
	if n >= size {
		vacate(packed)
		if whole == nil {
			whole = joined(chunks, size)
		}
		return whole
	}
	vacate(whole)
	return packed[:frameHeader+n]
}

func joined(chunks []chunk, size int) []byte {
	plain := append(room(frameHeader+size), frameVersion, packedNone)
	for _, c := range chunks {
		plain = append(plain, c.body...)
	}
	return plain
}

func appendText(mm *easyproto.MessageMarshaler, num uint32, s string) {
	if s != "" {
		mm.AppendString(num, s)
	}
}

func appendTime(mm *easyproto.MessageMarshaler, num uint32, t flows.Time) {
	if t != 0 {
		mm.AppendSfixed64(num, int64(t))
	}
}

func appendInt(mm *easyproto.MessageMarshaler, num uint32, i int64) {
	if i != 0 {
		mm.AppendSint64(num, i)
	}
}

func appendLog(mm *easyproto.MessageMarshaler, l *flows.LogRecord) error {
	appendTime(mm, 1, l.Time)
	appendText(mm, 2, l.TraceID)
	appendText(mm, 3, l.SpanID)
	appendInt(mm, 4, int64(l.TraceFlags))
	appendText(mm, 5, l.SeverityText)
	appendInt(mm, 6, int64(l.SeverityNumber))
	appendText(mm, 7, l.Service)
	appendText(mm, 8, l.Body)
	appendText(mm, 11, l.ScopeName)
	appendText(mm, 12, l.ScopeVersion)
	return errors.Join(appendMap(mm, 9, l.Resource, 0), appendMap(mm, 10, l.Attributes, 0))
}
