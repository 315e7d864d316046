package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/search_instances.sql
	sqlSearchInstances string
	//go:embed queries/search_keys.sql
	sqlSearchKeys string
	//go:embed queries/seen.sql
	sqlSeen string
)

// seenTimeout bounds what pages ask by the way.
const seenTimeout = 10 * time.Second

// Search finds instances and keys whose value holds q, whatever its case: the very value
// first, then values that begin with q, short ones first; at most limit of each (0 is 50,
// the most 1,000). "type:text" looks for keys of that type. Each of the two searches looks
// for 3 seconds and gives what it found by then. Found.Flows is left to the caller, who
// knows the flows.
func (s *Store) Search(ctx context.Context, q string, limit int) (flows.Found, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return flows.Found{}, err
	}
	found := flows.Found{Flows: []string{}, Instances: []flows.FoundInstance{}, Keys: []flows.Key{}}
	typ, text := "", strings.TrimSpace(q)
	if key, err := flows.ParseKey(text); err == nil {
		typ, text = key.Type+":", key.Value
	}
	if text == "" || len(q) > flows.MaxKeyBytes+flows.MaxNameBytes { // nothing is called so
		return found, nil
	}
	ctx, cancel := withTimeout(ctx, seenTimeout)
	defer cancel()
	if found.Instances, err = s.searchInstances(ctx, text, limit); err != nil {
		return flows.Found{}, fmt.Errorf("search instances: %w", err)
	}
	if found.Keys, err = s.searchKeys(ctx, typ, text, limit); err != nil {
		return flows.Found{}, fmt.Errorf("search keys: %w", err)
	}
	return found, nil
}

func (s *Store) searchInstances(ctx context.Context, text string, limit int) (found []flows.FoundInstance, err error) {
	rows, err := s.conn.Query(ctx, sqlSearchInstances, clickhouse.Named("text", text), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = []flows.FoundInstance{}
	for rows.Next() {
		var in flows.FoundInstance
		var state string
		if err := rows.Scan(&in.Flow, &in.Key, &state); err != nil {
			return nil, err
		}
		in.Key, in.Environment = flows.SplitInstanceKey(in.Key)
		var known bool
		if in.State, known = flows.ParseState(state); !known {
			return nil, fmt.Errorf("instance %s of %s has the state %q, which this program does not know", in.Key, in.Flow, state)
		}
		found = append(found, in)
	}
	return found, rows.Err()
}

func (s *Store) searchKeys(ctx context.Context, typ, text string, limit int) (found []flows.Key, err error) {
	rows, err := s.conn.Query(
		ctx, sqlSearchKeys, clickhouse.Named("type", typ), clickhouse.Named("text", text), clickhouse.Named("limit", limit),
	)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = []flows.Key{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		key, err := flows.ParseKey(text)
		if err != nil {
			return nil, err
		}
		found = append(found, key)
	}
	return found, rows.Err()
}

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
