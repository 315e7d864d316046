package store

import (
	"fmt"

	"throughline/flows"
)

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
