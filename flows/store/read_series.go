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

var (
	//go:embed queries/series.sql
	sqlSeries string
	//go:embed queries/rollups_series.sql
	sqlRollUpsSeries string
)

// countedFrom is how long a series is of which the last minutes may be missing.
const countedFrom = 24 * time.Hour

// maxBuckets bounds a series: a picture has no room for more.
const maxBuckets = 2000

// Series counts how many instances of f started and ended in each bucket until to. Buckets
// begin at multiples of their length: the first holds from and may begin before it, and the
// last may be short. Left counts exactly [from, to). Of a day and more of very many instances
// it ends up to two minutes before to, with a whole minute, and Left counts from one.
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
	n := int((to.Sub(first) + bucket - 1) / bucket)
	r := seriesReader{s: s, f: f, first: first, from: from, bucket: bucket, series: flows.Series{From: first, Bucket: bucket, Started: make([]int, n), Ended: map[flows.State][]int{}}}
	played := to.Sub(from) <= playedAtMost && time.Since(to.Std()) > playedBehind
	ok, err := r.rolled(ctx, to, played)
	if err == nil && !ok && played {
		ok, err = r.played(ctx, to)
	}
	if err == nil && !ok {
		err = r.stored(ctx, to)
	}
	if err != nil {
		return flows.Series{}, fmt.Errorf("series of %s: %w", f.Name, err)
	}
	return r.ordered(), nil
}

// seriesReader adds up a series.
type seriesReader struct {
	s           *Store
	f           *flows.Flow
	first, from flows.Time
	bucket      time.Duration
	series      flows.Series
}

// rolled counts all by the roll-ups, where these hold very many instances; else it counts nothing, and says so.
func (r *seriesReader) rolled(ctx context.Context, to flows.Time, hindsight bool) (ok bool, err error) {
	if r.bucket%flows.RollUpMinute != 0 {
		return false, nil
	}
	q := foldQuery{flow: r.f, now: to, hindsight: hindsight, bound: between(r.first, to)}
	from := r.from
	if !hindsight && to.Sub(r.from) >= countedFrom {
		if r.from, q.now = wholeMinutes(r.from, to); r.from < r.first {
			q.bound.from = r.from
		}
		q.bound.to, q.counts = q.now, true
	}
	ok, err = r.s.foldRolled(ctx, q, r.rolledNumbers(), r.visit(q.now))
	if !ok {
		r.from = from
		clear(r.series.Started)
		r.series.Ended, r.series.Left = map[flows.State][]int{}, nil
	}
	return ok, err
}

// visit counts an instance that is folded.
func (r *seriesReader) visit(to flows.Time) func(folded) error {
	return func(c folded) error {
		in := c.in
		if in.Began && in.StartedAt < to {
			r.count(in.StartedAt, flows.Open, 1)
		}
		if in.State.InFlight() || in.EndedAt >= to {
			return nil
		}
		r.count(in.EndedAt, in.State, 1)
		if in.State != flows.Completed && in.EndedAt >= r.from {
			step := ""
			if in.EndStep >= 0 {
				step = c.flow.Steps[in.EndStep].ID
			}
			addLeft(&r.series, in.State, step, 1)
		}
		return nil
	}
}

// addRolled adds the roll-ups of a generation up to a whole minute; to what left, those from another one on.
func (r *seriesReader) addRolled(ctx context.Context, generation uint64, whole, until flows.Time) error {
	return r.add(ctx, sqlRollUpsSeries, clickhouse.Named("flow", r.f.Name), clickhouse.Named("generation", generation),
		clickhouse.Named("first", int64(r.first)/1e9), clickhouse.Named("from", int64(whole)/1e9), clickhouse.Named("to", int64(until)/1e9),
		clickhouse.Named("step", int64(r.bucket)/1e9))
}

// stored adds all up to an instant by the rows of the instances.
func (r *seriesReader) stored(ctx context.Context, to flows.Time) error {
	steps := make([]string, len(r.f.Steps))
	for i := range r.f.Steps {
		steps[i] = r.f.Steps[i].ID
	}
	return r.add(ctx, sqlSeries, clickhouse.Named("steps", steps), clickhouse.Named("flow", r.f.Name), clickhouse.Named("first", int64(r.first)),
		clickhouse.Named("from", int64(r.from)), clickhouse.Named("to", int64(to)), clickhouse.Named("step", int64(r.bucket)))
}

// add adds the rows of a query.
func (r *seriesReader) add(ctx context.Context, query string, args ...any) (err error) {
	rows, err := r.s.conn.Query(ctx, query, args...)
	if err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			what, step      string
			at              uint32
			counted, inside int64
		)
		if err := rows.Scan(&what, &step, &at, &counted, &inside); err != nil {
			return err //nolint:wrapcheck // the caller does
		}
		if what == "" {
			r.series.Started[at] += int(counted)
			continue
		}
		state, ok := flows.ParseState(what)
		if !ok || state.InFlight() {
			continue // written by a version that knew another state
		}
		if r.series.Ended[state] == nil {
			r.series.Ended[state] = make([]int, len(r.series.Started))
		}
		r.series.Ended[state][at] += int(counted)
		if state != flows.Completed && inside > 0 {
			addLeft(&r.series, state, step, int(inside))
		}
	}
	return rows.Err() //nolint:wrapcheck // the caller does
}

const (
	playedAtMost = 2 * time.Hour // of which a series is made from the hour in memory
	playedBehind = time.Minute   // what is younger is as it is now
)

// played counts all as it was at an instant, of the hour that the numbers beside it are read from. ok is false where there are too
// many instances for that.
func (r *seriesReader) played(ctx context.Context, to flows.Time) (ok bool, err error) {
	q := foldQuery{flow: r.f, now: to, hindsight: true, bound: between(r.first, to)}
	ls, err := r.s.lenses(ctx, r.f)
	if err != nil {
		return false, err
	}
	if byTime, err := r.s.standsByTime(ctx, &q, ls); err != nil || !byTime {
		return false, err
	}
	held, err := r.s.heldHour(ctx, q, ls)
	if err != nil || held == nil {
		return false, err
	}
	return true, held.fold(q, r.visit(to))
}

// rolledNumbers are those of the series.
func (r *seriesReader) rolledNumbers() rolledNumbers {
	whole, said := nextMinute(r.from), seriesReader{s: r.s, f: r.f, first: r.first, from: r.from, bucket: r.bucket}
	return rolledNumbers{
		edge: r.from,
		read: func(ctx context.Context, generation uint64, until flows.Time) (started int64, err error) {
			said.series = flows.Series{Started: make([]int, len(r.series.Started)), Ended: map[flows.State][]int{}}
			err = said.addRolled(ctx, generation, whole, until)
			for _, n := range said.series.Started {
				started += int64(n)
			}
			return started, err
		},
		take: func(_ context.Context, _ uint64, _ flows.Time, back []flows.RollUp) (bool, error) {
			for i, n := range said.series.Started {
				r.series.Started[i] += n
			}
			for state, counts := range said.series.Ended {
				for i, n := range counts {
					r.count(r.first.Add(time.Duration(i)*r.bucket), state, n)
				}
			}
			for _, l := range said.series.Left {
				addLeft(&r.series, l.State, l.Step, l.Count)
			}
			for _, b := range back {
				state, end := b.Measure.State()
				switch {
				case b.Measure == flows.MeasureStarted:
					r.count(b.Start, flows.Open, int(b.Count))
				case end:
					r.count(b.Start, state, int(b.Count))
					if state != flows.Completed && b.Start >= whole {
						addLeft(&r.series, state, b.Step, int(b.Count))
					}
				}
			}
			return true, nil
		},
	}
}

// count adds to the bucket of an instant what started, flows.Open, or ended; what was before the first counts nowhere.
func (r *seriesReader) count(at flows.Time, state flows.State, n int) {
	if at < r.first {
		return
	}
	counts := r.series.Started
	if state != flows.Open {
		if r.series.Ended[state] == nil {
			r.series.Ended[state] = make([]int, len(r.series.Started))
		}
		counts = r.series.Ended[state]
	}
	counts[at.Sub(r.first)/r.bucket] += n
}

// ordered is the series with what left the most first, and without what did not end so after all.
func (r *seriesReader) ordered() flows.Series {
	for state, counts := range r.series.Ended {
		if !slices.ContainsFunc(counts, func(n int) bool { return n != 0 }) {
			delete(r.series.Ended, state)
		}
	}
	r.series.Left = slices.DeleteFunc(r.series.Left, func(l flows.LeftAt) bool { return l.Count == 0 })
	slices.SortStableFunc(r.series.Left, func(a, b flows.LeftAt) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State), cmp.Compare(a.Step, b.Step))
	})
	return r.series
}

// addLeft counts an end.
func addLeft(s *flows.Series, state flows.State, step string, n int) {
	for i := range s.Left {
		if s.Left[i].State == state && s.Left[i].Step == step {
			s.Left[i].Count += n
			return
		}
	}
	s.Left = append(s.Left, flows.LeftAt{State: state, Step: step, Count: n})
}
