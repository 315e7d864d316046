package flows

import (
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
)

// TestSumsAreExact adds and takes out amounts of all sizes, and compares with plain decimals.
func TestSumsAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sums, plain := Sums{}, Money{}
	for range 20_000 {
		amount := decimal.New(rng.Int64()>>rng.IntN(63), int32(rng.IntN(24))-16)
		if rng.IntN(50) == 0 {
			amount = amount.Mul(amount).Neg()
		}
		currency := [...]string{"EUR", "JPY"}[rng.IntN(2)]
		sums.Add(currency, amount, 1)
		plain.Add(currency, amount)
		if rng.IntN(3) == 0 {
			sums.Add(currency, amount, -1)
			plain.Add(currency, amount.Neg())
		}
	}
	for currency, want := range plain {
		if got := sums.Money()[currency]; !got.Equal(want) {
			t.Errorf("%s: %s, not %s", currency, got, want)
		}
	}
	sums.Add("USD", decimal.New(5, 0), 1)
	sums.Add("USD", decimal.New(50, -1), -1)
	if _, there := sums.Money()["USD"]; there {
		t.Error("a sum of zero is shown")
	}
}
