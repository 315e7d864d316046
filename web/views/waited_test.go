package views

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestWaited reads the table that waited.js is tested with, too: a wait that the browser
// counts on must not change its words.
func TestWaited(t *testing.T) {
	var rows []struct {
		Milliseconds int64
		Words        string
	}
	table, err := os.ReadFile("testdata/waited.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(table, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if got := english(waited(time.Duration(row.Milliseconds) * time.Millisecond)); got != row.Words {
			t.Errorf("%d ms: %q, want %q", row.Milliseconds, got, row.Words)
		}
	}
	if len(rows) < 15 {
		t.Errorf("only %d rows", len(rows))
	}
}
