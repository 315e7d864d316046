package store

import (
	"strings"
	"testing"
)

func TestSetMerges(t *testing.T) {
	s := openStore(t)
	set := func(table string) string {
		var engine string
		if err := s.conn.QueryRow(t.Context(), "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'").Scan(&engine); err != nil {
			t.Fatal(err)
		}
		_, setting, _ := strings.Cut(engine, "merge_selector_base = ")
		setting, _, _ = strings.Cut(setting, ",")
		return setting
	}
	if err := s.conn.Exec(t.Context(), "ALTER TABLE steps MODIFY SETTING merge_selector_base = 7"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.SetMerges(t.Context()); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]string{"signals": "10", "steps_by_time": "10", "engine_state": "10", "steps": "7", "flow_versions": ""} {
			if got := set(table); got != want {
				t.Errorf("%s has base %q, want %q", table, got, want)
			}
		}
	}
}
