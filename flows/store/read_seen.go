package store

import (
	"context"
	_ "embed" // the query
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

//go:embed queries/seen.sql
var sqlSeen string

// seenTimeout bounds what pages ask by the way.
const seenTimeout = 10 * time.Second

// SignalNames lists the names that signals received since then carried, wanted by a flow
// or not, latest first, at most limit (0 is 50, the most 1,000), each with at most 200
// names of attributes and fields. Counts are of receptions: a copy counts.
func (s *Store) SignalNames(ctx context.Context, since flows.Time, limit int) (seen []flows.SeenSignal, err error) {
	limit, err = pageLimit(limit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withTimeout(ctx, seenTimeout)
	defer cancel()
	rows, err := s.conn.Query(
		ctx, sqlSeen, clickhouse.Named("since", int64(max(since, 0))), clickhouse.Named("limit", limit),
	)
	if err != nil {
		return nil, fmt.Errorf("names of signals: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	seen = []flows.SeenSignal{}
	for rows.Next() {
		var (
			g     flows.SeenSignal
			kind  string
			count uint64
			last  int64
			first int64
		)
		if err := rows.Scan(&kind, &g.Name, &g.Source, &count, &last, &first, &g.Attributes); err != nil {
			return nil, fmt.Errorf("scan a name of signals: %w", err)
		}
		if kind == flows.Span.String() {
			g.Kind = flows.Span
		}
		g.Count, g.Last, g.First = int(count), flows.Time(last), flows.Time(first)
		seen = append(seen, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("names of signals: %w", err)
	}
	return seen, nil
}
