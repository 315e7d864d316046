package flows

import (
	"math"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Amount is an exact amount of money, or none. Amounts of up to 18 digits, as nearly all are,
// take no memory beside it: an instance's are read whenever a signal comes. The zero value is
// none.
type Amount struct {
	Valid    bool // there is one
	exponent int32
	units    int64            // times ten to the exponent is the amount,
	large    *decimal.Decimal // unless it is here
}

// The units of an amount that takes no memory have 18 digits at most: less than MaxUnits.
const (
	smallDigits = 18
	MaxUnits    = 1e18
)

// NewAmount is the amount of an exact decimal.
func NewAmount(d decimal.Decimal) Amount {
	if d.NumDigits() > smallDigits {
		return Amount{Valid: true, large: &d}
	}
	return Amount{Valid: true, units: d.CoefficientInt64(), exponent: d.Exponent()}
}

// SmallAmount is so many units of ten to the exponent, fewer than MaxUnits on either side of 0.
func SmallAmount(units int64, exponent int32) Amount {
	return Amount{Valid: true, units: units, exponent: exponent}
}

// Small is what SmallAmount made it of; false where it has more digits.
func (a Amount) Small() (units int64, exponent int32, ok bool) {
	return a.units, a.exponent, a.large == nil
}

// Decimal is the amount as a decimal; zero where there is none.
func (a Amount) Decimal() decimal.Decimal {
	if a.large != nil {
		return *a.large
	}
	return decimal.New(a.units, a.exponent)
}

// Equal says whether both are none, or the same amount: 1.5 and 1.50 are.
func (a Amount) Equal(b Amount) bool {
	return a.Valid == b.Valid && (!a.Valid || a.Decimal().Equal(b.Decimal()))
}

// String is the amount in plain decimals; "" for none.
func (a Amount) String() string {
	var room [maxAmountBytes]byte
	return string(a.AppendTo(room[:0]))
}

// AppendTo appends what String says. The decimal's own way takes memory and some three
// hundred nanoseconds, for each row that is stored.
func (a Amount) AppendTo(b []byte) []byte {
	if !a.Valid {
		return b
	}
	if a.large != nil || a.exponent > 0 || a.exponent < -smallDigits {
		return append(b, a.Decimal().String()...)
	}
	units, decimals := a.units, int(-a.exponent)
	for ; decimals > 0 && units%10 == 0; decimals-- {
		units /= 10
	}
	if units < 0 {
		b, units = append(b, '-'), -units
	}
	if decimals == 0 {
		return strconv.AppendInt(b, units, 10)
	}
	one := int64(1)
	for range decimals {
		one *= 10
	}
	b = append(strconv.AppendInt(b, units/one, 10), '.')
	for rest := units % one; one > 1; {
		one /= 10
		b = append(b, '0'+byte(rest/one%10))
	}
	return b
}

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
	a := readAmount(v)
	return a.Decimal(), a.Valid
}

// readAmount is ParseAmount; none instead of false.
func readAmount(v any) Amount {
	switch v := v.(type) {
	case int64:
		return NewAmount(decimal.New(v, 0))
	case float64:
		if amount := shortAmount(v); amount.Valid {
			return amount
		}
	}
	text, ok := Text(v)
	if text = strings.TrimSpace(text); !ok || text == "" || len(text) > maxAmountBytes {
		return Amount{}
	}
	if _, isBool := v.(bool); isBool {
		return Amount{}
	}
	amount, err := decimal.NewFromString(text)
	if err != nil || amount.Exponent() > maxAmountDigits || amount.Exponent() < -maxAmountDigits {
		return Amount{}
	}
	if amount.NumDigits()+int(amount.Exponent()) > maxAmountDigits {
		return Amount{}
	}
	return NewAmount(amount)
}

// shortAmount is the value of a number of at most two digits behind the point, as nearly
// all amounts are, without writing it out; none of others. With fewer than 16 digits in all
// the number nearest to n/10^digits is written so.
func shortAmount(v float64) Amount {
	for digits, factor := range [...]float64{1, 10, 100} {
		n := math.Round(v * factor)
		if !(math.Abs(n) < 1e15) {
			break
		}
		if n/factor == v {
			return SmallAmount(int64(n), int32(-digits))
		}
	}
	return Amount{}
}
