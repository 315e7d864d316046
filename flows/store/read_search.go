package store

import (
	"cmp"
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/search_called.sql
	sqlSearchCalled string
	//go:embed queries/search_holding.sql
	sqlSearchHolding string
	//go:embed queries/search_instances.sql
	sqlSearchInstances string
	//go:embed queries/search_carried.sql
	sqlSearchCarried string
	//go:embed queries/search_keys.sql
	sqlSearchKeys string
)

// besideRows is how many rows a search looks at for what else holds its text, once it has what is called so.
const besideRows = 1_000_000

// Search finds instances and keys whose value holds q, whatever its case: the very value first, then values that begin with q, short ones
// first; at most limit of each (0 is 50, the most 1,000). "type:text" looks for keys of that type, where it is one of a flow in all.
// Instances that are called or begin as q is written, or in lower or upper case, and the key that q is, are found at once in history of any
// length. For others all keys are looked at, for 2 seconds at most; for a million rows of each table where the very value was found, or
// as many as were asked for. What was found by then counts. Found.Flows is left to the caller, who knows the flows.
func (s *Store) Search(ctx context.Context, all []*flows.Flow, q string, limit int) (flows.Found, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return flows.Found{}, err
	}
	found := flows.Found{Flows: []string{}, Instances: []flows.FoundInstance{}, Keys: []flows.Key{}}
	w := newSearched(all, q, limit)
	if w.text == "" || len(q) > flows.MaxKeyBytes+flows.MaxNameBytes { // nothing is called so
		return found, nil
	}
	ctx, cancel := withTimeout(ctx, seenTimeout)
	defer cancel()
	if found.Instances, err = s.instancesCalled(ctx, w); err != nil {
		return flows.Found{}, fmt.Errorf("search instances: %w", err)
	}
	if found.Keys, err = s.keysCalled(ctx, w, found.Instances); err != nil {
		return flows.Found{}, fmt.Errorf("search keys: %w", err)
	}
	rows := 0
	if len(found.Instances) == limit && len(found.Keys) == limit || w.isAmong(found) {
		rows = besideRows
	}
	var looking sync.WaitGroup
	var failed error
	if len(found.Instances) < limit { // else these are the first
		looking.Go(func() { found.Instances, failed = s.instancesHolding(ctx, w, found.Instances, rows) })
	}
	found.Keys, err = s.keysHolding(ctx, w, found.Keys, rows)
	looking.Wait()
	if failed != nil {
		return flows.Found{}, fmt.Errorf("search instances: %w", failed)
	}
	if err != nil {
		return flows.Found{}, fmt.Errorf("search keys: %w", err)
	}
	return found, nil
}

// searched is what is searched for.
type searched struct {
	whole string              // all that was asked
	typ   string              // of the key, where whole is one of a type that a flow knows
	text  string              // what is behind its colon; else whole
	value string              // of keys; all of whole where no flow knows the type of it
	types map[string][]string // the flows whose instances are called by a type
	limit int
}

// newSearched takes q as a key. Where no flow knows its type, the colon may be part of a value.
func newSearched(all []*flows.Flow, q string, limit int) searched {
	w := searched{whole: strings.TrimSpace(q), types: map[string][]string{}, limit: limit}
	w.text, w.value = w.whole, w.whole
	for _, f := range all {
		w.types[f.Key] = append(w.types[f.Key], f.Name)
		for _, link := range f.Links {
			w.types[link] = append(w.types[link], "") // none
		}
	}
	if key, err := flows.ParseKey(w.whole); err == nil {
		if w.text = key.Value; w.types[key.Type] != nil {
			w.typ, w.value = key.Type, key.Value
		}
	}
	return w
}

// rank is 0 for the very value, 1 for one that begins so, and 2 for others.
func (w *searched) rank(value string) int {
	value, text, whole := strings.ToLower(value), strings.ToLower(w.text), strings.ToLower(w.whole)
	switch {
	case value == text || value == whole:
		return 0
	case strings.HasPrefix(value, text) || strings.HasPrefix(value, whole):
		return 1
	}
	return 2
}

// isAmong says whether the very value was found.
func (w *searched) isAmong(found flows.Found) bool {
	return slices.ContainsFunc(found.Instances, func(in flows.FoundInstance) bool { return w.rank(in.Key) == 0 }) ||
		slices.ContainsFunc(found.Keys, func(key flows.Key) bool { return w.rank(key.Value) == 0 })
}

// firstOf are the first of what was found, each once.
func firstOf[T any](limit int, compare func(a, b T) int, lists ...[]T) []T {
	list := slices.Concat(lists...)
	slices.SortFunc(list, compare)
	list = slices.CompactFunc(list, func(a, b T) bool { return compare(a, b) == 0 })
	return append([]T{}, list[:min(len(list), limit)]...) // a list of none is one
}

func (w *searched) compareInstances(a, b flows.FoundInstance) int {
	ka, kb := flows.InstanceKey(a.Key, a.Environment), flows.InstanceKey(b.Key, b.Environment)
	return cmp.Or(cmp.Compare(w.rank(ka), w.rank(kb)), cmp.Compare(len(ka), len(kb)), cmp.Compare(ka, kb), cmp.Compare(a.Flow, b.Flow))
}

func (w *searched) compareKeys(a, b flows.Key) int {
	ka, kb := a.String(), b.String()
	return cmp.Or(cmp.Compare(w.rank(a.Value), w.rank(b.Value)), cmp.Compare(len(ka), len(kb)), cmp.Compare(ka, kb))
}

// instancesCalled are those that begin with what is searched, as it is written, or in lower or upper case.
func (s *Store) instancesCalled(ctx context.Context, w searched) ([]flows.FoundInstance, error) {
	var texts, conditions []string
	for _, text := range []string{w.text, w.whole} {
		for _, text := range []string{text, strings.ToLower(text), strings.ToUpper(text)} {
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	args := []any{clickhouse.Named("text", w.text), clickhouse.Named("whole", w.whole)}
	for i, text := range texts {
		conditions = append(conditions, fmt.Sprintf("startsWith(key, {begin%d:String})", i))
		args = append(args, clickhouse.Named(fmt.Sprintf("begin%d", i), text))
	}
	query := strings.Replace(sqlSearchCalled, "/*begins*/", strings.Join(conditions, " OR "), 1)
	return s.instancesAmong(ctx, w, []flows.FoundInstance{}, query, args...)
}

// instancesHolding adds to the instances found those whose key holds the text.
func (s *Store) instancesHolding(ctx context.Context, w searched, found []flows.FoundInstance, rows int) ([]flows.FoundInstance, error) {
	return s.instancesAmong(ctx, w, found, upTo(sqlSearchHolding, rows), clickhouse.Named("text", w.text), clickhouse.Named("whole", w.whole))
}

// upTo puts into a query how many rows it may look at; 0 are all.
func upTo(query string, rows int) string {
	return strings.Replace(query, "/*rows*/", strconv.Itoa(rows), 1)
}

// instancesAmong are the first of those found and of what a query of keys finds that are there. Where many of these are gone it looks at
// more, four times as many each time.
func (s *Store) instancesAmong(ctx context.Context, w searched, found []flows.FoundInstance, query string, args ...any) ([]flows.FoundInstance, error) {
	for most := w.limit + w.limit/4 + 1; ; most *= 4 {
		called, err := s.foundInstances(ctx, query, append(slices.Clone(args), clickhouse.Named("limit", most))...)
		if err != nil || len(called) == 0 {
			return found, err
		}
		keys := make([]string, len(called))
		for i := range called {
			keys[i] = called[i].Flow + "\x00" + flows.InstanceKey(called[i].Key, called[i].Environment)
		}
		withThem, err := withKeys(ctx, keys)
		if err != nil {
			return nil, err
		}
		there, err := s.foundInstances(withThem, sqlSearchInstances)
		if err != nil {
			return nil, err
		}
		if both := firstOf(w.limit, w.compareInstances, found, there); len(called) < most || len(both) == w.limit {
			return both, nil
		}
	}
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
		in.Key, in.Environment = flows.SplitInstanceKey(in.Key)
		found = append(found, in)
	}
	return found, rows.Err()
}

// keysCalled are the keys of the instances found that begin with the text, and those of any type that are called so.
func (s *Store) keysCalled(ctx context.Context, w searched, instances []flows.FoundInstance) ([]flows.Key, error) {
	var called []flows.Key
	wanted := []string{}
	for typ, of := range w.types {
		if w.typ != "" && w.typ != typ {
			continue
		}
		for _, in := range instances {
			if slices.Contains(of, in.Flow) && strings.HasPrefix(strings.ToLower(in.Key), strings.ToLower(w.value)) {
				called = append(called, flows.Key{Type: typ, Value: in.Key})
			}
		}
		if key := (flows.Key{Type: typ, Value: w.value}); !slices.Contains(called, key) {
			wanted = append(wanted, key.String())
		}
	}
	if len(wanted) == 0 {
		return firstOf(w.limit, w.compareKeys, called), nil
	}
	carried, err := s.foundKeys(ctx, sqlSearchCarried, clickhouse.Named("keys", wanted), clickhouse.Named("limit", w.limit))
	return firstOf(w.limit, w.compareKeys, called, carried), err
}

// keysHolding adds to the keys found those whose value holds the text.
func (s *Store) keysHolding(ctx context.Context, w searched, found []flows.Key, rows int) ([]flows.Key, error) {
	typ := ""
	if w.typ != "" {
		typ = w.typ + ":"
	}
	holding, err := s.foundKeys(ctx, upTo(sqlSearchKeys, rows), clickhouse.Named("type", typ), clickhouse.Named("text", w.value),
		clickhouse.Named("whole", flag(w.typ == "" && w.whole != w.text)), clickhouse.Named("limit", w.limit))
	return firstOf(w.limit, w.compareKeys, found, holding), err
}

func (s *Store) foundKeys(ctx context.Context, query string, args ...any) (found []flows.Key, err error) {
	rows, err := s.conn.Query(ctx, query, args...)
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
