package flows

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

func TestContentHash(t *testing.T) {
	base := func() Signal {
		return Signal{
			Source: "s", ID: "1", Name: "n", Attributes: map[string]any{"a": int64(1), "b": "x"},
			Data: map[string]any{"list": []any{"p", nil, true}, "nested": map[string]any{"n": json.Number("1e400")}},
		}
	}
	a, b := base(), base()
	b.Received, b.Keys = 5, []Key{{"order_id", "1"}}
	b.Attributes["a"] = 1.0 // as it comes back through JSON
	if a.ContentHash() != b.ContentHash() {
		t.Error("how and when a signal arrived is not its content")
	}
	for what, change := range map[string]func(*Signal){
		"moved text":   func(s *Signal) { s.Source, s.ID = "s1", "" },
		"kind":         func(s *Signal) { s.Kind = Span },
		"producer":     func(s *Signal) { s.Sampled = true },
		"attribute":    func(s *Signal) { s.Attributes["a"] = int64(2) },
		"type":         func(s *Signal) { s.Attributes["a"] = "1" },
		"where it is":  func(s *Signal) { s.Attributes, s.Data = s.Data, s.Attributes },
		"list element": func(s *Signal) { s.Data["list"] = []any{"p", nil, false} },
		"time":         func(s *Signal) { s.Time++ },
	} {
		c := base()
		change(&c)
		if c.ContentHash() == a.ContentHash() {
			t.Errorf("another %s gives the same hash", what)
		}
	}
}

// Signals that differ in little have hashes that differ in about half of their bits, and
// none is that of another.
func TestContentHashSpreads(t *testing.T) {
	known := map[uint64]string{}
	var flipped, pairs int
	last := uint64(0)
	note := func(what string, s *Signal) {
		h := s.ContentHash()
		if other, ok := known[h]; ok {
			t.Fatalf("%s has the hash of %s", what, other)
		}
		known[h] = what
		flipped, pairs, last = flipped+bits.OnesCount64(h^last), pairs+1, h
	}
	for i := range 20_000 {
		n := fmt.Sprint(i)
		note("id "+n, &Signal{ID: n})
		note("source "+n, &Signal{Source: n})
		note("time "+n, &Signal{Time: Time(i + 1)})
		note("number "+n, &Signal{Data: map[string]any{"n": int64(i)}})
		note("name "+n, &Signal{Data: map[string]any{n: nil}})
		note("text "+n, &Signal{Data: map[string]any{"n": n}})
		note("nested "+n, &Signal{Data: map[string]any{"n": []any{n}}})
		note("two "+n, &Signal{Data: map[string]any{"a": int64(i + 1), "b": int64(-i)}})
	}
	for size := range 70 {
		text := strings.Repeat("x", size)
		note("size "+fmt.Sprint(size), &Signal{Name: text})
		for i := range size {
			note(fmt.Sprintf("size %d, letter %d", size, i), &Signal{Name: text[:i] + "y" + text[i+1:]})
		}
	}
	if share := float64(flipped) / float64(pairs); share < 19.9 || share > 20.1 {
		t.Errorf("%.2f of 40 bits differ", share)
	}
}

func BenchmarkContentHash(b *testing.B) {
	s := Signal{
		Source: "/shop", ID: "0123456789", Name: "order.placed", System: "webshop",
		Data: map[string]any{"order_id": "SO-104711", "total": 99.5, "currency": "EUR", "region": "EU"},
	}
	b.ReportAllocs()
	for b.Loop() {
		s.ContentHash()
	}
}
