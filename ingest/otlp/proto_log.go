package otlp

import (
	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
)

// decodeLogsProto reads an ExportLogsServiceRequest in protobuf.
func decodeLogsProto(m mapper, body []byte) (*result, error) {
	r := m.newResult()
	err := groups(body, func(src []byte, res *resource, sc scope) error {
		l, err := readLog(src)
		return r.addLog(l, res, sc, err)
	})
	return r, err
}

func readLog(src []byte) (*logRecord, error) {
	var l logRecord
	left, leftInBody := flows.MaxAttributes, flows.MaxAttributes
	err := fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return readFixed64(fc, "time_unix_nano", &l.time)
		case 2:
			return readEnum(fc, "severity_number", &l.SeverityNumber)
		case 3:
			return readString(fc, "severity_text", &l.SeverityText)
		case 5:
			return readMessage(fc, "body", func(src []byte) (err error) {
				l.body, err = readValue(src, "body", 1, &leftInBody)
				return err
			})
		case 6:
			return readAttribute(fc, "log attributes", &l.Attributes, &left)
		case 8:
			flags, ok := fc.Fixed32()
			if !ok {
				return wrongType("flags")
			}
			l.TraceFlags = flags
		case 9:
			return readID(fc, "trace_id", traceIDLen, &l.TraceID)
		case 10:
			return readID(fc, "span_id", spanIDLen, &l.SpanID)
		case 11:
			return readFixed64(fc, "observed_time_unix_nano", &l.observed)
		case 12:
			return readString(fc, "event_name", &l.eventName)
		}
		return nil
	})
	return &l, err
}
