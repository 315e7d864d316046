package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

var (
	//go:embed queries/tries.sql
	sqlTries string
	//go:embed queries/shared.sql
	sqlShared string
	//go:embed queries/failures.sql
	sqlFailures string
	//go:embed queries/flow_texts.sql
	sqlFlowTexts string
)

// mostTraces bounds what Failures is asked for.
const mostTraces = 200

// Tries counts the spans that a step's match names, from an instant on, apart before and
// after since. A filter of the match is not applied: what it leaves out is evidence too.
// Empty for a step that is an event.
func (s *Store) Tries(ctx context.Context, m flows.Match, from, since flows.Time) ([]flows.Tries, error) {
	if m.Kind != flows.Span {
		return nil, nil
	}
	list, err := collect(ctx, s, seenTimeout, sqlTries, func(rows driver.Rows) (t flows.Tries, err error) {
		var after, failed bool
		var count uint64
		var first, last int64
		err = rows.Scan(&after, &failed, &t.Message, &count, &first, &last)
		t.After, t.Failed, t.Count, t.First, t.Last = after, failed, int(count), flows.Time(first), flows.Time(last)
		return t, err
	}, clickhouse.Named("name", m.Name), clickhouse.Named("service", m.Service), clickhouse.Named("from", int64(from)), clickhouse.Named("since", int64(since)))
	if err != nil {
		return nil, fmt.Errorf("tries of %s: %w", m.Name, err)
	}
	return list, nil
}

// Shared says what the instances that are stuck at a step have in common: the values of
// their segments, beside those of instances that passed it and had a signal at or after
// since; the most frequent first, at most 50.
func (s *Store) Shared(ctx context.Context, f *flows.Flow, step string, since flows.Time) ([]flows.SharedValue, error) {
	list, err := collect(ctx, s, seenTimeout, sqlShared, func(rows driver.Rows) (v flows.SharedValue, err error) {
		var stuck, passed uint64
		err = rows.Scan(&v.Name, &v.Value, &stuck, &passed)
		v.Stuck, v.Passed = int(stuck), int(passed)
		return v, err
	}, clickhouse.Named("flow", f.Name), clickhouse.Named("step", step), clickhouse.Named("since", int64(since)), clickhouse.Named("limit", 50))
	if err != nil {
		return nil, fmt.Errorf("what the stuck of %s share: %w", f.Name, err)
	}
	stuck, passed := map[string]int{}, map[string]int{}
	for _, v := range list {
		stuck[v.Name] += v.Stuck
		passed[v.Name] += v.Passed
	}
	for i := range list {
		list[i].StuckAll, list[i].PassedAll = stuck[list[i].Name], passed[list[i].Name]
	}
	return list, nil
}

// Failures are what failed spans of these traces said, by trace and span id joined with a
// colon; of at most 200 traces.
func (s *Store) Failures(ctx context.Context, traces []string) (map[string]string, error) {
	if len(traces) == 0 {
		return nil, nil
	}
	said := map[string]string{}
	_, err := collect(ctx, s, seenTimeout, sqlFailures, func(rows driver.Rows) (struct{}, error) {
		var trace, span, message string
		err := rows.Scan(&trace, &span, &message)
		said[trace+":"+span] = message
		return struct{}{}, err
	}, clickhouse.Named("traces", traces[:min(len(traces), mostTraces)]))
	if err != nil {
		return nil, fmt.Errorf("failures in traces: %w", err)
	}
	return said, nil
}

// FlowTexts are the versions of a flow's file that ran, the last loaded first, at most
// limit (0 is 50, the most 1,000).
func (s *Store) FlowTexts(ctx context.Context, flow string, limit int) ([]flows.FlowText, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return nil, err
	}
	list, err := collect(ctx, s, seenTimeout, sqlFlowTexts, func(rows driver.Rows) (v flows.FlowText, err error) {
		var loaded int64
		err = rows.Scan(&v.Version, &v.Text, &loaded)
		v.Loaded = flows.Time(loaded)
		return v, err
	}, clickhouse.Named("flow", flow), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("versions of %s: %w", flow, err)
	}
	return list, nil
}

// collect asks and reads all rows.
func collect[R any](
	ctx context.Context, s *Store, within time.Duration, query string, scan func(driver.Rows) (R, error), args ...any,
) (list []R, err error) {
	ctx, cancel := withTimeout(ctx, within)
	defer cancel()
	rows, err := s.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}
