package otlp

import (
	"fmt"
	"testing"
)

// The mark of a sampling producer reaches the signal, in either encoding.
func TestSampledSpansAreMarked(t *testing.T) {
	f := func(state, rate string, want bool) {
		t.Helper()
		body := fmt.Appendf(nil, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%q,"spanId":%q,"name":"wanted","traceState":%q,
			"startTimeUnixNano":"1767600000000000000","endTimeUnixNano":"1767600001000000000",
			"attributes":[{"key":"order_id","value":{"stringValue":"1"}}%s]}]}]}]}`, traceHex, spanHex, state, rate)
		r := both(t, &traces, transcodeTraces, body)
		if len(r.batch.Signals) != 1 || r.batch.Signals[0].Sampled != want {
			t.Errorf("%q %s: %+v", state, rate, r.batch.Signals)
		}
	}
	f("ot=th:8", "", true)
	f("a=b,ot=rv:123;th:c8", "", true)
	f("ot=th:0", "", false)
	f("", "", false)
	f("", `,{"key":"SampleRate","value":{"intValue":"20"}}`, true)
	f("", `,{"key":"SampleRate","value":{"intValue":"1"}}`, false)
}
