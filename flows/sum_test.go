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
		sums.Add(currency, NewAmount(amount), 1)
		plain.Add(currency, amount)
		if rng.IntN(3) == 0 {
			sums.Add(currency, NewAmount(amount), -1)
			plain.Add(currency, amount.Neg())
		}
	}
	for currency, want := range plain {
		if got := sums.Money()[currency]; !got.Equal(want) {
			t.Errorf("%s: %s, not %s", currency, got, want)
		}
	}
	sums.Add("USD", SmallAmount(5, 0), 1)
	sums.Add("USD", SmallAmount(50, -1), -1)
	if _, there := sums.Money()["USD"]; there {
		t.Error("a sum of zero is shown")
	}
}

// An amount is the decimal that it was made of, in all its digits, however many these are.
func TestAmountIsItsDecimal(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	if none := (Amount{}); none.String() != "" || !none.Equal(Amount{}) || none.Equal(SmallAmount(0, 0)) {
		t.Error("none is an amount")
	}
	for range 20_000 {
		want := decimal.New(rng.Int64()>>rng.IntN(63), int32(rng.IntN(24))-16)
		if rng.IntN(2) == 0 {
			want = want.Neg()
		}
		if rng.IntN(4) == 0 {
			want = want.Mul(want)
		}
		a := NewAmount(want)
		got := a.Decimal()
		if !a.Valid || !got.Equal(want) || got.Exponent() != want.Exponent() || a.String() != want.String() || !a.Equal(NewAmount(want.Add(decimal.Zero))) {
			t.Fatalf("%s e%d, not %s e%d", a, got.Exponent(), want, want.Exponent())
		}
		if units, exponent, ok := a.Small(); ok && (max(units, -units) >= MaxUnits || !SmallAmount(units, exponent).Equal(a)) || ok != (want.NumDigits() <= smallDigits) {
			t.Fatalf("%s: %d e%d, %v", want, units, exponent, ok)
		}
		if other := NewAmount(want.Add(decimal.New(1, -20))); a.Equal(other) {
			t.Fatalf("%s is %s", a, other)
		}
	}
}
