package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/flows"
	"throughline/flows/alert"
)

// TestReadme takes the README at its word: each of its YAML examples is loaded.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]bool{}
	for i, block := range strings.Split(string(readme), "```yaml\n")[1:] {
		text, _, closed := strings.Cut(block, "\n```")
		if !closed {
			t.Fatalf("YAML block %d has no end", i)
		}
		switch {
		case strings.HasPrefix(text, "flow:"):
			loaded["flow"] = true
			if _, faults := flows.Parse("README.md", []byte(text)); len(faults) > 0 {
				t.Errorf("the flow: %v", faults)
			}
		case strings.HasPrefix(text, "http_addr:"):
			loaded["configuration"] = true
			if _, err := Load(writeConfig(t, text), noEnv); err != nil {
				t.Errorf("throughline.yaml: %v", err)
			}
		case strings.HasPrefix(text, "route:"):
			loaded["alerts"] = true
			file := writeConfig(t, text)
			r, err := alert.New(alert.Options{ConfigFile: file, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatalf("alertmanager.yml: %v", err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("YAML block %d is of no kind that is known here", i)
		}
	}
	if len(loaded) != 3 {
		t.Errorf("found examples of %v only", loaded)
	}
}
