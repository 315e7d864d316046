package event_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// TestConformanceFeatures takes the requests of CloudEvents' conformance feature for HTTP, with
// each of its examples, and looks at what the feature says of them.
func TestConformanceFeatures(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/cloudevents/conformance/features/http-protocol-binding.feature")
	if err != nil {
		t.Skip("shared data is not here:", err)
	}
	ran := 0
	for _, scenario := range strings.Split(string(text), "Scenario Outline:")[1:] {
		name, _, _ := strings.Cut(strings.TrimSpace(scenario), "\n")
		blocks := strings.Split(scenario, `"""`) // the request, the attributes, the data, the examples
		if len(blocks) != 5 {
			t.Fatalf("%s: %d blocks", name, len(blocks))
		}
		for _, example := range rowsOf(blocks[4])[1:] {
			contentType := example[0]
			t.Run(name+" "+contentType, func(t *testing.T) {
				ran++
				f := newFixture(t)
				f.message([]byte(strings.ReplaceAll(outdented(blocks[1]), "<contentType>", contentType)))
				got := f.bus.Take().Signals
				if len(got) != 1 {
					t.Fatalf("%d signals", len(got))
				}
				want := map[string]string{}
				for _, row := range rowsOf(blocks[2])[1:] {
					want[row[0]] = row[1]
				}
				at, err := time.Parse(time.RFC3339, want["time"])
				s := got[0]
				if err != nil || want["id"] == "" || s.ID != want["id"] || s.Name != want["type"] || s.Source != want["source"] || s.Time != flows.At(at) {
					t.Errorf("%+v, want %v", s, want)
				}
				var data map[string]any
				if err := json.Unmarshal([]byte(blocks[3]), &data); err != nil || !cmp.Equal(s.Data, data) {
					t.Errorf("data %v, want %v (%v)", s.Data, data, err)
				}
			})
		}
	}
	if ran != 4 {
		t.Errorf("%d examples ran", ran)
	}
}

// rowsOf are the rows of the table in a text.
func rowsOf(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") {
			var row []string
			for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
				row = append(row, strings.TrimSpace(cell))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// outdented is a text without the space that its first line begins with.
func outdented(text string) string {
	text = strings.TrimLeft(text, "\n")
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n"+indent, "\n"), indent)
}
