package ingest

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"throughline/flows"
)

// meters are the instruments; counters are the same with one protocol's labels made.
type meters struct {
	accepted, rejected, bodyBytes, refusals metric.Int64Counter
}

func newMeters(m metric.Meter) (*meters, error) {
	var s meters
	for _, c := range [...]struct {
		to                      *metric.Int64Counter
		name, unit, description string
	}{
		{&s.accepted, "throughline.ingest.accepted", "{signal}", "Signals that are durable and were acknowledged"},
		{&s.rejected, "throughline.ingest.rejected", "{signal}", "Signals that could not be used, by reason"},
		{&s.bodyBytes, "throughline.ingest.bytes", "By", "Bytes of request bodies after decompression"},
		{&s.refusals, "throughline.ingest.refused", "{request}", "Requests refused as a whole, by class"},
	} {
		counter, err := m.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description))
		if err != nil {
			return nil, fmt.Errorf("make instrument %s: %w", c.name, err)
		}
		*c.to = counter
	}
	return &s, nil
}

type counters struct {
	*meters
	all, events, spans, logs metric.MeasurementOption
	reasons                  map[Reason]metric.MeasurementOption
	classes                  [len(classes)]metric.MeasurementOption
}

func (m *meters) of(protocol string) counters {
	with := func(name, value string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("protocol", protocol), attribute.String(name, value)))
	}
	c := counters{
		meters: m,
		all:    metric.WithAttributeSet(attribute.NewSet(attribute.String("protocol", protocol))),
		events: with("kind", "event"), spans: with("kind", "span"), logs: with("kind", "log"),
		reasons: make(map[Reason]metric.MeasurementOption),
	}
	for _, reason := range [...]Reason{
		ReasonSyntax, ReasonIdentity, ReasonName, ReasonTime, ReasonText, ReasonAttributes, ReasonNesting, ReasonKey, ReasonSystem,
	} {
		c.reasons[reason] = with("reason", string(reason))
	}
	for class := range classes {
		c.classes[class] = with("class", Class(class).String())
	}
	return c
}

func (c *counters) took(ctx context.Context, b flows.Batch, rejected Rejected) {
	events := 0
	for i := range b.Signals {
		if b.Signals[i].Kind == flows.Event {
			events++
		}
	}
	c.accepted.Add(ctx, int64(events), c.events)
	c.accepted.Add(ctx, int64(b.SpanCount()), c.spans)
	c.accepted.Add(ctx, int64(len(b.Logs)), c.logs)
	for reason, n := range rejected {
		c.rejected.Add(ctx, int64(n), c.reasons[reason])
	}
}

func (c *counters) bytes(ctx context.Context, n int) { c.bodyBytes.Add(ctx, int64(n), c.all) }

func (c *counters) refused(ctx context.Context, class Class) {
	c.refusals.Add(ctx, 1, c.classes[class])
}
