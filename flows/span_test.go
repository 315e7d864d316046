package flows

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The links of a span are read where correlation looks for them, no more than SDKs keep.
func TestSignalOfASpanHasItsLinks(t *testing.T) {
	r := SpanRecord{TraceID: "t", SpanID: "s"}
	if _, ok := r.Signal().Attributes[SpanLinks]; ok {
		t.Error("there are links")
	}
	for i := range maxSpanLinks + 1 {
		r.Links = append(r.Links, SpanLink{TraceID: "u", SpanID: fmt.Sprint(i)})
	}
	links, _ := r.Signal().Attributes[SpanLinks].([]any)
	if len(links) != maxSpanLinks {
		t.Fatalf("%d links", len(links))
	}
	if diff := cmp.Diff([]any{"u:0", "u:1"}, links[:2]); diff != "" {
		t.Error(diff)
	}
}
