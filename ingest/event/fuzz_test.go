package event

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

func BenchmarkDecode(b *testing.B) {
	const events = 500
	one := `{"specversion":"1.0","id":"log-1","source":"/logs/o2c","type":"order.placed","subject":"4711","time":"2026-01-02T03:04:05Z",
		"sequence":"1","region":"EU","data":{"order_id":"4711","invoice_id":"9","order":{"total":400.4,"currency":"EUR"}}}`
	body := []byte("[" + strings.TrimSuffix(strings.Repeat(one+",", events), ",") + "]")
	header := http.Header{"Content-Type": {"application/cloudevents-batch+json"}}
	m := mapper{rules: ingesttest.Rules{}, received: flows.At(ingesttest.Now), grow: func(int) error { return nil }}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if res, err := m.decode(header, body); err != nil || len(res.batch.Signals) != events {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}

// FuzzEvents: whatever comes, each event is either accepted within all limits, or refused
// with a reason.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T03:04:05Z","data":{"order_id":1.50,"a":[{"b":null}]},"x":1}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"eyJhIjoxfQ==","datacontenttype":"application/json"}`,
		`[{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},{}]`,
		`{"data_base64":1,"specversion":"1.0"}`, `[`, "\xff", `{"id":"\ud800"}`,
	} {
		for mode := range uint8(3) {
			f.Add(mode, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, mode uint8, body []byte) {
		header := http.Header{}
		switch mode % 3 {
		case 0:
			header.Set("Content-Type", "application/cloudevents+json")
		case 1:
			header.Set("Content-Type", "application/cloudevents-batch+json")
		case 2:
			header = http.Header{
				"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"1"},
				"Ce-Source": {"/s"}, "Ce-Type": {"t"}, "Ce-X": {string(body)},
			}
		}
		m := mapper{rules: ingesttest.Rules{}, received: flows.At(ingesttest.Now), grow: func(int) error { return nil }}
		res, err := m.decode(header, body)
		if err != nil {
			if class := ingest.AsRefusal(err).Class; class.Retry() {
				t.Fatalf("a request at fault is retryable: %v", err)
			}
			return
		}
		if res.rejected.Total() != len(res.faults) {
			t.Fatalf("%d rejected, %d explained", res.rejected.Total(), len(res.faults))
		}
		for i := range res.batch.Signals {
			s := &res.batch.Signals[i]
			if err := ingest.CheckSignal(s); err != nil {
				t.Fatal(err)
			}
			if s.ID == "" || s.Source == "" || s.Name == "" || s.Time == flows.NoTime || flows.CheckRange(s.Time.Std()) != nil {
				t.Fatalf("accepted %+v", s)
			}
			if _, err := json.Marshal(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}
