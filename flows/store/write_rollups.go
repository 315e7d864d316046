package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

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
	sums, values := make([]RollUpRow, 0, len(rows)), []RollUpRow(nil)
	for i := range rows {
		if rows[i].Span == flows.RollUpValue {
			values = append(values, rows[i])
		} else {
			sums = append(sums, rows[i])
		}
	}
	if err := s.writeRollUpValues(ctx, token+":values", values); err != nil {
		return err
	}
	return insert(ctx, s, "rollups", token, sums, []field[RollUpRow]{
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

func (s *Store) writeRollUpValues(ctx context.Context, token string, rows []RollUpRow) error {
	return insert(ctx, s, "rollup_values", token, rows, []field[RollUpRow]{
		words("flow", func(r *RollUpRow) string { return r.Flow }),
		integers("generation", "UInt64", func(r *RollUpRow) uint64 { return r.Generation }),
		words("measure", func(r *RollUpRow) string { return r.Measure.String() }),
		words("step", func(r *RollUpRow) string { return r.Step }),
		words("to_step", func(r *RollUpRow) string { return r.To }),
		integers("start", "DateTime64(0, 'UTC')", func(r *RollUpRow) uint64 { return uint64(r.Start / 1e9) }),
		integers("took", "Int64", func(r *RollUpRow) uint64 { return uint64(r.Took) }),
		integers("count", "Int64", func(r *RollUpRow) uint64 { return uint64(r.Count) }),
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

// maxDead bounds the generations that one call of ForgetDeadRollUps removes of a flow.
const maxDead = 1000

// ForgetDeadRollUps has the roll-ups of some flows removed but those of the generations that
// are named for each. ClickHouse does so in the background: when it returns, they may be there
// still. What is left of very many goes with the next call.
func (s *Store) ForgetDeadRollUps(ctx context.Context, living map[string][]uint64) error {
	for flow, generations := range living {
		rows, err := s.conn.Query(ctx, "SELECT DISTINCT generation FROM rollups WHERE flow = {flow:String} ORDER BY generation", clickhouse.Named("flow", flow))
		if err != nil {
			return fmt.Errorf("find dead roll-ups: %w", err)
		}
		var dead []string
		for err == nil && rows.Next() {
			var generation uint64
			if err = rows.Scan(&generation); err == nil && !slices.Contains(generations, generation) && len(dead) < maxDead {
				dead = append(dead, strconv.FormatUint(generation, 10))
			}
		}
		if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("find dead roll-ups: %w", err)
		}
		if len(dead) == 0 {
			continue
		}
		// By their own numbers: one that begins meanwhile is not among them.
		for _, table := range []string{"rollup_values", "rollups"} { // dead ones are found by the latter
			query := "ALTER TABLE " + table + s.onCluster() + " DELETE WHERE flow = $1 AND generation IN (" + strings.Join(dead, ", ") + ")"
			if err := s.conn.Exec(ctx, query, flow); err != nil {
				return fmt.Errorf("forget dead %s: %w", table, err)
			}
		}
	}
	return nil
}

// ForgetRollUps removes all roll-ups: they are made from the signals anew.
func (s *Store) ForgetRollUps(ctx context.Context) error {
	for _, table := range []string{"rollup_generations", "rollup_values", "rollups"} { // what none names counts no more
		if err := s.conn.Exec(ctx, "TRUNCATE TABLE "+table+s.onCluster()); err != nil {
			return fmt.Errorf("forget %s: %w", table, err)
		}
	}
	return nil
}
