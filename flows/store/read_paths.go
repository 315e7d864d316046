package store

import (
	"cmp"
	"context"
	_ "embed" // the query
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

// Variants lists the distinct paths of the instances of f, of all states, that started in
// [from, to); NoTime at either end is no bound. Most frequent first, ties by step ids. At
// most limit paths are listed (0 is 50); Total counts them all. Exact. Of a longer time than
// two hours it is what the rows of instances say; else they are folded.
func (s *Store) Variants(ctx context.Context, f *flows.Flow, from, to flows.Time, limit int) (flows.Variants, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return flows.Variants{}, err
	}
	if from == flows.NoTime || to == flows.NoTime && wallClock().Sub(from) > foldedAtMost || to != flows.NoTime && to.Sub(from) > foldedAtMost {
		if stored, ok, err := s.storedVariants(ctx, f, from, to, limit); ok || err != nil {
			return stored, err
		}
	}
	found := make(map[string]*variant)
	instances := 0
	var path []byte
	q := foldQuery{flow: f, now: wallClock(), bound: between(from, to)}
	err = s.fold(ctx, q, func(c folded) error {
		in := c.in
		if len(in.Path) == 0 || !within(in.StartedAt, from, to) {
			return nil
		}
		instances++
		path = path[:0]
		for _, step := range in.Path {
			path = append(append(path, c.flow.Steps[step].ID...), 0)
		}
		v := found[string(path)]
		if v == nil {
			v = &variant{steps: idsOf(c.flow, in.Path), conforming: true}
			found[string(path)] = v
		}
		v.durations = append(v.durations, in.Times[len(in.Times)-1].Sub(in.Times[0]))
		v.conforming = v.conforming && in.Conforming
		return nil
	})
	if err != nil {
		return flows.Variants{}, fmt.Errorf("variants of %s: %w", f.Name, err)
	}
	return topVariants(found, instances, limit), nil
}

// foldedAtMost is of how long a time instances are folded for their paths.
const foldedAtMost = 2 * time.Hour

//go:embed queries/variants.sql
var sqlVariants string

// storedVariants is Variants from the rows of instances. ok is false where some do not say yet how long a
// path took.
func (s *Store) storedVariants(ctx context.Context, f *flows.Flow, from, to flows.Time, limit int) (v flows.Variants, ok bool, err error) {
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	until := int64(to)
	if to == flows.NoTime {
		until = math.MaxInt64
	}
	rows, err := s.conn.Query(ctx, sqlVariants, clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version), clickhouse.Named("from", int64(from)),
		clickhouse.Named("to", until), clickhouse.Named("limit", limit))
	if err != nil {
		return v, false, fmt.Errorf("variants of %s: %w", f.Name, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	v.Variants = []flows.Variant{}
	for rows.Next() {
		var (
			one                              flows.Variant
			count, unknown, instances, paths uint64
			half                             int64
		)
		if err := rows.Scan(&one.Steps, &count, &half, &one.Conforming, &unknown, &instances, &paths); err != nil {
			return v, false, fmt.Errorf("scan a variant: %w", err)
		}
		if unknown > 0 {
			return v, false, nil
		}
		one.Count, one.Share, one.Median = int(count), float64(count)/float64(instances), time.Duration(half)
		v.Variants, v.Total = append(v.Variants, one), int(paths)
	}
	if err := rows.Err(); err != nil {
		return v, false, fmt.Errorf("variants of %s: %w", f.Name, err)
	}
	return v, true, nil
}

// idsOf are the ids of steps of a version.
func idsOf(f *flows.Flow, steps []int) []string {
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = f.Steps[s].ID
	}
	return ids
}

type variant struct {
	steps      []string
	durations  []time.Duration
	conforming bool
}

func topVariants(found map[string]*variant, instances, limit int) flows.Variants {
	all := make([]*variant, 0, len(found))
	for _, v := range found {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *variant) int {
		return cmp.Or(cmp.Compare(len(b.durations), len(a.durations)), slices.Compare(a.steps, b.steps))
	})
	answer := flows.Variants{Variants: []flows.Variant{}, Total: len(all)}
	for _, v := range all[:min(limit, len(all))] {
		answer.Variants = append(answer.Variants, flows.Variant{
			Steps: v.steps, Count: len(v.durations), Share: float64(len(v.durations)) / float64(instances),
			Median: median(v.durations), Conforming: v.conforming,
		})
	}
	return answer
}

// DirectlyFollows counts the neighbouring pairs in the paths of the instances of f, of all
// states: edges by the time of their second step, starts by the time of the first step,
// ends by that of the last, each in [from, to); NoTime at either end is no bound. Most
// frequent first, then by the steps' ids. Exact: it keeps one duration per pair that
// occurred in memory.
func (s *Store) DirectlyFollows(ctx context.Context, f *flows.Flow, from, to flows.Time) (flows.DirectlyFollows, error) {
	edges := make(map[[2]string][]time.Duration)
	starts, ends := map[string]int{}, map[string]int{}
	q := foldQuery{flow: f, now: wallClock(), bound: between(from, to)}
	err := s.fold(ctx, q, func(c folded) error {
		path, times := c.in.Path, c.in.Times
		for i, position := range path {
			step := c.flow.Steps[position].ID
			if !within(times[i], from, to) {
				continue
			}
			if i == 0 {
				starts[step]++
			} else {
				edge := [2]string{c.flow.Steps[path[i-1]].ID, step}
				edges[edge] = append(edges[edge], times[i].Sub(times[i-1]))
			}
			if i == len(path)-1 {
				ends[step]++
			}
		}
		return nil
	})
	if err != nil {
		return flows.DirectlyFollows{}, fmt.Errorf("directly-follows of %s: %w", f.Name, err)
	}
	answer := flows.DirectlyFollows{Edges: []flows.Edge{}, Starts: starts, Ends: ends}
	for edge, durations := range edges {
		answer.Edges = append(answer.Edges, flows.Edge{
			From: edge[0], To: edge[1], Count: len(durations), Median: median(durations),
		})
	}
	slices.SortFunc(answer.Edges, func(a, b flows.Edge) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return answer, nil
}

func within(t, from, to flows.Time) bool {
	return t >= from && (to == flows.NoTime || t < to)
}

// median is the nearest rank (1-based ceil(n/2)) of at least one duration. It sorts them.
func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[(len(durations)-1)/2]
}
