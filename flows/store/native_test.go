package store

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"throughline/flows"
)

// TestNativeColumns reads the block of spans into the driver's columns, which is what an
// insert over the native protocol does, and gets the spans back.
func TestNativeColumns(t *testing.T) {
	origin := &flows.SpanOrigin{Service: "payments", Resource: map[string]any{"service.name": "payments", "replica": int64(3)}}
	var spans []flows.SpanRecord
	const rows = 700 // more than the words that a byte can number
	for i := range rows {
		s := flows.SpanRecord{
			TraceID: "0af7", SpanID: string(rune('a' + i%26)), Name: "POST /" + string(rune(0x4e00+i)), Kind: "Server", Origin: origin,
			Start: bounds[5], Duration: 1500, StatusCode: "Ok", Attributes: []flows.Attribute{{Name: "n", Kind: flows.AttributeInt, Number: uint64(i)}},
		}
		if i%100 == 7 {
			s.Events = []flows.SpanEvent{{Time: bounds[5], Name: "exception", Attributes: map[string]any{"a": "b"}}}
			s.Links = []flows.SpanLink{{TraceID: "aa", SpanID: "bb", Attributes: map[string]any{"d": int64(1)}}}
		}
		spans = append(spans, s)
	}
	var w spanWriter
	w.read(append(packed(t, spans[:400]...), packed(t, spans[400:]...)...))
	w.write(heard())
	whole, err := io.ReadAll(w.reader())
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(w.reader(), whole); err != nil {
		t.Fatal(err)
	}
	columns := map[string]column.Interface{}
	var list []column.Interface
	for _, c := range [][2]string{
		{"Timestamp", typeTime},
		{"TraceId", "String"},
		{"SpanId", "String"},
		{"ParentSpanId", "String"},
		{"TraceState", "String"},
		{"SpanName", typeWord},
		{"SpanKind", typeWord},
		{"ServiceName", typeWord},
		{"ResourceAttributes", typeMap},
		{"ScopeName", typeWord},
		{"ScopeVersion", typeWord},
		{"SpanAttributes", typeMap},
		{"Duration", "UInt64"},
		{"StatusCode", typeWord},
		{"StatusMessage", "String"},
		{"Events.Timestamp", "Array(DateTime64(9))"},
		{"Events.Name", "Array(LowCardinality(String))"},
		{"Events.Attributes", "Array(" + typeMap + ")"},
		{"Links.TraceId", "Array(String)"},
		{"Links.SpanId", "Array(String)"},
		{"Links.TraceState", "Array(String)"},
		{"Links.Attributes", "Array(" + typeMap + ")"},
		{"Received", "DateTime('UTC')"},
	} {
		col, err := column.Type(c[1]).Column(c[0], &column.ServerContext{})
		if err != nil {
			t.Fatal(err)
		}
		columns[c[0]], list = col, append(list, col)
	}
	if err := readColumns(list, bytes.NewReader(whole), rows); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		name := columns["SpanName"].Row(i, false)
		attributes := columns["SpanAttributes"].Row(i, false).(map[string]string)
		resource := columns["ResourceAttributes"].Row(i, false).(map[string]string)
		if name != spans[i].Name || len(attributes) != 1 || resource["replica"] != "3" || columns["SpanId"].Row(i, false) != spans[i].SpanID {
			t.Fatalf("row %d: %v %v %v", i, name, attributes, resource)
		}
	}
	if n := columns["Links.TraceId"].Row(407, false).([]string); len(n) != 1 || n[0] != "aa" {
		t.Errorf("links %v", n)
	}
}
