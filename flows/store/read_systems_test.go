package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

func TestSystems(t *testing.T) {
	s := openStore(t)
	from := lately.Add(-time.Hour)
	at := func(id, system string, received flows.Time, delay time.Duration) flows.Signal {
		return flows.Signal{Source: "/" + system, ID: id, Name: "order.noted", System: system, Time: received.Add(-delay), Received: received}
	}
	imported := at("9", "shop", from.Add(30*time.Minute), 0)
	imported.AsOf = from
	span := at("t:s", "bank", from.Add(50*time.Minute), 3*time.Second)
	span.Kind, span.TraceID, span.SpanID, span.Duration = flows.Span, "t", "s", time.Second
	if err := s.InsertSignals(t.Context(), "systems", []flows.Signal{
		at("1", "shop", from.Add(time.Minute), time.Second), at("2", "shop", from.Add(2*time.Minute), 3*time.Second),
		at("3", "shop", from.Add(22*time.Minute), -2*time.Hour), imported, span, at("4", "erp", from.Add(-time.Hour), 0),
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Systems(t.Context(), []string{"erp", "never", "shop"}, from, lately)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("systems: %+v", got)
	}
	bank, shop, erp := got[0], got[1], got[2]
	equal(t, "bank", bank.System, "bank")
	equal(t, "a span is counted where all spans are", bank.Signals, 0)
	equal(t, "last word of the bank", bank.Last, from.Add(50*time.Minute))
	equal(t, "delay of the bank: from the span's end", bank.Least, 2*time.Second)
	equal(t, "shop", shop.System, "shop")
	equal(t, "signals of the shop: no import", shop.Signals, 3)
	equal(t, "longest gap of the shop", shop.LongestGap, 20*time.Minute)
	equal(t, "last word of the shop", shop.Last, from.Add(22*time.Minute))
	equal(t, "clock of the shop", shop.Least, -2*time.Hour)
	equal(t, "skewed signals of the shop", shop.Skewed, 1)
	if half := shop.P50; half < 990*time.Millisecond || half > 1010*time.Millisecond {
		t.Errorf("half of the shop's delays are below %s, want 1 s within 1 %%", half)
	}
	equal(t, "buckets", len(shop.Buckets), systemBuckets)
	equal(t, "first bucket of the shop", shop.Buckets[6], 1)
	if diff := cmp.Diff(flows.SystemTraffic{System: "erp", Last: from.Add(-time.Hour)}, erp); diff != "" {
		t.Errorf("a silent system: -want +got\n%s", diff)
	}
	names, err := s.SystemNames(t.Context(), "shop", from, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]flows.SeenSignal{{Name: "order.noted", Source: "shop", Count: 3, Last: from.Add(22 * time.Minute)}}, names); diff != "" {
		t.Errorf("names of the shop: -want +got\n%s", diff)
	}
}
