package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

var (
	//go:embed queries/candidates.sql
	sqlCandidates string
	//go:embed queries/occurrences_by_time.sql
	sqlOccurrencesByTime string
	//go:embed queries/all_by_time.sql
	sqlAllByTime string
	//go:embed queries/stored_hours.sql
	sqlStoredHours string
)

const (
	// maxCandidates bounds what is asked for by key. Above, all of a flow is read in its order.
	maxCandidates = 2_000_000
	// maxClass is that of 272 years, the longest that two instants can be apart.
	maxClass = 34
	// unknownFirst is added to the class of an instance of which it is not known since when it was held.
	unknownFirst = 64
	// rowsOfAKey is what ClickHouse reads to find one key: a granule.
	rowsOfAKey = 8192
	// fewRows are sorted by key in memory in a moment, and manyRows in what memory a question has. In between they
	// are, where they are a third of all rows of the flow at most: else all are read in their own order.
	fewRows  = 1_000_000
	manyRows = 4_000_000
)

// candidate is an instance that may matter between two instants.
type candidate struct {
	key          string
	began, until flows.Time // until is far ahead while it is in flight
}

// candidates are those of q.bound, by when they began; ok is false where they are too many.
func (s *Store) candidates(ctx context.Context, q *foldQuery) (found []candidate, ok bool, err error) {
	holds := len(q.flow.Holds) > 0
	from := q.bound.from
	rows, err := s.conn.Query(
		ctx, strings.Replace(sqlCandidates, "/*classes*/", classes(from, q.bound.to, holds), 1),
		clickhouse.Named("flow", q.flow.Name), clickhouse.Named("from", int64(max(from, earliest))), clickhouse.Named("to", int64(min(q.bound.to, latest))),
		clickhouse.Named("states", inFlightStates()), clickhouse.Named("holds", flag(holds)), clickhouse.Named("limit", maxCandidates+1),
	)
	if err != nil {
		return nil, false, fmt.Errorf("look for instances: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		var began, until int64
		if err := rows.Scan(&key, &began, &until); err != nil {
			return nil, false, fmt.Errorf("scan an instance: %w", err)
		}
		found = append(found, candidate{key, flows.Time(began), flows.Time(until)})
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("look for instances: %w", err)
	}
	return found, len(found) <= maxCandidates, nil
}

// What ClickHouse has of time.
var (
	earliest = flows.At(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
	latest   = flows.At(time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC))
)

// classes is a condition that holds for each instance of instances_by_time that was there between two
// instants: one range of the table for each class.
func classes(from, to flows.Time, holds bool) string {
	from, to = max(from, earliest), min(to, latest)
	ranges := make([]string, 0, 2*(maxClass+1))
	for class := range 2 * (maxClass + 1) {
		began, name := earliest, class%(maxClass+1)
		if ahead := time.Duration(math.MaxInt64); name < maxClass {
			ahead = time.Second << name
			if from-earliest > flows.Time(ahead) {
				began = from.Add(-ahead)
			}
		}
		within := fmt.Sprintf("began >= fromUnixTimestamp64Nano(%d, 'UTC')", began)
		known := class <= maxClass
		if known || !holds { // else it may have been held before
			within += fmt.Sprintf(" AND began <= fromUnixTimestamp64Nano(%d, 'UTC')", to)
		}
		if !known {
			name += unknownFirst
		}
		ranges = append(ranges, fmt.Sprintf("class = %d AND %s", name, within))
	}
	return strings.Join(ranges, " OR ")
}

func inFlightStates() (names []string) {
	for _, state := range []flows.State{flows.Open, flows.Held, flows.Stuck, flows.Unknown} {
		names = append(names, state.String())
	}
	return names
}

// part is some of the instances of a question, and where they are read.
type part struct {
	keys        []string
	byTime      bool
	first, last int32 // hours, where by time
}

// parts says where the occurrences of candidates, the earliest first, are best read: most by time, and those
// that began long before the others each by its key. ok is false where that is no better than to read all.
func (s *Store) parts(ctx context.Context, flow string, found []candidate, until flows.Time) (list []part, ok bool, err error) {
	if len(found) == 0 {
		return nil, true, nil
	}
	var last flows.Time
	for i := range found {
		last = max(last, found[i].until)
	}
	end := hour(min(last, until, latest))
	cuts := []int{0, len(found) / 1000, len(found) / 100, len(found) / 10, len(found) / 2}
	counts := make([]string, len(cuts))
	for i, cut := range cuts {
		counts[i] = fmt.Sprintf("countIf(hour >= %d)", hour(found[cut].began))
	}
	rows := make([]uint64, len(cuts))
	into := make([]any, len(cuts), len(cuts)+1)
	for i := range rows {
		into[i] = &rows[i]
	}
	var all uint64
	into = append(into, &all)
	row := s.conn.QueryRow(ctx, strings.Replace(sqlStoredHours, "/*counts*/", strings.Join(counts, ", "), 1),
		clickhouse.Named("flow", flow), clickhouse.Named("first", hour(found[0].began)), clickhouse.Named("last", end))
	if err := row.Scan(into...); err != nil {
		return nil, false, fmt.Errorf("count rows by time: %w", err)
	}
	best := 0
	for i, cut := range cuts {
		if rows[i]+uint64(cut)*rowsOfAKey < rows[best]+uint64(cuts[best])*rowsOfAKey {
			best = i
		}
	}
	if rows[best] > min(max(fewRows, all/3), manyRows) {
		return nil, false, nil
	}
	cut := cuts[best]
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].key
	}
	list = []part{{keys: keys[cut:], byTime: true, first: hour(found[cut].began), last: end}}
	if cut > 0 {
		list = append(list, part{keys: keys[:cut]})
	}
	return list, true, nil
}

// hour is that of steps_by_time in which an instant lies.
func hour(t flows.Time) int32 { return int32(t / flows.Time(time.Hour)) }

// readPart asks for the occurrences of a part up to an instant, and for the versions that its instances keep,
// nil for those in force.
func (s *Store) readPart(ctx context.Context, f *flows.Flow, ls *lenses, p part, until flows.Time) (rows driver.Rows, kept *keptRows, err error) {
	if ctx, err = withKeys(ctx, p.keys); err != nil {
		return nil, nil, err
	}
	query, args := occurrencesQuery(ls, until, ofWantedKeys)
	if p.byTime {
		query, args = occurrencesQuery(ls, until, "")
		query = strings.Replace(query, "FROM steps FINAL\nWHERE", strings.TrimSpace(sqlOccurrencesByTime), 1)
		args = append(args, clickhouse.Named("first", p.first), clickhouse.Named("last", p.last))
	}
	if rows, err = s.conn.Query(ctx, query, args...); err != nil {
		return nil, nil, fmt.Errorf("read occurrences: %w", err)
	}
	if len(ls.others) == 0 {
		return rows, nil, nil
	}
	if kept, err = s.keptVersions(ctx, f, ofWantedKeys); err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return rows, kept, nil
}

// standsByTime says whether a question is answered from steps_by_time: of the instances between two instants,
// where none is to be folded with others of its key, and where what was stored before that table stands there too.
func (s *Store) standsByTime(ctx context.Context, q *foldQuery, ls *lenses) (bool, error) {
	if !q.bound.set || q.keys != nil || q.bound.from == flows.NoTime || q.flow.Reopen {
		return false, nil
	}
	for _, other := range ls.others {
		if other.flow.Reopen {
			return false, nil
		}
	}
	return s.rowsByTime(ctx)
}

// rowsByTime says whether steps_by_time and instances_by_time have all rows. Most know it since these tables were made.
func (s *Store) rowsByTime(ctx context.Context) (all bool, err error) {
	if s.allByTime.Load() {
		return true, nil
	}
	err = s.conn.QueryRow(ctx, "SELECT count() > 0 FROM checkpoints WHERE name = 'rows by time'").Scan(&all)
	if err == nil && !all {
		err = s.conn.QueryRow(ctx, sqlAllByTime).Scan(&all)
	}
	if err != nil {
		return false, fmt.Errorf("look what stands by time: %w", err)
	}
	if all {
		s.allByTime.Store(true)
	}
	return all, nil
}
