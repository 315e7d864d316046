package flows

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, text string) *Flow {
	t.Helper()
	flow, faults := Parse("f.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return flow
}

func mustSet(t testing.TB, flows ...*Flow) *Set {
	t.Helper()
	s, err := NewSet(flows)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSet(t *testing.T) {
	b := mustParse(t, strings.Replace(minimal("{id: a, match: {event: a}}"), "flow: f", "flow: b\nlinks: [z, k2]", 1))
	a := mustParse(t, strings.Replace(minimal("{id: a, match: {event: a}}"), "flow: f", "flow: a\nlinks: [z]", 1))
	s := mustSet(t, b, a)
	if got := s.Flows(); !slices.Equal(got, []*Flow{a, b}) {
		t.Errorf("flows %v", got)
	}
	if f, ok := s.Flow("b"); !ok || f != b {
		t.Error("no flow b")
	}
	if _, ok := s.Flow("c"); ok {
		t.Error("a flow c")
	}
	if got := s.KeyTypes(); !slices.Equal(got, []string{"k", "k2", "z"}) {
		t.Errorf("key types %v", got)
	}
	if got := s.PrimaryTypes(); !slices.Equal(got, []string{"k"}) {
		t.Errorf("primary types %v", got)
	}
	if _, err := NewSet([]*Flow{a, b, a}); err == nil {
		t.Error("two flows of one name are taken")
	}
	empty := mustSet(t)
	sig := &Signal{Attributes: map[string]any{"k": "1"}}
	if err := empty.AssignKeys(sig); err != nil || empty.Wants(sig) || len(empty.Match(sig, nil)) > 0 {
		t.Error("the empty set wants something")
	}
}

func keySet(t testing.TB, types ...string) *Set {
	f := &Flow{Name: "f", Key: types[0], Links: types[1:], Steps: []Step{{ID: "a", Match: Match{Name: "a"}}}}
	return mustSet(t, f)
}

func TestAssignKeys(t *testing.T) {
	s := keySet(t, "order_id", "invoice_id", "order.id", "app.order")
	f := func(attributes, data map[string]any, want ...string) {
		t.Helper()
		sig := &Signal{Attributes: attributes, Data: data}
		if err := s.AssignKeys(sig); err != nil {
			t.Error(err)
		}
		var got []string
		for _, k := range sig.Keys {
			got = append(got, k.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v %v: %v, want %v", attributes, data, got, want)
		}
	}
	type m = map[string]any
	f(nil, nil)
	f(m{"order_id": "4711"}, nil, "order_id:4711")
	f(m{"order_id": int64(4711)}, nil, "order_id:4711")
	f(m{"order_id": 4711.0}, nil, "order_id:4711")
	f(nil, m{"order_id": json.Number("12345678901234567890")}, "order_id:12345678901234567890")
	f(m{"order_id": "  4711\t"}, nil, "order_id:4711")
	f(m{"order_id": "   "}, nil)
	f(m{"order_id": nil, "invoice_id": m{"a": 1}}, nil)
	f(m{"order_id": "1"}, m{"order_id": "2", "invoice_id": "9"}, "invoice_id:9", "order_id:1")
	f(m{"order_id": []any{"2", "1", "2", nil, m{}}}, nil, "order_id:1", "order_id:2")
	f(nil, m{"order": m{"id": "7"}, "app": m{"order": "8"}}, "app.order:8", "order.id:7")
	f(nil, m{"order.id": "6", "order": m{"id": "7"}}, "order.id:6")
	f(m{"order.id": "5"}, m{"order.id": "6", "order": m{"id": "7"}}, "order.id:5")
	f(m{"other": "1", "": "x"}, m{"another": "2"})

	sig := &Signal{Attributes: m{"order_id": strings.Repeat("x", MaxKeyBytes+1), "invoice_id": "1"}}
	if err := s.AssignKeys(sig); err == nil || !strings.Contains(err.Error(), "key order_id has 1025 bytes") || len(sig.Keys) > 0 {
		t.Errorf("%v, %v", err, sig.Keys)
	}
	sig.Attributes["order_id"] = strings.Repeat("x", MaxKeyBytes)
	if err := s.AssignKeys(sig); err != nil || len(sig.Keys) != 2 {
		t.Error(err)
	}
	var list []any
	for i := range maxKeys + 1 {
		list = append(list, int64(i))
	}
	sig.Attributes["order_id"] = list
	if err := s.AssignKeys(sig); err == nil || len(sig.Keys) > 0 {
		t.Error("too many keys are taken")
	}
}

// TestAssignKeysBothWays: going by key types and going by attributes find the same keys.
func TestAssignKeysBothWays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	types := []string{"a", "b", "c.d", "a.b", "e.f.g", "h", "ab", "ba", "c"}
	full := keySet(t, types...)
	for range 5000 {
		attributes, data := map[string]any{}, map[string]any{}
		for range rnd.IntN(4) {
			attributes[types[rnd.IntN(len(types))]] = int64(rnd.IntN(9))
			data[types[rnd.IntN(len(types))]] = int64(rnd.IntN(9))
			data["e"] = map[string]any{"f": map[string]any{"g": "deep"}, "x": "y"}
			data["c"] = []any{map[string]any{"d": "deep"}, map[string]any{"d": "list"}, "c"}[rnd.IntN(3)]
		}
		sig := &Signal{Attributes: attributes, Data: data}
		if err := full.AssignKeys(sig); err != nil {
			t.Fatal(err)
		}
		var want []Key
		for _, typ := range types {
			one := &Signal{Attributes: attributes, Data: data}
			if err := keySet(t, typ).AssignKeys(one); err != nil {
				t.Fatal(err)
			}
			want = append(want, one.Keys...)
		}
		slices.SortFunc(want, CompareKeys)
		if !slices.Equal(sig.Keys, want) {
			t.Fatalf("%v %v: %v, want %v", attributes, data, sig.Keys, want)
		}
	}
}

func TestMatch(t *testing.T) {
	flow := func(name string, steps ...string) *Flow {
		return mustParse(t, strings.Replace(minimal(steps...), "flow: f", "flow: "+name, 1))
	}
	s := mustSet(t,
		flow("b", "{id: any, match: {span: pay}}", "{id: ok, match: {span: pay, where: 'outcome == \"ok\"'}}",
			"{id: error, match: {span: pay, where: 'outcome == \"error\"'}}"),
		flow("a", "{id: event, match: {event: pay}}", "{id: service, match: {span: pay, service: till}}",
			"{id: source, match: {event: pay, source: /till}}", "{id: big, match: {event: pay, where: 'attributes.total > 100'}}",
			"{id: app, match: {event: pay, service: shop}}"),
	)
	f := func(sig *Signal, want ...string) {
		t.Helper()
		sig.Name = "pay"
		var got []string
		for _, h := range s.Match(sig, []Hit{{}})[1:] {
			text := h.Flow.Name + "/" + h.Flow.Steps[h.Step].ID
			if h.Failed {
				text += "!"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", sig, got, want)
		}
	}
	f(&Signal{Kind: Span}, "b/any", "b/ok")
	f(&Signal{Kind: Span, Failed: true}, "b/any!", "b/error")
	f(&Signal{Kind: Span, Source: "till"}, "a/service", "b/any", "b/ok")
	f(&Signal{Kind: Span, System: "till"}, "b/any", "b/ok")
	f(&Signal{}, "a/event")
	f(&Signal{Failed: true}, "a/event!")
	f(&Signal{Source: "/till"}, "a/event", "a/source")
	f(&Signal{System: "shop"}, "a/event", "a/app")
	f(&Signal{System: "x", Attributes: map[string]any{"service.name": "shop"}}, "a/event", "a/app")
	f(&Signal{Attributes: map[string]any{"total": int64(101)}, Failed: true}, "a/event!", "a/big!")
	f(&Signal{Attributes: map[string]any{"total": "101"}}, "a/event")
	big, _ := s.Flow("a")
	if n := big.Steps[3].Match.Where.Faults(); n == 0 {
		t.Error("an evaluation that failed was not counted")
	}
	if hits := s.Match(&Signal{Name: "other"}, nil); len(hits) > 0 {
		t.Errorf("hits %v", hits)
	}
	if !s.Wants(&Signal{Name: "pay"}) || s.Wants(&Signal{Name: "other"}) || !s.Wants(&Signal{Name: "other", Keys: []Key{{"k", "1"}}}) {
		t.Error("wants the wrong signals")
	}
}

func TestOccur(t *testing.T) {
	f := mustParse(t, orderToCash)
	at := At(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	sig := &Signal{
		Kind: Span, Source: "payments", ID: "t:s", Name: "POST /capture", System: "payments", Time: at, Duration: time.Second, Sequence: "7", AsOf: 5,
		Attributes: map[string]any{"order.total": "40.10", "order.currency": " EUR ", "channel": "web"},
	}
	got := f.Occur(sig, 1, true)
	want := Occurrence{
		Step: 1, At: at.Add(time.Second), Start: at, Failed: true, ID: "t:s", Sequence: "7", System: "payments", AsOf: 5, Hash: sig.ContentHash(),
		Amount: got.Amount, Currency: "EUR", Segments: []string{"", "web"},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Amount.String() != "40.1" || !got.Amount.Valid {
		t.Errorf("%s, %v", diff, got.Amount)
	}
	for _, attributes := range []map[string]any{
		{"order.total": "40.10"},
		{"order.currency": "EUR"},
		{"order.currency": "EUR", "order.total": "forty"},
		{"order.currency": int64(1), "order.total": int64(40)},
		{"order.currency": strings.Repeat("E", 33), "order.total": int64(40)},
	} {
		o := f.Occur(&Signal{Attributes: attributes}, 0, false)
		if o.Amount.Valid || o.Currency != "" || o.Segments != nil {
			t.Errorf("%v: %+v", attributes, o)
		}
	}
}

func TestParseAmount(t *testing.T) {
	f := func(v any, want string) {
		t.Helper()
		amount, ok := ParseAmount(v)
		if ok != (want != "") || ok && amount.String() != want {
			t.Errorf("%v: %v, %v; want %q", v, amount, ok, want)
		}
	}
	f("40.10", "40.1")
	f(" -3 ", "-3")
	f("1e3", "1000")
	f(int64(7), "7")
	f(0.1, "0.1")
	f(0.1+0.2, "0.3")
	f(json.Number("123456789012345678901234.5"), "123456789012345678901234.5")
	f("1e999999999", "")
	f("1e-999999999", "")
	f("0."+strings.Repeat("1", 31), "")
	f(strings.Repeat("9", 31), "")
	f(strings.Repeat("9", 65), "")
	f("1,000.00", "")
	f("EUR 5", "")
	f(true, "")
	f(nil, "")
	f(math.NaN(), "")
	f(math.Inf(1), "")
	f(math.MaxFloat64, "")
	f(map[string]any{}, "")
}

// Numbers give the amount that their text gives, to the digit.
func TestParseAmountOfNumbersIsThatOfTheirText(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	check := func(v any) {
		t.Helper()
		text, _ := Text(v)
		got, ok := ParseAmount(v)
		want, wantOK := ParseAmount(text)
		if ok != wantOK || ok && (!got.Equal(want) || got.Exponent() != want.Exponent()) {
			t.Fatalf("%v: %v e%d %v, as text %v e%d %v", v, got, got.Exponent(), ok, want, want.Exponent(), wantOK)
		}
	}
	for range 50_000 {
		n := rng.Int64() >> rng.IntN(64)
		check(n)
		check(-n)
		for _, by := range []float64{1, 10, 100, 1000, 3} {
			check(float64(n) / by)
			check(-float64(n) / by)
		}
		check(math.Float64frombits(rng.Uint64()))
		check(rng.Float64() * 1000)
		check(math.Nextafter(float64(n%1e6)/100, 1e9))
	}
	check(math.Copysign(0, -1))
	check(int64(math.MinInt64))
}

// manyFlows are n flows of ten steps each, every one with keys of its own.
func manyFlows(t testing.TB, n int) *Set {
	flows := make([]*Flow, n)
	for i := range flows {
		f := &Flow{Name: fmt.Sprintf("flow-%03d", i), Key: fmt.Sprintf("order_%d_id", i), Links: []string{fmt.Sprintf("invoice_%d_id", i)}}
		for j := range 10 {
			f.Steps = append(f.Steps, Step{ID: fmt.Sprint(j), Match: Match{Kind: Kind(j % 2), Name: fmt.Sprintf("POST /flow/%d/step/%d", i, j)}})
		}
		flows[i] = f
	}
	return mustSet(t, flows...)
}

// unwanted is a span as web frameworks report it.
func unwanted() *Signal {
	return &Signal{
		Kind: Span, Source: "frontend", ID: "t:s", Name: "GET /products/{id}", System: "frontend",
		Attributes: map[string]any{
			"http.request.method": "GET", "http.route": "/products/{id}", "http.response.status_code": int64(200), "url.path": "/products/7",
			"server.address": "shop", "network.protocol.version": "1.1", "service.name": "frontend", "telemetry.sdk.language": "go",
		},
	}
}

func TestRejectAllocatesNothing(t *testing.T) {
	s, sig := manyFlows(t, 500), unwanted()
	if n := testing.AllocsPerRun(100, func() {
		if err := s.AssignKeys(sig); err != nil || s.Wants(sig) {
			t.Fatal("wanted")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkReject is the way of most spans: assign keys, find that no flow wants it.
func BenchmarkReject(b *testing.B) {
	s, sig := manyFlows(b, 500), unwanted()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.AssignKeys(sig); err != nil || s.Wants(sig) {
			b.Fatal("wanted")
		}
	}
}

func BenchmarkRejectFewKeys(b *testing.B) {
	s, sig := keySet(b, "order_id", "invoice_id", "shipment_id"), unwanted()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.AssignKeys(sig); err != nil || s.Wants(sig) {
			b.Fatal("wanted")
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	s, sig := manyFlows(b, 500), unwanted()
	sig.Name = "POST /flow/250/step/5"
	var hits []Hit
	b.ReportAllocs()
	for b.Loop() {
		if hits = s.Match(sig, hits[:0]); len(hits) != 1 {
			b.Fatal(hits)
		}
	}
}

func BenchmarkOccur(b *testing.B) {
	f, sig := mustParse(b, orderToCash), unwanted()
	b.ReportAllocs()
	for b.Loop() {
		f.Occur(sig, 1, false)
	}
}
