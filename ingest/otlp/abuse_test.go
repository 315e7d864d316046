package otlp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"throughline/ingest/ingesttest"
	"throughline/ingest/otlp"
)

// rawGRPC is a connection that speaks frames of HTTP/2, after the preface.
func rawGRPC(t *testing.T) (*http2.Framer, net.Conn) {
	t.Helper()
	in, _, _ := ingesttest.New(t)
	server := grpc.NewServer(otlp.ServerOptions(in)...)
	otlp.RegisterGRPC(server, in)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return framer, conn
}

// headers are those of a call.
func headers(t *testing.T, more ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	all := append([]string{
		":method", "POST", ":scheme", "http", ":authority", "localhost",
		":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "content-type", "application/grpc", "te", "trailers",
	}, more...)
	for i := 0; i < len(all); i += 2 {
		if err := encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestPingFlood: who pings all the time is sent away.
func TestPingFlood(t *testing.T) {
	framer, _ := rawGRPC(t)
	go func() { // ends with the connection
		for framer.WritePing(false, [8]byte{1}) == nil {
		}
	}()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY: %v", err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY %v", away.ErrCode)
			}
			return
		}
	}
}

// TestStreamsOfAConnection: more calls at once than are taken are refused; calls that are
// begun and dropped, thousands of them, leave nothing behind.
func TestStreamsOfAConnection(t *testing.T) {
	framer, _ := rawGRPC(t)
	const calls = 3000
	go func() { // ends when all is sent, or with the connection
		id := uint32(1)
		for range calls {
			if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers(t), EndHeaders: true}) != nil ||
				framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				return
			}
			id += 2
		}
		for range 200 {
			if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers(t), EndHeaders: true}) != nil {
				return
			}
			id += 2
		}
	}()
	limit, refused := uint32(0), 0
	for refused < 200-128 {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %d refusals: %v", refused, err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := frame.Value(http2.SettingMaxConcurrentStreams); ok {
				limit = n
			}
		case *http2.RSTStreamFrame:
			if frame.ErrCode == http2.ErrCodeRefusedStream && frame.StreamID > 2*calls {
				refused++
			}
		}
	}
	if limit != 128 {
		t.Errorf("%d streams are offered", limit)
	}
}

// TestHeaderBomb: metadata without measure ends the connection.
func TestHeaderBomb(t *testing.T) {
	framer, _ := rawGRPC(t)
	block := headers(t, "x-large", strings.Repeat("x", 200<<10))
	first := block[:16<<10]
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first}); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the block, or with the connection
		for rest := block[len(first):]; len(rest) > 0; {
			n := min(len(rest), 16<<10)
			if framer.WriteContinuation(1, n == len(rest), rest[:n]) != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return // the connection is over
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return
		case *http2.HeadersFrame:
			if frame.StreamEnded() {
				return // answered with a refusal
			}
		}
	}
}

// TestGRPCIsCounted: what grpc refuses by itself is in our counters, too.
func TestGRPCIsCounted(t *testing.T) {
	in, _, meter := ingesttest.New(t)
	conn := serveGRPC(t, in)
	client := ptraceotlp.NewGRPCClient(conn)
	large := someTraces(1)
	large.ResourceSpans().At(0).Resource().Attributes().PutStr("zeros", strings.Repeat("0", 20<<20))
	for i, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor("gzip")}, {grpc.UseCompressor("zstd")}} {
		_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(large), options...)
		if st := status.Convert(err); st.Code() != codes.ResourceExhausted || len(st.Details()) != 0 { // not to be sent again
			t.Errorf("%d: %v", i, err)
		}
		awaitRefused(t, meter, "too-large", int64(i+1))
	}
	// A message that is no protobuf.
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true},
		"/opentelemetry.proto.collector.trace.v1.TraceService/Export", grpc.ForceCodecV2(noise{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(struct{}{}), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(nil); status.Code(err) != codes.InvalidArgument {
		t.Errorf("noise: %v", err)
	}
	awaitRefused(t, meter, "invalid", 1)
}

// awaitRefused waits until so many refusals are counted, which may be after their answers.
func awaitRefused(t *testing.T, meter *ingesttest.Meter, class string, want int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(5 * time.Second)
	for n := int64(0); n != want; n = meter.Sum(t, "throughline.ingest.refused", "class", class) {
		if <-tick.C; time.Now().After(end) {
			t.Fatalf("%d of %s are counted, not %d", n, class, want)
		}
	}
}

// noise is a codec whose messages are none.
type noise struct{}

func (noise) Name() string { return "proto" }
func (noise) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer("\xff\xff")}, nil
}
func (noise) Unmarshal(mem.BufferSlice, any) error { return nil }
