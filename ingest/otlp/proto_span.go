package otlp

import (
	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
	"throughline/ingest"
)

// decodeTracesProto reads an ExportTraceServiceRequest in protobuf.
func decodeTracesProto(m mapper, body []byte) (*result, error) {
	r := m.newResult()
	err := groups(body, func(src []byte, res *resource, sc scope) error {
		s, err := readSpan(src)
		return r.addSpan(s, res, sc, err)
	})
	return r, err
}

// maxInSpan bounds the events of one span, and its links; SDKs stop at 128 of each.
const maxInSpan = 1 << 10

func readSpan(src []byte) (*span, error) {
	var s span
	left := flows.MaxAttributes
	err := fields(src, func(fc *easyproto.FieldContext) error {
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
			return readAttribute(fc, "span attributes", &s.Attributes, &left)
		case 11:
			return readMessage(fc, "events", s.readEvent)
		case 13:
			return readMessage(fc, "links", s.readLink)
		case 15:
			return readMessage(fc, "status", s.readStatus)
		}
		return nil
	})
	return &s, err
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
