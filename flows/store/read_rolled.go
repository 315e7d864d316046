package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/rollups_health.sql
	sqlRollUpsHealth string
	//go:embed queries/rollups_values.sql
	sqlRollUpsValues string
	//go:embed queries/kept_between.sql
	sqlKeptBetween string
)

// maxBeside is how many instances are folded one by one beside roll-ups. Of a past hour they are fewer: where there are
// more, all are folded, and a run of instants finds them in memory.
const maxBeside, maxBesidePlayed = 200_000, 20_000

// rolledNumbers are numbers that roll-ups give.
type rolledNumbers struct {
	// edge is where they begin, maybe in the midst of a minute.
	edge flows.Time
	// read asks for those of a generation up to a whole minute, and says how many instances started in them.
	read func(ctx context.Context, generation uint64, until flows.Time) (started int64, err error)
	// take uses what was read, less what the roll-ups of minutes up to then say of some instances: back, with all single
	// durations. False where that does not give the numbers that a fold gives.
	take func(ctx context.Context, generation uint64, until flows.Time, back []flows.RollUp) (ok bool, err error)
}

// foldRolled answers a question about what happened between q.bound.from and q.now by the roll-ups of whole minutes, where
// these hold very many instances, and visits those instances alone of which the roll-ups do not say what the fold does: what
// was there in the minutes at both ends, which includes all that was in flight at q.now, and what keeps another version. What
// the roll-ups say of those is taken back. So the numbers are those of the fold; of a distribution of more than 1,000 values the
// percentiles and the greatest are within 1 %. Where ok is false, what was taken and visited is to be forgotten.
func (s *Store) foldRolled(ctx context.Context, q foldQuery, numbers rolledNumbers, visit func(folded) error) (ok bool, err error) {
	from, until := nextMinute(max(numbers.edge, earliest)), rolledUntil(q.now)
	if !q.bound.set || q.segment.name != "" || until.Sub(from) < 2*flows.RollUpMinute {
		return false, nil
	}
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	generation, ok, err := s.rolledBy(ctx, q.flow)
	if !ok || err != nil {
		return false, err
	}
	if started, err := numbers.read(ctx, generation, until); err != nil || started < int64(s.rolledFrom) {
		return false, err
	}
	ls, err := s.lenses(ctx, q.flow)
	if err != nil {
		return false, err
	}
	if byTime, err := s.standsByTime(ctx, &q, ls); err != nil || !byTime {
		return false, err
	}
	beside, ok, err := s.besideRolled(ctx, q, ls, bound{true, numbers.edge, from}, until)
	if !ok || err != nil {
		return false, err
	}
	others, err := s.keptAmong(ctx, q.flow, ls, beside)
	if err != nil {
		return false, err
	}
	parts, ok, err := s.besideParts(ctx, q.flow.Name, beside, from+(until-from)/2)
	if !ok || err != nil {
		return false, err
	}
	back := flows.NewRollUps(q.flow).Exactly()
	for _, p := range parts {
		if err := s.foldBeside(ctx, q, ls, p, others, back, visit); err != nil {
			return true, err
		}
	}
	return numbers.take(ctx, generation, until, slices.DeleteFunc(back.Take(), func(r flows.RollUp) bool { return r.Span == flows.RollUpHour || r.Start >= until }))
}

// rolledTally are the numbers of a tally of what happened from an instant on.
func (s *Store) rolledTally(f *flows.Flow, from flows.Time, tally *flows.Tally) rolledNumbers {
	edge, from := from, nextMinute(max(from, earliest))
	var said []flows.RollUp
	var all int64
	return rolledNumbers{
		edge: edge,
		read: func(ctx context.Context, generation uint64, until flows.Time) (started int64, err error) {
			if said, err = s.rolledBetween(ctx, f, generation, from, until); err != nil {
				return 0, err
			}
			for i := range said {
				if said[i].Measure == flows.MeasureStarted {
					started += said[i].Count
				}
			}
			all = started
			return started, nil
		},
		take: func(ctx context.Context, generation uint64, until flows.Time, back []flows.RollUp) (bool, error) {
			said = append(said, slices.DeleteFunc(back, func(r flows.RollUp) bool { return r.Start < from })...)
			few := tally.FewRolled(f, said)
			values, err := s.rolledValues(ctx, f, generation, from, until, few)
			if err != nil {
				return false, err
			}
			exact := tally.AddRollUps(f, append(said, values...), few)
			return exact || all > maxBeside, nil // folding so many takes too long to be asked for that
		},
	}
}

// maxRolledValues bounds the durations that are read one by one: those of 1,000 distributions.
const maxRolledValues = 1_000_000

// rolledValues are the single durations that roll-ups of whole minutes say of some distributions.
func (s *Store) rolledValues(ctx context.Context, f *flows.Flow, generation uint64, from, to flows.Time, few []flows.RolledSeries) (values []flows.RollUp, err error) {
	if len(few) == 0 {
		return nil, nil
	}
	var measures, steps, tos []string
	for _, series := range few {
		measures, steps, tos = append(measures, series.Measure.String()), append(steps, series.Step), append(tos, series.To)
	}
	rows, err := s.conn.Query(ctx, sqlRollUpsValues, clickhouse.Named("flow", f.Name), clickhouse.Named("generation", generation),
		clickhouse.Named("measures", measures), clickhouse.Named("steps", steps), clickhouse.Named("tos", tos),
		clickhouse.Named("from", int64(from)/1e9), clickhouse.Named("to", int64(to)/1e9), clickhouse.Named("limit", maxRolledValues))
	if err != nil {
		return nil, fmt.Errorf("read durations of roll-ups: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r := flows.RollUp{Span: flows.RollUpValue}
		var name string
		if err := rows.Scan(&name, &r.Step, &r.To, (*int64)(&r.Took), &r.Count); err != nil {
			return nil, fmt.Errorf("scan a duration of roll-ups: %w", err)
		}
		r.Measure, _ = flows.ParseMeasure(name) // it was asked for
		values = append(values, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read durations of roll-ups: %w", err)
	}
	return values, nil
}

// rolledBetween are the sums of a flow's roll-ups of whole minutes.
func (s *Store) rolledBetween(ctx context.Context, f *flows.Flow, generation uint64, from, to flows.Time) (said []flows.RollUp, err error) {
	const hour = flows.Time(flows.RollUpHour)
	first, late := (from+hour-1)/hour*hour, to/hour*hour
	if first >= late {
		first, late = to, to
	}
	rows, err := s.conn.Query(ctx, sqlRollUpsHealth, clickhouse.Named("flow", f.Name), clickhouse.Named("generation", generation),
		clickhouse.Named("first", int64(from)/1e9), clickhouse.Named("hour", int64(first)/1e9), clickhouse.Named("late", int64(late)/1e9), clickhouse.Named("to", int64(to)/1e9))
	if err != nil {
		return nil, fmt.Errorf("read roll-ups: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			r     flows.RollUp
			name  string
			total big.Int
		)
		if err := rows.Scan(&name, &r.Step, &r.To, &r.Bin, &r.Count, &total); err != nil {
			return nil, fmt.Errorf("scan a roll-up: %w", err)
		}
		known := false
		if r.Measure, known = flows.ParseMeasure(name); !known {
			continue // written by a version that counted something else
		}
		var high big.Int
		high.Rsh(&total, 64) // as two's complement
		r.SumHi, r.SumLo = high.Int64(), new(big.Int).Sub(&total, high.Lsh(&high, 64)).Uint64()
		said = append(said, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read roll-ups: %w", err)
	}
	return said, nil
}

// besideRolled are the instances that are folded beside the roll-ups, the earliest first: what was there at the edge before their
// first whole minute, since their last, or keeps another version. ok is false where they are too many.
func (s *Store) besideRolled(ctx context.Context, q foldQuery, ls *lenses, edge bound, until flows.Time) (found []candidate, ok bool, err error) {
	most := maxBeside
	if q.hindsight && q.now.Sub(q.bound.from) <= playedAtMost {
		most = maxBesidePlayed
	}
	var ends []bound
	if !q.counts { // then there is nothing since
		ends = append(ends, bound{true, until, q.now})
	}
	if edge.from > earliest && edge.from < edge.to {
		ends = append(ends, edge)
	}
	known := map[string]bool{}
	add := func(c candidate) {
		if !known[c.key] {
			known[c.key] = true
			found = append(found, c)
		}
	}
	for _, end := range ends {
		part := q
		part.bound = end
		list, ok, err := s.candidates(ctx, &part)
		if err != nil || !ok || len(list)+len(found) > most {
			return nil, false, err
		}
		for _, c := range list {
			add(c)
		}
	}
	if ls.others != nil {
		list, err := s.keptBetween(ctx, q.flow, max(q.bound.from, earliest), q.now)
		if err != nil || len(list)+len(found) > most {
			return nil, false, err
		}
		for _, c := range list {
			add(c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return int(min(max(a.began-b.began, -1), 1)) })
	return found, true, nil
}

// besideParts says where the occurrences of what is folded beside roll-ups are read: of what was over before an instant in the
// midst of the window, of what began after it, and of the few that were there then by their keys. So a long window costs what is
// at its ends. Where those are not few it is what parts says of all.
func (s *Store) besideParts(ctx context.Context, flow string, found []candidate, midst flows.Time) (list []part, ok bool, err error) {
	var before, after []candidate
	var through []string
	for _, c := range found {
		switch {
		case c.until < midst:
			before = append(before, c)
		case c.began >= midst:
			after = append(after, c)
		default:
			through = append(through, c.key)
		}
	}
	if len(through)*rowsOfAKey > fewRows {
		return s.parts(ctx, flow, found, latest)
	}
	for _, some := range [][]candidate{before, after} {
		parts, ok, err := s.parts(ctx, flow, some, latest)
		if !ok || err != nil {
			return nil, false, err
		}
		list = append(list, parts...)
	}
	if len(through) > 0 {
		list = append(list, part{keys: through})
	}
	return list, true, nil
}

// keptBetween are the ended instances of other versions that were there between two instants; one more than maxBeside at most.
func (s *Store) keptBetween(ctx context.Context, f *flows.Flow, from, to flows.Time) (found []candidate, err error) {
	rows, err := s.conn.Query(ctx, sqlKeptBetween, clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version),
		clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(to)), clickhouse.Named("limit", maxBeside+1))
	if err != nil {
		return nil, fmt.Errorf("look for instances of other versions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c := candidate{began: earliest, until: latest}
		if err := rows.Scan(&c.key); err != nil {
			return nil, fmt.Errorf("scan a key: %w", err)
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for instances of other versions: %w", err)
	}
	return found, nil
}

// keptAmong are those of some instances that keep another version: the roll-ups do not hold them.
func (s *Store) keptAmong(ctx context.Context, f *flows.Flow, ls *lenses, found []candidate) (map[string]bool, error) {
	if ls.others == nil || len(found) == 0 {
		return nil, nil
	}
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].key
	}
	ctx, err := withKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	kept, err := s.keptVersions(ctx, f, ofWantedKeys)
	if err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for kept.next() {
		others[kept.key] = true
	}
	return others, errors.Join(kept.err, kept.rows.Close())
}

// foldBeside visits the instances of a part as q asks for them, and takes back what the roll-ups say of them.
func (s *Store) foldBeside(ctx context.Context, q foldQuery, ls *lenses, p part, others map[string]bool, back *flows.RollUps, visit func(folded) error) error {
	rows, kept, err := s.readPart(ctx, q.flow, ls, p, latest)
	if err != nil {
		return err
	}
	f := folder{q: q, visit: visit}
	var scratch flows.Instance
	var seen, before []flows.Occurrence
	err = eachKey(rows, ls, kept, func(key, version string, occurrences []flows.Occurrence) error {
		own := ls.others[version]
		if !others[key] {
			before = append(before[:0], occurrences...)
			back.Change(&scratch, ls.inForce.see(before), nil)
		}
		seen = seen[:0]
		for i := range occurrences {
			if !q.hindsight || occurrences[i].At <= q.now {
				seen = append(seen, occurrences[i])
			}
		}
		if len(seen) == 0 {
			return nil
		}
		l := ls.inForce
		if own != nil && !(q.hindsight && f.openBy(own, seen)) {
			l = own
		}
		return f.key(l.flow, key, l.see(seen))
	})
	return errors.Join(err, rows.Close(), kept.close())
}
