package otlp

import (
	"strings"
	"testing"

	"throughline/ingest/ingesttest"
)

// TestUnknownFieldsAreSkipped at every level, in both kinds: a newer sender is no bad one.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	const more = `"newer":{"deep":[1,{"x":null}]},"resourceId":"x",`
	r, err := decodeTracesJSON(testMapper, []byte(strings.ReplaceAll(string(tracesJSON(spanJSON(`,
		"status":{"code":"STATUS_CODE_ERROR"},"events":[{"name":"e"}],"links":[{"traceId":"`+traceHex+`","spanId":"`+spanHex+`"}],
		"attributes":[{"key":"a","value":{"stringValue":"b"}}]`))), "{", "{"+more)))
	if err != nil || r.rejected.Total() != 0 || r.batch.SpanCount() != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	s := ingesttest.Spans(r.batch.Spans)[0]
	if s.Name != "work" || s.Origin.Service != "shop" || s.StatusCode != "Error" || len(s.Events) != 1 || len(s.Links) != 1 || len(s.Attributes) != 1 {
		t.Errorf("%+v", s)
	}
	r, err = decodeLogsJSON(testMapper, []byte(strings.ReplaceAll(string(logsJSON(`{"eventName":"a","body":{"stringValue":"x"}}`, `{"body":{"stringValue":"y"}}`)), "{", "{"+more)))
	if err != nil || r.rejected.Total() != 0 || len(r.batch.Signals) != 1 || len(r.batch.Logs) != 1 || r.batch.Logs[0].Body != "y" {
		t.Errorf("%v %+v", err, r)
	}
}

// TestEnums are taken by name, by number, and by number as a text; a number that is not known
// yet is the first, and a name that is not known a fault.
func TestEnums(t *testing.T) {
	span := func(kind, status, wantKind, wantStatus string) {
		t.Helper()
		r, err := decodeTracesJSON(testMapper, tracesJSON(spanJSON(`,"kind":`+kind+`,"status":{"code":`+status+`}`)))
		if err != nil || r.batch.SpanCount() != 1 {
			t.Fatalf("kind %s, status %s: %v %v", kind, status, err, r.faults)
		}
		if s := ingesttest.Spans(r.batch.Spans)[0]; s.Kind != wantKind || s.StatusCode != wantStatus {
			t.Errorf("kind %s is %s, status %s is %s", kind, s.Kind, status, s.StatusCode)
		}
	}
	span(`"SPAN_KIND_CONSUMER"`, `"STATUS_CODE_OK"`, "Consumer", "Ok")
	span(`5`, `1`, "Consumer", "Ok")
	span(`"5"`, `"1"`, "Consumer", "Ok")
	span(`99`, `99`, "Unspecified", "Unset")
	span(`null`, `null`, "Unspecified", "Unset")
	r, err := decodeLogsJSON(testMapper, logsJSON(`{"severityNumber":"SEVERITY_NUMBER_FATAL4"}`, `{"severityNumber":24}`, `{"severityNumber":"SEVERITY_NUMBER_LOUD"}`))
	if err != nil || len(r.batch.Logs) != 2 || r.batch.Logs[0].SeverityNumber != 24 || r.batch.Logs[1].SeverityNumber != 24 || r.rejected.Total() != 1 {
		t.Errorf("%v %+v", err, r)
	}
}

// TestBase64IDs are refused with the reason wherever an id can be, and the others are taken.
func TestBase64IDs(t *testing.T) {
	const trace, span = `"W47/95gDgQPSabYzgT/GDA=="`, `"7uGbfsPBsXY="`
	spans, err := decodeTracesJSON(testMapper, tracesJSON(spanJSON(""), spanJSON(`,"traceId":`+trace), spanJSON(`,"spanId":`+span), spanJSON(`,"parentSpanId":`+span),
		spanJSON(`,"links":[{"traceId":`+trace+`,"spanId":"`+spanHex+`"}]`), spanJSON(`,"links":[{"traceId":"`+traceHex+`","spanId":`+span+`}]`)))
	if err != nil || spans.batch.SpanCount() != 1 || spans.rejected.Total() != 5 {
		t.Fatalf("%v: %d taken, rejected %v", err, spans.batch.SpanCount(), spans.faults)
	}
	records, err := decodeLogsJSON(testMapper, logsJSON(`{"traceId":`+trace+`}`, `{"eventName":"a","spanId":`+span+`}`, `{}`))
	if err != nil || len(records.batch.Logs) != 1 || len(records.batch.Signals) != 0 || records.rejected.Total() != 2 {
		t.Fatalf("%v: %d taken, rejected %v", err, len(records.batch.Logs), records.faults)
	}
	for _, fault := range append(spans.faults, records.faults...) {
		if !strings.Contains(fault, "in hex, not in base64") {
			t.Errorf("%q does not say why", fault)
		}
	}
}

// TestEveryAttributeKind of an event's and a span event's and link's attributes.
func TestEveryAttributeKind(t *testing.T) {
	const kinds = `"attributes":[{"key":"text","value":{"stringValue":"x"}},{"key":"yes","value":{"boolValue":true}},{"key":"whole","value":{"intValue":"9007199254740993"}},
		{"key":"part","value":{"doubleValue":1.5}},{"key":"bytes","value":{"bytesValue":"AQI="}},{"key":"none","value":{}},
		{"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"a"}]}}},{"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}}]`
	const want = 8
	r := both(t, &traces, transcodeTraces, tracesJSON(spanJSON(`,`+kinds+`,"events":[{"name":"e",`+kinds+`}],"links":[{"traceId":"`+traceHex+`","spanId":"`+spanHex+`",`+kinds+`}]`)))
	s := ingesttest.Spans(r.batch.Spans)[0]
	if len(s.Attributes) != want || len(s.Events[0].Attributes) != want || len(s.Links[0].Attributes) != want {
		t.Errorf("%+v", s)
	}
	l := both(t, &logs, transcodeLogs, logsJSON(`{"eventName":"a",`+kinds+`}`, `{`+kinds+`}`))
	event, record := l.batch.Signals[0].Attributes, l.batch.Logs[0].Attributes
	if len(record) != want || record["bytes"] != "AQI=" || record["whole"] != int64(9007199254740993) {
		t.Errorf("record %v", record)
	}
	for name, value := range record {
		if diff := event[name]; name != "list" && name != "map" && diff != value {
			t.Errorf("%s of the event is %v, of the record %v", name, diff, value)
		}
	}
}
