package flows

import "time"

// SpanRecord is a span as it was received, whole, for the spans table: the fields of
// OTLP's Span (opentelemetry/proto/trace/v1) with its resource and scope.
type SpanRecord struct {
	TraceID, SpanID, ParentID string // lower-case hex
	TraceState                string
	Name                      string
	Kind                      string      // Unspecified, Internal, Server, Client, Producer, Consumer
	Origin                    *SpanOrigin // nil is an empty one
	Attributes                []Attribute // of several with one name the last counts
	Start                     Time
	Duration                  time.Duration
	StatusCode                string // Unset, Ok, Error
	StatusMessage             string
	Events                    []SpanEvent
	Links                     []SpanLink
}

// SpanOrigin is what the spans of one resource and scope share. It is read-only.
type SpanOrigin struct {
	Service                 string // service.name
	Resource                map[string]any
	ScopeName, ScopeVersion string
}

// SpanEvent is one event inside a span.
type SpanEvent struct {
	Time       Time
	Name       string
	Attributes map[string]any
}

// SpanLink points from a span to another.
type SpanLink struct {
	TraceID, SpanID string
	TraceState      string
	Attributes      map[string]any
}

// LogRecord is an OTLP log record without an event name, whole, for the logs table.
// (One with an event name is an event, a Signal.)
type LogRecord struct {
	Time                    Time // of the event; observed time where that is absent
	TraceID, SpanID         string
	TraceFlags              uint32
	SeverityText            string
	SeverityNumber          int32
	Service                 string
	Body                    string
	Resource                map[string]any
	ScopeName, ScopeVersion string
	Attributes              map[string]any
}

// Batch is what one request brought, ready to publish. Spans and Logs go to the store;
// Signals go to the store and to the engine.
type Batch struct {
	Signals []Signal
	Spans   []SpanBlock
	Logs    []LogRecord
}

// SpanCount is the number of spans in all blocks.
func (b *Batch) SpanCount() int {
	n := 0
	for i := range b.Spans {
		n += b.Spans[i].Rows
	}
	return n
}

// SpanLinks is the attribute under which a signal has the links of its span, as a list of
// "traceid:spanid".
const SpanLinks = "span.links"

// maxSpanLinks is what SDKs keep by default.
const maxSpanLinks = 128

// Signal is the span as an observation. Attributes of the resource are found below the
// span's own.
func (s *SpanRecord) Signal() Signal {
	origin := s.Origin
	if origin == nil {
		origin = &noOrigin
	}
	attributes := make(map[string]any, len(origin.Resource)+len(s.Attributes)+1)
	if len(s.Links) > 0 {
		links := make([]any, min(len(s.Links), maxSpanLinks))
		for i := range links {
			links[i] = s.Links[i].TraceID + ":" + s.Links[i].SpanID
		}
		attributes[SpanLinks] = links
	}
	for k, v := range origin.Resource {
		attributes[k] = v
	}
	for i := range s.Attributes {
		attributes[s.Attributes[i].Name] = s.Attributes[i].Value()
	}
	environment, _ := Text(attributes["deployment.environment.name"])
	return Signal{
		Kind: Span, Source: origin.Service, ID: s.TraceID + ":" + s.SpanID, Name: s.Name, System: origin.Service,
		Environment: environment, Time: s.Start, Duration: s.Duration, Failed: s.StatusCode == "Error", Sampled: sampled(s.TraceState, attributes),
		TraceID: s.TraceID, SpanID: s.SpanID, ParentID: s.ParentID, Attributes: attributes,
	}
}
