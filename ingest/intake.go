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
	bodies *semaphore.Weighted
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
		deps: deps, slots: make(chan struct{}, maxRequests), bodies: semaphore.NewWeighted(maxBodies),
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

// Read is the request's body, decompressed and bounded. The caller calls free when it no
// longer needs the body or what was decoded from it.
func (d *Door) Read(w http.ResponseWriter, r *http.Request) (body []byte, free func(), err error) {
	if r.Method != http.MethodPost {
		return nil, nil, Refuse(NoMethod, "send data with POST")
	}
	c := &charge{budget: d.bodies}
	body, err = d.readBody(w, r, c)
	if err != nil {
		c.free()
		return nil, nil, err
	}
	d.counters.bytes(r.Context(), len(body))
	return body, c.free, nil
}

// Charge counts bytes that a protocol's library has read already. The caller calls free
// as after Read.
func (d *Door) Charge(ctx context.Context, n int) (free func(), err error) {
	c := &charge{budget: d.bodies}
	if err := c.take(int64(n)); err != nil {
		return nil, err
	}
	d.counters.bytes(ctx, n)
	return c.free, nil
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
