package event

import (
	"encoding/json"
	"net/http"
	"testing"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

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
		m := mapper{rules: ingesttest.Rules{}, received: flows.At(ingesttest.Now)}
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
