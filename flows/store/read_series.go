package store

import (
	"cmp"
	"context"
	_ "embed" // the query
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

//go:embed queries/series.sql
var sqlSeries string

// maxBuckets bounds a series: a picture has no room for more.
const maxBuckets = 2000

// Series counts how many instances of f started and ended in each bucket until to. Buckets
// begin at multiples of their length: the first holds from and may begin before it, and the
// last may be short. Left counts exactly [from, to).
func (s *Store) Series(ctx context.Context, f *flows.Flow, from, to flows.Time, bucket time.Duration) (series flows.Series, err error) {
	first := from
	if bucket > 0 {
		first -= from % flows.Time(bucket)
	}
	if bucket <= 0 || to <= from || to.Sub(from)/max(bucket, 1) >= maxBuckets {
		return flows.Series{}, &flows.InputError{Field: "bucket", Detail: fmt.Sprintf("%s from %s to %s: at least one bucket, and fewer than %d", bucket, from, to, maxBuckets)}
	}
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	if to.Sub(from) <= playedAtMost && time.Since(to.Std()) > playedBehind {
		if series, ok, err := s.seriesPlayed(ctx, f, first, from, to, bucket); ok || err != nil {
			return series, err
		}
	}
	steps := make([]string, len(f.Steps))
	for i := range f.Steps {
		steps[i] = f.Steps[i].ID
	}
	rows, err := s.conn.Query(
		ctx, sqlSeries, clickhouse.Named("steps", steps), clickhouse.Named("flow", f.Name), clickhouse.Named("first", int64(first)), clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(to)), clickhouse.Named("step", int64(bucket)),
	)
	if err != nil {
		return flows.Series{}, fmt.Errorf("series of %s: %w", f.Name, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	n := int((to.Sub(first) + bucket - 1) / bucket)
	series = flows.Series{From: first, Bucket: bucket, Started: make([]int, n), Ended: map[flows.State][]int{}}
	for rows.Next() {
		var (
			what, step      string
			at              uint32
			counted, inside uint64
		)
		if err := rows.Scan(&what, &step, &at, &counted, &inside); err != nil {
			return flows.Series{}, fmt.Errorf("scan a series of %s: %w", f.Name, err)
		}
		if what == "" {
			series.Started[at] += int(counted)
			continue
		}
		state, ok := flows.ParseState(what)
		if !ok || state.InFlight() {
			continue // written by a version that knew another state
		}
		if series.Ended[state] == nil {
			series.Ended[state] = make([]int, n)
		}
		series.Ended[state][at] += int(counted)
		if state != flows.Completed && inside > 0 {
			addLeft(&series, state, step, int(inside))
		}
	}
	if err := rows.Err(); err != nil {
		return flows.Series{}, fmt.Errorf("series of %s: %w", f.Name, err)
	}
	slices.SortStableFunc(series.Left, func(a, b flows.LeftAt) int { return cmp.Compare(b.Count, a.Count) })
	return series, nil
}

const (
	playedAtMost = 2 * time.Hour // of which a series is made from the hour in memory
	playedBehind = time.Minute   // what is younger is as it is now
)

// seriesPlayed is Series as it was at to, of the hour that the numbers beside it are read from. ok is false where there are
// too many instances for that.
func (s *Store) seriesPlayed(ctx context.Context, f *flows.Flow, first, from, to flows.Time, bucket time.Duration) (series flows.Series, ok bool, err error) {
	q := foldQuery{flow: f, now: to, hindsight: true, bound: between(first, to)}
	ls, err := s.lenses(ctx, f)
	if err != nil {
		return series, false, err
	}
	if byTime, err := s.standsByTime(ctx, &q, ls); err != nil || !byTime {
		return series, false, err
	}
	held, err := s.heldHour(ctx, q, ls)
	if err != nil || held == nil {
		return series, false, err
	}
	n := int((to.Sub(first) + bucket - 1) / bucket)
	series = flows.Series{From: first, Bucket: bucket, Started: make([]int, n), Ended: map[flows.State][]int{}}
	left := map[flows.LeftAt]int{}
	err = held.fold(q, func(c folded) error {
		if in := c.in; in.Began && in.StartedAt >= first && in.StartedAt < to {
			series.Started[in.StartedAt.Sub(first)/bucket]++
		}
		if in := c.in; !in.State.InFlight() && in.EndedAt >= first && in.EndedAt < to {
			if series.Ended[in.State] == nil {
				series.Ended[in.State] = make([]int, n)
			}
			series.Ended[in.State][in.EndedAt.Sub(first)/bucket]++
			if in.State != flows.Completed && in.EndedAt >= from {
				r := flows.LeftAt{State: in.State}
				if in.EndStep >= 0 {
					r.Step = c.flow.Steps[in.EndStep].ID
				}
				left[r]++
			}
		}
		return nil
	})
	for l, n := range left {
		l.Count = n
		series.Left = append(series.Left, l)
	}
	slices.SortFunc(series.Left, func(a, b flows.LeftAt) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State), cmp.Compare(a.Step, b.Step))
	})
	return series, true, err
}

// addLeft counts an end; rows of one way and step stand together.
func addLeft(s *flows.Series, state flows.State, step string, n int) {
	if last := len(s.Left) - 1; last >= 0 && s.Left[last].State == state && s.Left[last].Step == step {
		s.Left[last].Count += n
		return
	}
	s.Left = append(s.Left, flows.LeftAt{State: state, Step: step, Count: n})
}
