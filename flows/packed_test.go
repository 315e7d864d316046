package flows

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packedWords are names and texts that need care in JSON.
var packedWords = []string{
	"", "order_id", "order", "a.b", "total", `quo"ted`, `back\slash`, "line\nbreak", "Grüße", "{", "}", ",", ":", "[]", "null", "\u2028", `"order":1`,
}

func packedValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return r.Int64() - 1<<62
	case n == 3:
		return []float64{0.5, -1.25, 1e300}[r.IntN(3)]
	case n == 4:
		return json.Number("12345678901234567890.10")
	case n == 5 && depth < 3:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, packedValue(r, depth+1))
		}
		return list
	case n >= 6 && depth < 3:
		return packedObject(r, depth+1)
	}
	return packedWords[r.IntN(len(packedWords))]
}

func packedObject(r *rand.Rand, depth int) map[string]any {
	m := map[string]any{}
	for range r.IntN(6) {
		m[packedWords[r.IntN(len(packedWords))]] = packedValue(r, depth)
	}
	return m
}

// TestPackedSignal: who asks a packed signal hears what the signal itself says, and gets all
// of it back.
func TestPackedSignal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for round := range 2000 {
		s := Signal{Source: "s", ID: "1", Name: "n", Attributes: packedObject(r, 0), Data: packedObject(r, 0)}
		p := Signal{Source: "s", ID: "1", Name: "n", Packed: packedOf(t, &s)}
		names := append([]string{"a.b.order", "order.order_id", "order.a.b", "order.order.order", "x", "order."}, packedWords...)
		for _, name := range names {
			want, ok := s.Lookup(name)
			if got, found := p.Lookup(name); found != ok || !cmp.Equal(got, want) {
				t.Fatalf("round %d: %q is %v, %v; packed %v, %v\n%s\n%s", round, name, want, ok, got, found, p.Packed.Attributes, p.Packed.Data)
			}
			want, ok = s.Attributes[name]
			if got, found := p.Attribute(name); found != ok || !cmp.Equal(got, want) {
				t.Fatalf("round %d: attribute %q is %v, packed %v", round, name, want, got)
			}
		}
		if p.ContentHash() != s.ContentHash() {
			t.Fatalf("round %d: another hash", round)
		}
		if p.Packed.Hash = 0; p.ContentHash() != s.ContentHash() {
			t.Fatalf("round %d: another hash of the text\n%s\n%s", round, p.Packed.Attributes, p.Packed.Data)
		}
		if p.Packed.Hash = 0; p.Unpack() != nil || p.ContentHash() != s.ContentHash() || !cmp.Equal(p, s) {
			t.Fatalf("round %d: %s", round, cmp.Diff(s, p))
		}
	}
}

func packedOf(t testing.TB, s *Signal) Packed {
	t.Helper()
	attributes, err := s.AppendAttributes(nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.AppendData(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Packed{Attributes: string(attributes), Data: string(data), Hash: s.ContentHash()}
}

// FuzzPackedMember: any text is looked into without harm, and in one that AppendJSON wrote
// the same is found as by encoding/json.
func FuzzPackedMember(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":"d"}}`, "b.c")
	f.Add(`{"a":"\\\"","b":[1,{"a":2}],"c":null}`, "c")
	f.Add(`{"a`, "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		p := Signal{Packed: Packed{Data: text}}
		_, _ = p.Lookup(name) // does not panic, nor does the hash
		_ = p.ContentHash()
		m, err := DecodeObject([]byte(text))
		if err != nil || m == nil {
			return
		}
		s := Signal{Data: m}
		p.Packed = packedOf(t, &s)
		if p.Packed.Hash = 0; p.ContentHash() != s.ContentHash() {
			t.Fatalf("another hash of %s", p.Packed.Data)
		}
		want, ok := s.Lookup(name)
		if got, found := p.Lookup(name); found != ok || !cmp.Equal(got, want) {
			t.Fatalf("%q in %s is %v, %v; packed %v, %v", name, text, want, ok, got, found)
		}
	})
}
