// Package ingest is the door that every signal comes in by, whatever protocol it speaks:
// it admits requests, bounds them, refuses what cannot be used with a sentence that says
// why, and publishes the rest.
//
// It guarantees three things. A sender is told "accepted" only after the Publisher said
// that the data is durable. Memory is bounded: requests at once, bytes of bodies at once
// (after decompression), and the size and shape of each signal have a limit in limits.go.
// Nothing is dropped in silence: each refusal has a sentence for the sender and a counter.
//
// The protocols are in the packages below. All keep one rhythm: admit, bound, decode, map,
// publish, respond.
package ingest

import (
	"context"
	"errors"

	"throughline/flows"
)

// Publisher makes a batch durable. It returns nil only when the batch will survive the
// death of the process. Its errors but ErrTooLarge are taken as "try again later"; ErrBusy
// says that the cause is load. The batch may share memory with the request's body: a Publisher copies
// (or encodes) what it keeps, and changes nothing.
type Publisher interface {
	Publish(ctx context.Context, b flows.Batch) error
}

// Errors of a Publisher. ErrBusy says that the bus is full or not able to take data now,
// ErrTooLarge that a signal will never fit, so that sending it again is no use.
var (
	ErrBusy     = errors.New("the bus takes no data now")
	ErrTooLarge = errors.New("a signal is too large for the bus")
)

// Rules are what ingest needs to know of the flow files that are in force. *flows.Set
// is one.
type Rules interface {
	// AssignKeys fills s.Keys with the keys of all types in use. An error is the
	// signal's fault: a key that is too long, for example.
	AssignKeys(s *flows.Signal) error
	// Wants says whether the engine needs s: it matches a step, or carries a key.
	Wants(s *flows.Signal) bool
	// NamesSpan and NamesAttribute spare most spans the two above: one whose name, and the
	// names of whose attributes, no rule names has no keys and is not wanted.
	NamesSpan(name string) bool
	NamesAttribute(name string) bool
}
