package flows

import (
	"encoding/json"
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
