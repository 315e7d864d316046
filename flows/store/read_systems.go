package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

var (
	//go:embed queries/systems.sql
	sqlSystems string
	//go:embed queries/system_delays.sql
	sqlSystemDelays string
	//go:embed queries/systems_last.sql
	sqlSystemsLast string
	//go:embed queries/system_names.sql
	sqlSystemNames string
)

const (
	// systemBuckets is how finely a window is looked at: gaps that are longer than a bucket
	// are exact.
	systemBuckets = 360
	// maxSystems bounds an answer, in whatever number of names producers think of.
	maxSystems = 1000
)

// Systems tells what arrived from each system in [from, to), by name, at most a thousand of
// them; also of those of asked that were silent, with when they were heard last. Arrivals
// count, wanted by a flow or not, copies too; imported history is no arrival. Spans arrive by
// the second.
func (s *Store) Systems(ctx context.Context, asked []string, from, to flows.Time) ([]flows.SystemTraffic, error) {
	if to <= from {
		return nil, &flows.InputError{Field: "from", Detail: fmt.Sprintf("from %s is not before to %s", from, to)}
	}
	ctx, cancel := withTimeout(ctx, seenTimeout)
	defer cancel()
	list, err := s.systemTraffic(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("traffic of systems: %w", err)
	}
	byName := make(map[string]*flows.SystemTraffic, len(list))
	for i := range list {
		byName[list[i].System] = &list[i]
	}
	if err := s.systemDelays(ctx, byName, from, to); err != nil {
		return nil, fmt.Errorf("delays of systems: %w", err)
	}
	var silent []string
	for _, name := range asked {
		if byName[name] == nil {
			silent = append(silent, name)
		}
	}
	if len(silent) == 0 {
		return list, nil
	}
	last, err := s.lastHeard(ctx, silent, to)
	if err != nil {
		return nil, fmt.Errorf("last word of systems: %w", err)
	}
	return append(list, last...), nil
}

func (s *Store) systemTraffic(ctx context.Context, from, to flows.Time) (list []flows.SystemTraffic, err error) {
	step := max(int64(to.Sub(from))/systemBuckets, 1)
	rows, err := s.conn.Query(
		ctx, sqlSystems, clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(to)), clickhouse.Named("step", step),
		clickhouse.Named("limit", maxSystems*(systemBuckets+1)),
	)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var now *flows.SystemTraffic
	for rows.Next() {
		var (
			name        string
			bucket      uint32
			counted     uint64
			first, last int64
		)
		if err := rows.Scan(&name, &bucket, &counted, &first, &last); err != nil {
			return nil, err
		}
		if now == nil || now.System != name {
			if len(list) == maxSystems {
				break
			}
			list = append(list, flows.SystemTraffic{System: name, Buckets: make([]int, systemBuckets), Last: flows.NoTime, Resolution: time.Duration(step)})
			now = &list[len(list)-1]
		}
		if gap := flows.Time(first).Sub(now.Last); now.Last != flows.NoTime && gap > max(now.LongestGap, now.Resolution) {
			now.LongestGap = gap
		}
		now.Signals += int(counted)
		now.Buckets[min(int(bucket), systemBuckets-1)] += int(counted)
		now.Last = max(now.Last, flows.Time(last))
	}
	return list, rows.Err()
}

func (s *Store) systemDelays(ctx context.Context, byName map[string]*flows.SystemTraffic, from, to flows.Time) error {
	rows, err := s.conn.Query(
		ctx, sqlSystemDelays, clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(to)), clickhouse.Named("limit", maxSystems),
	)
	if err != nil {
		return err
	}
	return errors.Join(scanDelays(rows, byName), rows.Close())
}

func scanDelays(rows driver.Rows, byName map[string]*flows.SystemTraffic) error {
	for rows.Next() {
		var (
			name           string
			judged, skewed uint64
			least          int64
			half, most     float64
		)
		if err := rows.Scan(&name, &judged, &least, &half, &most, &skewed); err != nil {
			return err
		}
		if t := byName[name]; t != nil {
			t.Judged, t.Skewed = int(judged), int(skewed)
			t.Least, t.P50, t.P99 = time.Duration(least), wholeNanos(half), wholeNanos(most)
		}
	}
	return rows.Err()
}

// wholeNanos is a number of nanoseconds as a duration, saturating.
func wholeNanos(f float64) time.Duration {
	return time.Duration(max(math.MinInt64, min(f, math.MaxInt64-1024)))
}

// lastHeard looks further and further back, so that little is read of what came before the last word of a silent system; all that
// is kept is read only for those that were never heard.
func (s *Store) lastHeard(ctx context.Context, systems []string, now flows.Time) (list []flows.SystemTraffic, err error) {
	for back := 3 * time.Hour; ; back *= 3 {
		if back > 60*24*time.Hour {
			back = math.MaxInt64
		}
		found, err := s.lastHeardSince(ctx, systems, max(now.Add(-back), 0))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
		systems = slices.DeleteFunc(systems, func(name string) bool {
			return slices.ContainsFunc(found, func(t flows.SystemTraffic) bool { return t.System == name })
		})
		if len(systems) == 0 || back == math.MaxInt64 {
			return list, nil
		}
	}
}

func (s *Store) lastHeardSince(ctx context.Context, systems []string, since flows.Time) (list []flows.SystemTraffic, err error) {
	rows, err := s.conn.Query(ctx, sqlSystemsLast, clickhouse.Named("systems", systems), clickhouse.Named("since", int64(since)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			name string
			last int64
		)
		if err := rows.Scan(&name, &last); err != nil {
			return nil, err
		}
		list = append(list, flows.SystemTraffic{System: name, Last: flows.Time(last)})
	}
	return list, rows.Err()
}

// SystemNames lists the names that a system's signals carried since an instant, most frequent
// first, at most limit (0 is 50, the most 1,000). Counts are of receptions.
func (s *Store) SystemNames(ctx context.Context, system string, since flows.Time, limit int) (names []flows.SeenSignal, err error) {
	if limit, err = pageLimit(limit); err != nil {
		return nil, err
	}
	ctx, cancel := withTimeout(ctx, seenTimeout)
	defer cancel()
	rows, err := s.conn.Query(
		ctx, sqlSystemNames, clickhouse.Named("system", system), clickhouse.Named("since", int64(max(since, 0))), clickhouse.Named("limit", limit),
	)
	if err != nil {
		return nil, fmt.Errorf("names of a system: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			g       = flows.SeenSignal{Source: system}
			kind    string
			counted uint64
			last    int64
		)
		if err := rows.Scan(&kind, &g.Name, &counted, &last); err != nil {
			return nil, fmt.Errorf("scan a name of a system: %w", err)
		}
		if kind == flows.Span.String() {
			g.Kind = flows.Span
		}
		g.Count, g.Last = int(counted), flows.Time(last)
		names = append(names, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("names of a system: %w", err)
	}
	return names, nil
}
