package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

// Every field of an occurrence comes back, those that are added later too.
func TestPackedKeepsEveryField(t *testing.T) {
	typ := reflect.TypeFor[flows.Occurrence]()
	n := newNames()
	for i := range typ.NumField() {
		var o flows.Occurrence
		field := reflect.ValueOf(&o).Elem().Field(i)
		switch v := field.Addr().Interface().(type) {
		case *string:
			*v = "text"
		case *bool:
			*v = true
		case *[]string:
			*v = []string{"a", "", "b"}
		case *flows.Amount:
			*v = flows.NewAmount(decimal.RequireFromString("-12.340"))
		default:
			switch {
			case field.CanInt():
				field.SetInt(7)
			case field.CanUint():
				field.SetUint(7)
			default:
				t.Fatalf("field %s: this test does not know its type", typ.Field(i).Name)
			}
		}
		got := n.unpack(packed(n.pack(nil, []flows.Occurrence{o})), nil)
		if diff := gocmp.Diff([]flows.Occurrence{o}, got); diff != "" {
			t.Errorf("field %s: %s", typ.Field(i).Name, diff)
		}
	}
}

func TestPackedRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	n := newNames()
	for range 500 {
		var all []flows.Occurrence
		for range rng.IntN(6) {
			at := flows.Time(rng.Int64() - rng.Int64())
			o := flows.Occurrence{
				Step: rng.IntN(300), At: at, Start: at - flows.Time(rng.IntN(3)), Failed: rng.IntN(2) == 0, Sampled: rng.IntN(2) == 0, Hash: rng.Uint64() >> 24,
				Source: fmt.Sprint("source", rng.IntN(9)), System: fmt.Sprint("system", rng.IntN(9)),
				ID: []string{"", "x", "0123456789abcdef0123456789abcdef:0123456789abcdef", "0123456789ABCDEF0123456789abcdef:0123456789abcdef"}[rng.IntN(4)],
			}
			if rng.IntN(2) == 0 {
				o.Amount, o.Currency = flows.NewAmount(decimal.New(rng.Int64(), int32(rng.IntN(9)-5))), "EUR"
			}
			all = append(all, o)
		}
		if diff := gocmp.Diff(all, n.unpack(packed(n.pack(nil, all)), nil)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestNamesBeyondTheBoundAreWrittenOut(t *testing.T) {
	n := newNames()
	for i := range maxNames + 10 {
		n.number(fmt.Sprint(i))
	}
	o := []flows.Occurrence{{Source: "one more", System: "3"}}
	if diff := gocmp.Diff(o, n.unpack(packed(n.pack(nil, o)), nil)); diff != "" {
		t.Fatal(diff)
	}
}
