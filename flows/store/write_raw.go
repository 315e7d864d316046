package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"throughline/flows"
)

// InsertLogs stores log records that were received at one time, by a token as InsertSpans.
func (s *Store) InsertLogs(ctx context.Context, token string, logs []flows.LogRecord, received flows.Time) error {
	return insert(ctx, s, "logs", token, logs, func(r *flows.LogRecord) (logRow, error) { return newLogRow(r, received) })
}

// InsertSignals stores signals, by a token as InsertSpans. Parts of a batch may be stored
// when it fails: one insert is one partition, a month of reception.
func (s *Store) InsertSignals(ctx context.Context, token string, signals []flows.Signal) error {
	months := make(map[int][]flows.Signal, 1)
	for i := range signals {
		received := signals[i].Received.Std()
		month := 100*received.Year() + int(received.Month())
		months[month] = append(months[month], signals[i])
	}
	for _, month := range slices.Sorted(maps.Keys(months)) {
		part := token
		if part != "" {
			part += ":" + strconv.Itoa(month)
		}
		if err := insert(ctx, s, "signals", part, months[month], newSignalRow); err != nil {
			return err
		}
	}
	return nil
}

type logRow struct {
	Timestamp          time.Time         `ch:"Timestamp"`
	TraceID            string            `ch:"TraceId"`
	SpanID             string            `ch:"SpanId"`
	TraceFlags         uint8             `ch:"TraceFlags"`
	SeverityText       string            `ch:"SeverityText"`
	SeverityNumber     uint8             `ch:"SeverityNumber"`
	ServiceName        string            `ch:"ServiceName"`
	Body               string            `ch:"Body"`
	ResourceAttributes map[string]string `ch:"ResourceAttributes"`
	ScopeName          string            `ch:"ScopeName"`
	ScopeVersion       string            `ch:"ScopeVersion"`
	LogAttributes      map[string]string `ch:"LogAttributes"`
	Received           time.Time         `ch:"Received"`
}

func newLogRow(r *flows.LogRecord, received flows.Time) (row logRow, err error) {
	row = logRow{
		Timestamp: r.Time.Std(), TraceID: r.TraceID, SpanID: r.SpanID,
		TraceFlags:   uint8(r.TraceFlags & 0xff), // the others are reserved
		SeverityText: r.SeverityText, SeverityNumber: uint8(min(max(0, r.SeverityNumber), 255)),
		ServiceName: r.Service, Body: r.Body, ScopeName: r.ScopeName, ScopeVersion: r.ScopeVersion, Received: received.Std(),
	}
	if row.ResourceAttributes, err = textMap(r.Resource); err != nil {
		return row, err
	}
	row.LogAttributes, err = textMap(r.Attributes)
	return row, err
}

type signalRow struct {
	Received    time.Time `ch:"received"`
	Time        time.Time `ch:"time"`
	Duration    int64     `ch:"duration"`
	Kind        string    `ch:"kind"`
	Name        string    `ch:"name"`
	Source      string    `ch:"source"`
	ID          string    `ch:"id"`
	System      string    `ch:"system"`
	Environment string    `ch:"environment"`
	Outcome     string    `ch:"outcome"`
	Sequence    string    `ch:"sequence"`
	TraceID     string    `ch:"trace_id"`
	SpanID      string    `ch:"span_id"`
	ParentID    string    `ch:"parent_id"`
	Keys        []string  `ch:"keys"`
	Attributes  string    `ch:"attributes"`
	Data        string    `ch:"data"`
	AsOf        time.Time `ch:"as_of"`
}

func newSignalRow(g *flows.Signal) (row signalRow, err error) {
	row = signalRow{
		Received: g.Received.Std(), Time: g.Time.Std(), Duration: int64(g.Duration), Kind: g.Kind.String(), Name: g.Name,
		Source: g.Source, ID: g.ID, System: g.System, Environment: g.Environment, Outcome: g.Outcome(), Sequence: g.Sequence,
		TraceID: g.TraceID, SpanID: g.SpanID, ParentID: g.ParentID, Keys: make([]string, len(g.Keys)), AsOf: g.AsOf.Std(),
	}
	for i, k := range g.Keys {
		row.Keys[i] = k.String()
	}
	if row.Attributes, err = objectText(g.Attributes); err != nil {
		return row, err
	}
	row.Data, err = objectText(g.Data)
	return row, err
}
