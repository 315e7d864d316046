package event

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// FuzzFast: the fast way accepts and refuses what the slow way does, with the same signals
// and words.
func FuzzFast(f *testing.F) {
	const whole = `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"x","time":"2026-01-02T03:04:05.5+01:00","dataschema":"http://x/y",` +
		`"datacontenttype":"application/json; charset=utf-8","sequence":"7","outcome":"error","n":-0,"f":1.50,"e":1e3,"b":true,"none":null,` +
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"order_id":"47\u00e9\ud83d\ude00\n11","a":[1,[],{"b":{}}],"big":12345678901234567890}}`
	for _, seed := range []string{
		whole, "[" + whole + "," + whole + "]", "[]", " [ ] ", "[" + whole + ",]", "[" + whole + "] x", whole + "x", `[{}]`, `[1,` + whole + `]`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"eyJhIjoxfQ==","datacontenttype":"application/json"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1},"data":null,"x":1,"x":null,"id":"2","subject":""}`,
		`{"specversion":"1.0","id":" ","source":"%zz","type":"t"}`, `{"specversion":1,"id":"\ud800","source":"/s","type":"t","a b":1}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":01}}`, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":"\u0000"}}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":` + strings.Repeat(`{"a":`, 31) + "1" + strings.Repeat("}", 32),
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[` + strings.Repeat("1,", 1100) + "1]}",
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[` + strings.Repeat("1,", 1010) + "1]}",
		`{"specversion":"1.0","id":"` + strings.Repeat("i", 1025) + `","source":"/s","type":"throughline.resolved","sequence":12}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m := mapper{rules: ingesttest.Rules{}, received: flows.At(ingesttest.Now), grow: func(int) error { return nil }}
		for name, ways := range map[string][2]func(*result, []byte) error{
			"structured": {m.structured, m.slowStructured}, "batch": {m.batch, m.slowBatch},
		} {
			var got [2]*result
			var errs [2]error
			for i, way := range ways {
				got[i] = &result{rejected: ingest.Rejected{}}
				errs[i] = way(got[i], body)
				got[i].room = nil
				if len(got[i].batch.Signals) == 0 {
					got[i].batch.Signals = nil
				}
				for j := range got[i].batch.Signals {
					ingesttest.Pack(t, &got[i].batch.Signals[j])
				}
			}
			if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
				t.Fatalf("%s: fast says %v, slow %v", name, errs[0], errs[1])
			}
			if errs[0] != nil {
				continue
			}
			if diff := cmp.Diff(got[1], got[0], cmp.AllowUnexported(result{})); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
	})
}
