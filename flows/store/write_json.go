package store

import (
	"fmt"

	"throughline/flows"
)

// objectText is a JSON object with sorted names; "" for nil. parseObject finds the same
// kinds of numbers again.
func objectText(m map[string]any) (string, error) {
	if m == nil {
		return "", nil
	}
	b, err := flows.AppendJSON(make([]byte, 0, 64+32*len(m)), m)
	return string(b), err //nolint:wrapcheck // it names the value
}

// textMap is how the OpenTelemetry exporter writes attributes: every value as text.
func textMap(m map[string]any) (map[string]string, error) {
	texts := make(map[string]string, len(m))
	for name, v := range m {
		text, err := flows.AppendText(nil, v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		texts[name] = string(text)
	}
	return texts, nil
}
