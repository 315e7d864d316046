package otlp

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throughline/flows"
	"throughline/ingest"
)

// read is what a file holds: spans, events and log records by document, and faults.
func read(file string) (spans, events, logs int, faults []string, err error) {
	for d, readErr := range ReadFile(strings.NewReader(file), testMapper.rules, testMapper.received) {
		if readErr != nil {
			return spans, events, logs, faults, readErr
		}
		spans += d.Batch.SpanCount()
		events += len(d.Batch.Signals)
		logs += len(d.Batch.Logs)
		if d.Fault != "" {
			faults = append(faults, d.Fault)
		}
	}
	return spans, events, logs, faults, nil
}

func TestReadFile(t *testing.T) {
	one := string(tracesJSON(spanJSON("")))
	logsToo := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"plain } \\\" {"}},{"eventName":"paid","timeUnixNano":"1700000000000000000"}]}]}]}`
	for file, want := range map[string][3]int{
		one:                                  {1},
		"\ufeff" + one:                       {1},
		one + "\n" + one + "\n":              {2},
		one + one:                            {2},
		"\ufeff" + one + "\r\n\ufeff" + one:  {2},
		one + "\n\n" + logsToo:               {1, 1, 1},
		`{"resourceSpans":[],` + logsToo[1:]: {0, 1, 1},
		"":                                   {},
		" \n":                                {},
	} {
		spans, events, logs, faults, err := read(file)
		if got := [3]int{spans, events, logs}; got != want || err != nil || faults != nil {
			t.Errorf("%.40q has %v, want %v; %v %v", file, got, want, faults, err)
		}
	}
}

// TestReadFileFaults: what cannot be used is named by its document, and the others are read;
// what makes the rest unreadable ends it.
func TestReadFileFaults(t *testing.T) {
	good := string(tracesJSON(spanJSON("")))
	base64 := strings.Replace(good, traceHex, "W47/95gDgQPSabYzgT/GDA==", 1)
	for _, tt := range []struct{ between, says string }{
		{base64, "base64"},
		{`{"resourceMetrics":[]}`, "document 2: metrics are not taken"},
		{`{"a":1}`, "document 2: not OTLP/JSON"},
		{`{"resourceSpans":[}`, "document 2: not JSON"},
		{`{"resourceSpans":{}}`, "document 2: the body is not OTLP/JSON"},
	} {
		spans, _, _, faults, err := read(good + "\n" + tt.between + "\n" + good)
		if spans != 2 || err != nil || len(faults) != 1 || !strings.Contains(faults[0], tt.says) {
			t.Errorf("%.40q: %d spans, %v, %v; want %q", tt.between, spans, faults, err, tt.says)
		}
	}
	for rest, says := range map[string]string{
		"\x0a\x05":       "document 2: begins with",
		"[" + good + "]": "document 2: begins with '['",
		good[:100]:       "document 2: does not end",
		`{"a":"` + strings.Repeat("x", ingest.MaxBody): "document 2: is larger than",
	} {
		spans, _, _, _, err := read(good + rest)
		if spans != 1 || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %d spans, %v; want %q", rest, spans, err, says)
		}
	}
}

func TestIsFile(t *testing.T) {
	good := tracesJSON(spanJSON(""))
	for head, want := range map[string]bool{
		string(good): true, "\ufeff \n" + string(good): true, `{"resourceLogs":[`: true, `{"resourceMetrics":`: true,
		"case,activity\n1,\"resourceSpans\"": false, "<log>": false, "": false, `{"a":1}`: false,
	} {
		if IsFile([]byte(head)) != want {
			t.Errorf("%.40q: %t", head, !want)
		}
	}
}

// TestReadSampleFiles reads the shared samples as the files they are.
func TestReadSampleFiles(t *testing.T) {
	dir := "../../../shared/data/otlp"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("shared data is not here:", err)
	}
	var file []byte
	for _, name := range []string{"opentelemetry-proto/trace.json", "opentelemetry-proto/events.json", "otel-demo-echoed/traces.json", "otel-demo-echoed/logs.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !IsFile(b[:min(len(b), 4096)]) {
			t.Errorf("%s is not told", name)
		}
		file = slices.Concat(file, []byte("\ufeff"), b)
	}
	spans, events, logs, faults, err := read(string(file))
	if spans != 22 || events != 1 || logs != 8 || faults != nil || err != nil {
		t.Errorf("%d spans, %d events, %d records, %v, %v", spans, events, logs, faults, err)
	}
}

func FuzzReadFile(f *testing.F) {
	good := tracesJSON(spanJSON(""))
	f.Add(good)
	f.Add(bytes.Repeat(good, 2))
	f.Add([]byte("\ufeff{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]} {"))
	f.Fuzz(func(t *testing.T, file []byte) {
		documents := 0
		for d, err := range ReadFile(bytes.NewReader(file), testMapper.rules, flows.Time(1)) {
			if err == nil && (d.Number < 1 || d.Rejected > 0 != (d.Fault != "")) {
				t.Fatalf("%+v", d)
			}
			if documents++; documents > 4*len(file)+1 {
				t.Fatal("more documents than there can be")
			}
		}
	})
}
