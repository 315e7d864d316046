package flows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of one signal. What is over a limit is refused with a sentence, never cut.
const (
	MaxKeyBytes   = 1 << 10 // a key's value
	MaxNameBytes  = 1 << 10 // source, id, name, system, sequence
	MaxAttributes = 1 << 10 // attributes and fields of one signal, nested ones counted
)

// Kind tells an event from a span.
type Kind uint8

// The two kinds of signals.
const (
	Event Kind = iota
	Span
)

func (k Kind) String() string {
	if k == Span {
		return "span"
	}
	return "event"
}

// Key names one business object: an order, an invoice. Both parts are in normal form.
type Key struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (k Key) String() string { return k.Type + ":" + k.Value }

// ParseKey reads "type:value"; the value may hold colons.
func ParseKey(s string) (Key, error) {
	typ, value, ok := strings.Cut(s, ":")
	if !ok || typ == "" || value == "" {
		return Key{}, fmt.Errorf("key %q: write it as type:value, for example order_id:4711", s)
	}
	return Key{typ, value}, nil
}

// CompareKeys orders keys by type, then by value, bytewise.
func CompareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
}

// Signal is one observation, an event or a span, that has a name, a time and keys.
// A Signal is read-only once it is published.
type Signal struct {
	Kind        Kind
	Source      string // CloudEvents source; a span's service.name
	ID          string // CloudEvents id; a span's "traceid:spanid" in hex
	Name        string // CloudEvents type, event name of a log record, span name
	System      string // who reports: service.name of a span, source of a CloudEvent
	Environment string // deployment.environment.name; "" is the default one
	Time        Time   // an event's time, a span's start
	Duration    time.Duration
	Failed      bool   // outcome error
	Sampled     bool   // a span whose producer sends only some of its spans
	Sequence    string // CloudEvents sequence extension, an import's row number; "" is absent
	Received    Time
	AsOf        Time   // of an imported signal: the clock of its import; 0 for a live one
	TraceID     string // lower-case hex, "" is none
	SpanID      string
	ParentID    string
	Attributes  map[string]any // span attributes (resource attributes below them), CloudEvents extensions
	Data        map[string]any // an event's data, where it is a JSON object
	Keys        []Key          // of the key types in use, sorted, without repeats
	Packed      Packed         // Attributes and Data of a signal that came by the bus
	Erased      bool           // stored without what it said: see Eraser
}

// Owned is the signal in memory of its own, for who keeps it longer than what it came in.
func (s *Signal) Owned() Signal {
	own := *s
	for _, text := range [...]*string{
		&own.Source, &own.ID, &own.Name, &own.System, &own.Environment, &own.Sequence,
		&own.TraceID, &own.SpanID, &own.ParentID, &own.Packed.Attributes, &own.Packed.Data,
	} {
		*text = strings.Clone(*text)
	}
	own.Keys = slices.Clone(s.Keys)
	for i, k := range own.Keys {
		own.Keys[i] = Key{Type: strings.Clone(k.Type), Value: strings.Clone(k.Value)}
	}
	own.Attributes, _ = owned(s.Attributes).(map[string]any)
	own.Data, _ = owned(s.Data).(map[string]any)
	return own
}

// owned is a value of an attribute in memory of its own.
func owned(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case json.Number:
		return json.Number(strings.Clone(string(v)))
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = owned(e)
		}
		return list
	case map[string]any:
		if v == nil {
			return v
		}
		m := make(map[string]any, len(v))
		for name, e := range v {
			m[strings.Clone(name)] = owned(e)
		}
		return m
	}
	return v
}

// Identity tells copies of one signal from different signals: (source, id) for events,
// (trace id, span id) for spans (FLOWS.md section 3).
type Identity struct{ Source, ID string }

// Identity of the signal. Spans are the same whoever reports them.
func (s *Signal) Identity() Identity {
	if s.Kind == Span {
		return Identity{ID: s.ID}
	}
	return Identity{Source: s.Source, ID: s.ID}
}

// OccursAt is when the signal happened as a step: a span occurs at its end.
func (s *Signal) OccursAt() Time { return s.Time.Add(s.Duration) }

// Outcome is "ok" or "error".
func (s *Signal) Outcome() string {
	if s.Failed {
		return "error"
	}
	return "ok"
}

// Lookup finds a name as FLOWS.md section 2 says: as one attribute's name first, then as
// a field of data of that very name, then as a dotted path into data.
func (s *Signal) Lookup(name string) (any, bool) {
	if v, ok := s.Attribute(name); ok {
		return v, true
	}
	if v, ok := s.Field(name); ok {
		return v, true
	}
	if strings.IndexByte(name, '.') < 0 {
		return nil, false
	}
	if s.Packed.Data != "" {
		return path(s.Packed.Data, name)
	}
	fields := s.Data
	for {
		head, rest, dotted := strings.Cut(name, ".")
		v, ok := fields[head]
		if !ok || !dotted {
			return v, ok
		}
		if fields, ok = v.(map[string]any); !ok {
			return nil, false
		}
		name = rest
	}
}

// Text is the normal form of a scalar: strings as they are, numbers in plain decimals,
// booleans as words. Nested values, null and empty strings have none.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
