package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/semaphore"

	"throughline/flows"
)

// Deps is what ingest is given. All fields but Who are needed.
type Deps struct {
	// Who says who sends, by the text of an Authorization header, "" where there was none.
	// Its error is a Refusal. Without Who anybody may send.
	Who       func(authorization string) (Sender, error)
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

	accounts accounts
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

// Now is the time of reception.
func (d *Door) Now() flows.Time { return flows.At(d.deps.Now()) }

// Admit takes a place among the requests at work, once all of a request is here: one that
// comes slowly keeps no other out. The caller calls leave when it has answered.
func (d *Door) Admit() (leave func(), err error) {
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots }, nil
	default:
		return nil, Refuse(Busy, "too many requests at once; send it again")
	}
}

// Refused counts a refused request and says how to answer it.
func (d *Door) Refused(ctx context.Context, err error) *Refusal {
	refusal := AsRefusal(err)
	d.counters.refused(ctx, refusal.Class)
	return refusal
}
