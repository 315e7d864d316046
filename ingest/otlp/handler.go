// Package otlp takes traces and logs of the OpenTelemetry protocol, over HTTP (protobuf
// and JSON) and gRPC.
//
// Every span is kept whole; one that a flow wants is a signal too. A log record with an
// event name is an event, and no log record. Each span or record stands for itself: one
// that cannot be used is counted and named in the partial success of the answer, the
// others are accepted. Metrics are answered as not implemented.
package otlp

import (
	"mime"
	"net/http"

	"throughline/ingest"
)

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
)

const notTaken = "OTLP traces (/v1/traces, TraceService) and logs (/v1/logs, LogsService) are taken; metrics and profiles are not"

// NewHandler makes the handler of OTLP/HTTP: POST /v1/traces and /v1/logs.
func NewHandler(in *ingest.Intake) http.Handler {
	door := in.Door("otlp-http")
	mux := http.NewServeMux()
	mux.Handle("/v1/traces", &handler{door, &traces})
	mux.Handle("/v1/logs", &handler{door, &logs})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, asJSON := encodingOf(r)
		writeStatus(w, asJSON, door.Refused(r.Context(), ingest.Refuse(ingest.NotFound, notTaken)))
	})
	return mux
}

type handler struct {
	door   *ingest.Door
	signal *signal
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	known, asJSON := encodingOf(r)
	body, err := h.take(w, r, known, asJSON)
	if err != nil {
		writeStatus(w, asJSON, h.door.Refused(r.Context(), err))
		return
	}
	write(w, http.StatusOK, asJSON, body)
}

// take does everything up to the answer, which it returns. The data is durable then.
func (h *handler) take(w http.ResponseWriter, r *http.Request, known, asJSON bool) ([]byte, error) {
	visit, err := h.door.Enter(r.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	body, err := visit.Read(w, r)
	if err != nil {
		return nil, err
	}
	defer body.Free()
	leave, err := h.door.Admit()
	if err != nil {
		return nil, err
	}
	defer leave()
	if !known {
		return nil, ingest.Refuse(ingest.Unsupported, "Content-Type "+ingest.Excerpt(r.Header.Get("Content-Type"))+
			" is not taken; send "+typeProto+" or "+typeJSON)
	}
	decode := h.signal.proto
	if asJSON {
		decode = h.signal.json
	}
	res, err := decode(mapper{visit.Rules(), h.door.Now(), body.Grow}, body.Bytes)
	if err != nil {
		return nil, err
	}
	defer res.free()
	if err := visit.Publish(r.Context(), res.batch, res.rejected); err != nil {
		return nil, err
	}
	if asJSON {
		return h.signal.answerJSON(res)
	}
	return h.signal.answerProto(res), nil
}

// encodingOf says which of the two encodings the request is in, if it is one of them.
func encodingOf(r *http.Request) (known, asJSON bool) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return false, true
	}
	return media == typeProto || media == typeJSON, media != typeProto
}
