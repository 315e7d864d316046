// Package ingesttest has what the tests of the protocols share: a bus that records, and
// rules with one key type.
package ingesttest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"throughline/flows"
	"throughline/ingest"
)

// Now is when everything in a test is received.
var Now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// Bus records what is published. While Err is set it takes nothing.
type Bus struct {
	mu  sync.Mutex // guards all
	err error
	got flows.Batch
}

// Fail makes every Publish return err.
func (b *Bus) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// Publish implements ingest.Publisher.
func (b *Bus) Publish(_ context.Context, batch flows.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	for _, s := range batch.Signals {
		for _, text := range []*string{
			&s.Source, &s.ID, &s.Name, &s.System, &s.Environment, &s.Sequence, &s.TraceID, &s.SpanID, &s.ParentID, &s.Packed.Attributes, &s.Packed.Data,
		} {
			*text = strings.Clone(*text) // so is that of the texts
		}
		s.Keys = slices.Clone(s.Keys)
		for i := range s.Keys {
			s.Keys[i].Value = strings.Clone(s.Keys[i].Value)
		}
		if err := s.Unpack(); err != nil {
			return fmt.Errorf("publish signals: %w", err)
		}
		b.got.Signals = append(b.got.Signals, s)
	}
	for i := range batch.Spans {
		block, err := flows.ParseSpanBlock(batch.Spans[i].AppendTo(nil)) // the batch's memory is used again
		if err != nil {
			return fmt.Errorf("publish spans: %w", err)
		}
		b.got.Spans = append(b.got.Spans, block)
	}
	b.got.Logs = append(b.got.Logs, batch.Logs...)
	return nil
}

// Take is what was published since the last Take.
func (b *Bus) Take() flows.Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = flows.Batch{}
	return got
}

// Pack makes texts of a signal's attributes and data, with the hash of all, as the bus does.
func Pack(t testing.TB, s *flows.Signal) {
	t.Helper()
	hash := s.ContentHash()
	attributes, err := s.AppendAttributes(nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.AppendData(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Attributes, s.Data = nil, nil
	s.Packed = flows.Packed{Attributes: string(attributes), Data: string(data), Hash: hash}
}

// Rules have the key type order_id, and want signals that carry it or whose name begins
// with "wanted".
type Rules struct{}

// AssignKeys implements ingest.Rules.
func (Rules) AssignKeys(s *flows.Signal) error {
	v, _ := s.Lookup("order_id")
	value, ok := flows.Text(v)
	if !ok {
		return nil
	}
	if len(value) > flows.MaxKeyBytes {
		return ingest.Faultf(ingest.ReasonKey, "key order_id: %d bytes; at most %d are taken", len(value), flows.MaxKeyBytes)
	}
	s.Keys = []flows.Key{{Type: "order_id", Value: value}}
	return nil
}

// Wants implements ingest.Rules.
func (Rules) Wants(s *flows.Signal) bool {
	return len(s.Keys) > 0 || strings.HasPrefix(s.Name, "wanted")
}

// NamesSpan implements ingest.Rules.
func (Rules) NamesSpan(name string) bool { return strings.HasPrefix(name, "wanted") }

// NamesAttribute implements ingest.Rules.
func (Rules) NamesAttribute(name string) bool { return name == "order_id" }

// Meter reads counters back.
type Meter struct{ reader *metric.ManualReader }

// New makes an Intake on a recording bus.
func New(t testing.TB) (*ingest.Intake, *Bus, *Meter) {
	t.Helper()
	bus, meter := &Bus{}, &Meter{metric.NewManualReader()}
	in, err := ingest.New(ingest.Deps{
		Publisher: bus,
		Rules:     func() ingest.Rules { return Rules{} },
		Meter:     metric.NewMeterProvider(metric.WithReader(meter.reader)).Meter("test"),
		Log:       slog.New(slog.DiscardHandler),
		Now:       func() time.Time { return Now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return in, bus, meter
}

// Fill takes every place among the requests at work, until the test ends.
func Fill(t testing.TB, in *ingest.Intake) {
	t.Helper()
	door := in.Door("fill")
	for {
		leave, err := door.Admit()
		if err != nil {
			return
		}
		t.Cleanup(leave)
	}
}

// Sum is the value of a counter over all points that have the label with that value.
func (m *Meter) Sum(t testing.TB, name, label, value string) int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, scope := range all.ScopeMetrics {
		for _, instrument := range scope.Metrics {
			if data, ok := instrument.Data.(metricdata.Sum[int64]); ok && instrument.Name == name {
				for _, point := range data.DataPoints {
					if v, ok := point.Attributes.Value(attribute.Key(label)); ok && v.AsString() == value {
						sum += point.Value
					}
				}
			}
		}
	}
	return sum
}
