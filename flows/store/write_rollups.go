package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"throughline/flows"
)

// RollUpRow are differences of a flow's roll-ups. Those of one generation sum up.
type RollUpRow struct {
	Flow       string
	Generation uint64
	flows.RollUp
}

// RollUpGeneration says which rows of a flow's roll-ups count.
type RollUpGeneration struct {
	Flow       string
	Generation uint64
	Version    string // of the flow's file, that all of them were made by
	Whole      bool   // they hold every instance that keeps no other version
}

// WriteRollUps adds differences, once for each token however often it is called with it:
// all of them, where they are fewer than a million. A token holds for the 1,000 inserts
// that follow.
func (s *Store) WriteRollUps(ctx context.Context, token string, rows []RollUpRow) error {
	return insert(ctx, s, "rollups", token, rows, []field[RollUpRow]{
		words("flow", func(r *RollUpRow) string { return r.Flow }),
		integers("generation", "UInt64", func(r *RollUpRow) uint64 { return r.Generation }),
		each("span", "UInt32", func(n *native, r *RollUpRow) { n.uint32(uint32(r.Span.Seconds())) }),
		integers("start", "DateTime64(0, 'UTC')", func(r *RollUpRow) uint64 { return uint64(r.Start / 1e9) }),
		words("measure", func(r *RollUpRow) string { return r.Measure.String() }),
		words("step", func(r *RollUpRow) string { return r.Step }),
		words("to_step", func(r *RollUpRow) string { return r.To }),
		each("bin", "Int16", func(n *native, r *RollUpRow) { n.buf = binary.LittleEndian.AppendUint16(n.buf, uint16(r.Bin)) }),
		integers("count", "Int64", func(r *RollUpRow) uint64 { return uint64(r.Count) }),
		each("sum", "Int128", func(n *native, r *RollUpRow) { n.uint64(r.SumLo); n.uint64(uint64(r.SumHi)) }),
	})
}

// WriteRollUpGenerations says which rows of some flows count from now on. Of all rows of a
// flow that with the greatest version counts, of equal versions the last written.
func (s *Store) WriteRollUpGenerations(ctx context.Context, version uint64, rows []RollUpGeneration) error {
	return insert(ctx, s, "rollup_generations", "", rows, []field[RollUpGeneration]{
		strs("flow", func(r *RollUpGeneration) string { return r.Flow }),
		integers("generation", "UInt64", func(r *RollUpGeneration) uint64 { return r.Generation }),
		strs("version", func(r *RollUpGeneration) string { return r.Version }),
		flags("whole", "Bool", func(r *RollUpGeneration) bool { return r.Whole }),
		integers("row_version", "UInt64", func(*RollUpGeneration) uint64 { return version }),
	})
}

// ForgetRollUps removes all roll-ups: they are made from the signals anew.
func (s *Store) ForgetRollUps(ctx context.Context) error {
	cluster := ""
	if s.cluster != "" {
		cluster = " ON CLUSTER `" + strings.ReplaceAll(s.cluster, "`", "``") + "`"
	}
	for _, table := range []string{"rollup_generations", "rollups"} { // what none names counts no more
		if err := s.conn.Exec(ctx, "TRUNCATE TABLE "+table+cluster); err != nil {
			return fmt.Errorf("forget %s: %w", table, err)
		}
	}
	return nil
}
