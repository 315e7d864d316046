package otlp

import (
	"fmt"
	"io"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip" // exporters compress by default
	"google.golang.org/grpc/mem"
)

// rawCodec leaves messages as bytes, for our own decoder: *[]byte in, []byte out.
type rawCodec struct{}

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
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unmarshal to %T: not bytes", v)
	}
	*to = data.Materialize()
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
