package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

func at(s string) flows.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return flows.At(t)
}

// heard is a time of reception that no TTL has passed.
func heard() flows.Time { return flows.At(time.Now()) }

var bounds = []flows.Time{at("1900-01-01T00:00:00Z"), at("2261-12-31T23:59:59.999999999Z"), 0, 1, -1, at("2026-11-18T10:11:12.123456789Z")}

func packed(t testing.TB, spans ...flows.SpanRecord) []flows.SpanBlock {
	t.Helper()
	var p flows.SpanPacker
	for i := range spans {
		if err := p.Add(&spans[i]); err != nil {
			t.Fatal(err)
		}
	}
	return p.Blocks()
}

// TestInsertOnce repeats inserts by token, over two months of reception.
func TestInsertOnce(t *testing.T) {
	s := openStore(t)
	var signals []flows.Signal
	year, month, _ := heard().Std().Date()
	midnight := flows.At(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC))
	for i := range 10 {
		received := midnight - flows.Time(i%2)
		signals = append(signals, flows.Signal{ID: fmt.Sprint(i), Name: "n", Received: received})
	}
	spans := packed(t, flows.SpanRecord{TraceID: "t", SpanID: "s", Start: 1})
	logs := []flows.LogRecord{{Time: 1, Body: "b"}}
	for range 3 {
		if err := errors.Join(
			s.InsertSignals(t.Context(), "SIGNALS:1-10", signals),
			s.InsertSpans(t.Context(), "SPANS:1-1", spans, heard()),
			s.InsertLogs(t.Context(), "LOGS:1-1", logs, heard()),
		); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.InsertSignals(t.Context(), "SIGNALS:11-20", signals); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT count() FROM signals"); n != 20 {
		t.Errorf("%d signals, want 20: two tokens", n)
	}
	if n := count(t, s, "SELECT uniqExact(_partition_id) FROM signals"); n != 2 {
		t.Errorf("%d partitions, want 2", n)
	}
	if n := count(t, s, "SELECT count() FROM spans"); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
	if n := count(t, s, "SELECT count() FROM logs"); n != 1 {
		t.Errorf("%d logs, want 1", n)
	}
}

func TestSpansAndLogsWhole(t *testing.T) {
	s := openStore(t)
	attributes := make([]flows.Attribute, 0, 9)
	for name, v := range map[string]any{
		"s": "x", "empty": "", "n": int64(-3), "f": 2.5, "b": true, "none": nil, "list": []any{int64(1), "a"}, "nan": math.NaN(),
	} {
		a := flows.Attribute{Name: name}
		a.Set(v)
		attributes = append(attributes, a)
	}
	attributes = append(attributes, flows.Attribute{Name: "s", Text: "old"}, flows.Attribute{Name: "s", Text: "x"})
	span := flows.SpanRecord{
		TraceID: "0af7", SpanID: "b7ad", ParentID: "00f0", TraceState: "k=v", Name: "POST /capture", Kind: "Server",
		Origin: &flows.SpanOrigin{
			Service: "payments", Resource: map[string]any{"service.name": "payments"}, ScopeName: "scope", ScopeVersion: "1",
		},
		Attributes: attributes,
		Start:      bounds[5], Duration: 1500, StatusCode: "Error", StatusMessage: "no",
		Events: []flows.SpanEvent{{Time: bounds[5], Name: "exception", Attributes: map[string]any{"a": "b"}}, {Time: bounds[0]}},
		Links:  []flows.SpanLink{{TraceID: "aa", SpanID: "bb", TraceState: "c", Attributes: map[string]any{"d": int64(1)}}},
	}
	odd := flows.SpanRecord{Duration: -5, Start: bounds[0]}
	if err := s.InsertSpans(t.Context(), "x", append(packed(t, span), packed(t, odd)...), heard()); err != nil {
		t.Fatal(err)
	}
	var got string
	row := s.conn.QueryRow(t.Context(), `SELECT formatRow('JSONEachRow', * EXCEPT Received) FROM spans WHERE TraceId = '0af7'`)
	if err := row.Scan(&got); err != nil {
		t.Fatal(err)
	}
	want := `{"Timestamp":"2026-11-18 10:11:12.123456789","TraceId":"0af7","SpanId":"b7ad","ParentSpanId":"00f0","TraceState":"k=v",` +
		`"SpanName":"POST /capture","SpanKind":"Server","ServiceName":"payments","ResourceAttributes":{"service.name":"payments"},` +
		`"ScopeName":"scope","ScopeVersion":"1","SpanAttributes":{"b":"true","empty":"","f":"2.5","list":"[1,\"a\"]","n":"-3","nan":"NaN","none":"","s":"x"},` +
		`"Duration":1500,"StatusCode":"Error","StatusMessage":"no","Events.Timestamp":["2026-11-18 10:11:12.123456789","1900-01-01 00:00:00.000000000"],` +
		`"Events.Name":["exception",""],"Events.Attributes":[{"a":"b"},{}],"Links.TraceId":["aa"],"Links.SpanId":["bb"],"Links.TraceState":["c"],` +
		`"Links.Attributes":[{"d":"1"}]}`
	if diff := cmp.Diff(decode(t, want), decode(t, got)); diff != "" {
		t.Errorf("span (-want +got):\n%s", diff)
	}
	if n := count(t, s, "SELECT Duration FROM spans WHERE TraceId = ''"); n != 0 {
		t.Errorf("negative duration became %d", n)
	}
	record := flows.LogRecord{
		Time: bounds[5], TraceID: "0af7", SpanID: "b7ad", TraceFlags: 0x301, SeverityText: "WARN", SeverityNumber: 13, Service: "payments",
		Body: "late\x00", Resource: map[string]any{"host": "h"}, ScopeName: "scope", ScopeVersion: "1", Attributes: map[string]any{"n": int64(1)},
	}
	if err := s.InsertLogs(t.Context(), "x", []flows.LogRecord{record}, heard()); err != nil {
		t.Fatal(err)
	}
	row = s.conn.QueryRow(t.Context(), `SELECT formatRow('JSONEachRow', Timestamp, TraceFlags, SeverityNumber, Body, LogAttributes) FROM logs`)
	if err := row.Scan(&got); err != nil {
		t.Fatal(err)
	}
	want = `{"Timestamp":"2026-11-18 10:11:12.123456789","TraceFlags":1,"SeverityNumber":13,"Body":"late\u0000","LogAttributes":{"n":"1"}}`
	if diff := cmp.Diff(decode(t, want), decode(t, got)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func instance(key string) flows.InstanceRecord {
	return flows.InstanceRecord{
		Flow: "order-to-cash", Version: "abc", Key: key, State: flows.Stuck, Reason: flows.ReasonDeadline, ReasonStep: "paid",
		System: "payments", StuckSince: bounds[5], StuckFor: 3 * time.Second, Recovered: true, StartedAt: bounds[0], LastAt: bounds[5],
		EndedAt: flows.NoTime,
		WaitingOn: []flows.WaitingRecord{
			{Step: "paid", System: "payments", DueAt: bounds[5], Deadline: math.MaxInt64, Expected: 3, Seen: 2},
			{Step: "picked", DueAt: bounds[0], Deadline: flows.NoTime, Expected: 1},
		},
		Hold: "on-hold", HeldSince: bounds[0], HeldUntil: flows.NoTime, Reopened: true,
		Path: []string{"placed", "placed"}, Deviations: []flows.Deviation{flows.DeviationRepeat, flows.DeviationOrder}, Conforming: false,
		Amount: flows.NewAmount(decimal.RequireFromString("12345678901234567890123456789012345.000000000000000001")), Currency: "EUR",
		Segments: map[string]string{"region": "EU", "channel": "'"}, AsOf: bounds[1], Imported: true,
	}
}

func instances(t *testing.T, s *Store, flow string) []flows.InstanceRecord {
	t.Helper()
	var list []flows.InstanceRecord
	err := s.InstanceStates(t.Context(), flow, 0, func(r flows.InstanceRecord) error {
		list = append(list, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestInstancesComeBack(t *testing.T) {
	s := openStore(t)
	plain := flows.InstanceRecord{
		Flow: "order-to-cash", Key: "2", StuckSince: flows.NoTime, StartedAt: flows.NoTime, LastAt: flows.NoTime, EndedAt: 0, AsOf: flows.NoTime,
	}
	other := flows.InstanceRecord{Flow: "another", Key: "1"}
	want := []flows.InstanceRecord{instance("1"), plain}
	if err := s.WriteInstances(t.Context(), 7, append([]flows.InstanceRecord{other}, want...)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, instances(t, s, "order-to-cash")); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	older := instance("1")
	older.State = flows.Open
	if err := s.WriteInstances(t.Context(), 6, []flows.InstanceRecord{older}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, instances(t, s, "order-to-cash")); diff != "" {
		t.Errorf("an older version counts (-want +got):\n%s", diff)
	}
	gone := instance("1")
	gone.Deleted = true
	if err := s.WriteInstances(t.Context(), 8, []flows.InstanceRecord{gone}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], instances(t, s, "order-to-cash")); diff != "" {
		t.Errorf("after deleting one (-want +got):\n%s", diff)
	}
	if err := s.WriteInstances(t.Context(), 9, []flows.InstanceRecord{instance("1")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, instances(t, s, "order-to-cash")); diff != "" {
		t.Errorf("after writing it again (-want +got):\n%s", diff)
	}
}

func TestOccurrencesReplaceEachOther(t *testing.T) {
	s := openStore(t)
	o := flows.OccurrenceRecord{
		Flow: "f", Key: "1", StepID: "paid",
		Occurrence: flows.Occurrence{
			At: bounds[5], Start: bounds[0], Source: "s", ID: "i", Sequence: "9", System: "x", Hash: math.MaxUint64,
			Amount: flows.NewAmount(decimal.RequireFromString("400.40")), Currency: "EUR",
		},
		Segments: map[string]string{"region": "EU"},
	}
	failed := o
	failed.Failed = true
	removed := o
	removed.Deleted = true
	const rows = "SELECT count() FROM steps FINAL WHERE flow = 'f'"
	write := func(version uint64, list ...flows.OccurrenceRecord) {
		t.Helper()
		if err := s.WriteOccurrences(t.Context(), version, list); err != nil {
			t.Fatal(err)
		}
	}
	write(1, o)
	write(1, o)
	if n := count(t, s, rows+" AND outcome = 'ok' AND hash = 18446744073709551615 AND amount = '400.4' AND toUnixTimestamp64Nano(start_time) = -2208988800000000000"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	write(3, failed)
	write(2, o)
	if n := count(t, s, rows+" AND outcome = 'error'"); n != 1 {
		t.Errorf("%d failed tries, want 1", n)
	}
	write(4, removed)
	if n := count(t, s, rows); n != 0 {
		t.Errorf("%d rows after it was taken back, want 0", n)
	}
	write(3, failed) // a late repeat
	if n := count(t, s, rows); n != 0 {
		t.Errorf("%d rows after a late repeat, want 0", n)
	}
	write(5, failed, removed, o) // in one insert the last counts
	if n, of := count(t, s, rows+" AND outcome = 'ok'"), count(t, s, rows); n != 1 || of != 1 {
		t.Errorf("%d of %d rows after several of one insert, want 1 of 1", n, of)
	}
	if n := count(t, s, "SELECT count() FROM steps_by_time FINAL WHERE flow = 'f' AND deleted = 0 AND outcome = 'ok'"); n != 1 {
		t.Errorf("%d rows by time after several of one insert, want 1", n)
	}
}

func TestCheckpoints(t *testing.T) {
	s := openStore(t)
	for _, seq := range []uint64{0, 5, math.MaxUint64, 3} {
		if seq > 0 {
			if err := s.SaveCheckpoints(t.Context(), map[string]uint64{"engine's": seq}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Checkpoint(t.Context(), "engine's"); err != nil || got != seq {
			t.Fatalf("got %d %v, want %d", got, err, seq)
		}
	}
	v := FlowVersion{Flow: "f", Version: "1", Definition: strings.Repeat("flow: x\n", 1<<18)}
	for range 2 {
		if err := s.SaveFlowVersion(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, "SELECT sum(length(definition)) FROM flow_versions FINAL"); n != 8<<18 {
		t.Errorf("%d bytes, want %d", n, 8<<18)
	}
}

func TestRetryable(t *testing.T) {
	s := openStore(t)
	if Retryable(nil) {
		t.Error("nil is retryable")
	}
	away, err := Open(t.Context(), Config{Addr: []string{"127.0.0.1:1"}, HTTP: true})
	if err != nil {
		t.Fatalf("open needs the server: %v", err)
	}
	defer away.Close()
	if err := away.SaveCheckpoints(t.Context(), map[string]uint64{"x": 1}); !Retryable(err) {
		t.Errorf("a server that is away: %v", err)
	}
	if err := s.conn.Exec(t.Context(), "DROP TABLE checkpoints"); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoints(t.Context(), map[string]uint64{"x": 1}); !Retryable(err) {
		t.Errorf("a table that is not there yet: %v", err)
	}
	if err := s.conn.Exec(t.Context(), "SELECT toDate('x')"); Retryable(err) {
		t.Errorf("a value that the server cannot parse: %v", err)
	}
	bad := []flows.Signal{{Name: "n", Data: map[string]any{"f": func() {}}}}
	if err := s.InsertSignals(t.Context(), "", bad); Retryable(err) {
		t.Errorf("a value without a text: %v", err)
	}
}
