package flows

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/shopspring/decimal"
)

// Money is an exact amount per currency (ISO 4217 code, or what the user wrote). The nil
// Money is nothing, and may be read but not added to.
type Money map[string]decimal.Decimal

// Add adds amount in currency; a sum of zero is removed, so that equal sums are equal maps.
func (m Money) Add(currency string, amount decimal.Decimal) {
	sum := m[currency].Add(amount)
	if sum.IsZero() {
		delete(m, currency)
		return
	}
	m[currency] = sum
}

// Clone is a copy that shares nothing.
func (m Money) Clone() Money { return maps.Clone(m) }

// minorDigits are the ISO 4217 currencies whose minor unit is not two digits.
var minorDigits = map[string]int32{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
	"UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}

// FormatAmount writes an amount with its currency's minor digits, more only where the
// amount has more: "400.40".
func FormatAmount(currency string, amount decimal.Decimal) string {
	digits, ok := minorDigits[currency]
	if !ok {
		digits = 2
	}
	if exact := -amount.Exponent(); exact > digits && !amount.Equal(amount.Truncate(digits)) {
		return amount.String()
	}
	return amount.StringFixed(digits)
}

// MarshalJSON writes {"EUR":"123.45"}.
func (m Money) MarshalJSON() ([]byte, error) {
	texts := make(map[string]string, len(m))
	for currency, amount := range m {
		texts[currency] = FormatAmount(currency, amount)
	}
	return json.Marshal(texts)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Money) UnmarshalJSON(b []byte) error {
	var texts map[string]string
	if err := json.Unmarshal(b, &texts); err != nil {
		return fmt.Errorf("money: %w", err)
	}
	*m = make(Money, len(texts))
	for currency, text := range texts {
		amount, err := decimal.NewFromString(text)
		if err != nil {
			return fmt.Errorf("money: %w", err)
		}
		m.Add(currency, amount)
	}
	return nil
}
