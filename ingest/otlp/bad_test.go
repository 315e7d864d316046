package otlp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

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
			if r.batch.SpanCount() != 2 || r.rejected.Total() != 1 {
				t.Fatalf("%d accepted, rejected %v", r.batch.SpanCount(), r.rejected)
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
			if r.batch.SpanCount() != 2 || r.rejected.Total() != 1 {
				t.Fatalf("%d accepted, rejected %v %v", r.batch.SpanCount(), r.rejected, r.faults)
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
	if r.batch.SpanCount() != 1 || r.rejected[ingest.ReasonText] != 2 {
		t.Errorf("%d accepted, rejected %v %v", r.batch.SpanCount(), r.rejected, r.faults)
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

// TestFilesOnTheWire: what files have, a byte-order mark or one document behind the other, is
// no request, and the answer says so; nothing of it is taken.
func TestFilesOnTheWire(t *testing.T) {
	one := string(tracesJSON(spanJSON("")))
	for body, says := range map[string]string{
		"\ufeff" + one:   "byte-order mark",
		one + "\n" + one: "one document",
		one + one:        "one document",
		one + " x":       "not OTLP/JSON",
	} {
		if _, err := decodeTracesJSON(testMapper, []byte(body)); ingest.AsRefusal(errOr(err)).Class != ingest.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
	if r, err := decodeTracesJSON(testMapper, []byte(" \n"+one+"\r\n ")); err != nil || r.batch.SpanCount() != 1 {
		t.Errorf("with space around: %v", err)
	}
}

// errOr makes an error of none, so that what is accepted does not look refused.
func errOr(err error) error {
	if err == nil {
		return ingest.Refuse(ingest.Busy, "accepted")
	}
	return err
}

// TestOneBadAmong500: the others are published, each once, and the answer counts it.
func TestOneBadAmong500(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	service := &service{in.Door("test"), &traces}
	var group []byte
	for i := range 500 {
		id := binary.BigEndian.AppendUint64(nil, uint64(i+1))
		span := message(1, traceHex16(), 2, id, 7, uint64(1), 5, []byte("work"))
		if i == 250 {
			span = message(1, traceHex16(), 2, id, 7, uint64(1), 5, []byte("\xff"))
		}
		group = append(group, message(2, span)...)
	}
	visit, err := service.door.Enter("")
	if err != nil {
		t.Fatal(err)
	}
	body, err := visit.Expect()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Free()
	answer, err := service.keep(t.Context(), visit, body, message(1, message(2, group)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(answer, []byte("1 spans rejected: span name")) {
		t.Errorf("answer %q", answer)
	}
	seen := map[string]bool{}
	for _, s := range ingesttest.Spans(bus.Take().Spans) {
		if seen[s.SpanID] {
			t.Errorf("span %s twice", s.SpanID)
		}
		seen[s.SpanID] = true
	}
	if len(seen) != 499 || seen["00000000000000fb"] {
		t.Errorf("%d spans", len(seen))
	}
}
