package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// outlets are the two ways out.
type outlets struct {
	post   func(ctx context.Context, events []event.Event) // returns when they are accepted, refused, or ctx ends
	tracer func(service, version string) trace.Tracer
}

// story is one case of the business. It is used by one goroutine at a time.
type story struct {
	*world
	number uint64
	thread int
	rand   *rand.Rand
	said   int // events so far, in this thread
}

// branch is a thread of the case that runs beside others, with a chance of its own.
func (s *story) branch(thread int) *story {
	return &story{world: s.world, number: s.number, thread: thread, rand: rand.New(rand.NewPCG(s.rand.Uint64(), s.number))}
}

type fields = map[string]any

// key of the case's n-th business object of a kind.
func (s *story) key(kind string) string { return fmt.Sprintf("%s-%s-%05d", kind, s.run, s.number) }

func (s *story) chance(p float64) bool { return s.rand.Float64() < p }

func (s *story) oneOf(words ...string) string { return words[s.rand.IntN(len(words))] }

// cents draws an amount in whole cents.
func (s *story) cents(from, to int) float64 {
	return float64(100*from+s.rand.IntN(100*(to-from))) / 100
}

// pause lets time pass, from least to most seconds; false when the play is over.
func (s *story) pause(ctx context.Context, least, most float64) bool {
	return wait(ctx, time.Duration((least+s.rand.Float64()*(most-least))*float64(time.Second)))
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// event is what happened now at a source, in the words of that source.
func (s *story) event(ctx context.Context, source, name string, data fields) event.Event {
	s.said++
	e := event.New()
	e.SetID(fmt.Sprintf("%s-%d-%d-%d", s.run, s.number, s.thread, s.said))
	e.SetSource(source)
	e.SetType(name)
	e.SetTime(time.Now())
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		e.SetExtension("traceparent", fmt.Sprintf("00-%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags()))
	}
	if err := e.SetData(event.ApplicationJSON, data); err != nil { // not for fields of plain values
		e.SetExtension("dataerror", err.Error())
	}
	return e
}

// say sends an event and waits until it is taken, as a producer with an outbox does.
func (s *story) say(ctx context.Context, source, name string, data fields) {
	s.out.post(ctx, []event.Event{s.event(ctx, source, name, data)})
}

// op is a piece of work that a service traces.
type op struct {
	service, name string
	kind          trace.SpanKind
	seconds       float64 // it takes this long, half as long again at most
	fault         string  // why it failed; "" where it did not
	attributes    []attribute.KeyValue
}

// do works, and what is within it while it runs. Without a span in ctx it begins a trace.
func (s *story) do(ctx context.Context, o op, within ...func(context.Context)) {
	ctx, span := s.out.tracer(o.service, s.version(o.service)).Start(ctx, o.name, trace.WithSpanKind(o.kind), trace.WithAttributes(o.attributes...))
	defer span.End()
	s.pause(ctx, o.seconds/2, o.seconds/2)
	for _, f := range within {
		f(ctx)
	}
	s.pause(ctx, o.seconds/2, o.seconds)
	if o.fault != "" {
		span.RecordError(fault(o.fault))
		span.SetStatus(codes.Error, o.fault)
	}
}

type fault string

func (f fault) Error() string { return string(f) }

// call is a request from one service to another: a span on each side.
func (s *story) call(ctx context.Context, from string, o op, within ...func(context.Context)) {
	o.kind = trace.SpanKindServer
	client := op{
		service: from, name: o.name, kind: trace.SpanKindClient, seconds: 0.004, fault: o.fault,
		attributes: []attribute.KeyValue{attribute.String("peer.service", o.service)},
	}
	s.do(ctx, client, func(ctx context.Context) { s.do(ctx, o, within...) })
}

// since the play began.
func (s *story) since() time.Duration { return time.Since(s.began) }

// feed is a system that reports in batches: it collects for a second, then sends.
type feed struct{ reports chan event.Event }

func (f *feed) add(ctx context.Context, e event.Event) {
	select {
	case f.reports <- e:
	case <-ctx.Done():
	}
}

func (f *feed) run(ctx context.Context, post func(context.Context, []event.Event)) {
	const most = 500 // events a batch
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var batch []event.Event
	for {
		reports := f.reports
		if len(batch) == most {
			reports = nil
		}
		select {
		case e := <-reports:
			batch = append(batch, e)
		case <-tick.C:
			if len(batch) > 0 {
				post(ctx, batch)
				batch = nil
			}
		case <-ctx.Done():
			return
		}
	}
}
