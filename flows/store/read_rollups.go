package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

const (
	// rolledFrom is how many instances a window has to have started for its roll-ups to be
	// read: fewer are counted one by one, which says what arrived a moment ago too.
	rolledFrom = 20_000
	// rolledBehind is more than the roll-ups are behind what arrives.
	rolledBehind = time.Minute
)

// rolledUntil is where the roll-ups end for a window until to.
func rolledUntil(to flows.Time) flows.Time {
	until := min(to, wallClock().Add(-rolledBehind))
	return until - until%flows.Time(flows.RollUpMinute)
}

// wholeMinutes is the latest window as long as [from, to), in whole minutes, of which the roll-ups say all.
func wholeMinutes(from, to flows.Time) (first, until flows.Time) {
	until = rolledUntil(to)
	length := to.Sub(from)
	return until.Add(-(length - length%flows.RollUpMinute)), until
}

// nextMinute is the first whole minute from t on.
func nextMinute(t flows.Time) flows.Time {
	if rest := t % flows.Time(flows.RollUpMinute); rest > 0 {
		return t - rest + flows.Time(flows.RollUpMinute)
	}
	return t
}

// rolledBy is the generation of the roll-ups of a flow that count, false where they do not
// hold all that its version in force judges.
func (s *Store) rolledBy(ctx context.Context, f *flows.Flow) (generation uint64, ok bool, err error) {
	row := s.conn.QueryRow(ctx, "SELECT generation FROM rollup_generations FINAL WHERE flow = {flow:String} AND version = {version:String} AND whole",
		clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version))
	if err := row.Scan(&generation); errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	} else if err != nil {
		return 0, false, fmt.Errorf("read the generation of roll-ups: %w", err)
	}
	return generation, true, nil
}

// RollUpGenerations says of every flow which rows of its roll-ups count.
func (s *Store) RollUpGenerations(ctx context.Context) (list []RollUpGeneration, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	rows, err := s.conn.Query(ctx, "SELECT flow, generation, version, whole FROM rollup_generations FINAL")
	if err != nil {
		return nil, fmt.Errorf("read generations of roll-ups: %w", err)
	}
	for err == nil && rows.Next() {
		var g RollUpGeneration
		err = rows.Scan(&g.Flow, &g.Generation, &g.Version, &g.Whole)
		list = append(list, g)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("read generations of roll-ups: %w", err)
	}
	return list, nil
}

// RanVersions visits every version of every flow that was in force at some time.
func (s *Store) RanVersions(ctx context.Context, visit func(flow, version string)) error {
	rows, err := s.conn.Query(ctx, "SELECT flow, version FROM flow_versions FINAL")
	if err != nil {
		return fmt.Errorf("read versions: %w", err)
	}
	for err == nil && rows.Next() {
		var flow, version string
		if err = rows.Scan(&flow, &version); err == nil {
			visit(flow, version)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read versions: %w", err)
	}
	return nil
}
