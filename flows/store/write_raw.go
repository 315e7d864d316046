package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"throughline/flows"
)

// InsertSpans stores spans that were received at one time. The token names them: sent
// again, the same spans under the same token are stored once.
func (s *Store) InsertSpans(ctx context.Context, token string, spans []flows.SpanRecord, received flows.Time) error {
	return insert(ctx, s, "spans", token, spans, func(r *flows.SpanRecord) (spanRow, error) { return newSpanRow(r, received) })
}

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

type spanRow struct {
	Timestamp          time.Time           `ch:"Timestamp"`
	TraceID            string              `ch:"TraceId"`
	SpanID             string              `ch:"SpanId"`
	ParentSpanID       string              `ch:"ParentSpanId"`
	TraceState         string              `ch:"TraceState"`
	SpanName           string              `ch:"SpanName"`
	SpanKind           string              `ch:"SpanKind"`
	ServiceName        string              `ch:"ServiceName"`
	ResourceAttributes map[string]string   `ch:"ResourceAttributes"`
	ScopeName          string              `ch:"ScopeName"`
	ScopeVersion       string              `ch:"ScopeVersion"`
	SpanAttributes     map[string]string   `ch:"SpanAttributes"`
	Duration           uint64              `ch:"Duration"`
	StatusCode         string              `ch:"StatusCode"`
	StatusMessage      string              `ch:"StatusMessage"`
	EventTimes         []time.Time         `ch:"Events.Timestamp"`
	EventNames         []string            `ch:"Events.Name"`
	EventAttributes    []map[string]string `ch:"Events.Attributes"`
	LinkTraceIDs       []string            `ch:"Links.TraceId"`
	LinkSpanIDs        []string            `ch:"Links.SpanId"`
	LinkTraceStates    []string            `ch:"Links.TraceState"`
	LinkAttributes     []map[string]string `ch:"Links.Attributes"`
	Received           time.Time           `ch:"Received"`
}

func newSpanRow(r *flows.SpanRecord, received flows.Time) (row spanRow, err error) {
	row = spanRow{
		Timestamp: r.Start.Std(), TraceID: r.TraceID, SpanID: r.SpanID, ParentSpanID: r.ParentID, TraceState: r.TraceState,
		SpanName: r.Name, SpanKind: r.Kind, ServiceName: r.Service, ScopeName: r.ScopeName, ScopeVersion: r.ScopeVersion,
		Duration: uint64(max(0, r.Duration)), StatusCode: r.StatusCode, StatusMessage: r.StatusMessage, Received: received.Std(),
	}
	if row.ResourceAttributes, err = textMap(r.Resource); err != nil {
		return row, err
	}
	if row.SpanAttributes, err = textMap(r.Attributes); err != nil {
		return row, err
	}
	for i := range r.Events {
		e := &r.Events[i]
		attributes, err := textMap(e.Attributes)
		if err != nil {
			return row, err
		}
		row.EventTimes = append(row.EventTimes, e.Time.Std())
		row.EventNames = append(row.EventNames, e.Name)
		row.EventAttributes = append(row.EventAttributes, attributes)
	}
	for i := range r.Links {
		l := &r.Links[i]
		attributes, err := textMap(l.Attributes)
		if err != nil {
			return row, err
		}
		row.LinkTraceIDs = append(row.LinkTraceIDs, l.TraceID)
		row.LinkSpanIDs = append(row.LinkSpanIDs, l.SpanID)
		row.LinkTraceStates = append(row.LinkTraceStates, l.TraceState)
		row.LinkAttributes = append(row.LinkAttributes, attributes)
	}
	return row, nil
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
