package flows

import (
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
)

// TestAmountText compares what an amount says with what its decimal does.
func TestAmountText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	amounts := []Amount{{}, SmallAmount(0, -2), SmallAmount(-5, -1), SmallAmount(1, 3), SmallAmount(-100, -2), SmallAmount(MaxUnits-1, -18), SmallAmount(1-MaxUnits, -19)}
	for range 2000 {
		digits := int64(1)
		for range rng.IntN(19) {
			digits *= 10
		}
		amounts = append(amounts, NewAmount(decimal.New(rng.Int64N(2*digits)-digits, rng.Int32N(60)-30)))
	}
	for _, a := range amounts {
		want := ""
		if a.Valid {
			want = a.Decimal().String()
		}
		if got := a.String(); got != want {
			t.Fatalf("%+v says %q, want %q", a, got, want)
		}
		if got := string(a.AppendTo([]byte("x"))); got != "x"+want {
			t.Fatalf("%+v appended is %q", a, got)
		}
	}
}
