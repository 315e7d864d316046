package otlp

import (
	"encoding/json"

	"throughline/flows"
)

// decodeLogsJSON reads an ExportLogsServiceRequest in JSON.
func decodeLogsJSON(m mapper, body []byte) (*result, error) {
	var request struct {
		ResourceLogs []struct {
			Resource  json.RawMessage `json:"resource"`
			ScopeLogs []struct {
				Scope      json.RawMessage   `json:"scope"`
				LogRecords []json.RawMessage `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	if err := m.document(body, &request); err != nil {
		return nil, err
	}
	r := m.newResult()
	for _, group := range request.ResourceLogs {
		res := resourceOf(group.Resource)
		for _, inScope := range group.ScopeLogs {
			sc := scopeOf(inScope.Scope)
			for _, raw := range inScope.LogRecords {
				l, err := logOf(raw)
				if err := r.addLog(l, res, sc, err); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

type jsonLog struct {
	Time           jsonUint        `json:"timeUnixNano"`
	Observed       jsonUint        `json:"observedTimeUnixNano"`
	SeverityNumber json.RawMessage `json:"severityNumber"`
	SeverityText   string          `json:"severityText"`
	Body           jsonValue       `json:"body"`
	Attributes     []jsonKeyValue  `json:"attributes"`
	Flags          uint32          `json:"flags"`
	TraceID        string          `json:"traceId"`
	SpanID         string          `json:"spanId"`
	EventName      string          `json:"eventName"`
}

// severities are the names of severity numbers, in order.
var severities = severityNames()

func severityNames() []string {
	names := []string{"UNSPECIFIED"}
	for _, level := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"} {
		names = append(names, level, level+"2", level+"3", level+"4")
	}
	return names
}

func logOf(raw json.RawMessage) (*logRecord, error) {
	var j jsonLog
	if err := element(raw, "log record", &j); err != nil {
		return nil, err
	}
	l := &logRecord{eventName: j.EventName, time: uint64(j.Time), observed: uint64(j.Observed)}
	l.SeverityText, l.TraceFlags = j.SeverityText, j.Flags
	var err error
	if l.TraceID, err = hexID("traceId", j.TraceID, traceIDLen); err != nil {
		return nil, err
	}
	if l.SpanID, err = hexID("spanId", j.SpanID, spanIDLen); err != nil {
		return nil, err
	}
	if l.SeverityNumber, err = jsonEnum(j.SeverityNumber, "severityNumber", "SEVERITY_NUMBER_", severities); err != nil {
		return nil, err
	}
	left, leftInBody := flows.MaxAttributes, flows.MaxAttributes
	if l.Attributes, err = attributesOf(j.Attributes, "log attributes", &left); err != nil {
		return nil, err
	}
	if l.body, err = j.Body.value("body", 1, &leftInBody); err != nil {
		return nil, err
	}
	return l, nil
}
