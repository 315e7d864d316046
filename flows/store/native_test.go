package store

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

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

// TestFieldsAsColumns reads what is written of records into the driver's columns, as an
// insert over the native protocol does.
func TestFieldsAsColumns(t *testing.T) {
	amount := flows.NewAmount(decimal.New(1250, -2))
	first := columnsOf(t, signalFields, []flows.Signal{
		{ID: "a", Name: "n", Received: 5, Kind: flows.Span, Keys: []flows.Key{{Type: "order_id", Value: "7"}, {Type: "x", Value: "y"}}, Data: map[string]any{"n": int64(1)}},
		{ID: "b", Name: "m", Failed: true, Attributes: map[string]any{"s": strings.Repeat("x", 300)}},
		{ID: "c", Packed: flows.Packed{Attributes: `{"p":1}`, Data: strings.Repeat("y", 200)}},
	})
	want(t, first["id"], "a", "b")
	want(t, first["name"], "n", "m")
	want(t, first["kind"], "span", "event")
	want(t, first["outcome"], "ok", "error")
	want(t, first["keys"], []string{"order_id:7", "x:y"}, []string{})
	want(t, first["data"], `{"n":1}`, "", strings.Repeat("y", 200))
	want(t, first["attributes"], "", `{"s":"`+strings.Repeat("x", 300)+`"}`, `{"p":1}`)
	logs := columnsOf(t, logFields(heard()), []flows.LogRecord{{Body: "x", TraceFlags: 0x101, SeverityNumber: 300}, {Resource: map[string]any{"a": true}}})
	want(t, logs["Body"], "x", "")
	want(t, logs["TraceFlags"], uint8(1), uint8(0))
	want(t, logs["SeverityNumber"], uint8(255), uint8(0))
	want(t, logs["ResourceAttributes"], map[string]string{}, map[string]string{"a": "true"})
	instances := columnsOf(t, instanceFields(3), []flows.InstanceRecord{
		{
			Key: "k", Path: []string{"a", "b", "a"}, StuckSince: flows.NoTime, Amount: amount, Conforming: true,
			WaitingOn: []flows.WaitingRecord{{Step: "s", DueAt: flows.NoTime, Deadline: 0, Expected: 2}},
		},
		{StuckSince: 0, Deleted: true},
	})
	want(t, instances["path"], []string{"a", "b", "a"}, []string{})
	want(t, instances["conforming"], true, false)
	want(t, instances["deleted"], uint8(0), uint8(1))
	want(t, instances["waiting_on.expected"], []uint32{2}, []uint32{})
	want(t, instances["row_version"], uint64(3), uint64(3))
	if due, until := instances["waiting_on.due_at"].Row(0, false).([]*time.Time), instances["waiting_on.deadline"].Row(0, false).([]*time.Time); due[0] != nil || until[0] == nil {
		t.Errorf("waits until %v, due %v", until, due)
	}
	if never, epoch := instances["stuck_since"].Row(0, false), instances["stuck_since"].Row(1, false); never != nil || epoch == nil {
		t.Errorf("stuck since %v and %v", never, epoch)
	}
	steps := columnsOf(t, stepFields(3), []flows.OccurrenceRecord{{StepID: "s", Expect: map[string]string{"b": "2", "a": "1"}}, {Occurrence: flows.Occurrence{Amount: amount, Hash: 9}}, {Expect: map[string]string{"b": strings.Repeat("2", 150)}}})
	want(t, steps["expect"], map[string]string{"a": "1", "b": "2"}, map[string]string{}, map[string]string{"b": strings.Repeat("2", 150)})
	want(t, steps["hash"], uint64(0), uint64(9))
	if text, ok := steps["amount"].Row(1, false).(*string); !ok || *text != "12.5" || steps["amount"].Row(0, false) != nil {
		t.Errorf("amounts %v, %v", text, steps["amount"].Row(0, false))
	}
}

func columnsOf[R any](t *testing.T, fields []field[R], records []R) map[string]column.Interface {
	t.Helper()
	var n native
	n.begin(len(fields), len(records))
	columns := map[string]column.Interface{}
	var list []column.Interface
	for _, f := range fields {
		n.column(f.name, f.typ)
		if err := f.write(&n, records); err != nil {
			t.Fatal(err)
		}
		c, err := column.Type(f.typ).Column(f.name, &column.ServerContext{})
		if err != nil {
			t.Fatal(err)
		}
		columns[f.name], list = c, append(list, c)
	}
	if err := readColumns(list, n.reader(), len(records)); err != nil {
		t.Fatal(err)
	}
	return columns
}

func want(t *testing.T, c column.Interface, rows ...any) {
	t.Helper()
	for i, row := range rows {
		if diff := cmp.Diff(row, c.Row(i, false)); diff != "" {
			t.Errorf("column %s, row %d: %s", c.Name(), i, diff)
		}
	}
}
