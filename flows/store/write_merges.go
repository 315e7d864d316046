package store

import (
	"context"
	"fmt"
	"slices"
)

// mergeBase is how many parts of about one size ClickHouse waits for before it merges them, as
// long as there are few parts. With its own 5, merges were half of its CPU where much comes
// (docs/performance.md); what is read meanwhile is in a few parts more.
const mergeBase = 10

// mergedLess are the tables that take rows with every insert.
var mergedLess = []string{"signals", "steps", "steps_by_time", "instances", "instances_by_time", "engine_state"}

// SetMerges has the tables that grow merged less often. A table whose mergeBase an operator set
// stays as it is; a server that does not know the setting merges as it always did.
func (s *Store) SetMerges(ctx context.Context) error {
	var tables []struct {
		Name string `ch:"name"`
	}
	if err := s.conn.Select(ctx, &tables, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"+
		" AND engine_full NOT LIKE '%merge_selector_base%' AND (SELECT count() FROM system.merge_tree_settings WHERE name = 'merge_selector_base') > 0"); err != nil {
		return fmt.Errorf("look at the settings of the tables: %w", err)
	}
	for _, t := range tables {
		if !slices.Contains(mergedLess, t.Name) {
			continue
		}
		if err := s.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s%s MODIFY SETTING merge_selector_base = %d", t.Name, s.onCluster(), mergeBase)); err != nil {
			return fmt.Errorf("have %s merged less: %w", t.Name, err)
		}
	}
	return nil
}
