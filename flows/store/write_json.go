package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"throughline/flows"
)

// objectText is a JSON object with sorted names; "" for nil. Numbers are written so that
// parseObject finds the same kind again: floats in plain decimals.
func objectText(m map[string]any) (string, error) {
	if m == nil {
		return "", nil
	}
	b, err := appendJSON(make([]byte, 0, 64+32*len(m)), m)
	return string(b), err
}

func appendJSON(b []byte, v any) ([]byte, error) {
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
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, err = appendJSON(b, m[name]); err != nil {
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
		if b, err = appendJSON(b, v); err != nil {
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

// textMap is how the OpenTelemetry exporter writes attributes: every value as text.
func textMap(m map[string]any) (map[string]string, error) {
	texts := make(map[string]string, len(m))
	for name, v := range m {
		text, ok := flows.Text(v)
		switch v.(type) {
		case nil, string:
			ok = true
		}
		if !ok {
			b, err := appendJSON(nil, v)
			if err != nil {
				return nil, fmt.Errorf("attribute %s: %w", name, err)
			}
			text = string(b)
		}
		texts[name] = text
	}
	return texts, nil
}
