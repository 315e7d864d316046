package flows

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// AppendJSON writes a value of a signal as JSON text, objects with sorted names. Numbers
// are written so that a reader finds the same kind again: floats in plain decimals. An
// error says that the value is of a kind that signals do not have.
func AppendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v), nil
	case json.Number:
		return append(b, v...), nil
	case map[string]any:
		return appendObject(b, v)
	case []any:
		return appendArray(b, v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("write %T as JSON: %w", v, err)
	}
	return append(b, text...), nil
}

func appendObject(b []byte, m map[string]any) (_ []byte, err error) {
	b = append(b, '{')
	var room [16]string // most objects have no more
	names := room[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, err = AppendJSON(b, m[name]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendArray(b []byte, values []any) (_ []byte, err error) {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = AppendJSON(b, v); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// appendFloat writes what JSON has no number for as OTLP's JSON does, as text.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendString quotes only what JSON demands, so that the text can be searched. Bytes that
// are not UTF-8 become the replacement character.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	if plain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// AppendJSONText writes a string as AppendJSON does.
func AppendJSONText(b []byte, s string) []byte { return appendString(b, s) }

// AppendText writes an attribute as the OpenTelemetry exporter does: strings as they are,
// nothing for nil, other scalars in their normal form, nested values as JSON.
func AppendText(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return b, nil
	case string:
		return append(b, v...), nil
	}
	if text, ok := Text(v); ok {
		return append(b, text...), nil
	}
	return AppendJSON(b, v)
}
