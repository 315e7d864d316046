package ingest

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Class is the kind of a refusal of a whole request; it decides the answer's status.
type Class uint8

// The classes. Busy, OverRate, Slow and Unavailable ask the sender to try again.
const (
	Invalid         Class = iota // the request cannot be read
	TooLarge                     // more than the limits allow
	Unsupported                  // a content type or encoding that is not taken
	NoMethod                     // not a POST
	NotFound                     // nothing is taken here
	Unauthenticated              // nobody knows who sends
	Forbidden                    // who sends may not
	Slow                         // the request did not come to its end in time
	OverRate                     // this sender has sent enough for now
	Busy                         // this process has enough to do
	Unavailable                  // the data could not be made durable
)

var classes = [...]struct {
	status int
	word   string // as a label of the counter of refused requests
}{
	Invalid:         {http.StatusBadRequest, "invalid"},
	TooLarge:        {http.StatusRequestEntityTooLarge, "too-large"},
	Unsupported:     {http.StatusUnsupportedMediaType, "unsupported"},
	NoMethod:        {http.StatusMethodNotAllowed, "method"},
	NotFound:        {http.StatusNotFound, "not-found"},
	Unauthenticated: {http.StatusUnauthorized, "unauthenticated"},
	Forbidden:       {http.StatusForbidden, "forbidden"},
	Slow:            {http.StatusRequestTimeout, "slow"},
	OverRate:        {http.StatusTooManyRequests, "rate"},
	Busy:            {http.StatusTooManyRequests, "busy"},
	Unavailable:     {http.StatusServiceUnavailable, "unavailable"},
}

func (c Class) String() string { return classes[c].word }

// Status is the HTTP status of the class.
func (c Class) Status() int { return classes[c].status }

// Retry says that the same request may succeed later.
func (c Class) Retry() bool { return c == Busy || c == OverRate || c == Slow || c == Unavailable }

// Refusal is why a whole request is refused. Detail is written for the sender and holds
// nothing internal.
type Refusal struct {
	Class  Class
	Detail string
	After  time.Duration // when to try again; 0 for RetryAfter
}

func (r *Refusal) Error() string { return r.Detail }

// Refuse is a Refusal as an error.
func Refuse(class Class, detail string) error { return &Refusal{Class: class, Detail: detail} }

// AsRefusal classifies any error of this package or a protocol's decoder. What it does
// not know is Unavailable, so that the sender keeps its data.
func AsRefusal(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if fault, ok := errors.AsType[*Fault](err); ok {
		return &Refusal{Class: Invalid, Detail: fault.Text}
	}
	return &Refusal{Class: Unavailable, Detail: "the data could not be stored; send it again"}
}

// Wait is how long the sender shall wait; 0 where trying again is no use.
func (r *Refusal) Wait() time.Duration {
	if !r.Class.Retry() {
		return 0
	}
	return cmp.Or(r.After, RetryAfter)
}

// Header sets what the refusal says in headers.
func (r *Refusal) Header(h http.Header) {
	if wait := r.Wait(); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if r.Class == Unauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if r.Class == NoMethod {
		h.Set("Allow", http.MethodPost)
	}
}

// Problem is an RFC 9457 problem. Embed it to add members.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// NewProblem is the problem of a status.
func NewProblem(status int, detail string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// WriteProblem answers with refusal as application/problem+json.
func WriteProblem(w http.ResponseWriter, refusal *Refusal) {
	refusal.Header(w.Header())
	status := refusal.Class.Status()
	WriteJSON(w, status, "application/problem+json", NewProblem(status, refusal.Detail))
}

// WriteJSON answers with v. An answer that cannot be sent is the sender's loss: it will
// send again, and its copies are duplicates.
func WriteJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
