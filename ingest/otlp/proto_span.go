package otlp

import (
	"math"

	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
	"throughline/ingest"
)

// decodeTracesProto reads an ExportTraceServiceRequest in protobuf.
func decodeTracesProto(m mapper, body []byte) (*result, error) {
	r := m.newResult()
	var s span // one for all: it is packed when the next is read
	err := groups(body, func(src []byte, res *resource, sc scope) error {
		return r.addSpan(&s, res, sc, s.read(src))
	})
	r.batch.Spans = r.spans.Blocks()
	return r, err
}

// maxInSpan bounds the events of one span, and its links; SDKs stop at 128 of each.
const maxInSpan = 1 << 10

// read reads a Span in place of what s was.
func (s *span) read(src []byte) error {
	*s = span{SpanRecord: flows.SpanRecord{Attributes: s.Attributes[:0], Events: s.Events[:0], Links: s.Links[:0]}}
	left := flows.MaxAttributes
	var fc easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return ingest.Faultf(ingest.ReasonSyntax, "not protobuf: %v", err)
		}
		if err := s.readField(&fc, &left); err != nil {
			return err
		}
	}
	return nil
}

func (s *span) readField(fc *easyproto.FieldContext, left *int) error {
	switch fc.FieldNum {
	case 1:
		return readID(fc, "trace_id", traceIDLen, &s.TraceID)
	case 2:
		return readID(fc, "span_id", spanIDLen, &s.SpanID)
	case 3:
		return readString(fc, "trace_state", &s.TraceState)
	case 4:
		return readID(fc, "parent_span_id", spanIDLen, &s.ParentID)
	case 5:
		return readString(fc, "name", &s.Name)
	case 6:
		return readEnum(fc, "kind", &s.kind)
	case 7:
		return readFixed64(fc, "start_time_unix_nano", &s.start)
	case 8:
		return readFixed64(fc, "end_time_unix_nano", &s.end)
	case 9:
		return s.readAttribute(fc, left)
	case 11:
		return readMessage(fc, "events", s.readEvent)
	case 13:
		return readMessage(fc, "links", s.readLink)
	case 15:
		return readMessage(fc, "status", s.readStatus)
	}
	return nil
}

// readAttribute is the readAttribute of maps, for the list that spans have.
func (s *span) readAttribute(fc *easyproto.FieldContext, left *int) error {
	const field = "span attributes"
	src, ok := fc.MessageData()
	if !ok {
		return wrongType(field)
	}
	if *left--; *left < 0 {
		return ingest.TooMany(field)
	}
	a := flows.Attribute{Kind: flows.AttributeNested}
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return ingest.Faultf(ingest.ReasonSyntax, "not protobuf: %v", err)
		}
		switch fc.FieldNum {
		case 1:
			err = readString(fc, field, &a.Name)
		case 2:
			err = setValue(&a, fc, field, left)
		}
		if err != nil {
			return err
		}
	}
	s.Attributes = append(s.Attributes, a)
	return nil
}

// setValue is readValue for an attribute: of several values the last counts.
func setValue(a *flows.Attribute, fc *easyproto.FieldContext, field string, left *int) error {
	src, ok := fc.MessageData()
	if !ok {
		return wrongType(field)
	}
	if setScalar(a, src) {
		return nil
	}
	v, err := readValue(src, field, 1, left)
	a.Set(v)
	return err
}

// setScalar takes what nearly all values are, without an allocation: one scalar. false
// leaves it to readValue, which also says what is wrong.
func setScalar(a *flows.Attribute, src []byte) (ok bool) {
	var fc easyproto.FieldContext
	if rest, err := fc.NextField(src); err != nil || len(rest) > 0 {
		return false
	}
	switch fc.FieldNum {
	case 1:
		a.Kind = flows.AttributeText
		a.Text, ok = fc.String()
	case 2:
		var v bool
		v, ok = fc.Bool()
		a.Set(v)
	case 3:
		var v int64
		v, ok = fc.Int64()
		a.Kind, a.Number = flows.AttributeInt, uint64(v)
	case 4:
		var v float64
		v, ok = fc.Double()
		a.Kind, a.Number = flows.AttributeFloat, math.Float64bits(v)
		ok = ok && !math.IsNaN(v) && !math.IsInf(v, 0) // those become texts
	}
	return ok
}

func (s *span) readEvent(src []byte) error {
	if len(s.Events) == maxInSpan {
		return tooManyInSpan("events")
	}
	var e flows.SpanEvent
	var at uint64
	left := flows.MaxAttributes
	err := fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return readFixed64(fc, "event time_unix_nano", &at)
		case 2:
			return readString(fc, "event name", &e.Name)
		case 3:
			return readAttribute(fc, "span event attributes", &e.Attributes, &left)
		}
		return nil
	})
	if err == nil {
		e.Time, err = instant("span event time", at)
	}
	s.Events = append(s.Events, e)
	return err
}

func (s *span) readLink(src []byte) error {
	if len(s.Links) == maxInSpan {
		return tooManyInSpan("links")
	}
	var l flows.SpanLink
	left := flows.MaxAttributes
	err := fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return readID(fc, "link trace_id", traceIDLen, &l.TraceID)
		case 2:
			return readID(fc, "link span_id", spanIDLen, &l.SpanID)
		case 3:
			return readString(fc, "link trace_state", &l.TraceState)
		case 4:
			return readAttribute(fc, "link attributes", &l.Attributes, &left)
		}
		return nil
	})
	s.Links = append(s.Links, l)
	return err
}

func (s *span) readStatus(src []byte) error {
	return fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 2:
			return readString(fc, "status message", &s.StatusMessage)
		case 3:
			return readEnum(fc, "status code", &s.status)
		}
		return nil
	})
}

func tooManyInSpan(what string) error {
	return ingest.Faultf(ingest.ReasonAttributes, "span: more than %d %s", maxInSpan, what)
}
