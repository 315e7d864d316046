package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throughline/flows"
)

const testLimit = 1 << 20

// sample draws batches with every kind of value, extreme ones included.
type sample struct{ *rand.Rand }

func (r sample) text() string {
	words := []string{"", "order_id", "4711", "Grüße", "a\x00b", "\xff\xfe", "DE", "shipment.dispatched"}
	return words[r.IntN(len(words))]
}

func (r sample) instant() flows.Time {
	return []flows.Time{0, flows.NoTime, math.MaxInt64, -1, 1763518387123456789}[r.IntN(5)]
}

func (r sample) duration() time.Duration {
	return []time.Duration{0, -1, math.MinInt64, math.MaxInt64, time.Second}[r.IntN(5)]
}

func (r sample) value(depth int) any {
	switch n := r.IntN(10); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return []int64{0, 1, -1, math.MinInt64, math.MaxInt64}[r.IntN(5)]
	case n == 3:
		return []float64{0, math.Copysign(0, -1), 1.5, math.Inf(-1), math.MaxFloat64, math.NaN()}[r.IntN(6)]
	case n == 4:
		return json.Number("12345678901234567890.123456789")
	case n == 5 && depth < 4:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = r.value(depth + 1)
		}
		return list
	case n == 6 && depth < 4:
		if m := r.fields(depth + 1); m != nil {
			return m
		}
	}
	return r.text()
}

func (r sample) fields(depth int) map[string]any {
	n := r.IntN(6)
	if n == 5 {
		return nil
	}
	m := map[string]any{}
	for i := range n {
		m[fmt.Sprint(r.text(), i)] = r.value(depth)
	}
	return m
}

func (r sample) signal() flows.Signal {
	s := flows.Signal{
		Kind: flows.Kind(r.IntN(2)), Source: r.text(), ID: r.text(), Name: r.text(), System: r.text(), Environment: r.text(),
		Time: r.instant(), Duration: r.duration(), Failed: r.IntN(2) == 0, Sampled: r.IntN(2) == 0, Sequence: r.text(), Received: r.instant(),
		AsOf: r.instant(), TraceID: r.text(), SpanID: r.text(), ParentID: r.text(), Attributes: r.fields(0), Data: r.fields(0),
	}
	for range r.IntN(3) {
		s.Keys = append(s.Keys, flows.Key{Type: r.text(), Value: r.text()})
	}
	return s
}

func (r sample) span() flows.SpanRecord {
	s := flows.SpanRecord{
		TraceID: r.text(), SpanID: r.text(), ParentID: r.text(), TraceState: r.text(), Name: r.text(), Kind: r.text(),
		Origin: &flows.SpanOrigin{Service: r.text(), Resource: r.fields(0), ScopeName: r.text(), ScopeVersion: r.text()},
		Start:  r.instant(), Duration: r.duration(), StatusCode: r.text(), StatusMessage: r.text(),
	}
	for name, v := range r.fields(0) {
		a := flows.Attribute{Name: name}
		a.Set(v)
		s.Attributes = append(s.Attributes, a)
	}
	for range r.IntN(3) {
		s.Events = append(s.Events, flows.SpanEvent{Time: r.instant(), Name: r.text(), Attributes: r.fields(0)})
		s.Links = append(s.Links, flows.SpanLink{TraceID: r.text(), SpanID: r.text(), TraceState: r.text(), Attributes: r.fields(0)})
	}
	return s
}

func (r sample) log() flows.LogRecord {
	return flows.LogRecord{
		Time: r.instant(), TraceID: r.text(), SpanID: r.text(), TraceFlags: r.Uint32(), SeverityText: r.text(),
		SeverityNumber: int32(r.Uint32()), Service: r.text(), Body: r.text(), Resource: r.fields(0),
		ScopeName: r.text(), ScopeVersion: r.text(), Attributes: r.fields(0),
	}
}

func (r sample) batch() flows.Batch {
	var b flows.Batch
	var spans flows.SpanPacker
	for range r.IntN(20) {
		b.Signals = append(b.Signals, r.signal())
		s := r.span()
		if err := spans.Add(&s); err != nil {
			panic(err)
		}
		b.Logs = append(b.Logs, r.log())
	}
	b.Spans = spans.Blocks()
	return b
}

// diff tells nil maps from empty ones, but takes NaN as itself. Of attributes and data it
// compares the text, which is what travels, and the hash of all.
func diff(want, got flows.Batch) string {
	want.Signals, got.Signals = packed(want.Signals), packed(got.Signals)
	sameBlock := cmp.Comparer(func(a, b flows.SpanBlock) bool { return bytes.Equal(a.AppendTo(nil), b.AppendTo(nil)) })
	return cmp.Diff(want, got, cmpopts.EquateNaNs(), sameBlock)
}

func packed(signals []flows.Signal) []flows.Signal {
	all := slices.Clone(signals)
	for i := range all {
		s := &all[i]
		hash := s.ContentHash()
		attributes, err := s.AppendAttributes(nil)
		if err != nil {
			panic(err)
		}
		data, err := s.AppendData(nil)
		if err != nil {
			panic(err)
		}
		s.Attributes, s.Data, s.Packed = nil, nil, flows.Packed{Attributes: string(attributes), Data: string(data), Hash: hash}
	}
	return all
}

func chunksOf(t testing.TB, b flows.Batch) (signals, spans []chunk) {
	t.Helper()
	signals, err := encodeSignals(b.Signals, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	spans, err = encodeSpans(b.Spans, b.Logs, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	return signals, spans
}

func TestCodecRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		want := sample{rand.New(rand.NewPCG(seed, 0))}.batch()
		signals, spans := chunksOf(t, want)
		if len(signals) == 0 {
			continue
		}
		got, err := decode(frame(append(signals, spans...))) // joined: two bodies are one
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := diff(want, got); d != "" {
			t.Fatalf("seed %d: -want +got\n%s", seed, d)
		}
	}
}

func TestZeroSignalRoundTrip(t *testing.T) {
	want := flows.Batch{Signals: []flows.Signal{{}, {Attributes: map[string]any{}}}}
	signals, _ := chunksOf(t, want)
	got, err := decode(frame(signals))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestLargeBatchIsCut(t *testing.T) {
	var want flows.Batch
	for i := range 40_000 {
		want.Signals = append(want.Signals, flows.Signal{ID: fmt.Sprint(i), Data: map[string]any{"n": int64(i)}})
	}
	var spans flows.SpanPacker
	for range 3 {
		if err := spans.Add(&flows.SpanRecord{StatusMessage: string(make([]byte, targetBody-1000))}); err != nil {
			t.Fatal(err)
		}
	}
	want.Spans = spans.Blocks()
	signals, spanChunks := chunksOf(t, want)
	var got flows.Batch
	for _, c := range append(signals, spanChunks...) {
		if len(c.body) > targetBody || c.items > maxItems {
			t.Fatalf("a chunk of %d bytes, %d items", len(c.body), c.items)
		}
		part, err := decode(frame([]chunk{c}))
		if err != nil {
			t.Fatal(err)
		}
		got.Signals = append(got.Signals, part.Signals...)
		got.Spans = append(got.Spans, part.Spans...)
	}
	if d := diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestWhatCannotBeCarried(t *testing.T) {
	f := func(s flows.Signal, want error) {
		t.Helper()
		if _, err := encodeSignals([]flows.Signal{s}, testLimit); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	f(flows.Signal{Attributes: map[string]any{"x": func() {}}}, ErrInvalid)
	f(flows.Signal{Data: map[string]any{"x": func() {}}}, ErrInvalid)
	f(flows.Signal{ID: string(make([]byte, testLimit))}, ErrTooLarge)
}

// TestDeepestValue proves that what ingest admits can be carried: nested values count as
// attributes, so none is deeper than their limit.
func TestDeepestValue(t *testing.T) {
	deep := any("x")
	for range flows.MaxAttributes - 1 {
		deep = map[string]any{"d": deep}
	}
	want := flows.Batch{Signals: []flows.Signal{{Data: map[string]any{"d": deep}}}}
	if err := flows.Canonical(want.Signals[0].Data); err != nil {
		t.Fatal(err)
	}
	signals, _ := chunksOf(t, want)
	got, err := decode(frame(signals))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, got); d != "" {
		t.Fatal("the deepest value came back changed")
	}
}

func TestDecodeRefuses(t *testing.T) {
	f := func(b ...byte) {
		t.Helper()
		if _, err := decode(b); err == nil {
			t.Fatalf("% x was decoded", b)
		}
	}
	f()
	f(frameVersion)
	f(frameVersion+1, packedNone)
	f(frameVersion, 7)
	f(frameVersion, packedS2, 0xff, 0xff, 0xff, 0xff, 0x0f) // claims 4 GiB
	f(frameVersion, packedNone, 0x0a, 0x05)                 // cut short
	f(frameVersion, packedNone, 0x78, 0x01)                 // a field that is none of ours
}

func FuzzDecode(f *testing.F) {
	for seed := range uint64(10) {
		signals, spans := chunksOf(f, sample{rand.New(rand.NewPCG(seed, 1))}.batch())
		if len(signals) > 0 {
			f.Add(frame(signals))
			f.Add(frame(spans))
			f.Add(joined(signals, len(signals[0].body)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decode(b)
		if err != nil {
			return
		}
		signals, spans := chunksOf(t, got)
		if len(signals)+len(spans) == 0 {
			return
		}
		again, err := decode(frame(append(signals, spans...)))
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(got, again); d != "" {
			t.Fatal(d)
		}
	})
}

// decode reads a message by itself.
func decode(frame []byte) (flows.Batch, error) {
	var d decoder
	return d.decode(frame)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
