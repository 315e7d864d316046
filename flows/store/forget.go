package store

import (
	"context"
	"fmt"
)

// ForgetFlow removes all instances and occurrences of a flow, before they are written
// anew: its definition changed. Its signals stay.
func (s *Store) ForgetFlow(ctx context.Context, flow string) error {
	for _, table := range []string{"instances", "instances_by_time", "steps", "steps_by_time"} {
		if err := s.conn.Exec(ctx, "DELETE FROM "+table+" WHERE flow = $1", flow); err != nil {
			return fmt.Errorf("forget %s in %s: %w", flow, table, err)
		}
	}
	return nil
}
