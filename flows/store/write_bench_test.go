package store

import (
	"fmt"
	"testing"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

// BenchmarkInsert is one batch of ten thousand rows as the product sends them.
func BenchmarkInsert(b *testing.B) {
	const size = 10_000
	s := openStore(b)
	now := heard()
	signals, steps := make([]flows.Signal, size), make([]flows.OccurrenceRecord, size)
	var packer flows.SpanPacker
	attributes := map[string]any{
		"service.name": "payments", "service.version": "1.2.3", "host.name": "node-17", "http.request.method": "POST",
		"http.response.status_code": int64(200), "url.path": "/capture", "order_id": "4711", "amount": 12.5, "retry": false, "region": "EU",
	}
	var list []flows.Attribute
	for name, v := range attributes {
		a := flows.Attribute{Name: name}
		a.Set(v)
		list = append(list, a)
	}
	origin := &flows.SpanOrigin{Service: "webshop"}
	for i := range size {
		id := fmt.Sprintf("%016x", i)
		signals[i] = flows.Signal{
			Source: "webshop", ID: id, Name: fmt.Sprint("order.", i%10), System: "webshop", Time: now, Received: now,
			Data: attributes, Keys: []flows.Key{{Type: "order_id", Value: id}},
		}
		if err := packer.Add(&flows.SpanRecord{
			TraceID: id + id, SpanID: id, Name: fmt.Sprint("GET /", i%10), Kind: "Server", Origin: origin, Start: now, Duration: 1000,
			StatusCode: "Ok", Attributes: list,
		}); err != nil {
			b.Fatal(err)
		}
		steps[i] = flows.OccurrenceRecord{Flow: "order-to-cash", Key: id, StepID: "placed", Occurrence: flows.Occurrence{
			At: now, Start: now, Source: "webshop", ID: id, System: "webshop", Amount: flows.NewAmount(decimal.New(1250, -2)), Currency: "EUR",
		}}
	}
	spans := packer.Blocks()
	for name, write := range map[string]func() error{
		"signals": func() error { return s.InsertSignals(b.Context(), "", signals) },
		"spans":   func() error { return s.InsertSpans(b.Context(), "", spans, now) },
		"steps":   func() error { return s.WriteOccurrences(b.Context(), 1, steps) },
		"one row": func() error { return s.InsertSignals(b.Context(), "", signals[:1]) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := write(); err != nil {
					b.Fatal(err)
				}
			}
			if name != "one row" {
				b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "rows/s")
			}
		})
	}
}
