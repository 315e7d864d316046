package otlp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

var testMapper = mapper{rules: ingesttest.Rules{}, received: flows.At(ingesttest.Now), grow: unbounded}

func unbounded(int) error { return nil }

const (
	traceHex = "5b8efff798038103d269b633813fc60c"
	spanHex  = "eee19b7ec3c1b174"
)

// transcodeTraces turns JSON into protobuf by the collector's library.
func transcodeTraces(t testing.TB, body []byte) []byte {
	t.Helper()
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	out, err := request.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func transcodeLogs(t testing.TB, body []byte) []byte {
	t.Helper()
	request := plogotlp.NewExportRequest()
	if err := request.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	out, err := request.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// both decodes a JSON request in both encodings and asserts that they agree.
func both(t *testing.T, s *signal, transcode func(testing.TB, []byte) []byte, body []byte) *result {
	t.Helper()
	fromJSON, err := s.json(testMapper, body)
	if err != nil {
		t.Fatal(err)
	}
	fromProto, err := s.proto(testMapper, transcode(t, body))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromJSON.batch, fromProto.batch) { // Diff takes seconds for 100,000 spans
		t.Fatalf("JSON and protobuf differ: %s", cmp.Diff(fromJSON.batch, fromProto.batch))
	}
	if diff := cmp.Diff(fromJSON.rejected, fromProto.rejected); diff != "" {
		t.Fatalf("JSON and protobuf differ: %s", diff)
	}
	return fromJSON
}

// TestSamples accepts every span and record of the shared samples, in both encodings.
func TestSamples(t *testing.T) {
	dir := "../../../shared/data/otlp"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("shared data is not here:", err)
	}
	for file, want := range map[string]struct{ spans, logs, events int }{
		"opentelemetry-proto/trace.json":                           {spans: 1},
		"opentelemetry-proto/logs.json":                            {logs: 1},
		"opentelemetry-proto/events.json":                          {events: 1},
		"otel-demo-echoed/traces.json":                             {spans: 21},
		"otel-demo-echoed/logs.json":                               {logs: 8},
		"jaeger-ui/otlp2jaeger-in.json":                            {spans: 2},
		"jaeger-ui/otlp2jaeger-in-error.json":                      {spans: 1},
		"jaeger-ui/otlp2jaeger-multi-in-combined.json":             {spans: 4},
		"nezha/onlineboutique-2022-08-22-0353-0355.otlp.ndjson.gz": {spans: 62_438},
		"nezha/trainticket-2023-01-29-0843-0854.otlp.ndjson.gz":    {spans: 31_932},
	} {
		t.Run(file, func(t *testing.T) {
			var got struct{ spans, logs, events int }
			for i, body := range documents(t, filepath.Join(dir, file)) {
				for _, r := range decodeSample(t, body, i < 5) { // comparing all would take a minute
					if n := r.rejected.Total(); n != 0 {
						t.Fatalf("%d rejected: %v", n, r.faults)
					}
					got.spans += len(r.batch.Spans)
					got.logs += len(r.batch.Logs)
					got.events += len(r.batch.Signals)
				}
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// decodeSample decodes a request as traces and as logs: as one of them it is empty.
func decodeSample(t *testing.T, body []byte, compare bool) []*result {
	t.Helper()
	if compare {
		return []*result{both(t, &traces, transcodeTraces, body), both(t, &logs, transcodeLogs, body)}
	}
	r, err := decodeTracesJSON(testMapper, body)
	if err != nil {
		t.Fatal(err)
	}
	return []*result{r}
}

// documents are the requests in a file: one, or one a line.
func documents(t *testing.T, path string) [][]byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".ndjson.gz") {
		return [][]byte{raw}
	}
	unzip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	lines := bufio.NewScanner(unzip)
	lines.Buffer(nil, ingest.MaxBody)
	for lines.Scan() {
		all = append(all, bytes.Clone(lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// tracesJSON is a request of spans of the service shop.
func tracesJSON(spans ...string) []byte {
	return []byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
		{"key":"deployment.environment.name","value":{"stringValue":"test"}}]},
		"scopeSpans":[{"scope":{"name":"lib","version":"1.2"},"spans":[` + strings.Join(spans, ",") + `]}]}]}`)
}

// spanJSON is a good span with more members, which begin with a comma.
func spanJSON(members string) string {
	return `{"traceId":"` + traceHex + `","spanId":"` + spanHex + `","name":"work","startTimeUnixNano":"1700000000000000000",
		"endTimeUnixNano":"1700000001000000000"` + members + `}`
}

func TestSpan(t *testing.T) {
	r := both(t, &traces, transcodeTraces, tracesJSON(spanJSON(`,"name":"wanted","parentSpanId":"EEE19B7EC3C1B173","kind":"SPAN_KIND_SERVER",
		"traceState":"a=b","flags":257,
		"attributes":[{"key":"order_id","value":{"intValue":"4711"}},{"key":"share","value":{"doubleValue":0.5}},
			{"key":"nan","value":{"doubleValue":"NaN"}},{"key":"raw","value":{"bytesValue":"AQI="}},{"key":"none","value":{}},
			{"key":"list","value":{"arrayValue":{"values":[{"boolValue":true},{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":""}}]}}]}}}],
		"events":[{"timeUnixNano":1700000000500000000,"name":"e","attributes":[{"key":"a","value":{"stringValue":"b"}}]}],
		"links":[{"traceId":"`+traceHex+`","spanId":"`+spanHex+`"}],
		"status":{"code":2,"message":"declined"}`)))
	start := flows.At(time.Unix(1_700_000_000, 0))
	resource := map[string]any{"service.name": "shop", "deployment.environment.name": "test"}
	want := flows.SpanRecord{
		TraceID: traceHex, SpanID: spanHex, ParentID: "eee19b7ec3c1b173", TraceState: "a=b", Name: "wanted", Kind: "Server",
		Service: "shop", Resource: resource, ScopeName: "lib", ScopeVersion: "1.2",
		Attributes: map[string]any{
			"order_id": int64(4711), "share": 0.5, "nan": "NaN", "raw": "AQI=", "none": nil,
			"list": []any{true, map[string]any{"k": ""}},
		},
		Start: start, Duration: time.Second, StatusCode: "Error", StatusMessage: "declined",
		Events: []flows.SpanEvent{{Time: start.Add(time.Second / 2), Name: "e", Attributes: map[string]any{"a": "b"}}},
		Links:  []flows.SpanLink{{TraceID: traceHex, SpanID: spanHex}},
	}
	if diff := cmp.Diff([]flows.SpanRecord{want}, r.batch.Spans); diff != "" {
		t.Error(diff)
	}
	signal := want.Signal()
	signal.Received, signal.Keys = testMapper.received, []flows.Key{{Type: "order_id", Value: "4711"}}
	if diff := cmp.Diff([]flows.Signal{signal}, r.batch.Signals); diff != "" {
		t.Error(diff)
	}
}

func TestSpanTimes(t *testing.T) {
	f := func(start, end string, wantStart int64, wantDuration time.Duration) {
		t.Helper()
		r := both(t, &traces, transcodeTraces, tracesJSON(fmt.Sprintf(
			`{"traceId":%q,"spanId":%q,"startTimeUnixNano":%s,"endTimeUnixNano":%s}`, traceHex, spanHex, start, end)))
		if s := r.batch.Spans[0]; s.Start != flows.Time(wantStart) || s.Duration != wantDuration {
			t.Errorf("%s to %s: start %d, duration %s", start, end, s.Start, s.Duration)
		}
	}
	f("10", "15", 10, 5)
	f("15", "10", 15, 0) // ends before it starts
	f("15", "0", 15, 0)  // did not end
	f("0", `"7"`, 7, 0)  // has only an end
}

// TestBadSpans: each stands between two good ones; only it is rejected, and named.
func TestBadSpans(t *testing.T) {
	for name, tt := range map[string]struct{ span, says string }{
		"no trace id":        {`{"spanId":"` + spanHex + `","startTimeUnixNano":1}`, "trace id"},
		"zero trace id":      {spanJSON(`,"traceId":"00000000000000000000000000000000"`), "trace id"},
		"no span id":         {`{"traceId":"` + traceHex + `","startTimeUnixNano":1}`, "span id"},
		"zero span id":       {spanJSON(`,"spanId":"0000000000000000"`), "span id"},
		"base64 trace id":    {spanJSON(`,"traceId":"W47/95gDgQPSabYzgT/GDA=="`), "base64"},
		"short span id":      {spanJSON(`,"spanId":"eee1"`), "spanId"},
		"no start":           {`{"traceId":"` + traceHex + `","spanId":"` + spanHex + `"}`, "start time"},
		"start 2262":         {spanJSON(`,"startTimeUnixNano":"9214646400000000000"`), "2262"},
		"end 2554":           {spanJSON(`,"endTimeUnixNano":"18446744073709551615"`), "2262"},
		"negative time":      {spanJSON(`,"startTimeUnixNano":"-1"`), "-1"},
		"event time":         {spanJSON(`,"events":[{"timeUnixNano":"18446744073709551615"}]`), "2262"},
		"kind":               {spanJSON(`,"kind":"SPAN_KIND_WRONG"`), "kind"},
		"NUL in name":        {spanJSON(`,"name":"a\u0000"`), "NUL"},
		"NUL in attribute":   {spanJSON(`,"attributes":[` + attribute("a", `"b\u0000"`) + `]`), "NUL"},
		"NUL in event":       {spanJSON(`,"events":[{"name":"\u0000"}]`), "NUL"},
		"NUL in status":      {spanJSON(`,"status":{"message":"\u0000"}`), "NUL"},
		"invalid UTF-8":      {spanJSON(",\"name\":\"\xff\""), "UTF-8"},
		"long name":          {spanJSON(`,"name":"` + strings.Repeat("n", 1<<20) + `"`), "1048576 bytes"},
		"long key":           {spanJSON(`,"attributes":[` + attribute("order_id", `"`+strings.Repeat("k", 1<<20)+`"`) + `]`), "order_id"},
		"long attribute":     {spanJSON(`,"attributes":[` + attribute(strings.Repeat("k", 1<<20), `"v"`) + `]`), "1048576 bytes"},
		"100,000 attributes": {spanJSON(`,"attributes":[` + attributes(100_000) + `]`), "more than 1024"},
		"1,025 attributes":   {spanJSON(`,"attributes":[` + attributes(1_025) + `]`), "more than 1024"},
		"2,000 links":        {spanJSON(`,"links":[` + strings.Repeat("{},", 1999) + `{}]`), "links"},
		"nested":             {spanJSON(`,"attributes":[{"key":"k","value":` + nested(40) + `}]`), "nested"},
		"nested deeper":      {spanJSON(`,"attributes":[{"key":"k","value":` + nested(2000) + `}]`), "nested"},
		"not an object":      {`5`, "not OTLP/JSON"},
		"int is a word":      {spanJSON(`,"attributes":[{"key":"k","value":{"intValue":"x"}}]`), "whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			good := spanJSON("")
			r, err := decodeTracesJSON(testMapper, tracesJSON(good, tt.span, good))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.batch.Spans) != 2 || r.rejected.Total() != 1 {
				t.Fatalf("%d accepted, rejected %v", len(r.batch.Spans), r.rejected)
			}
			if m := r.message("spans"); !strings.Contains(m, tt.says) || len(m) > 400 {
				t.Errorf("message %.500q, want %q", m, tt.says)
			}
		})
	}
}

func attribute(key, value string) string {
	return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%s}}`, key, value)
}

func attributes(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = attribute(fmt.Sprint("k", i), `"v"`)
	}
	return strings.Join(list, ",")
}

func nested(levels int) string {
	return strings.Repeat(`{"arrayValue":{"values":[`, levels) + `{"boolValue":true}` + strings.Repeat(`]}}`, levels)
}

// TestBadSpansProto has what only protobuf can say wrong, and what both can.
func TestBadSpansProto(t *testing.T) {
	good := message(1, traceHex16(), 2, traceHex16()[:8], 7, uint64(1))
	for name, tt := range map[string]struct {
		span []byte
		says string
	}{
		"15 byte trace id":   {message(1, traceHex16()[:15], 2, traceHex16()[:8], 7, uint64(1)), "trace_id: has 15 bytes"},
		"cut off":            {good[:len(good)-1], "not protobuf"},
		"name is a number":   {message(1, traceHex16(), 5, uint64(7)), "name"},
		"invalid UTF-8":      {message(1, traceHex16(), 2, traceHex16()[:8], 7, uint64(1), 5, []byte("\xff")), "UTF-8"},
		"100,000 attributes": {append(bytes.Clone(good), manyAttributes(100_000)...), "more than 1024"},
		"100,000 values":     {append(bytes.Clone(good), message(9, message(1, []byte("k"), 2, message(5, bytes.Repeat(message(1, []byte{}), 100_000))))...), "more than 1024"},
		"nested":             {append(bytes.Clone(good), message(9, message(1, []byte("k"), 2, deep(40)))...), "nested"},
		"nested deeper":      {append(bytes.Clone(good), message(9, message(1, []byte("k"), 2, deep(5_000)))...), "nested"},
		"empty":              {nil, "start time"},
	} {
		t.Run(name, func(t *testing.T) {
			body := message(1, message(2, message(2, good, 2, tt.span, 2, good)))
			r, err := decodeTracesProto(testMapper, body)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.batch.Spans) != 2 || r.rejected.Total() != 1 {
				t.Fatalf("%d accepted, rejected %v %v", len(r.batch.Spans), r.rejected, r.faults)
			}
			if m := r.message("spans"); !strings.Contains(m, tt.says) {
				t.Errorf("message %.500q, want %q", m, tt.says)
			}
		})
	}
}

func manyAttributes(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, message(9, message(1, fmt.Append(nil, "k", i)))...)
	}
	return b
}

func deep(levels int) []byte {
	v := message(2, uint64(1))
	for range levels {
		v = message(5, message(1, v))
	}
	return v
}

// TestBadResource: what is wrong with a resource is the fault of its own spans only.
func TestBadResource(t *testing.T) {
	good := message(1, traceHex16(), 2, traceHex16()[:8], 7, uint64(1))
	bad := message(1, manyAttributes(3)) // field 9 of a resource is nothing: harmless
	body := message(
		1, message(1, message(1, message(1, []byte("service.name"), 2, message(1, []byte("a\x00b")))), 2, message(2, good)),
		1, append(bad, message(2, message(2, good))...),
		1, message(2, message(1, message(1, []byte("\xff")), 2, good)),
	)
	r, err := decodeTracesProto(testMapper, body)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.batch.Spans) != 1 || r.rejected[ingest.ReasonText] != 2 {
		t.Errorf("%d accepted, rejected %v %v", len(r.batch.Spans), r.rejected, r.faults)
	}
}

func logsJSON(records ...string) []byte {
	return []byte(`{"resourceLogs":[{"resource":{"attributes":[` + attribute("service.name", `"shop"`) + `]},
		"scopeLogs":[{"scope":{"name":"lib"},"logRecords":[` + strings.Join(records, ",") + `]}]}]}`)
}

func TestEvent(t *testing.T) {
	const named = `"timeUnixNano":"1700000000000000000","traceId":"` + traceHex + `","spanId":"` + spanHex + `",
		"body":{"kvlistValue":{"values":[{"key":"order_id","value":{"stringValue":"4711"}}]}}`
	r := both(t, &logs, transcodeLogs, logsJSON(
		`{"eventName":"order.placed",`+named+`,"attributes":[`+attribute("outcome", `"error"`)+`]}`,
		`{`+named+`,"attributes":[`+attribute("event.name", `"order.placed"`)+`]}`,
		`{"eventName":"order.placed",`+named+`,"attributes":[`+attribute("log.record.uid", `"01J"`)+`]}`,
	))
	if len(r.batch.Logs) != 0 || len(r.batch.Signals) != 3 {
		t.Fatalf("%d logs, %d signals, %v", len(r.batch.Logs), len(r.batch.Signals), r.faults)
	}
	got := r.batch.Signals[0]
	want := flows.Signal{
		Kind: flows.Event, Source: "shop", ID: got.ID, Name: "order.placed", System: "shop", Failed: true,
		Time: flows.At(time.Unix(1_700_000_000, 0)), Received: testMapper.received, TraceID: traceHex, SpanID: spanHex,
		Attributes: map[string]any{"service.name": "shop", "outcome": "error"}, Data: map[string]any{"order_id": "4711"},
		Keys: []flows.Key{{Type: "order_id", Value: "4711"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := r.batch.Signals[1]; s.Name != "order.placed" || s.Failed {
		t.Errorf("by attribute: %+v", s)
	}
	if s := r.batch.Signals[2]; s.ID != "01J" {
		t.Errorf("id %q", s.ID)
	}
}

// TestEventIdentity: the same record sent again is the same event, whenever it is
// received; any other is another.
func TestEventIdentity(t *testing.T) {
	id := func(m mapper, record string) string {
		t.Helper()
		r, err := decodeLogsJSON(m, logsJSON(record))
		if err != nil || len(r.batch.Signals) != 1 {
			t.Fatalf("%v %v", err, r.faults)
		}
		return r.batch.Signals[0].ID
	}
	later := mapper{rules: ingesttest.Rules{}, received: testMapper.received.Add(time.Hour), grow: unbounded}
	seen := map[string]string{}
	for _, record := range []string{
		`{"eventName":"a"}`, `{"eventName":"b"}`, `{"eventName":"a","timeUnixNano":1}`, `{"eventName":"a","timeUnixNano":2}`,
		`{"eventName":"a","body":{"stringValue":"x"}}`, `{"eventName":"a","body":{"stringValue":"y"}}`,
		`{"eventName":"a","spanId":"` + spanHex + `"}`, `{"eventName":"a","attributes":[` + attribute("k", `"v"`) + `]}`,
	} {
		first := id(testMapper, record)
		if again := id(later, record); again != first {
			t.Errorf("%s: %s, then %s", record, first, again)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("%s and %s: the same id", record, other)
		}
		seen[first] = record
	}
}

func TestLogRecord(t *testing.T) {
	r := both(t, &logs, transcodeLogs, logsJSON(
		`{"observedTimeUnixNano":"1700000000000000000","severityNumber":"SEVERITY_NUMBER_WARN2","severityText":"warn","flags":1,
			"traceId":"`+traceHex+`","body":{"arrayValue":{"values":[{"intValue":1}]}}}`,
		`{"body":{"stringValue":"no time"}}`,
		`{"body":{"stringValue":"nul \u0000"}}`,
		`{"timeUnixNano":"18446744073709551615"}`))
	want := []flows.LogRecord{
		{
			Time: flows.At(time.Unix(1_700_000_000, 0)), TraceID: traceHex, TraceFlags: 1, SeverityText: "warn", SeverityNumber: 14,
			Service: "shop", Body: "[1]", Resource: map[string]any{"service.name": "shop"}, ScopeName: "lib",
		},
		{Time: testMapper.received, Service: "shop", Body: "no time", Resource: map[string]any{"service.name": "shop"}, ScopeName: "lib"},
	}
	if diff := cmp.Diff(want, r.batch.Logs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(ingest.Rejected{ingest.ReasonText: 1, ingest.ReasonTime: 1}, r.rejected); diff != "" {
		t.Error(diff)
	}
}

// TestNotOTLP: bytes in which no span can be told from the next are refused whole.
func TestNotOTLP(t *testing.T) {
	for _, body := range []string{"\x0a\xff\x01", "\x08\x01", "\x0f", "hello"} {
		if _, err := decodeTracesProto(testMapper, []byte(body)); ingest.AsRefusal(errOr(err)).Class != ingest.Invalid {
			t.Errorf("protobuf %q: %v", body, err)
		}
	}
	for _, body := range []string{"", "{", "[]", "{}{}", `{"resourceSpans":{},"resourceLogs":{}}`, `{"resourceSpans":[}`} {
		if _, err := decodeTracesJSON(testMapper, []byte(body)); ingest.AsRefusal(errOr(err)).Class != ingest.Invalid {
			t.Errorf("traces in JSON %q: %v", body, err)
		}
		if _, err := decodeLogsJSON(testMapper, []byte(body)); ingest.AsRefusal(errOr(err)).Class != ingest.Invalid {
			t.Errorf("logs in JSON %q: %v", body, err)
		}
	}
}

// errOr makes an error of none, so that what is accepted does not look refused.
func errOr(err error) error {
	if err == nil {
		return ingest.Refuse(ingest.Busy, "accepted")
	}
	return err
}

func BenchmarkDecode(b *testing.B) {
	spans := make([]string, 500)
	for i := range spans {
		spans[i] = spanJSON(fmt.Sprintf(`,"spanId":"%016x","attributes":[%s]`, i+1, attributes(12)))
	}
	asJSON := tracesJSON(spans...)
	asProto := transcodeTraces(b, asJSON)
	for _, run := range []struct {
		name   string
		decode func(mapper, []byte) (*result, error)
		body   []byte
	}{{"proto", decodeTracesProto, asProto}, {"json", decodeTracesJSON, asJSON}} {
		b.Run(run.name, func(b *testing.B) {
			b.SetBytes(int64(len(run.body)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := run.decode(testMapper, run.body); err != nil || len(r.batch.Spans) != len(spans) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
		})
	}
}

// checkAccepted asserts what holds of everything that is accepted.
func checkAccepted(t *testing.T, r *result) {
	t.Helper()
	for i := range r.batch.Spans {
		s := &r.batch.Spans[i]
		if len(s.TraceID) != 32 || len(s.SpanID) != 16 || s.Duration < 0 || s.Start <= 0 || s.Kind == "" || s.Service == "" {
			t.Fatalf("accepted %+v", s)
		}
		if err := checkSpan(s); err != nil {
			t.Fatal(err)
		}
	}
	for i := range r.batch.Signals {
		s := &r.batch.Signals[i]
		if s.Name == "" && s.Kind == flows.Event || s.ID == "" || s.Source == "" || flows.CheckRange(s.Time.Std()) != nil {
			t.Fatalf("accepted %+v", s)
		}
		if s.Kind == flows.Event {
			if err := ingest.CheckSignal(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := json.Marshal(r.batch); err != nil {
		t.Fatal(err)
	}
}
