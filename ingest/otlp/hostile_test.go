package otlp

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"throughline/ingest"
)

// TestHostileBodies: bodies that are made of as many small things as fit take no more
// memory than they were granted, whose sum over all requests is bounded.
func TestHostileBodies(t *testing.T) {
	const size = ingest.MaxBody / 16
	fill := func(item string) string { return strings.Repeat(item, size/len(item)) }
	list := func(item string) string { return strings.TrimSuffix(fill(item+","), ",") }
	good := message(1, traceHex16(), 2, traceHex16()[:8], 7, uint64(1))
	for name, tt := range map[string]struct {
		decode func(mapper, []byte) (*result, error)
		body   []byte
	}{
		"empty spans":        {decodeTracesProto, message(1, message(2, []byte(fill("\x12\x00"))))},
		"empty resources":    {decodeTracesProto, []byte(fill("\x0a\x00"))},
		"empty scopes":       {decodeTracesProto, message(1, []byte(fill("\x12\x00")))},
		"small spans":        {decodeTracesProto, message(1, message(2, bytes.Repeat(message(2, good), size/len(good))))},
		"empty links":        {decodeTracesProto, message(1, message(2, message(2, append(bytes.Clone(good), fill("\x6a\x00")...))))},
		"empty attributes":   {decodeTracesProto, message(1, message(2, message(2, append(bytes.Clone(good), fill("\x4a\x00")...))))},
		"events, attributes": {decodeTracesProto, message(1, message(2, message(2, append(bytes.Clone(good), bytes.Repeat(message(11, []byte(strings.Repeat("\x1a\x00", 1000))), size/2005)...))))},
		"empty records":      {decodeLogsProto, message(1, message(2, []byte(fill("\x12\x00"))))},
		"spans in JSON":      {decodeTracesJSON, tracesJSON(list(`{}`))},
		"numbers in JSON":    {decodeTracesJSON, tracesJSON(list(`1`))},
		"array in JSON":      {decodeTracesJSON, tracesJSON(`{"events":[` + list(`{}`) + `]}`)},
		"resources in JSON":  {decodeTracesJSON, []byte(`{"resourceSpans":[` + list(`{}`) + `]}`)},
		"nested in JSON":     {decodeLogsJSON, []byte(fill(`[`))},
	} {
		t.Run(name, func(t *testing.T) {
			granted := len(tt.body)
			m := testMapper
			m.grow = func(n int) error { granted += n; return nil }
			r, err := tt.decode(m, tt.body)
			if err != nil && ingest.AsRefusal(err).Class.Retry() {
				t.Errorf("retryable: %v", err)
			}
			before := heap()
			runtime.KeepAlive(r)
			r = nil
			kept := before - heap()
			t.Logf("%d bytes: %d granted, %d kept; %v", len(tt.body), granted, kept, err)
			if kept > granted {
				t.Errorf("%d bytes granted, %d kept", granted, kept)
			}
		})
	}
}

// heap is the bytes that are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestTooManySignals: one more than a request may have is refused whole, in all encodings.
func TestTooManySignals(t *testing.T) {
	t.Parallel()
	json := func(n int) string { return strings.TrimSuffix(strings.Repeat(`{},`, n), ",") }
	for name, tt := range map[string]struct {
		decode func(mapper, []byte) (*result, error)
		body   func(n int) []byte
	}{
		"spans":         {decodeTracesProto, func(n int) []byte { return message(1, message(2, bytes.Repeat([]byte("\x12\x00"), n))) }},
		"records":       {decodeLogsProto, func(n int) []byte { return message(1, message(2, bytes.Repeat([]byte("\x12\x00"), n))) }},
		"spans in JSON": {decodeTracesJSON, func(n int) []byte { return tracesJSON(json(n)) }},
		"records in JSON": {decodeLogsJSON, func(n int) []byte {
			return []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + json(n) + `]}]}]}`)
		}},
	} {
		if _, err := tt.decode(testMapper, tt.body(ingest.MaxSignals)); err != nil {
			t.Errorf("%s: as many as may be: %v", name, err)
		}
		if _, err := tt.decode(testMapper, tt.body(ingest.MaxSignals+1)); err == nil || ingest.AsRefusal(err).Class != ingest.TooLarge {
			t.Errorf("%s: one more: %v", name, err)
		}
	}
}
