package flows

import (
	"math"
	"strconv"
)

// Attribute is one attribute of a span, without a map and without an allocation for its
// value.
type Attribute struct {
	Name   string
	Kind   AttributeKind
	Text   string // of AttributeText
	Number uint64 // of AttributeInt, AttributeFloat and AttributeBool: the bits
	Nested any    // of AttributeNested: a map, a list or nil
}

// AttributeKind says which field of an Attribute has its value.
type AttributeKind uint8

// The kinds of attributes.
const (
	AttributeText AttributeKind = iota
	AttributeInt
	AttributeFloat
	AttributeBool
	AttributeNested
)

// Set gives the attribute a value of a kind that signals have.
func (a *Attribute) Set(v any) {
	switch v := v.(type) {
	case string:
		a.Kind, a.Text = AttributeText, v
	case int64:
		a.Kind, a.Number = AttributeInt, uint64(v)
	case float64:
		a.Kind, a.Number = AttributeFloat, math.Float64bits(v)
	case bool:
		a.Kind, a.Number = AttributeBool, 0
		if v {
			a.Number = 1
		}
	default:
		a.Kind, a.Nested = AttributeNested, v
	}
}

// Value is the attribute's value as signals have it.
func (a *Attribute) Value() any {
	switch a.Kind {
	case AttributeInt:
		return int64(a.Number)
	case AttributeFloat:
		return math.Float64frombits(a.Number)
	case AttributeBool:
		return a.Number != 0
	case AttributeNested:
		return a.Nested
	}
	return a.Text
}

// appendText is AppendText of the value.
func (a *Attribute) appendText(b []byte) ([]byte, error) {
	switch a.Kind {
	case AttributeInt:
		return strconv.AppendInt(b, int64(a.Number), 10), nil
	case AttributeFloat:
		return strconv.AppendFloat(b, math.Float64frombits(a.Number), 'f', -1, 64), nil
	case AttributeBool:
		return strconv.AppendBool(b, a.Number != 0), nil
	case AttributeNested:
		return AppendText(b, a.Nested)
	}
	return append(b, a.Text...), nil
}
