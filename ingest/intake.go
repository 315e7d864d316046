package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/semaphore"

	"throughline/flows"
)

// Deps is what ingest is given. All fields are needed.
type Deps struct {
	Publisher Publisher
	Rules     func() Rules // the rules in force now; called once a request
	Meter     metric.Meter
	Log       *slog.Logger
	Now       func() time.Time
}

// Intake is what all protocols share: one budget of requests and bytes, and the way to
// the bus.
type Intake struct {
	deps   Deps
	slots  chan struct{}
	memory *semaphore.Weighted
	zstd   *zstd.Decoder
	meters *meters
}

// New makes an Intake. It fails only where an instrument cannot be made.
func New(deps Deps) (*Intake, error) {
	m, err := newMeters(deps.Meter)
	if err != nil {
		return nil, err
	}
	// Only DecodeAll is used, which is safe for many callers and starts no goroutine.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBody), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	return &Intake{
		deps: deps, slots: make(chan struct{}, maxRequests), memory: semaphore.NewWeighted(maxInFlight),
		zstd: decoder, meters: m,
	}, nil
}

// Door is an Intake as one protocol uses it: the same limits, its own counters.
type Door struct {
	*Intake
	counters counters
}

// Door opens the way in for a protocol, whose name labels its counters.
func (in *Intake) Door(protocol string) *Door {
	return &Door{Intake: in, counters: in.meters.of(protocol)}
}

// Rules are the rules in force now.
func (d *Door) Rules() Rules { return d.deps.Rules() }

// Now is the time of reception.
func (d *Door) Now() flows.Time { return flows.At(d.deps.Now()) }

// Admit takes a place among the requests at work. The caller calls leave when it has
// answered.
func (d *Door) Admit() (leave func(), err error) {
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots }, nil
	default:
		return nil, Refuse(Busy, "too many requests at once; send it again")
	}
}

// Read is the request's body, decompressed and bounded. The caller frees it.
func (d *Door) Read(w http.ResponseWriter, r *http.Request) (*Body, error) {
	if r.Method != http.MethodPost {
		return nil, Refuse(NoMethod, "send data with POST")
	}
	b := &Body{budget: d.memory}
	var err error
	if b.Bytes, err = b.read(w, r, d.zstd); err != nil {
		b.Free()
		return nil, err
	}
	d.counters.bytes(r.Context(), len(b.Bytes))
	return b, nil
}

// Hold is Read for bytes that a protocol's library has read already.
func (d *Door) Hold(ctx context.Context, bytes []byte) (*Body, error) {
	b := &Body{Bytes: bytes, budget: d.memory}
	if err := b.Grow(len(bytes)); err != nil {
		return nil, err
	}
	d.counters.bytes(ctx, len(bytes))
	return b, nil
}

// Publish makes the batch durable and counts it, and what was rejected beside it. After
// an error nothing was accepted.
func (d *Door) Publish(ctx context.Context, b flows.Batch, rejected Rejected) error {
	if len(b.Signals)+len(b.Spans)+len(b.Logs) > 0 {
		if err := d.deps.Publisher.Publish(ctx, b); err != nil {
			return d.unpublished(ctx, err)
		}
	}
	d.counters.took(ctx, b, rejected)
	return nil
}

func (d *Door) unpublished(ctx context.Context, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return Refuse(TooLarge, "one signal of the request is larger than the bus carries; shorten its data")
	}
	// A full bus is counted for every request; a line each would fill the disk too.
	if !errors.Is(err, ErrBusy) && ctx.Err() == nil {
		d.deps.Log.ErrorContext(ctx, "batch not published", "error", err)
	}
	return Refuse(Unavailable, "the data could not be stored now; send it again")
}

// Refused counts a refused request and says how to answer it.
func (d *Door) Refused(ctx context.Context, err error) *Refusal {
	refusal := AsRefusal(err)
	d.counters.refused(ctx, refusal.Class)
	return refusal
}
