package flows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func whereSignal() *Signal {
	return &Signal{
		Kind: Span, Name: "POST /capture", System: "payments", Duration: 1500 * time.Millisecond,
		Attributes: map[string]any{
			"order.total": 40.4, "region": "EU", "http.status_code": int64(200), "flag": true, "text": "12",
			"big": json.Number("123456789012345678901234567890"), "nothing": nil, "tags": []any{"a", "b"},
		},
		Data: map[string]any{
			"customer": map[string]any{"tier": "gold", "address": map[string]any{"zip": "10115"}},
			"items":    []any{map[string]any{"sku": "x", "price": int64(3)}, map[string]any{"sku": "y", "price": 4.5}},
		},
	}
}

func TestWhereHolds(t *testing.T) {
	f := func(source string, want bool) {
		t.Helper()
		w, err := compileWhere(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			return
		}
		for range 2 { // the second run uses what the first left behind
			if got, err := w.Eval(whereSignal()); got != want || err != nil {
				t.Errorf("%s: %v, %v; want %v", source, got, err, want)
			}
		}
		if w.String() != source {
			t.Errorf("source %q became %q", source, w)
		}
	}
	f(`outcome == "ok"`, true)
	f(`outcome != "ok"`, false)
	f(`name == "POST /capture" && system == "payments"`, true)
	f(`duration > duration("1s") and duration < duration("1d")`, true)
	f(`duration > duration("1500ms")`, false)
	f(`attributes.order.total > 40`, true)
	f(`attributes["order.total"] == 40.4`, true)
	f(`attributes["order"].total == 40.4`, true)
	f(`order.total == 40.4`, true)
	f(`attributes?.order?.total == 40.4`, true)
	f(`attributes.customer.tier == "gold" and customer.address.zip startsWith "10"`, true)
	f(`attributes.http.status_code >= 200 && attributes.http.status_code < 300`, true)
	f(`attributes.missing == nil`, true)
	f(`attributes.missing.deep == nil`, true)
	f(`attributes.nothing == nil`, true)
	f(`(attributes.missing ?? "none") == "none"`, true)
	f(`"region" in attributes and not ("regio" in attributes)`, true)
	f(`attributes.region in ["EU", "UK"]`, true)
	f(`attributes.region matches "^E"`, true)
	f(`attributes.flag`, true)
	f(`attributes.big > 1000000`, true)
	f(`attributes.items[0].sku == "x"`, true)
	f(`any(attributes.items, .price > 4)`, true)
	f(`all(attributes.items, {.price > 4})`, false)
	f(`sum(attributes.items, .price) == 7.5`, true)
	f(`"b" in attributes.tags`, true)
	f(`len(attributes.tags) == 2`, true)
	f(`int(attributes.text) == 12`, true)
	f(`attributes.name == nil`, true)
	f(`attributes.outcome == nil`, true)
	f(`attributes.missing startsWith "x"`, false)
}

func TestWhereUsesOutcome(t *testing.T) {
	f := func(source string, want bool) {
		t.Helper()
		w, err := compileWhere(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.UsesOutcome(); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
	f(`outcome == "error"`, true)
	f(`system == "a" || (attributes.x == 1 and outcome == "ok")`, true)
	f(`attributes.outcome == "ok"`, false)
	f(`name == "outcome"`, false)
}

func TestWhereEvaluationFails(t *testing.T) {
	f := func(source string) {
		t.Helper()
		w, err := compileWhere(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Eval(whereSignal()); got || err == nil {
			t.Errorf("%s: %v, %v; want no match and an error", source, got, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", source, err)
		}
		if w.Faults() != 1 {
			t.Errorf("%s: %d faults counted", source, w.Faults())
		}
	}
	f(`attributes.missing > 5`)
	f(`attributes.missing + 5 > 5`)
	f(`attributes.text > 5`)
	f(`attributes.items[7].sku == "x"`)
	f(`attributes.region`)
	f(`len(attributes.missing) > 0`)
	f(`attributes.http.status_code % 0 == 1`)
}

// What a condition may cost is bounded, whatever it is and whatever the signal brings; what
// a business writes is far from the bound.
func TestWhereWorkIsBounded(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = fmt.Sprint("item ", i)
	}
	sig := &Signal{Name: "n", Attributes: map[string]any{
		"list": list, "long": strings.Repeat("x", 1<<20), "text": strings.Repeat("x", 1000), "lines": []any{map[string]any{"sku": "A", "note": strings.Repeat("x", 2000)}},
	}}
	f := func(one string, times int, taken bool) {
		t.Helper()
		w, err := compileWhere(strings.Repeat(one+" or ", times) + "false")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = w.Eval(sig)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%d times %s took %v", times, one, took)
		}
		if taken != (err == nil) || !taken && (w.Faults() != 1 || !strings.Contains(err.Error(), "is too much to go through")) {
			t.Errorf("%d times %s: %v", times, one, err)
		}
	}
	f(`any(attributes.list, # == "item 999")`, 1, true)
	f(`any(attributes.list, # == "item 999")`, 5, true)
	f(`any(attributes.list, # == "item 1000")`, 50, false)
	f(`any(attributes.list, # matches "(a|b|ab)*c$")`, 2, true)
	f(`any(attributes.list, # matches "(a|b|ab)*c$")`, 40, false)
	f(`any(attributes.list, attributes.text matches "(x+x+)+y")`, 1, false)
	f(`any(attributes.list, # in attributes.list)`, 1, false)
	f(`any(attributes.list, name matches "(x+x+)+y")`, 1, false)
	f(`any(attributes.lines, name matches "(x+x+)+y")`, 10, true)
	f(`any(attributes.list, # == name)`, 5, true)
	f(`attributes.text matches "(x+x+)+y"`, 50, true)
	f(`attributes.text contains "y"`, 80, true)
	f(`attributes.long matches "(x+x+)+y"`, 1, false)
	f(`attributes.long == "y"`, 1, false)
	f(`any(attributes.lines, .sku == "B")`, 10, true)
}

func TestWhereRefused(t *testing.T) {
	f := func(source string, line, col int, want string) {
		t.Helper()
		w, err := compileWhere(source)
		if err == nil {
			t.Errorf("%s: compiled to %v", source, w)
			return
		}
		e := err.(*whereError)
		if e.line != line || e.col != col || !strings.Contains(e.what, want) || strings.Contains(e.what, "\n") {
			t.Errorf("%s:\n got %d:%d %s\nwant %d:%d %s", source, e.line, e.col, e.what, line, col, want)
		}
	}
	f(``, 1, 1, "is empty")
	f(`outcom == "ok"`, 1, 1, "did you mean `outcome`?")
	f(`attribute.order.total > 1`, 1, 1, "did you mean `attributes`?")
	f(`region == "EU"`, 1, 1, "write attributes.region")
	f(`name == "a" and attributes`, 1, 17, "`attributes` alone")
	f(`len(attributes) > 3`, 1, 5, "`attributes` alone")
	f(`outcome == ok`, 1, 12, "for a text \"ok\"")
	f(`outcome = "ok"`, 1, 9, "; compare with `==`")
	f(`outcome == "ok" & name == "a"`, 1, 17, "; write `and` or `&&`")
	f(`name == 5`, 1, 6, "mismatched types string and int); put a text in quotes")
	f(`name`, 1, 1, "expected bool, but got string; compare it")
	f(`duration > 5`, 1, 10, "; compare a duration with duration(\"15m\")")
	f(`duration > 5m`, 1, 13, "; write a duration as duration(\"15m\")")
	f(`outcome ==`, 1, 10, "; the condition ends too early")
	f(`outcome == "ok`, 1, 15, "")
	f(`now() > 5`, 1, 1, "no such function")
	f(`name.foo()`, 1, 6, "no such function")
	f(`Name == "a"`, 1, 1, "did you mean `name`?")
	f(`Values[0] == "a"`, 1, 1, "unknown name")
	f(`let x = name; x == "a"`, 1, 5, "`let`")
	f(`any(1..1000, # > 5)`, 1, 6, "ranges")
	f(`attributes.status in 200..299`, 1, 25, "ranges")
	f(`any(attributes.items, any(attributes.tags, # == "x"))`, 1, 1, "loop inside")
	f(`name matches system`, 1, 6, "pattern written out")
	f(`name matches "("`, 1, 6, "missing closing )")
	f(`duration > duration("1 fortnight")`, 1, 12, "unknown unit")
	f(`duration > duration()`, 1, 12, "takes one text")
	f(`duration > duration("1s", "2s")`, 1, 12, "takes one text")
	f(`duration > duration(name)`, 1, 12, "write the duration out")
	f(strings.Repeat(" ", 5000)+"true", 1, 1, "at most")
	f(strings.Repeat("not ", 900)+"true", 1, 3604, "maximum allowed nodes")
	f("name == \"a\" and\n  nam == \"b\"", 2, 3, "did you mean `name`?")
}

func FuzzWhere(f *testing.F) {
	for _, s := range []string{
		`outcome == "ok"`, `attributes.a.b > 5 and "x" in attributes`, `any(attributes.items, .price > 1)`, `duration > duration("1d")`,
		`attributes?.x ?? 5 > 1 ? true : false`, `{"a": 1}.a == 1`, `[1,2][0] == name`, `attributes.items[1:2]`, `#`, `.x`, `attributes.a.b()`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		w, err := compileWhere(source)
		if err != nil {
			if e := err.(*whereError); e.line < 1 || e.col < 1 || e.what == "" {
				t.Fatalf("no place: %+v", e)
			}
			return
		}
		holds, err := w.Eval(whereSignal())
		if holds && err != nil {
			t.Fatal("holds and fails")
		}
		_, _ = w.Eval(&Signal{})
	})
}

func BenchmarkWhere(b *testing.B) {
	w, err := compileWhere(`outcome == "ok" and attributes.order.total > 10`)
	if err != nil {
		b.Fatal(err)
	}
	sig := whereSignal()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := w.Eval(sig); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
