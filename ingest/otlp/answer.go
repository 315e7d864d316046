package otlp

import (
	"encoding/json"
	"net/http"
	"strconv"

	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"throughline/ingest"
)

// signal is one of the kinds of data that OTLP carries and we take.
type signal struct {
	item         string // in sentences, plural
	rejectedJSON string // name of the count in the JSON form of the answer
	proto, json  func(m mapper, body []byte) (*result, error)
}

var (
	traces = signal{"spans", "rejectedSpans", decodeTracesProto, decodeTracesJSON}
	logs   = signal{"log records", "rejectedLogRecords", decodeLogsProto, decodeLogsJSON}
)

// answerProto is the Export…ServiceResponse, which has the same field numbers for all
// signals. Nothing rejected is the empty message, as the specification wants.
func (s *signal) answerProto(r *result) []byte {
	message := r.message(s.item)
	if message == "" {
		return nil
	}
	var partial []byte
	partial = protowire.AppendTag(partial, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, uint64(r.rejected.Total()))
	partial = protowire.AppendTag(partial, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}

func (s *signal) answerJSON(r *result) ([]byte, error) {
	message := r.message(s.item)
	if message == "" {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]any{"partialSuccess": map[string]string{
		s.rejectedJSON: strconv.Itoa(r.rejected.Total()),
		"errorMessage": message,
	}})
}

// code is the gRPC status code of a class, as the OTLP specification maps them.
func code(c ingest.Class) codes.Code {
	switch c {
	case ingest.Busy, ingest.OverRate, ingest.TooLarge:
		return codes.ResourceExhausted
	case ingest.Unavailable, ingest.Slow:
		return codes.Unavailable
	case ingest.Unauthenticated:
		return codes.Unauthenticated
	case ingest.Forbidden:
		return codes.PermissionDenied
	case ingest.NotFound, ingest.NoMethod:
		return codes.Unimplemented
	}
	return codes.InvalidArgument
}

// writeStatus answers with a google.rpc.Status in the request's encoding.
func writeStatus(w http.ResponseWriter, asJSON bool, refusal *ingest.Refusal) {
	status := &rpc.Status{Code: int32(code(refusal.Class)), Message: refusal.Detail}
	var body []byte
	var err error
	if asJSON {
		body, err = protojson.Marshal(status)
	} else {
		body, err = proto.Marshal(status)
	}
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	refusal.Header(w.Header())
	write(w, refusal.Class.Status(), asJSON, body)
}

func write(w http.ResponseWriter, status int, asJSON bool, body []byte) {
	contentType := typeProto
	if asJSON {
		contentType = typeJSON
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a sender that is gone sends again
}
