package main

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"throughline/ingest/bus"
)

// openMetrics has the state of the parts that do not count for themselves read whenever
// /metrics is.
func (a *app) openMetrics(context.Context) error {
	meter := a.telemetry.meters.Meter("throughline")
	messages, err1 := meter.Int64ObservableGauge("throughline.bus.backlog.messages",
		metric.WithDescription("messages that are not trimmed yet"))
	bytes, err2 := meter.Int64ObservableGauge("throughline.bus.backlog.bytes", metric.WithUnit("By"),
		metric.WithDescription("bytes of a stream on disk; at the limit signals are refused"))
	age, err3 := meter.Float64ObservableGauge("throughline.bus.backlog.age", metric.WithUnit("s"),
		metric.WithDescription("age of the oldest message that is not trimmed yet"))
	letters, err5 := meter.Int64ObservableGauge("throughline.bus.dead_letters",
		metric.WithDescription("messages set aside because they could not be read or ClickHouse refused them for good; they wait for a replay"))
	unreadable, err6 := meter.Int64ObservableCounter("throughline.bus.unreadable",
		metric.WithDescription("times that a reader met a message of the bus that could not be read"))
	setAside, err7 := meter.Int64ObservableCounter("throughline.store.set_aside",
		metric.WithDescription("signals, spans and log records that ClickHouse refused for good, each now in a dead letter"))
	rows, err9 := meter.Int64ObservableCounter("throughline.store.rows",
		metric.WithDescription("signals, spans and log records that ClickHouse has, counted by this process; repeats of spans too"))
	repeats, err8 := meter.Int64ObservableCounter("throughline.store.repeated_spans",
		metric.WithDescription("spans not inserted because they had been of late"))
	restoring, err4 := meter.Int64ObservableGauge("throughline.engine.restoring",
		metric.WithDescription("1 while verdicts wait for the state to be whole"))
	for _, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9} {
		if err != nil {
			return fmt.Errorf("make instruments: %w", err)
		}
	}
	_, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		for _, stream := range []string{bus.Signals, bus.Spans} {
			b, err := a.bus.Backlog(ctx, stream, time.Now())
			if err != nil {
				return fmt.Errorf("observe backlog: %w", err)
			}
			of := metric.WithAttributes(attribute.String("stream", stream))
			o.ObserveInt64(messages, int64(b.Messages), of)
			o.ObserveInt64(bytes, int64(b.Bytes), of)
			o.ObserveFloat64(age, b.Oldest.Seconds(), of)
		}
		b, err := a.bus.LetterBacklog(ctx, time.Now())
		if err != nil {
			return fmt.Errorf("observe dead letters: %w", err)
		}
		o.ObserveInt64(letters, int64(b.Messages))
		o.ObserveInt64(unreadable, int64(a.bus.Poisoned()))
		o.ObserveInt64(setAside, int64(a.setAside.Load()))
		for i, table := range storeTables {
			o.ObserveInt64(rows, int64(a.stored[i].Load()), metric.WithAttributes(attribute.String("table", table)))
		}
		o.ObserveInt64(repeats, int64(a.repeats.Dropped()))
		if a.runner.Restoring() {
			o.ObserveInt64(restoring, 1)
		} else {
			o.ObserveInt64(restoring, 0)
		}
		return nil
	}, messages, bytes, age, restoring, letters, unreadable, setAside, repeats, rows)
	if err != nil {
		return fmt.Errorf("observe the parts: %w", err)
	}
	return a.openEngineMetrics(meter)
}
