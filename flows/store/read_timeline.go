package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"throughline/flows"
)

var (
	//go:embed queries/timeline.sql
	sqlTimeline string
	//go:embed queries/timeline_known.sql
	sqlTimelineKnown string
	//go:embed queries/timeline_many.sql
	sqlTimelineMany string
	//go:embed queries/linked_keys.sql
	sqlLinkedKeys string
	//go:embed queries/carried.sql
	sqlCarried string
	//go:embed queries/steps_of_key.sql
	sqlStepsOfKey string
)

// Links of a timeline are followed over maxHops signals, to at most maxLinkedKeys keys of
// together maxLinkedBytes: they travel as one parameter in the address of a request, for
// which ClickHouse takes 128 KiB, quoted and escaped to three bytes for one.
const (
	maxHops        = 4
	maxLinkedKeys  = 1000
	maxLinkedBytes = 32 << 10
)

// fewCarried signals of keys are noted as they are found, so that the index of keys is not read for them again.
const fewCarried = 2000

// Timeline is a page of every signal of a key and its linked keys, each once, in order,
// and the cursor of the next page, "" at the end. Keys that share a signal are linked,
// transitively over at most 4 hops and to at most 1,000 keys (32 KiB of them), but never
// through the primary key of one of all flows, and never to another key of key's own type when that is
// a primary. Signals that are steps of an instance of key, by a trace or a link, belong to
// it too.
func (s *Store) Timeline(
	ctx context.Context, all []*flows.Flow, key flows.Key, limit int, cursor string,
) ([]flows.Signal, string, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return nil, "", err
	}
	if len(key.String()) > flows.MaxKeyBytes+flows.MaxNameBytes { // nothing is called so
		return []flows.Signal{}, "", nil
	}
	var after *moment
	if cursor != "" {
		after = new(moment)
		if err := decodeCursor(cursor, after); err != nil {
			return nil, "", err
		}
		if after.ID == "" || max(len(after.ID), len(after.Source), len(after.System), len(after.Sequence)) > flows.MaxNameBytes {
			return nil, "", badCursor()
		}
	}
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	c := carried{names: map[string]bool{}, of: map[string]bool{}}
	keys, err := s.linkedKeys(ctx, all, key, &c)
	if err != nil {
		return nil, "", fmt.Errorf("timeline of %s: %w", key, err)
	}
	signals, err := s.timelinePage(ctx, all, key, keys, &c, limit, after)
	if err != nil {
		return nil, "", fmt.Errorf("timeline of %s: %w", key, err)
	}
	if len(signals) <= limit {
		return signals, "", nil
	}
	signals = signals[:limit]
	next, err := encodeCursor(momentOf(&signals[limit-1]))
	return signals, next, err
}

// moment is the place of a signal in a timeline.
type moment struct {
	Time     flows.Time `json:"time"`
	Sequence string     `json:"sequence,omitempty"`
	System   string     `json:"system,omitempty"`
	ID       string     `json:"id"`
	Source   string     `json:"source,omitempty"`
}

func momentOf(g *flows.Signal) moment {
	return moment{Time: g.Time, Sequence: g.Sequence, System: g.System, ID: g.ID, Source: g.Source}
}

// timelineQuery puts together how the signals of a timeline are found and what is read of them.
func timelineQuery(found string) string {
	return signalQuery(strings.Replace(sqlTimeline, "        /*found*/\n", found, 1))
}

func (s *Store) timelinePage(
	ctx context.Context, all []*flows.Flow, key flows.Key, keys []string, c *carried, limit int, after *moment,
) (signals []flows.Signal, err error) {
	begin := after == nil
	if begin {
		after = &moment{}
	}
	query := timelineQuery(sqlTimelineMany)
	names, primary := []string{}, []string{}
	for _, f := range all {
		if f.Key == key.Type {
			primary = append(primary, f.Name)
			names = append(names, f.SignalNames()...)
		}
	}
	wanted, err := s.stepsOfKey(ctx, primary, key.Value)
	if err != nil {
		return nil, err
	}
	if known, err := s.carriedByAll(ctx, keys, c); err != nil {
		return nil, err
	} else if known {
		query = timelineQuery(sqlTimelineKnown)
		names = slices.AppendSeq(names, maps.Keys(c.names))
		for _, at := range c.at {
			if err := wanted.Append(at, "", ""); err != nil { // no signal is called so
				return nil, fmt.Errorf("look for signals: %w", err)
			}
		}
	}
	class, size, digits := flows.SequenceOrder(after.Sequence)
	rows, err := s.conn.Query(
		clickhouse.Context(ctx, clickhouse.WithExternalTable(wanted)), query,
		clickhouse.Named("keys", keys), clickhouse.Named("names", names), clickhouse.Named("begin", flag(begin)),
		clickhouse.Named("time", int64(after.Time)), clickhouse.Named("class", class), clickhouse.Named("size", size),
		clickhouse.Named("digits", digits), clickhouse.Named("system", after.System), clickhouse.Named("id", after.ID),
		clickhouse.Named("source", after.Source), clickhouse.Named("limit", limit+1),
	)
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return collectSignals(rows)
}

// stepsOfKey is a table of the signals that are steps of the instances of some flows that have a key.
func (s *Store) stepsOfKey(ctx context.Context, of []string, key string) (wanted *ext.Table, err error) {
	if wanted, err = wantedSignals(nil); err != nil || len(of) == 0 {
		return wanted, err
	}
	rows, err := s.conn.Query(ctx, sqlStepsOfKey, clickhouse.Named("flows", of), clickhouse.Named("key", key))
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var at int64
		var source, id string
		if err := rows.Scan(&at, &source, &id); err != nil {
			return nil, fmt.Errorf("scan a step: %w", err)
		}
		if err := wanted.Append(at, source, id); err != nil {
			return nil, fmt.Errorf("look for signals: %w", err)
		}
	}
	return wanted, rows.Err()
}

// linkedKeys are key and the keys linked to it, in text form.
func (s *Store) linkedKeys(ctx context.Context, all []*flows.Flow, key flows.Key, c *carried) ([]string, error) {
	isPrimary := func(k flows.Key) bool {
		return slices.ContainsFunc(all, func(f *flows.Flow) bool { return f.Key == k.Type })
	}
	sibling := key.Type // a type that is not followed to at all
	if !isPrimary(key) {
		sibling = ""
	}
	known, frontier, size := []string{key.String()}, []string{key.String()}, 0
	for hop := 0; hop < maxHops && len(frontier) > 0 && len(known) < maxLinkedKeys; hop++ {
		found, err := s.partners(ctx, frontier, known, maxLinkedKeys-len(known), c)
		if err != nil {
			return nil, err
		}
		frontier = frontier[:0:0]
		for _, text := range found {
			k, err := flows.ParseKey(text)
			if err != nil || k.Type == sibling {
				continue
			}
			if size += len(text); size > maxLinkedBytes {
				return known, nil
			}
			known = append(known, text)
			if !isPrimary(k) {
				frontier = append(frontier, text)
			}
		}
	}
	return known, nil
}

// carried is when the signals of some keys were, as far as it is known.
type carried struct {
	of    map[string]bool // these keys
	names map[string]bool
	at    []int64
	many  bool // too many to be noted
}

// carriedBy notes the signals that carry one of keys, and is the keys that these carry. Where they are too many it says so, and is nothing.
func (s *Store) carriedBy(ctx context.Context, keys []string, c *carried) (found []string, err error) {
	rows, err := s.conn.Query(ctx, sqlCarried, clickhouse.Named("keys", keys), clickhouse.Named("limit", s.fewCarried+1))
	if err != nil {
		return nil, fmt.Errorf("look for signals: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		var at int64
		var all []string
		if err := rows.Scan(&name, &at, &all); err != nil {
			return nil, fmt.Errorf("scan a signal of a key: %w", err)
		}
		c.names[name], c.at, found = true, append(c.at, at), append(found, all...)
	}
	if c.many = len(c.at) > s.fewCarried; c.many {
		return nil, rows.Err()
	}
	for _, key := range keys {
		c.of[key] = true
	}
	return found, rows.Err()
}

// carriedByAll says whether it is known when the signals of keys were.
func (s *Store) carriedByAll(ctx context.Context, keys []string, c *carried) (bool, error) {
	unknown := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return c.of[key] })
	if c.many || len(unknown) == 0 {
		return !c.many, nil
	}
	_, err := s.carriedBy(ctx, unknown, c)
	return !c.many, err
}

// partners are keys that share a signal with one of keys, without those known, in order.
func (s *Store) partners(ctx context.Context, keys, known []string, limit int, c *carried) (found []string, err error) {
	if !c.many {
		if found, err = s.carriedBy(ctx, keys, c); err != nil {
			return nil, err
		}
	}
	if !c.many {
		slices.Sort(found)
		found = slices.DeleteFunc(slices.Compact(found), func(key string) bool { return slices.Contains(known, key) })
		return found[:min(len(found), limit)], nil
	}
	rows, err := s.conn.Query(
		ctx, sqlLinkedKeys, clickhouse.Named("keys", keys), clickhouse.Named("known", known), clickhouse.Named("limit", limit),
	)
	if err != nil {
		return nil, fmt.Errorf("read linked keys: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("scan a linked key: %w", err)
		}
		found = append(found, key)
	}
	return found, rows.Err()
}
