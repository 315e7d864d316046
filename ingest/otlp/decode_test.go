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
	asProto := transcode(t, body)
	fromProto, err := s.proto(testMapper, asProto)
	if err != nil {
		t.Fatal(err)
	}
	oracle := ptraceotlp.NewExportRequest()
	if s == &traces && fromProto.rejected.Total() == 0 && oracle.UnmarshalProto(asProto) == nil {
		checkAgainstCollector(t, fromProto.batch.Spans, oracle.Traces())
	}
	if got, want := ingesttest.Spans(fromProto.batch.Spans), ingesttest.Spans(fromJSON.batch.Spans); !reflect.DeepEqual(got, want) { // Diff takes seconds for 100,000 spans
		t.Fatalf("JSON and protobuf differ: %s", cmp.Diff(want, got))
	}
	if !reflect.DeepEqual(fromJSON.batch.Signals, fromProto.batch.Signals) || !reflect.DeepEqual(fromJSON.batch.Logs, fromProto.batch.Logs) {
		t.Fatalf("JSON and protobuf differ: %s%s", cmp.Diff(fromJSON.batch.Signals, fromProto.batch.Signals), cmp.Diff(fromJSON.batch.Logs, fromProto.batch.Logs))
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
					got.spans += r.batch.SpanCount()
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
	want := flows.SpanRecord{
		TraceID: traceHex, SpanID: spanHex, ParentID: "eee19b7ec3c1b173", TraceState: "a=b", Name: "wanted", Kind: "Server",
		Origin: &flows.SpanOrigin{
			Service: "shop", Resource: map[string]any{"service.name": "shop", "deployment.environment.name": "test"},
			ScopeName: "lib", ScopeVersion: "1.2",
		},
		Attributes: []flows.Attribute{
			{Name: "list", Text: `[true,{"k":""}]`},
			{Name: "nan", Text: "NaN"},
			{Name: "none"},
			{Name: "order_id", Text: "4711"},
			{Name: "raw", Text: "AQI="},
			{Name: "share", Text: "0.5"},
		},
		Start: start, Duration: time.Second, StatusCode: "Error", StatusMessage: "declined",
		Events: []flows.SpanEvent{{Time: start.Add(time.Second / 2), Name: "e", Attributes: map[string]any{"a": "b"}}},
		Links:  []flows.SpanLink{{TraceID: traceHex, SpanID: spanHex}},
	}
	if diff := cmp.Diff([]flows.SpanRecord{want}, ingesttest.Spans(r.batch.Spans)); diff != "" {
		t.Error(diff)
	}
	signal := flows.Signal{
		Kind: flows.Span, Source: "shop", ID: traceHex + ":" + spanHex, Name: "wanted", System: "shop", Environment: "test",
		Time: start, Duration: time.Second, Failed: true, TraceID: traceHex, SpanID: spanHex, ParentID: "eee19b7ec3c1b173",
		Attributes: map[string]any{
			"service.name": "shop", "deployment.environment.name": "test", "order_id": int64(4711), "share": 0.5, "nan": "NaN",
			"raw": "AQI=", "none": nil, "list": []any{true, map[string]any{"k": ""}},
			flows.SpanLinks: []any{traceHex + ":" + spanHex},
		},
	}
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
		if s := ingesttest.Spans(r.batch.Spans)[0]; s.Start != flows.Time(wantStart) || s.Duration != wantDuration {
			t.Errorf("%s to %s: start %d, duration %s", start, end, s.Start, s.Duration)
		}
	}
	f("10", "15", 10, 5)
	f("15", "10", 15, 0) // ends before it starts
	f("15", "0", 15, 0)  // did not end
	f("0", `"7"`, 7, 0)  // has only an end
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
				r, err := run.decode(testMapper, run.body)
				if err != nil || r.batch.SpanCount() != len(spans) {
					b.Fatal(err)
				}
				r.free()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
		})
	}
}

// checkAccepted asserts what holds of everything that is accepted.
func checkAccepted(t *testing.T, r *result) {
	t.Helper()
	spans := ingesttest.Spans(r.batch.Spans)
	for i := range spans {
		s := &spans[i]
		if len(s.TraceID) != 32 || len(s.SpanID) != 16 || s.Duration < 0 || s.Start <= 0 || s.Kind == "" || s.Origin.Service == "" {
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
	if _, err := json.Marshal(r.batch.Signals); err != nil {
		t.Fatal(err)
	}
}
