package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"throughline/ingest"
)

type zstdCompressor struct{}

func (zstdCompressor) Name() string { return "zstd" }

func (zstdCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
}

// Decompress decodes in one go, because a stream decoder would first take the memory that
// the sender's window size asks for. What comes in is bounded by ServerOptions.
func (zstdCompressor) Decompress(r io.Reader) (io.Reader, error) {
	compressed, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read zstd message: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(ingest.MaxBody))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	defer decoder.Close()
	message, err := decoder.DecodeAll(compressed, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return endless{}, nil // grpc's own bound refuses it, with the status for that
	}
	if err != nil {
		return nil, fmt.Errorf("decode zstd message: %w", err)
	}
	return bytes.NewReader(message), nil
}

// endless is a message larger than any bound.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
