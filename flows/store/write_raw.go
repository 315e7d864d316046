package store

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	"throughline/flows"
)

// InsertLogs stores log records that were received at one time, by a token as InsertSpans.
func (s *Store) InsertLogs(ctx context.Context, token string, logs []flows.LogRecord, received flows.Time) error {
	return insert(ctx, s, "logs", token, logs, logFields(received))
}

// InsertSignals stores signals, by a token as InsertSpans. Parts of a batch may be stored
// when it fails: one insert is one partition, a month of reception.
func (s *Store) InsertSignals(ctx context.Context, token string, signals []flows.Signal) error {
	months := byMonth(signals)
	for _, month := range slices.Sorted(maps.Keys(months)) {
		part := token
		if part != "" {
			part += ":" + strconv.Itoa(month)
		}
		if err := insert(ctx, s, "signals", part, months[month], signalFields); err != nil {
			return err
		}
	}
	return nil
}

// byMonth are signals by the year and month of their reception, which is one nearly always.
func byMonth(signals []flows.Signal) map[int][]flows.Signal {
	if len(signals) == 0 {
		return nil
	}
	monthOf := func(t flows.Time) int { return 100*t.Std().Year() + int(t.Std().Month()) }
	first, last := signals[0].Received, signals[0].Received
	for i := range signals {
		first, last = min(first, signals[i].Received), max(last, signals[i].Received)
	}
	if monthOf(first) == monthOf(last) {
		return map[int][]flows.Signal{monthOf(first): signals}
	}
	months := map[int][]flows.Signal{}
	for i := range signals {
		month := monthOf(signals[i].Received)
		months[month] = append(months[month], signals[i])
	}
	return months
}

func logFields(received flows.Time) []field[flows.LogRecord] {
	type record = flows.LogRecord
	return []field[record]{
		each("Timestamp", typeTime, func(n *native, r *record) { n.uint64(uint64(r.Time)) }),
		strs("TraceId", func(r *record) string { return r.TraceID }),
		strs("SpanId", func(r *record) string { return r.SpanID }),
		bytesOf("TraceFlags", "UInt8", func(r *record) uint8 { return uint8(r.TraceFlags & 0xff) }), // the others are reserved
		words("SeverityText", func(r *record) string { return r.SeverityText }),
		bytesOf("SeverityNumber", "UInt8", func(r *record) uint8 { return uint8(min(max(0, r.SeverityNumber), 255)) }),
		words("ServiceName", func(r *record) string { return r.Service }),
		strs("Body", func(r *record) string { return r.Body }),
		textMaps("ResourceAttributes", func(r *record) (map[string]string, error) { return textMap(r.Resource) }),
		words("ScopeName", func(r *record) string { return r.ScopeName }),
		words("ScopeVersion", func(r *record) string { return r.ScopeVersion }),
		textMaps("LogAttributes", func(r *record) (map[string]string, error) { return textMap(r.Attributes) }),
		each("Received", "DateTime('UTC')", func(n *native, _ *record) { n.uint32(uint32(received.Std().Unix())) }),
	}
}

var signalFields = []field[flows.Signal]{
	instants("received", func(g *flows.Signal) flows.Time { return g.Received }),
	instants("time", func(g *flows.Signal) flows.Time { return g.Time }),
	integers("duration", "Int64", func(g *flows.Signal) uint64 { return uint64(g.Duration) }),
	flags("kind", "Enum8('event' = 0, 'span' = 1)", func(g *flows.Signal) bool { return g.Kind == flows.Span }),
	words("name", func(g *flows.Signal) string { return g.Name }),
	words("source", func(g *flows.Signal) string { return g.Source }),
	strs("id", func(g *flows.Signal) string { return g.ID }),
	words("system", func(g *flows.Signal) string { return g.System }),
	words("environment", func(g *flows.Signal) string { return g.Environment }),
	flags("outcome", typeOutcome, func(g *flows.Signal) bool { return g.Failed }),
	strs("sequence", func(g *flows.Signal) string { return g.Sequence }),
	strs("trace_id", func(g *flows.Signal) string { return g.TraceID }),
	strs("span_id", func(g *flows.Signal) string { return g.SpanID }),
	strs("parent_id", func(g *flows.Signal) string { return g.ParentID }),
	lists("keys", "String", func(g *flows.Signal) []flows.Key { return g.Keys }, func(n *native, k *flows.Key) {
		n.buf = binary.AppendUvarint(n.buf, uint64(len(k.Type)+1+len(k.Value)))
		n.buf = append(append(append(n.buf, k.Type...), ':'), k.Value...)
	}),
	objects("attributes", (*flows.Signal).AppendAttributes),
	objects("data", (*flows.Signal).AppendData),
	instants("as_of", func(g *flows.Signal) flows.Time { return g.AsOf }),
	flags("sampled", "Bool", func(g *flows.Signal) bool { return g.Sampled }),
	flags("erased", "Bool", func(g *flows.Signal) bool { return g.Erased }),
}
