package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"strings"
	"sync"
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
	var looking sync.WaitGroup
	var failed error
	looking.Go(func() { found.Instances, failed = s.searchInstances(ctx, text, limit) })
	found.Keys, err = s.searchKeys(ctx, typ, text, limit)
	looking.Wait()
	if failed != nil {
		return flows.Found{}, fmt.Errorf("search instances: %w", failed)
	}
	if err != nil {
		return flows.Found{}, fmt.Errorf("search keys: %w", err)
	}
	return found, nil
}

// searchInstances looks for keys without FINAL, which takes four times as long, among rows that were replaced or are gone too, and then
// at the instances of those alone; where fewer are there than that, and more keys than these, it looks with FINAL.
func (s *Store) searchInstances(ctx context.Context, text string, limit int) ([]flows.FoundInstance, error) {
	most := limit + limit/4 + 1
	query := strings.NewReplacer("SELECT flow, key, state", "SELECT flow, key, '' AS state", "instances FINAL", "instances", "LIMIT {limit", "LIMIT 1 BY flow, key\nLIMIT {limit").Replace(sqlSearchInstances)
	called, err := s.foundInstances(ctx, query, clickhouse.Named("text", text), clickhouse.Named("limit", most))
	if err != nil || len(called) == 0 {
		return []flows.FoundInstance{}, err
	}
	keys := make([]string, len(called))
	for i := range called {
		keys[i] = called[i].Flow + "\x00" + called[i].Key
	}
	withThem, err := withKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	among := "WHERE (flow, key) IN (SELECT substring(value, 1, position(value, '\\0') - 1), substring(value, position(value, '\\0') + 1) FROM wanted_keys) AND"
	query = strings.Replace(strings.Replace(sqlSearchInstances, "WHERE", among, 1), "SETTINGS", "SETTINGS optimize_move_to_prewhere_if_final = 1,", 1)
	found, err := s.foundInstances(withThem, query, clickhouse.Named("text", text), clickhouse.Named("limit", limit))
	if err == nil && len(found) < limit && len(called) == most {
		found, err = s.foundInstances(ctx, sqlSearchInstances, clickhouse.Named("text", text), clickhouse.Named("limit", limit))
	}
	for i := range found {
		found[i].Key, found[i].Environment = flows.SplitInstanceKey(found[i].Key)
	}
	return found, err
}

// foundInstances reads flow, key as it is stored, and state, where the query has one.
func (s *Store) foundInstances(ctx context.Context, query string, args ...any) (found []flows.FoundInstance, err error) {
	rows, err := s.conn.Query(ctx, query, args...)
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
		var known bool
		if in.State, known = flows.ParseState(state); !known && state != "" {
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
