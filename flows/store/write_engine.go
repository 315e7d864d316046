package store

import (
	"context"
	"fmt"
)

// StateRow is a part of the engine's state, which the engine alone can read.
type StateRow struct {
	Kind    string
	ID      uint64
	Text    string
	Deleted bool
}

// LeftRow says by which hash a state of kind evicted is found.
type LeftRow struct{ Hash, ID uint64 }

// WriteStates stores parts of the engine's state, all or none where they are fewer than a
// million. Of all rows of one kind and ID that with the greatest version counts, of equal
// versions the last written.
func (s *Store) WriteStates(ctx context.Context, version uint64, rows []StateRow) error {
	return insert(ctx, s, "engine_state", "", rows, []field[StateRow]{
		words("kind", func(r *StateRow) string { return r.Kind }),
		integers("id", "UInt64", func(r *StateRow) uint64 { return r.ID }),
		strs("text", func(r *StateRow) string { return r.Text }),
		integers("row_version", "UInt64", func(*StateRow) uint64 { return version }),
		flags("deleted", "UInt8", func(r *StateRow) bool { return r.Deleted }),
	})
}

// WriteLeft stores by what evicted states are found.
func (s *Store) WriteLeft(ctx context.Context, rows []LeftRow) error {
	return insert(ctx, s, "engine_left", "", rows, []field[LeftRow]{
		integers("hash", "UInt64", func(r *LeftRow) uint64 { return r.Hash }),
		integers("id", "UInt64", func(r *LeftRow) uint64 { return r.ID }),
	})
}

// ForgetStates removes all of the engine's state: it is made from the signals anew.
func (s *Store) ForgetStates(ctx context.Context) error {
	cluster := s.onCluster()
	for _, table := range []string{"engine_state", "engine_left"} {
		if err := s.conn.Exec(ctx, "TRUNCATE TABLE "+table+cluster); err != nil {
			return fmt.Errorf("forget %s: %w", table, err)
		}
	}
	return nil
}
