// Package event takes CloudEvents 1.0 over HTTP: structured, binary and batched.
//
// Each event stands for itself: one that cannot be used is refused by index and field,
// the others are accepted. An event without a time happened when it was received. Data is
// kept where it is a JSON object, with every number exact.
package event

import (
	"fmt"
	"net/http"

	"throughline/ingest"
)

// NewHandler makes the handler of POST /api/v1/events.
//
// It answers 200 with {"accepted":N,"rejected":[{"index":i,"error":"…"}]}, and 400 with
// the same members in a problem where events came and none was accepted.
func NewHandler(in *ingest.Intake) http.Handler {
	return &handler{in.Door("cloudevents")}
}

type handler struct{ door *ingest.Door }

type answer struct {
	Accepted int     `json:"accepted"`
	Rejected []fault `json:"rejected"`
}

type problem struct {
	ingest.Problem
	answer
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	res, err := h.take(w, r)
	if res != nil {
		defer res.free()
	}
	if err != nil {
		ingest.WriteProblem(w, h.door.Refused(r.Context(), err))
		return
	}
	a := answer{Accepted: res.accepted, Rejected: res.faults}
	if a.Rejected == nil {
		a.Rejected = []fault{}
	}
	if a.Accepted == 0 && len(a.Rejected) > 0 {
		detail := fmt.Sprintf("none of the events can be used; event %d: %s", a.Rejected[0].Index, a.Rejected[0].Error)
		p := problem{ingest.NewProblem(http.StatusBadRequest, detail), a}
		ingest.WriteJSON(w, http.StatusBadRequest, "application/problem+json", p)
		return
	}
	ingest.WriteJSON(w, http.StatusOK, "application/json", a)
}

// take does everything up to the answer. Its result is durable.
func (h *handler) take(w http.ResponseWriter, r *http.Request) (*result, error) {
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
	m := mapper{rules: visit.Rules(), received: h.door.Now(), grow: body.Grow}
	res, err := m.decode(r.Header, body.Bytes)
	if err != nil {
		return nil, err
	}
	res.accepted = len(res.batch.Signals)
	return res, visit.Publish(r.Context(), res.batch, res.rejected)
}
