package otlp

import (
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip" // exporters compress by default
	"google.golang.org/grpc/mem"
)

// rawCodec leaves messages as bytes, for our own decoder: *inbound in, []byte out.
type rawCodec struct{}

// inbound is a message as it came, in memory that is used again.
type inbound struct {
	bytes []byte
	room  *[]byte // of messages; nil where the bytes are elsewhere
}

// messages are buffers of those that were freed.
var messages = sync.Pool{New: func() any { return new([]byte) }}

// keptMessage is the size from which a message has memory of its own.
const keptMessage = 1 << 20

// free gives up the message; texts that refer to it change then.
func (m *inbound) free() {
	if m.room != nil {
		messages.Put(m.room)
	}
	*m = inbound{}
}

// Name is that of the codec which it stands for.
func (rawCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2. It copies, because what is decoded refers to the
// bytes, and grpc uses its buffers again.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*inbound)
	if !ok {
		return fmt.Errorf("unmarshal to %T: not inbound", v)
	}
	n := data.Len()
	if n > keptMessage {
		*to = inbound{bytes: data.Materialize()}
		return nil
	}
	room := messages.Get().(*[]byte)
	if cap(*room) < n {
		*room = make([]byte, 0, n+n/8)
	}
	*to = inbound{bytes: (*room)[:n], room: room}
	data.CopyTo(to.bytes)
	return nil
}

// unpacking bounds the messages that are decompressed at once, in all servers: each may take
// ingest.MaxBody, of a few kilobytes that were sent, before its size is known and held
// against the budget. More than the cores can do at once gains nothing.
var unpacking = make(chan struct{}, 8)

// grpc wants compressors registered before any server runs, which is what init is for. It
// brings gzip only; the collector's exporter may be set to zstd.
func init() {
	encoding.RegisterCompressor(bounded{encoding.GetCompressor(gzip.Name)})
	encoding.RegisterCompressor(bounded{zstdCompressor{}})
}

// bounded is a compressor that unpacks a few messages at once.
type bounded struct{ encoding.Compressor }

// Decompress implements encoding.Compressor. grpc reads at most the bound of a message, and
// closes.
func (b bounded) Decompress(r io.Reader) (io.Reader, error) {
	unpacking <- struct{}{} // others are at work with what is in memory: none of them waits
	plain, err := b.Compressor.Decompress(r)
	if err != nil {
		<-unpacking
		return nil, err //nolint:wrapcheck // a decorator adds nothing
	}
	return &unpacked{Reader: plain}, nil
}

type unpacked struct {
	io.Reader
	closed bool
}

// Close implements io.Closer.
func (u *unpacked) Close() error {
	if !u.closed {
		u.closed = true
		<-unpacking
	}
	return nil
}
