package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/event"
	"throughline/ingest/ingesttest"
)

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// answer is every answer of the handler: the problem members are empty on 200.
type answer struct {
	Status   int
	Title    string
	Detail   string
	Accepted int
	Rejected []struct {
		Index int
		Error string
	}
	code   int
	header http.Header
}

type fixture struct {
	*testing.T
	handler http.Handler
	bus     *ingesttest.Bus
	meter   *ingesttest.Meter
}

func newFixture(t *testing.T) *fixture {
	in, bus, meter := ingesttest.New(t)
	return &fixture{t, event.NewHandler(in), bus, meter}
}

func (f *fixture) post(body string, header ...string) answer {
	f.Helper()
	r := httptest.NewRequestWithContext(f.Context(), http.MethodPost, "/api/v1/events", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	a := answer{code: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		f.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return a
}

// minimal is an event with more members, which begin with a comma.
func minimal(members string) string {
	return `{"specversion":"1.0","id":"1","source":"/shop","type":"order.placed"` + members + `}`
}

func TestStructured(t *testing.T) {
	f := newFixture(t)
	a := f.post(`{"specversion":"1.0","id":"A-1","source":"https://shop.example/a b","type":"order.placed","subject":"4711",
		"time":"2026-11-22T10:00:00.123456789+01:00","sequence":"7","region":"EU","priority":5,"vip":true,"unset":null,
		"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","outcome":"error",
		"data":{"order_id":"4711","order":{"total":400.40},"big":12345678901234567890,"n":7}}`, "Content-Type", structured)
	if a.code != 200 || a.Accepted != 1 || a.Rejected == nil || len(a.Rejected) != 0 {
		t.Fatalf("answer %+v", a)
	}
	want := flows.Signal{
		Kind: flows.Event, Source: "https://shop.example/a b", ID: "A-1", Name: "order.placed", System: "https://shop.example/a b",
		Time:     flows.At(time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.UTC)),
		Received: flows.At(ingesttest.Now), Sequence: "7", Failed: true,
		TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331",
		Attributes: map[string]any{
			"subject": "4711", "sequence": "7", "region": "EU", "priority": int64(5), "vip": true, "outcome": "error",
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		},
		Data: map[string]any{
			"order_id": "4711", "order": map[string]any{"total": json.Number("400.40")},
			"big": json.Number("12345678901234567890"), "n": int64(7),
		},
		Keys: []flows.Key{{Type: "order_id", Value: "4711"}},
	}
	if diff := cmp.Diff([]flows.Signal{want}, f.bus.Take().Signals); diff != "" {
		t.Error(diff)
	}
}

func TestBinary(t *testing.T) {
	f := newFixture(t)
	a := f.post(`{"order_id":"4711"}`, "Content-Type", "application/json; charset=utf-8", "ce-specversion", "1.0", "ce-id", "1",
		"ce-source", "/shop", "ce-type", "order.placed", "ce-time", "2026-01-02T03:04:05Z", "ce-comment", "caf%C3%A9 100%25", "ce-rate", "100%")
	if a.code != 200 || a.Accepted != 1 {
		t.Fatalf("answer %+v", a)
	}
	got := f.bus.Take().Signals[0]
	if got.Attributes["comment"] != "café 100%" || got.Attributes["rate"] != "100%" || got.Data["order_id"] != "4711" || got.Time.String() != "2026-01-02T03:04:05Z" {
		t.Errorf("signal %+v", got)
	}
}

func TestNoTimeIsReception(t *testing.T) {
	f := newFixture(t)
	f.post(minimal(""), "Content-Type", structured)
	if got := f.bus.Take().Signals[0].Time; got != flows.At(ingesttest.Now) {
		t.Errorf("time %s", got)
	}
}

func TestBatchKeepsTheGoodRest(t *testing.T) {
	f := newFixture(t)
	a := f.post("["+minimal("")+`,{"specversion":"1.0","id":"2","source":"/shop"},5,`+minimal(`,"data":{"order_id":"9"}`)+"]", "Content-Type", batched)
	if a.code != 200 || a.Accepted != 2 || len(a.Rejected) != 2 {
		t.Fatalf("answer %+v", a)
	}
	if r := a.Rejected[0]; r.Index != 1 || !strings.Contains(r.Error, "type") {
		t.Errorf("rejected %+v", r)
	}
	if r := a.Rejected[1]; r.Index != 2 {
		t.Errorf("rejected %+v", r)
	}
	if n := len(f.bus.Take().Signals); n != 2 {
		t.Errorf("%d published", n)
	}
	if n := f.meter.Sum(t, "throughline.ingest.accepted", "kind", "event"); n != 2 {
		t.Errorf("counted %d accepted", n)
	}
	if n := f.meter.Sum(t, "throughline.ingest.rejected", "reason", "name"); n != 1 {
		t.Errorf("counted %d rejected by name", n)
	}
}

func TestEmptyBatch(t *testing.T) {
	if a := newFixture(t).post("[]", "Content-Type", batched); a.code != 200 || a.Accepted != 0 {
		t.Errorf("answer %+v", a)
	}
}

// TestBadEvents: each event beside a good one is rejected alone, with its field named;
// alone it is a 400.
func TestBadEvents(t *testing.T) {
	for name, tt := range map[string]struct{ event, says string }{
		"version 0.3":        {`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, "specversion"},
		"no version":         {`{"id":"1","source":"/s","type":"t"}`, "specversion"},
		"version is object":  {`{"specversion":{},"id":"1","source":"/s","type":"t"}`, "specversion"},
		"no id":              {`{"specversion":"1.0","source":"/s","type":"t"}`, "id:"},
		"id is a number":     {`{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, "id:"},
		"empty source":       {`{"specversion":"1.0","id":"1","source":"","type":"t"}`, "source:"},
		"source is no URI":   {`{"specversion":"1.0","id":"1","source":":x","type":"t"}`, "source:"},
		"no type":            {`{"specversion":"1.0","id":"1","source":"/s"}`, "type:"},
		"not an object":      {`"order"`, "object"},
		"null":               {`null`, "specversion"},
		"time":               {minimal(`,"time":"yesterday"`), "time:"},
		"time 1899":          {minimal(`,"time":"1899-12-31T23:59:59Z"`), "1900"},
		"time 2263":          {minimal(`,"time":"2263-01-01T00:00:00Z"`), "2262"},
		"time 12263":         {minimal(`,"time":"12263-01-01T00:00:00Z"`), "time:"},
		"NUL in id":          {`{"specversion":"1.0","id":"a\u0000b","source":"/s","type":"t"}`, "NUL"},
		"NUL in data":        {minimal(`,"data":{"a":["x\u0000"]}`), "NUL"},
		"NUL in data name":   {minimal(`,"data":{"a\u0000":1}`), "NUL"},
		"invalid UTF-8":      {minimal(",\"data\":{\"a\":\"\xff\"}"), "UTF-8"},
		"long id":            {`{"specversion":"1.0","id":"` + strings.Repeat("i", 1<<20) + `","source":"/s","type":"t"}`, "1048576 bytes"},
		"long key":           {minimal(`,"data":{"order_id":"` + strings.Repeat("k", 1<<20) + `"}`), "order_id"},
		"long name":          {minimal(`,"data":{"` + strings.Repeat("k", 1<<20) + `":1}`), "data: a name"},
		"100,000 attributes": {minimal(`,"data":{` + strings.TrimSuffix(members(100_000), ",") + `}`), "more than 1024"},
		"1,100 attributes":   {minimal(`,"data":{` + strings.TrimSuffix(members(1_100), ",") + `}`), "more than 1024"},
		"nested":             {minimal(`,"data":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`), "nested"},
		"extension name":     {minimal(`,"a b":1`), "extension"},
		"extension object":   {minimal(`,"ext":{"a":1}`), "extension"},
		"two payloads":       {minimal(`,"data":{},"data_base64":"e30="`), "data_base64"},
		"base64":             {minimal(`,"data_base64":"..."`), "data_base64"},
		"base64 is a number": {minimal(`,"data_base64":1`), "data_base64"},
		"base64 is not JSON": {minimal(`,"datacontenttype":"application/json","data_base64":"AAAA"`), "data:"},
		"content type":       {minimal(`,"datacontenttype":"a b c"`), "datacontenttype"},
		"schema":             {minimal(`,"dataschema":"relative"`), "dataschema"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			a := f.post("["+tt.event+","+minimal("")+"]", "Content-Type", batched)
			if a.code != 200 || a.Accepted != 1 || len(a.Rejected) != 1 || !strings.Contains(a.Rejected[0].Error, tt.says) {
				t.Errorf("in a batch: answer %.300s", fmt.Sprintf("%+v", a))
			}
			if len(f.bus.Take().Signals) != 1 {
				t.Error("the good one was not published")
			}
			a = f.post(tt.event, "Content-Type", structured)
			if a.code != 400 || a.Status != 400 || a.Accepted != 0 || len(a.Rejected) != 1 || len(a.Detail) > 400 ||
				a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("alone: answer %.300s", fmt.Sprintf("%+v", a))
			}
			if n := f.meter.Sum(t, "throughline.ingest.rejected", "reason", "attributes"); strings.HasSuffix(name, "attributes") != (n == 2) {
				t.Errorf("%d counted for their attributes", n)
			}
		})
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":%d,`, i, i)
	}
	return b.String()
}

func TestBadRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		header []string
		want   int
	}{
		"broken structured":   {`{"specversion":`, []string{"Content-Type", structured}, 400},
		"empty":               {``, []string{"Content-Type", structured}, 400},
		"broken batch":        {`[` + minimal("") + `,{]`, []string{"Content-Type", batched}, 400},
		"open batch":          {`[` + minimal(""), []string{"Content-Type", batched}, 400},
		"batch and more":      {`[] []`, []string{"Content-Type", batched}, 400},
		"batch is an object":  {minimal(""), []string{"Content-Type", batched}, 400},
		"deeper than JSON is": {`[` + strings.Repeat("[", 1<<20), []string{"Content-Type", batched}, 400},
		"too many":            {`[` + strings.Repeat("{},", ingest.MaxSignals) + `{}]`, []string{"Content-Type", batched}, 413},
		"text":                {`x`, []string{"Content-Type", "text/plain"}, 415},
		"no type":             {`x`, nil, 415},
		"avro":                {`x`, []string{"Content-Type", "application/cloudevents+avro"}, 415},
		"brotli":              {`x`, []string{"Content-Type", structured, "Content-Encoding", "br"}, 415},
		"not gzip":            {`x`, []string{"Content-Type", structured, "Content-Encoding", "gzip"}, 400},
		"binary, broken JSON": {`{`, []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if a := f.post(tt.body, tt.header...); a.code != tt.want || a.Status != tt.want || a.Detail == "" {
				t.Errorf("answer %+v, want %d", a, tt.want)
			}
			if len(f.bus.Take().Signals) != 0 {
				t.Error("published")
			}
		})
	}
}

// TestNoAckWithoutBus: an error of the bus is never an acknowledgement.
func TestNoAckWithoutBus(t *testing.T) {
	for _, err := range []error{ingest.ErrBusy, errors.New("secret of the bus")} {
		f := newFixture(t)
		f.bus.Fail(err)
		a := f.post(minimal(""), "Content-Type", structured)
		if a.code != 503 || a.header.Get("Retry-After") == "" || a.Accepted != 0 || strings.Contains(a.Detail, "secret") {
			t.Errorf("%v: answer %+v", err, a)
		}
		if n := f.meter.Sum(t, "throughline.ingest.accepted", "kind", "event"); n != 0 {
			t.Errorf("counted %d accepted", n)
		}
		if n := f.meter.Sum(t, "throughline.ingest.refused", "class", "unavailable"); n != 1 {
			t.Errorf("counted %d refused", n)
		}
	}
}

func TestBusy(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	f := &fixture{T: t, handler: event.NewHandler(in), bus: bus}
	ingesttest.Fill(t, in)
	if a := f.post(minimal(""), "Content-Type", structured); a.code != 429 || a.Status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("answer %+v", a)
	}
}

func TestOnlyPost(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/events", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
}

// TestSpecificationExamples sends the examples of the CloudEvents documents.
func TestSpecificationExamples(t *testing.T) {
	dir := "../../../shared/data/cloudevents/spec/examples"
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.json"))
	if err != nil {
		t.Skip("shared data is not here:", err)
	}
	var files []struct{ File string }
	if err := json.Unmarshal(index, &files); err != nil {
		t.Fatal(err)
	}
	// data_base64 of these is the words "... base64 encoded string ...".
	rejected := map[string]int{"formats_json-format.L221.json": 1, "formats_json-format.L445.json": 1}
	for _, file := range files {
		body, err := os.ReadFile(filepath.Join(dir, file.File))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file.File, func(t *testing.T) {
			f := newFixture(t)
			switch {
			case strings.HasSuffix(file.File, "L445.json"):
				a := f.post(string(body), "Content-Type", batched)
				if a.code != 200 || a.Accepted != 1 || len(a.Rejected) != rejected[file.File] {
					t.Errorf("answer %+v", a)
				}
			case strings.HasSuffix(file.File, ".json"):
				a := f.post(string(body), "Content-Type", structured)
				if len(a.Rejected) != rejected[file.File] || a.Accepted != 1-rejected[file.File] {
					t.Errorf("answer %+v", a)
				}
			case strings.HasSuffix(file.File, ".jsonlike.txt"): // two events, one after the other
				batch := "[" + strings.Replace(string(body), "}\n\n{", "},{", 1) + "]"
				if a := f.post(batch, "Content-Type", batched); a.Accepted != 2 || len(a.Rejected) != 0 {
					t.Errorf("answer %+v", a)
				}
			default:
				f.message(body)
			}
		})
	}
}

// message sends an HTTP message of the documents. Some leave parts out in words; those
// are refused, and never half accepted.
func (f *fixture) message(raw []byte) {
	raw = bytes.TrimLeft(raw, "\n")
	if !bytes.HasPrefix(raw, []byte("POST")) && !bytes.HasPrefix(raw, []byte("PUT")) {
		f.Skip("not an HTTP request")
	}
	head, body, _ := strings.Cut(string(raw), "\n\n")
	elided := strings.Contains(string(raw), "... ") || strings.Contains(head, "....")
	var header []string
	for _, line := range strings.Split(head, "\n")[1:] {
		if name, value, ok := strings.Cut(line, ": "); ok && name != "Content-Length" {
			header = append(header, name, value)
		}
	}
	a := f.post(body, header...)
	if elided {
		if a.code != 400 || a.Accepted != 0 {
			f.Errorf("answer %+v", a)
		}
		return
	}
	if a.code != 200 || a.Accepted != 1 {
		f.Errorf("answer %+v", a)
	}
}

// TestRoomIsUsedAgain: requests at once, each in memory that others had, are published as they
// were sent.
func TestRoomIsUsedAgain(t *testing.T) {
	in, bus, _ := ingesttest.New(t)
	h := event.NewHandler(in)
	const senders, requests, size = 8, 60, 7
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range requests {
				var events []string
				for i := range size + n%3 {
					name := fmt.Sprintf("%d-%d-%d", sender, n, i)
					events = append(events, fmt.Sprintf(`{"specversion":"1.0","id":"%[1]s","source":"/s%[2]d","type":"t","x":"%[1]s","data":{"z":"%[1]s","order_id":"%[1]s"}}`, name, sender))
				}
				events = append(events, `{"specversion":"1.0","id":1}`) // the slow way beside
				r := httptest.NewRequest(http.MethodPost, "/api/v1/events", strings.NewReader("["+strings.Join(events, ",")+"]"))
				r.Header.Set("Content-Type", "application/cloudevents-batch+json")
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), fmt.Sprintf(`"accepted":%d`, size+n%3)) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	sending.Wait()
	seen := map[string]bool{}
	for _, s := range bus.Take().Signals {
		want := flows.Signal{
			Source: "/s" + s.ID[:1], ID: s.ID, Name: "t", System: "/s" + s.ID[:1], Time: s.Time, Received: s.Received,
			Attributes: map[string]any{"x": s.ID}, Data: map[string]any{"z": s.ID, "order_id": s.ID}, Keys: []flows.Key{{Type: "order_id", Value: s.ID}},
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Fatal(diff)
		}
		seen[s.ID] = true
	}
	if want := senders * requests / 3 * (3*size + 3); len(seen) != want {
		t.Errorf("%d of %d", len(seen), want)
	}
}
