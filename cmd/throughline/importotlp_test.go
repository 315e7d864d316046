package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const otlpFlow = `flow: orders
key: order_id
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: paid, match: {span: POST /capture}, after: placed, within: 10m, end: completed}
`

// otlpFile has two orders as files have them: traces and logs, several documents, byte-order
// marks, kinds by name and number. The second order was never paid.
const otlpFile = "\ufeff" + `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[
  {"timeUnixNano":"1700000000000000000","eventName":"order.placed","attributes":[{"key":"order_id","value":{"stringValue":"1"}}]},
  {"timeUnixNano":"1700000060000000000","attributes":[{"key":"event.name","value":{"stringValue":"order.placed"}},{"key":"order_id","value":{"intValue":"2"}}]},
  {"timeUnixNano":"1700000061000000000","body":{"stringValue":"a line {"}}]}]}]}
` + "\ufeff" + `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"psp"}}]},"scopeSpans":[{"spans":[
  {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"POST /capture","kind":"SPAN_KIND_SERVER",
   "startTimeUnixNano":"1700000100000000000","endTimeUnixNano":"1700000101000000000","attributes":[{"key":"order_id","value":{"stringValue":"1"}}]},
  {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","parentSpanId":"eee19b7ec3c1b174","name":"SELECT","kind":3,
   "startTimeUnixNano":"1700003900000000000","endTimeUnixNano":"1700003901000000000"}]}]}]}{"resourceSpans":[{"scopeSpans":[{"spans":[
  {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b176","name":"other","startTimeUnixNano":"1700000100000000000","endTimeUnixNano":"1700000101000000000",
   "attributes":[{"key":"order_id","value":{"stringValue":"1"}}]}]}]}]}`

// TestImportOTLP: a file is taken as if it had been sent, by its own clock, as often as it
// comes; what of it cannot be used is named.
func TestImportOTLP(t *testing.T) {
	server := clickhouse(t, t.TempDir())
	h := startWith(t, map[string]string{"orders": otlpFlow}, external(t, server.Addr(), server.Password))
	h.awaitClickHouse()
	plain, packed := filepath.Join(h.dir, "otlp.json"), filepath.Join(h.dir, "otlp.ndjson.gz")
	write(t, plain, []byte(otlpFile))
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(zip, otlpFile); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	write(t, packed, zipped.Bytes())
	s := openTables(t, server)
	load := func(args ...string) (string, error) {
		var out bytes.Buffer
		args = append([]string{"import", "--flow", "orders", "--server", "http://" + h.addr.HTTP}, args...)
		err := run(t.Context(), args, func(string) string { return "" }, &out, &out)
		return out.String(), err
	}
	for i, file := range []string{plain, packed, plain} {
		out, err := load(file)
		// By the file's clock it is 41 s after the second order, which has ten minutes.
		says := []string{"6 rows of 2 cases", "2 started, 1 in flight, 0 stuck"}
		if i > 0 {
			says = append(says, ", 0 new")
		}
		for _, what := range says {
			if err != nil || !strings.Contains(out, what) {
				t.Fatalf("%s: %v, want %q\n%s", file, err, what, out)
			}
		}
		if n := askTable(t, s, "SELECT uniqExact(TraceId, SpanId) FROM throughline.spans"); n != 3 {
			t.Errorf("%d spans", n)
		}
		if n := askTable(t, s, "SELECT count() FROM throughline.logs WHERE Body = 'a line {'"); n != uint64(i+1) {
			t.Errorf("%d log records", n) // they have no identity
		}
	}
	bad := filepath.Join(h.dir, "bad.json")
	write(t, bad, []byte(strings.Replace(otlpFile, "eee19b7ec3c1b176", "7uGbfsPBsXY=", 1)+"\n"+`{"resourceMetrics":[]}`))
	out, err := load(bad)
	if err == nil || !strings.Contains(err.Error(), "2 rows could not be used") || !strings.Contains(out, "document 3: 1 spans rejected") ||
		!strings.Contains(out, "base64") || !strings.Contains(out, "document 4: metrics are not taken") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := load("--case", "order_id", plain); err == nil || !strings.Contains(err.Error(), "no columns") {
		t.Errorf("with a column: %v", err)
	}
	for text, says := range map[string]string{
		otlpFile[:600]: "does not end", otlpFile + "x": "begins with 'x'", `{"resourceSpans":[]}`: "no span or log record can be used",
	} {
		write(t, bad, []byte(text))
		if _, err := load(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q…: %v, want %q", text, err, says)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
