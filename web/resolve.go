package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"throughline/flows"
)

const maxNote = 4 << 10 // bytes

// Resolve publishes a person's word that an instance was fixed by hand. nil means that it
// will not be lost.
type Resolve func(ctx context.Context, f *flows.Flow, r *flows.InstanceRecord, note string) error

type resolvedJSON struct {
	Flow string `json:"flow"`
	Key  string `json:"key"`
	Note string `json:"note"`
}

// postResolve is POST /api/v1/flows/{flow}/instances/{key}/resolve. The instance shows it
// once the engine has read it, a moment later.
func (s *Server) postResolve(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "environment")
	if p.fault != nil {
		return nil, p.fault
	}
	note, fault := readNote(r)
	if fault != nil {
		return nil, fault
	}
	key := flows.InstanceKey(r.PathValue("key"), p.text("environment"))
	if err := s.resolve(r.Context(), f, key, note); err != nil {
		return nil, err
	}
	return resolvedJSON{f.Name, r.PathValue("key"), note}, nil
}

// resolve takes a person's word about the instance of a flows.InstanceKey.
func (s *Server) resolve(ctx context.Context, f *flows.Flow, key, note string) error {
	detail, err := s.history.Instance(ctx, f, key, flows.NoTime)
	if err != nil {
		return notFoundAs(err, noInstance(f, key))
	}
	if !detail.State.InFlight() && detail.State != flows.Expired {
		return problem(http.StatusConflict, "Instance %q has ended already: it is %s.", shorten(detail.Key), detail.State)
	}
	if err := s.Resolve(ctx, f, &detail.InstanceRecord, note); err != nil {
		s.log.ErrorContext(ctx, "publish a resolution", "flow", f.Name, "key", key, "error", err)
		return problem(http.StatusServiceUnavailable, "This cannot be taken now. Try again in a moment.")
	}
	return nil
}

func readNote(r *http.Request) (string, *Problem) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 2*maxNote))
	var body struct {
		Note string `json:"note"`
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return "", problem(http.StatusRequestEntityTooLarge, "The body is too large; a note has at most %d bytes.", maxNote)
	}
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil {
		return "", problem(http.StatusBadRequest, `The body is no JSON object; write {"note": "what was done"}.`)
	}
	return checkNote(body.Note)
}

func checkNote(text string) (string, *Problem) {
	note := strings.TrimSpace(text)
	switch {
	case !utf8.ValidString(note):
		return "", problem(http.StatusBadRequest, "The note is no text in UTF-8.")
	case note == "":
		return "", problem(http.StatusBadRequest, `Say in a note what was done: {"note": "paid in cash, see ticket 4711"}.`)
	case len(note) > maxNote:
		return "", problem(http.StatusRequestEntityTooLarge, "The note has %d bytes; at most %d are taken.", len(note), maxNote)
	}
	return note, nil
}
