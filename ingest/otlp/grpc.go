package otlp

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // exporters compress by default
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"throughline/ingest"
)

// ServerOptions are the bounds that a gRPC server needs before it hands a request on:
// the size of a message, after decompression too, and the streams of one connection.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(ingest.MaxBody), grpc.MaxConcurrentStreams(128)}
}

// RegisterGRPC registers TraceService and LogsService. What else OTLP has, the server
// answers as UNIMPLEMENTED by itself.
func RegisterGRPC(s grpc.ServiceRegistrar, in *ingest.Intake) {
	door := in.Door("otlp-grpc")
	for name, signal := range map[string]*signal{
		"opentelemetry.proto.collector.trace.v1.TraceService": &traces,
		"opentelemetry.proto.collector.logs.v1.LogsService":   &logs,
	} {
		service := &service{door, signal}
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: name,
			HandlerType: (*any)(nil),
			Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: service.handle(name)}},
		}, service)
	}
}

type service struct {
	door   *ingest.Door
	signal *signal
}

// handle is what generated code would be, but for the messages: they are of type Empty,
// whose unknown fields are the whole message in bytes, for our own decoder.
func (s *service) handle(name string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		var request emptypb.Empty
		if err := decode(&request); err != nil {
			return nil, s.refuse(ctx, ingest.Refuse(ingest.Invalid, "the message is not protobuf"))
		}
		export := func(ctx context.Context, request any) (any, error) {
			return s.export(ctx, request.(*emptypb.Empty).ProtoReflect().GetUnknown())
		}
		if interceptor == nil {
			return export(ctx, &request)
		}
		return interceptor(ctx, &request, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + name + "/Export"}, export)
	}
}

func (s *service) export(ctx context.Context, message []byte) (*emptypb.Empty, error) {
	answer, err := s.take(ctx, message)
	if err != nil {
		return nil, s.refuse(ctx, err)
	}
	var response emptypb.Empty
	response.ProtoReflect().SetUnknown(answer)
	return &response, nil
}

// take does everything up to the answer, which it returns. The data is durable then.
func (s *service) take(ctx context.Context, message []byte) ([]byte, error) {
	leave, err := s.door.Admit()
	if err != nil {
		return nil, err
	}
	defer leave()
	body, err := s.door.Hold(ctx, message)
	if err != nil {
		return nil, err
	}
	defer body.Free()
	res, err := s.signal.proto(mapper{s.door.Rules(), s.door.Now(), body.Grow}, body.Bytes)
	if err != nil {
		return nil, err
	}
	defer res.free()
	if err := s.door.Publish(ctx, res.batch, res.rejected); err != nil {
		return nil, err
	}
	return s.signal.answerProto(res), nil
}

// refuse is the status of a refusal, with RetryInfo where the sender shall try again.
func (s *service) refuse(ctx context.Context, err error) error {
	refusal := s.door.Refused(ctx, err)
	st := status.New(code(refusal.Class), refusal.Detail)
	if refusal.Class.Retry() {
		if detailed, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(ingest.RetryAfter)}); err == nil {
			st = detailed
		}
	}
	return st.Err()
}
