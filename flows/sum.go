package flows

import "github.com/shopspring/decimal"

// Sums are exact amounts per currency, made to be added to often: in 64 bits as long as
// these suffice, which takes no memory.
type Sums map[string]*sum

// sum is units, in millionths, and the rest.
type sum struct {
	units int64
	rest  decimal.Decimal
}

const (
	sumScale  = 6  // decimals of a unit
	sumDigits = 17 // of an amount in units
)

var tens = [sumDigits + 1]int64{1}

func init() {
	for i := 1; i < len(tens); i++ {
		tens[i] = 10 * tens[i-1]
	}
}

// Add adds an amount (sign 1) or takes it out (-1).
func (s Sums) Add(currency string, amount Amount, sign int) {
	total := s[currency]
	if total == nil {
		total = &sum{}
		s[currency] = total
	}
	units, exponent, small := amount.Small()
	shift := int(exponent) + sumScale
	if !small || shift < 0 || shift > sumDigits || max(units, -units) >= tens[sumDigits-shift] {
		exact := amount.Decimal()
		if sign < 0 {
			exact = exact.Neg()
		}
		total.rest = total.rest.Add(exact)
		return
	}
	total.units += int64(sign) * units * tens[shift]
	if total.units > 1<<62 || total.units < -1<<62 {
		total.rest, total.units = total.exact(), 0
	}
}

func (s *sum) exact() decimal.Decimal { return decimal.New(s.units, -sumScale).Add(s.rest) }

// Money is what the sums are now; those of zero are left out.
func (s Sums) Money() Money {
	m := make(Money, len(s))
	for currency, total := range s {
		if exact := total.exact(); !exact.IsZero() {
			m[currency] = exact
		}
	}
	return m
}
