package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

var _ ingest.Rules = (*flows.Set)(nil)

func class(t *testing.T, err error) ingest.Class {
	t.Helper()
	if err == nil {
		t.Fatal("not refused")
	}
	return ingest.AsRefusal(err).Class
}

func TestAdmitIsBounded(t *testing.T) {
	in, _, _ := ingesttest.New(t)
	a, b := in.Door("a"), in.Door("b")
	var leave func()
	admitted := 0
	for {
		l, err := a.Admit()
		if err != nil {
			if class(t, err) != ingest.Busy {
				t.Error(err)
			}
			break
		}
		leave = l
		admitted++
	}
	if admitted != 256 { // as docs/ingest.md says
		t.Errorf("%d requests at once", admitted)
	}
	if _, err := b.Admit(); err == nil {
		t.Error("the doors do not share the bound")
	}
	leave()
	if _, err := b.Admit(); err != nil {
		t.Errorf("a place is free: %v", err)
	}
}

// enter passes a door where anybody may send.
func enter(t *testing.T, door *ingest.Door) *ingest.Visit {
	t.Helper()
	visit, err := door.Enter("")
	if err != nil {
		t.Fatal(err)
	}
	return visit
}

// zeros is n zero bytes that are nowhere in memory.
type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.n)
	clear(p[:n])
	z.n -= n
	return n, nil
}

func request(t *testing.T, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// TestBodiesAreBounded: whatever is sent, a refused body leaves the whole budget free, and
// takes little memory.
func TestBodiesAreBounded(t *testing.T) {
	in, _, _ := ingesttest.New(t)
	door := in.Door("test")
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	if _, err := io.Copy(zip, &zeros{128 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 3
	for range rounds {
		for name, r := range map[string]*http.Request{
			"200 MB":  request(t, &zeros{200 << 20}),
			"a bomb":  request(t, bytes.NewReader(bomb.Bytes()), "Content-Encoding", "gzip"),
			"limit+1": request(t, &zeros{ingest.MaxBody + 1}),
		} {
			_, err := enter(t, door).Read(httptest.NewRecorder(), r)
			if class(t, err) != ingest.TooLarge {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if perBody := (after.TotalAlloc - before.TotalAlloc) / (3 * rounds); perBody > 4*ingest.MaxBody {
		t.Errorf("%d bytes allocated for a refused body", perBody)
	}
	body, err := enter(t, door).Read(httptest.NewRecorder(), request(t, &zeros{ingest.MaxBody}))
	if err != nil || len(body.Bytes) != ingest.MaxBody {
		t.Fatalf("a body of the limit: %v", err)
	}
	body.Free()
}

// TestBudgetOfBodies: what is held counts until it is freed.
func TestBudgetOfBodies(t *testing.T) {
	in, _, meter := ingesttest.New(t)
	door := in.Door("test")
	var frees []func()
	for {
		body, err := enter(t, door).Read(httptest.NewRecorder(), request(t, &zeros{1 << 20}))
		if err != nil {
			if class(t, err) != ingest.Busy {
				t.Error(err)
			}
			break
		}
		frees = append(frees, body.Free)
	}
	if len(frees) < 16 {
		t.Errorf("only %d bodies of 1 MiB at once", len(frees))
	}
	for _, free := range frees {
		free()
	}
	body, err := enter(t, door).Read(httptest.NewRecorder(), request(t, &zeros{ingest.MaxBody}))
	if err != nil {
		t.Fatalf("all is free: %v", err)
	}
	if err := body.Grow(1 << 30); class(t, err) != ingest.TooLarge {
		t.Errorf("more than there ever is: %v", err)
	}
	if got, want := meter.Sum(t, "throughline.ingest.bytes", "protocol", "test"), int64(len(frees)<<20+ingest.MaxBody); got != want {
		t.Errorf("counted %d bytes, want %d", got, want)
	}
}

func TestPublishCountsAfterTheBus(t *testing.T) {
	in, bus, meter := ingesttest.New(t)
	door := in.Door("test")
	var spans flows.SpanPacker
	if err := spans.Add(&flows.SpanRecord{}); err != nil {
		t.Fatal(err)
	}
	batch := flows.Batch{Signals: []flows.Signal{{Kind: flows.Event}, {Kind: flows.Span}}, Spans: spans.Blocks(), Logs: make([]flows.LogRecord, 3)}
	bus.Fail(errors.New("gone"))
	if err := enter(t, door).Publish(t.Context(), batch, nil); class(t, err) != ingest.Unavailable {
		t.Error(err)
	}
	if n := meter.Sum(t, "throughline.ingest.accepted", "protocol", "test"); n != 0 {
		t.Errorf("counted %d before the bus had them", n)
	}
	bus.Fail(nil)
	if err := enter(t, door).Publish(t.Context(), batch, ingest.Rejected{ingest.ReasonKey: 2}); err != nil {
		t.Error(err)
	}
	for kind, want := range map[string]int64{"event": 1, "span": 1, "log": 3} {
		if n := meter.Sum(t, "throughline.ingest.accepted", "kind", kind); n != want {
			t.Errorf("%s: counted %d, want %d", kind, n, want)
		}
	}
	if n := meter.Sum(t, "throughline.ingest.rejected", "reason", "key"); n != 2 {
		t.Errorf("counted %d rejected", n)
	}
}

// TestJSONShape: the number of values is never understated, at most doubled, and the
// depth is exact.
func TestJSONShape(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		v := randomValue(random, 0)
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		wantValues, wantDepth := shape(v)
		values, depth := ingest.JSONShape(raw)
		if values < wantValues || values > 2*wantValues || depth != wantDepth {
			t.Fatalf("%s: %d values, %d deep; has %d, %d", raw, values, depth, wantValues, wantDepth)
		}
	}
}

func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(8); {
	case n < 2 && depth < 6:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, randomValue(r, depth+1))
		}
		return list
	case n < 4 && depth < 6:
		m := map[string]any{}
		for range r.IntN(4) {
			m[strings.Repeat(`"{,\`, r.IntN(3))+string(rune('a'+r.IntN(26)))] = randomValue(r, depth+1)
		}
		return m
	case n == 4:
		return `\"[{,}]`
	}
	return r.IntN(1000)
}

func shape(v any) (values, depth int) {
	values = 1
	each := func(e any) {
		n, d := shape(e)
		values += n
		depth = max(depth, d)
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			each(e)
		}
		return values, depth + 1
	case map[string]any:
		for _, e := range v {
			each(e)
		}
		return values, depth + 1
	}
	return values, depth
}
