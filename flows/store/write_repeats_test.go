package store

import (
	"errors"
	"fmt"
	"testing"

	"throughline/flows"
)

func numberedSpans(t testing.TB, from, n int) []flows.SpanBlock {
	t.Helper()
	var spans []flows.SpanRecord
	for i := from; i < from+n; i++ {
		spans = append(spans, flows.SpanRecord{TraceID: fmt.Sprintf("%032x", i/6), SpanID: fmt.Sprintf("%016x", i), Start: flows.Time(i), Duration: 5})
	}
	return packed(t, spans...)
}

// TestRepeats: only what was inserted is dropped, once it was, for as long as it is known.
func TestRepeats(t *testing.T) {
	var r Repeats
	now := heard()
	got := 0
	insert := func(err error) func([]flows.SpanBlock) error {
		return func(blocks []flows.SpanBlock) error {
			got = (&flows.Batch{Spans: blocks}).SpanCount()
			return err
		}
	}
	f := func(what string, blocks []flows.SpanBlock, fault error, want int) {
		t.Helper()
		if err := r.Insert(blocks, now, insert(fault)); !errors.Is(err, fault) || got != want {
			t.Errorf("%s: %d are inserted, want %d; %v", what, got, want, err)
		}
	}
	away := errors.New("away")
	f("a first insert", numberedSpans(t, 0, 100), away, 100)
	f("after one that failed", numberedSpans(t, 0, 100), nil, 100)
	f("a repeat", numberedSpans(t, 0, 100), nil, 0)
	f("half a repeat that fails", numberedSpans(t, 50, 100), away, 50)
	f("half a repeat", numberedSpans(t, 50, 100), nil, 50)
	f("twice in one insert", append(numberedSpans(t, 200, 10), numberedSpans(t, 205, 10)...), nil, 15)
	longer := packed(t, flows.SpanRecord{TraceID: fmt.Sprintf("%032x", 0), SpanID: fmt.Sprintf("%016x", 0), Duration: 6})
	f("an id used twice", longer, nil, 1)
	now += flows.Time(repeatAge)
	f("after five minutes", numberedSpans(t, 0, 100), nil, 0)
	now += flows.Time(repeatAge)
	f("after ten minutes", numberedSpans(t, 0, 100), nil, 100)
	if r.Dropped() != 100+50+5+100 {
		t.Errorf("%d dropped", r.Dropped())
	}
	for i := range 12 { // bounded, and the last are known
		f("many", numberedSpans(t, 1e6+i*1e5, 1e5), nil, 1e5)
	}
	if n := r.young.count + r.old.count; n > 2*repeatSpans+2e5 {
		t.Errorf("%d are known", n)
	}
	f("the last of many", numberedSpans(t, 1e6+11*1e5, 1e5), nil, 0)
}

// BenchmarkRepeats is what looking for repeats costs for each span.
func BenchmarkRepeats(b *testing.B) {
	var all [][]flows.SpanBlock
	for i := range 40 {
		all = append(all, numberedSpans(b, i*50_000, 50_000))
	}
	var r Repeats
	now := heard()
	spans := 0
	for b.Loop() {
		if err := r.Insert(all[spans/50_000%40], now, func([]flows.SpanBlock) error { return nil }); err != nil {
			b.Fatal(err)
		}
		spans += 50_000
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(spans), "ns/span")
}
