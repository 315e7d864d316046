package otlp

import (
	"encoding/base64"
	"math"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"throughline/flows"
	"throughline/ingest/ingesttest"
)

// checkAgainstCollector compares accepted spans, as they will be stored, with what the
// collector's library reads in the same bytes. They must be all spans of the request.
func checkAgainstCollector(t *testing.T, blocks []flows.SpanBlock, oracle ptrace.Traces) {
	t.Helper()
	var want []flows.SpanRecord
	for _, group := range oracle.ResourceSpans().All() {
		for _, scope := range group.ScopeSpans().All() {
			origin := &flows.SpanOrigin{
				Service: noService, Resource: fieldsOf(t, group.Resource().Attributes()),
				ScopeName: scope.Scope().Name(), ScopeVersion: scope.Scope().Version(),
			}
			if name, ok := origin.Resource["service.name"]; ok && name != "" {
				origin.Service = name.(string)
			}
			for _, s := range scope.Spans().All() {
				want = append(want, spanFrom(t, s, origin))
			}
		}
	}
	if diff := cmp.Diff(want, ingesttest.Spans(blocks)); diff != "" {
		t.Fatalf("the collector reads (-), we read (+):\n%s", diff)
	}
}

func spanFrom(t *testing.T, s ptrace.Span, origin *flows.SpanOrigin) flows.SpanRecord {
	t.Helper()
	start, end := uint64(s.StartTimestamp()), uint64(s.EndTimestamp())
	if start == 0 {
		start = end
	}
	r := flows.SpanRecord{
		TraceID: s.TraceID().String(), SpanID: s.SpanID().String(), ParentID: s.ParentSpanID().String(), TraceState: s.TraceState().AsRaw(),
		Name: s.Name(), Kind: s.Kind().String(), Origin: origin, Start: flows.Time(start), Duration: time.Duration(max(start, end) - start),
		StatusCode: s.Status().Code().String(), StatusMessage: s.Status().Message(),
	}
	if s.Kind() < 0 || s.Kind() > ptrace.SpanKindConsumer {
		r.Kind = kinds[0]
	}
	if s.Status().Code() < 0 || s.Status().Code() > ptrace.StatusCodeError {
		r.StatusCode = statuses[0]
	}
	for name, v := range fieldsOf(t, s.Attributes()) {
		r.Attributes = append(r.Attributes, flows.Attribute{Name: name, Text: v.(string)})
	}
	sort.Slice(r.Attributes, func(i, j int) bool { return r.Attributes[i].Name < r.Attributes[j].Name })
	for _, e := range s.Events().All() {
		r.Events = append(r.Events, flows.SpanEvent{Time: flows.Time(e.Timestamp()), Name: e.Name(), Attributes: fieldsOf(t, e.Attributes())})
	}
	for _, l := range s.Links().All() {
		r.Links = append(r.Links, flows.SpanLink{
			TraceID: l.TraceID().String(), SpanID: l.SpanID().String(), TraceState: l.TraceState().AsRaw(), Attributes: fieldsOf(t, l.Attributes()),
		})
	}
	return r
}

// fieldsOf is attributes as texts; nil for none. Of several with one name the last counts.
func fieldsOf(t *testing.T, m pcommon.Map) map[string]any {
	t.Helper()
	var fields map[string]any
	for name, v := range m.All() {
		if fields == nil {
			fields = map[string]any{}
		}
		text, err := flows.AppendText(nil, plain(v))
		if err != nil {
			t.Fatal(err)
		}
		fields[name] = string(text)
	}
	return fields
}

func plain(v pcommon.Value) any {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return v.Str()
	case pcommon.ValueTypeBool:
		return v.Bool()
	case pcommon.ValueTypeInt:
		return v.Int()
	case pcommon.ValueTypeDouble:
		switch d := v.Double(); {
		case math.IsNaN(d):
			return "NaN"
		case math.IsInf(d, 0):
			return map[bool]string{true: "Infinity", false: "-Infinity"}[d > 0]
		default:
			return d
		}
	case pcommon.ValueTypeBytes:
		return base64.StdEncoding.EncodeToString(v.Bytes().AsRaw())
	case pcommon.ValueTypeSlice:
		list := []any{}
		for _, e := range v.Slice().All() {
			list = append(list, plain(e))
		}
		return list
	case pcommon.ValueTypeMap:
		m := map[string]any{}
		for name, e := range v.Map().All() {
			m[name] = plain(e)
		}
		return m
	}
	return nil
}
