package flows

import (
	"math"
	"strings"

	"github.com/shopspring/decimal"
)

// Bounds of one amount. They keep an amount such as 1e999999999 from filling the memory
// when it is written out, and are far beyond any money.
const (
	maxAmountBytes   = 64
	maxAmountDigits  = 30 // before the point, and after it
	maxCurrencyBytes = 32
)

// ParseAmount is the exact value of an amount of money: a number, or text that is one.
// False for what is no number, has more than 30 digits before or after the point.
func ParseAmount(v any) (decimal.Decimal, bool) {
	switch v := v.(type) {
	case int64:
		return decimal.New(v, 0), true
	case float64:
		if amount, ok := shortAmount(v); ok {
			return amount, true
		}
	}
	text, ok := Text(v)
	if text = strings.TrimSpace(text); !ok || text == "" || len(text) > maxAmountBytes {
		return decimal.Decimal{}, false
	}
	if _, isBool := v.(bool); isBool {
		return decimal.Decimal{}, false
	}
	amount, err := decimal.NewFromString(text)
	if err != nil || amount.Exponent() > maxAmountDigits || amount.Exponent() < -maxAmountDigits {
		return decimal.Decimal{}, false
	}
	if amount.NumDigits()+int(amount.Exponent()) > maxAmountDigits {
		return decimal.Decimal{}, false
	}
	return amount, true
}

// shortAmount is the value of a number of at most two digits behind the point, as nearly
// all amounts are, without writing it out. With fewer than 16 digits in all the number
// nearest to n/10^digits is written so.
func shortAmount(v float64) (decimal.Decimal, bool) {
	for digits, factor := range [...]float64{1, 10, 100} {
		n := math.Round(v * factor)
		if !(math.Abs(n) < 1e15) {
			break
		}
		if n/factor == v {
			return decimal.New(int64(n), int32(-digits)), true
		}
	}
	return decimal.Decimal{}, false
}
