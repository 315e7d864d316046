package otlp

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"

	"throughline/ingest"
)

// Limits of a connection, beside those of ingest.
const (
	// maxStreams of one connection. The collector sends ten requests at once over one.
	maxStreams = 128
	// handshakeWithin is the time for TLS and HTTP/2 to begin.
	handshakeWithin = 10 * time.Second
	// idleWithin ends a connection that sends nothing; clients open another by themselves.
	idleWithin = 5 * time.Minute
	// A peer that does not answer a ping in time is gone. pingLeast is how often a client
	// may ping us.
	pingAfter, pingWithin, pingLeast = time.Minute, 20 * time.Second, 10 * time.Second
	// maxHeader bounds the metadata of a request; a token takes a hundred bytes of it.
	maxHeader = 64 << 10
	// messageWithin is the time for a message to come. At the least, 16 MiB take 4.5 Mbit/s.
	messageWithin = 30 * time.Second
)

// ServerOptions are the bounds that a gRPC server needs before it hands a request on, the
// codec of our services, which leaves messages as they came, and the answer to what OTLP has
// beside them: UNIMPLEMENTED.
func ServerOptions(in *ingest.Intake) []grpc.ServerOption {
	door := in.Door("otlp-grpc")
	return []grpc.ServerOption{
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return refuse(stream.Context(), door, ingest.Refuse(ingest.NotFound, notTaken))
		}),
		grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(ingest.MaxBody),
		grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(handshakeWithin), grpc.MaxHeaderListSize(maxHeader),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleWithin, Time: pingAfter, Timeout: pingWithin}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLeast, PermitWithoutStream: true}),
		grpc.InTapHandle(withCut),
	}
}

// cut ends a stream whose message does not come, which nothing else that a handler has can do.
type cut struct{}

func withCut(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithCancel(ctx) // ends with its parent, when the stream does
	return context.WithValue(ctx, cut{}, cancel), nil
}

// RegisterGRPC registers TraceService and LogsService, on a server with ServerOptions.
func RegisterGRPC(s grpc.ServiceRegistrar, in *ingest.Intake) {
	door := in.Door("otlp-grpc")
	for name, signal := range map[string]*signal{
		"opentelemetry.proto.collector.trace.v1.TraceService": &traces,
		"opentelemetry.proto.collector.logs.v1.LogsService":   &logs,
	} {
		service := &service{door, signal}
		// As a stream of one message and one answer, which on the wire is what a unary call
		// is: so we are asked before the message is read, and hear of one that is refused.
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: name,
			HandlerType: (*any)(nil),
			Streams:     []grpc.StreamDesc{{StreamName: "Export", Handler: service.handle, ClientStreams: true, ServerStreams: true}},
		}, service)
	}
}

type service struct {
	door   *ingest.Door
	signal *signal
}

func (s *service) handle(_ any, stream grpc.ServerStream) error {
	answer, err := s.take(stream)
	if err != nil {
		return refuse(stream.Context(), s.door, err)
	}
	return stream.SendMsg(answer) //nolint:wrapcheck // grpc's own status
}

// take does everything up to the answer, which it returns.
func (s *service) take(stream grpc.ServerStream) ([]byte, error) {
	ctx := stream.Context()
	visit, err := s.door.Enter(authorization(ctx))
	if err != nil {
		return nil, err
	}
	body, err := visit.Expect()
	if err != nil {
		return nil, err
	}
	defer body.Free()
	var message inbound
	defer message.free()
	if err := receive(stream, &message); err != nil {
		return nil, err
	}
	return s.keep(ctx, visit, body, message.bytes)
}

// keep takes a message that is here. With the answer the data is durable.
func (s *service) keep(ctx context.Context, visit *ingest.Visit, body *ingest.Body, message []byte) ([]byte, error) {
	leave, err := s.door.Admit()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := visit.Hold(ctx, body, message); err != nil {
		return nil, err
	}
	res, err := s.signal.proto(mapper{visit.Rules(), s.door.Now(), body.Grow}, body.Bytes)
	if err != nil {
		return nil, err
	}
	defer res.free()
	if err := visit.Publish(ctx, res.batch, res.rejected); err != nil {
		return nil, err
	}
	return s.signal.answerProto(res), nil
}

// authorization is the metadata that senders put their token in.
func authorization(ctx context.Context) string {
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		return values[0]
	}
	return ""
}

// receive reads the message. Where that fails, grpc has answered with its own words already;
// the refusal is for our counters.
func receive(stream grpc.ServerStream, message *inbound) error {
	ctx := stream.Context()
	if cancel, ok := ctx.Value(cut{}).(context.CancelFunc); ok {
		late := time.AfterFunc(messageWithin, cancel)
		defer late.Stop()
	}
	err := stream.RecvMsg(message)
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.ResourceExhausted:
		return ingest.Refuse(ingest.TooLarge, "the message is larger than is taken; send smaller batches")
	case codes.Canceled, codes.DeadlineExceeded:
		return ingest.Refuse(ingest.Slow, "the message did not come in time; send smaller batches")
	}
	return ingest.Refuse(ingest.Invalid, "the message cannot be read")
}

// refuse is the status of a refusal, with RetryInfo where the sender shall try again.
func refuse(ctx context.Context, door *ingest.Door, err error) error {
	refusal := door.Refused(ctx, err)
	st := status.New(code(refusal.Class), refusal.Detail)
	if wait := refusal.Wait(); wait > 0 {
		if detailed, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
			st = detailed
		}
	}
	return st.Err() //nolint:wrapcheck // a status is what grpc sends
}
