package otlp

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"throughline/flows"
	"throughline/ingest"
)

// resource is what the spans or records of one resource share. fault is why none of them
// can be used.
type resource struct {
	attributes map[string]any
	service    string
	fault      error
}

// origin checks what of a scope all its spans share.
func (r *resource) origin(sc scope) (*flows.SpanOrigin, error) {
	o := &flows.SpanOrigin{Service: r.service, Resource: r.attributes, ScopeName: sc.name, ScopeVersion: sc.version}
	if err := cmp.Or(r.fault, sc.fault); err != nil {
		return o, err
	}
	return o, checkNames("scope name", sc.name, "scope version", sc.version)
}

// noService is what the SDK specification says where service.name is absent.
const noService = "unknown_service"

func newResource(attributes map[string]any, err error) *resource {
	if err == nil {
		err = ingest.CheckFields("resource attributes", attributes)
	}
	r := &resource{attributes: attributes, service: noService, fault: err}
	if name, ok := flows.Text(attributes["service.name"]); ok {
		r.service = name
		if err := ingest.CheckName("service.name", name); r.fault == nil {
			r.fault = err
		}
	}
	return r
}

// scope is the instrumentation scope of spans or records. fault is why none of them can
// be used.
type scope struct {
	name, version string
	fault         error
}

// span is a span as either encoding reads it; complete makes it one of ours.
type span struct {
	flows.SpanRecord
	start, end   uint64
	kind, status int32
}

var (
	kinds    = [...]string{"Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"}
	statuses = [...]string{"Unset", "Ok", "Error"}
)

// word is the name of an enum's number; of one that is not known yet, the first.
func word(words []string, n int32) string {
	if n < 0 || int(n) >= len(words) {
		return words[0]
	}
	return words[n]
}

// complete fills and checks what both encodings share.
func (s *span) complete(origin *flows.SpanOrigin) error {
	r := &s.SpanRecord
	r.Origin = origin
	r.Kind, r.StatusCode = word(kinds[:], s.kind), word(statuses[:], s.status)
	if err := s.setTimes(); err != nil {
		return err
	}
	if r.TraceID == "" {
		return ingest.Faultf(ingest.ReasonIdentity, "span %s: has no trace id", ingest.Excerpt(r.Name))
	}
	if r.SpanID == "" {
		return ingest.Faultf(ingest.ReasonIdentity, "span %s: has no span id", ingest.Excerpt(r.Name))
	}
	return checkSpan(r)
}

// setTimes sets start and duration. A span that ends before it starts, or never ended,
// has none: clocks of two threads differ, and the span did occur.
func (s *span) setTimes() error {
	if s.start == 0 {
		s.start = s.end
	}
	if s.start == 0 {
		return ingest.Faultf(ingest.ReasonTime, "span %s: has no start time", ingest.Excerpt(s.Name))
	}
	start, err := instant("span start", s.start)
	if err != nil {
		return err
	}
	end, err := instant("span end", max(s.start, s.end))
	if err != nil {
		return err
	}
	s.Start, s.Duration = start, end.Sub(start)
	return nil
}

func instant(field string, nanos uint64) (flows.Time, error) {
	t := time.Unix(int64(nanos/1e9), int64(nanos%1e9))
	if err := flows.CheckRange(t); err != nil {
		return 0, ingest.Faultf(ingest.ReasonTime, "%s: %v", field, err)
	}
	return flows.At(t), nil
}

func checkSpan(r *flows.SpanRecord) error {
	err := ingest.CheckName("span name", r.Name)
	if err == nil {
		err = checkAttributes(r.Attributes)
	}
	if err == nil {
		err = ingest.CheckText("status message", r.StatusMessage)
	}
	if err == nil {
		err = ingest.CheckText("trace state", r.TraceState)
	}
	for i := 0; i < len(r.Events) && err == nil; i++ {
		err = ingest.CheckName("span event name", r.Events[i].Name)
		if err == nil {
			err = ingest.CheckFields("span event attributes", r.Events[i].Attributes)
		}
	}
	for i := 0; i < len(r.Links) && err == nil; i++ {
		err = ingest.CheckText("link trace state", r.Links[i].TraceState)
		if err == nil {
			err = ingest.CheckFields("link attributes", r.Links[i].Attributes)
		}
	}
	return err
}

// checkAttributes is ingest.CheckFields for a span's attributes.
func checkAttributes(list []flows.Attribute) error {
	for i := range list {
		a := &list[i]
		if err := ingest.CheckName("span attributes: a name", a.Name); err != nil {
			return err
		}
		var err error
		switch a.Kind {
		case flows.AttributeText:
			err = ingest.CheckText("span attributes", a.Text)
		case flows.AttributeNested:
			err = ingest.CheckFields("span attributes", map[string]any{a.Name: a.Nested})
		}
		if err != nil && a.Kind == flows.AttributeText {
			return ingest.Faultf(ingest.ReasonText, "%s (in %s)", err, ingest.Excerpt(a.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkNames takes pairs of field and name.
func checkNames(pairs ...string) error {
	for pair := range slices.Chunk(pairs, 2) {
		if err := ingest.CheckName(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// logRecord is a log record as either encoding reads it.
type logRecord struct {
	flows.LogRecord
	eventName      string
	body           any
	time, observed uint64
}

// complete fills and checks what events and plain records share. at is zero where the
// record has no time at all.
func (l *logRecord) complete(res *resource, sc scope) (at flows.Time, err error) {
	r := &l.LogRecord
	r.Service, r.Resource, r.ScopeName, r.ScopeVersion = res.service, res.attributes, sc.name, sc.version
	if l.time == 0 {
		l.time = l.observed
	}
	if at, err = instant("log record time", l.time); err != nil {
		return 0, err
	}
	if err := checkNames("scope name", r.ScopeName, "scope version", r.ScopeVersion, "severity text", r.SeverityText); err != nil {
		return 0, err
	}
	if err := ingest.CheckFields("log attributes", r.Attributes); err != nil {
		return 0, err
	}
	return at, ingest.CheckFields("body", map[string]any{"body": l.body})
}

// event is the record as a signal, where it has an event name.
func (l *logRecord) event(at flows.Time) (flows.Signal, bool, error) {
	name := l.eventName
	if name == "" { // before OTLP 1.5 it was an attribute
		name, _ = l.Attributes["event.name"].(string)
	}
	if name == "" {
		return flows.Signal{}, false, nil
	}
	attributes := make(map[string]any, len(l.Resource)+len(l.Attributes))
	for k, v := range l.Resource {
		attributes[k] = v
	}
	for k, v := range l.Attributes {
		attributes[k] = v
	}
	data, ok := l.body.(map[string]any)
	if !ok && l.body != nil {
		data = map[string]any{"body": l.body}
	}
	environment, _ := flows.Text(attributes["deployment.environment.name"])
	s := flows.Signal{
		Kind: flows.Event, Source: l.Service, Name: name, System: l.Service, Environment: environment,
		Time: at, TraceID: l.TraceID, SpanID: l.SpanID, Attributes: attributes, Data: data,
		Failed: attributes["outcome"] == "error",
	}
	setEventID(&s)
	return s, true, ingest.CheckSignal(&s)
}

// setEventID gives an event the id that its sender gave it, else one made of its content
// alone, so that a record that is sent again is a duplicate.
func setEventID(s *flows.Signal) {
	if uid, ok := s.Attributes["log.record.uid"].(string); ok && uid != "" {
		s.ID = uid
		return
	}
	h := sha256.New()
	for _, part := range [...]string{s.TraceID, s.SpanID, s.Name} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(s.Time)))
	h.Write(binary.BigEndian.AppendUint64(nil, s.ContentHash()))
	s.ID = hex.EncodeToString(h.Sum(nil)[:16])
}

// text is a body or value as one string.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	if s, ok := flows.Text(v); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil { // not reached: values hold only kinds that JSON has
		return ""
	}
	return string(b)
}

// float is a number that JSON can hold too: NaN and the infinities become their names.
func float(f float64) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return f
}

// Lengths of ids in bytes.
const (
	traceIDLen = 16
	spanIDLen  = 8
)

// id is an id in hex from its bytes; absent and all-zero ones are "".
func id(field string, b []byte, n int) (string, error) {
	if len(b) != 0 && len(b) != n {
		return "", ingest.Faultf(ingest.ReasonIdentity, "%s: has %d bytes, not %d", field, len(b), n)
	}
	return nonZero(hex.EncodeToString(b)), nil
}

// hexID is an id from its text in OTLP/JSON.
func hexID(field, s string, n int) (string, error) {
	if s == "" {
		return "", nil
	}
	s = strings.ToLower(s)
	if len(s) != 2*n || strings.Trim(s, "0123456789abcdef") != "" {
		return "", ingest.Faultf(ingest.ReasonIdentity, "%s: %s is not %d hex digits (OTLP/JSON writes ids in hex, not in base64)",
			field, ingest.Excerpt(s), 2*n)
	}
	return nonZero(s), nil
}

func nonZero(id string) string {
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}
