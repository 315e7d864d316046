package flows

import (
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
