package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

var (
	//go:embed queries/occurrences.sql
	sqlOccurrences string
	//go:embed queries/occurrences_between.sql
	sqlOccurrencesBetween string
)

// occurrencesQuery asks for the occurrences of a flow up to an instant, of the keys that a
// condition leaves, "" for all.
func occurrencesQuery(ls *lenses, until flows.Time, condition string) (query string, args []any) {
	args = []any{
		clickhouse.Named("flow", ls.inForce.flow.Name), clickhouse.Named("steps", ls.steps), clickhouse.Named("until", int64(until)),
	}
	cut, args := listOf("segments", ls.segments, args)
	expect, args := listOf("expect", ls.expecting, args)
	if condition != "" {
		condition = "\n" + strings.TrimSpace(condition)
	}
	return strings.NewReplacer(" /*keys*/", condition, "/*segments*/", cut, "/*expect*/", expect).Replace(sqlOccurrences), args
}

// listOf is an expression for the values of a map column at some names: each as its
// length, a colon and itself, as splitList reads it.
func listOf(column string, names []string, args []any) (string, []any) {
	if len(names) == 0 {
		return "''", args
	}
	list := "concat(''"
	for i, name := range names {
		parameter := fmt.Sprintf("%s_%d", column, i)
		value := column + "[{" + parameter + ":String}]"
		list += ", toString(length(" + value + ")), ':', " + value
		args = append(args, clickhouse.Named(parameter, name))
	}
	return list + ")", args
}

// foldTimeout bounds a question that comes without a deadline. All history of some ten
// million occurrences takes half of it.
const foldTimeout = time.Minute

// foldQuery asks for instances of a flow, folded from their occurrences.
type foldQuery struct {
	flow      *flows.Flow
	now       flows.Time
	hindsight bool          // only occurrences up to now exist, and all are judged at now
	bound     bound         // instances that can matter; the zero value is all
	segment   segment       // zero is none
	counts    bool          // what is in flight at now does not matter, only what happened between whole minutes
	keys      []string      // of these alone; nil for all
	states    []flows.State // those in other states need not be visited; nil for all
}

// bound selects the instances that were in flight, ended or had a signal between two
// instants. It may let more pass: whoever folds looks at the result.
type bound struct {
	set      bool
	from, to flows.Time
}

// between is the bound of [from, to], where NoTime is open.
func between(from, to flows.Time) bound {
	if to == flows.NoTime {
		to = math.MaxInt64
	}
	return bound{set: from != flows.NoTime || to != math.MaxInt64, from: from, to: to}
}

// segment selects the instances whose value of a segment equals.
type segment struct{ name, value string }

// folded is one instance, valid until the next.
type folded struct {
	key      string
	now      flows.Time  // instant of the verdict
	imported bool        // made of imported signals only
	flow     *flows.Flow // its own version
	in       *flows.Instance
	counted  *flows.Instance // in, by the steps of the version in force
}

// fold folds every instance that q asks for and visits it. One instance at a time is in
// memory, however many there are.
func (s *Store) fold(ctx context.Context, q foldQuery, visit func(folded) error) error {
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	ls, err := s.lenses(ctx, q.flow)
	if err != nil {
		return err
	}
	if byTime, err := s.standsByTime(ctx, &q, ls); err != nil {
		return err
	} else if byTime {
		if done, err := s.foldByTime(ctx, q, ls, visit); done || err != nil {
			return err
		}
	}
	condition := ""
	if q.bound.set || q.segment.name != "" {
		condition = sqlOccurrencesBetween
	}
	var bounds []any
	if condition != "" {
		bounds = q.betweenArgs()
	}
	if q.keys != nil {
		condition = ofWantedKeys
		if ctx, err = withKeys(ctx, q.keys); err != nil {
			return err
		}
	}
	query, args := occurrencesQuery(ls, q.until(), condition)
	rows, err := s.conn.Query(ctx, query, append(args, bounds...)...)
	if err != nil {
		return fmt.Errorf("read occurrences: %w", err)
	}
	var kept *keptRows
	if len(ls.others) == 0 {
		return errors.Join(foldRows(rows, q, ls, kept, visit), rows.Close())
	}
	kept, err = s.keptVersions(ctx, q.flow, condition, bounds...)
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	return errors.Join(foldRows(rows, q, ls, kept, visit), rows.Close(), kept.close())
}

// foldByTime is fold of the instances between two instants, from where their occurrences stand by time. It is not
// done where they are too many for that.
func (s *Store) foldByTime(ctx context.Context, q foldQuery, ls *lenses, visit func(folded) error) (done bool, err error) {
	if q.hindsight {
		if held, err := s.heldHour(ctx, q, ls); err != nil {
			return true, err
		} else if held != nil {
			return true, held.fold(q, visit)
		}
	}
	found, ok, err := s.candidates(ctx, &q)
	if err != nil || !ok {
		return false, err
	}
	parts, ok, err := s.parts(ctx, q.flow.Name, found, q.until())
	if err != nil || !ok {
		return false, err
	}
	for _, p := range parts {
		rows, kept, err := s.readPart(ctx, q.flow, ls, p, q.until())
		if err != nil {
			return true, err
		}
		if err := errors.Join(foldRows(rows, q, ls, kept, visit), rows.Close(), kept.close()); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (q *foldQuery) betweenArgs() []any {
	from, to := q.bound.from, q.bound.to
	if !q.bound.set {
		from, to = flows.NoTime, math.MaxInt64
	}
	return []any{
		clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(to)),
		clickhouse.Named("segment", q.segment.name), clickhouse.Named("value", q.segment.value),
		clickhouse.Named("holds", min(len(q.flow.Holds), 1)), clickhouse.Named("reopen", q.flow.Reopen),
	}
}

func (q *foldQuery) until() flows.Time {
	if q.hindsight {
		return q.now
	}
	return math.MaxInt64
}

// foldRows folds rows in which those of one key stand together, each key by the version
// that kept says; nil where there is one only.
func foldRows(rows driver.Rows, q foldQuery, ls *lenses, kept *keptRows, visit func(folded) error) error {
	f := folder{q: q, visit: visit}
	return eachKey(rows, ls, kept, func(key, version string, occurrences []flows.Occurrence) error {
		l := ls.inForce
		if own := ls.others[version]; own != nil && !(q.hindsight && f.openBy(own, occurrences)) {
			l = own
		}
		return f.key(l.flow, key, l.see(occurrences))
	})
}

// eachKey yields the occurrences of one key after the other, valid until the next, with the version that kept says.
func eachKey(rows driver.Rows, ls *lenses, kept *keptRows, yield func(key, version string, occurrences []flows.Occurrence) error) error {
	var (
		occurrences  []flows.Occurrence
		key, version string
		err          error
	)
	flush := func() error {
		if len(occurrences) == 0 {
			return nil
		}
		if kept != nil {
			if version, err = kept.of(key); err != nil {
				return err
			}
		}
		return yield(key, version, occurrences)
	}
	reader := occurrenceReader{segments: len(ls.segments), expects: len(ls.expecting)}
	for rows.Next() {
		if err := reader.scan(rows); err != nil {
			return err
		}
		if reader.key != key {
			if err := flush(); err != nil {
				return err
			}
			key, occurrences = reader.key, occurrences[:0]
		}
		occurrences = append(occurrences, reader.occurrence)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read occurrences: %w", err)
	}
	return flush()
}

// folder folds what is read for a query, one key after the other.
type folder struct {
	q     foldQuery
	visit func(folded) error
	in    flows.Instance
}

// key folds the occurrences of one key by a version.
func (f *folder) key(own *flows.Flow, key string, occurrences []flows.Occurrence) error {
	if !own.Reopen {
		return f.one(own, key, occurrences)
	}
	for i, part := range own.Parts(occurrences) {
		value, environment := flows.SplitInstanceKey(key)
		if err := f.one(own, flows.InstanceKey(flows.PartKey(value, i), environment), part); err != nil {
			return err
		}
	}
	return nil
}

// openBy says whether an instance was in flight at an instant of hindsight by a version. Of
// those the version in force judges, then as now; only what had ended keeps its own.
func (f *folder) openBy(own *lens, occurrences []flows.Occurrence) bool {
	seen := own.see(slices.Clone(occurrences))
	if !own.flow.Exists(seen) {
		return false
	}
	own.flow.FoldInto(&f.in, seen, f.q.now)
	return f.in.State.InFlight()
}

func (f *folder) one(own *flows.Flow, key string, occurrences []flows.Occurrence) error {
	q, in := &f.q, &f.in
	if !own.Exists(occurrences) {
		return nil
	}
	now := q.now
	if !q.hindsight {
		now = flows.Clock(occurrences, q.now)
	}
	own.FoldInto(in, occurrences, now)
	if q.segment.name != "" && !q.segment.holds(own, in) {
		return nil
	}
	c := folded{key: key, now: now, imported: imported(occurrences), flow: own, in: in, counted: in}
	if own != q.flow {
		projected := q.flow.Project(own, in)
		c.counted = &projected
	}
	return f.visit(c)
}

func (g segment) holds(f *flows.Flow, in *flows.Instance) bool {
	for i, name := range f.Segments {
		if name == g.name {
			return in.Segments != nil && in.Segments[i] == g.value
		}
	}
	return false
}

// imported says that no occurrence is live.
func imported(occurrences []flows.Occurrence) bool {
	for i := range occurrences {
		if occurrences[i].AsOf == 0 {
			return false
		}
	}
	return true
}

// occurrenceReader scans rows of the occurrences queries without reflection.
type occurrenceReader struct {
	key        string
	occurrence flows.Occurrence

	segments, expects int
	position          uint16
	at, start, judged int64
	failed, sampled   uint8
	money, cut        string
	expect            string
}

func (r *occurrenceReader) scan(rows driver.Rows) error {
	o := &r.occurrence
	err := rows.Scan(
		&r.key, &r.position, &r.at, &r.start, &r.failed, &r.sampled, &o.Source, &o.ID, &o.Sequence, &o.System, &r.judged, &o.Hash,
		&r.money, &o.Currency, &r.cut, &o.Child, &r.expect,
	)
	if err != nil {
		return fmt.Errorf("scan an occurrence: %w", err)
	}
	o.Step, o.At, o.Start, o.Failed = int(r.position)-1, flows.Time(r.at), flows.Time(r.start), r.failed != 0
	o.AsOf, o.Sampled = flows.Time(r.judged), r.sampled != 0
	o.Amount = flows.Amount{}
	if r.money != "" {
		exact, err := decimal.NewFromString(r.money)
		if err != nil {
			return fmt.Errorf("amount %q of signal %s/%s: %w", r.money, o.Source, o.ID, err)
		}
		o.Amount = flows.NewAmount(exact)
	}
	if o.Segments, err = splitList(r.cut, r.segments); err != nil {
		return fmt.Errorf("segments of signal %s/%s: %w", o.Source, o.ID, err)
	}
	if o.Expect, err = splitList(r.expect, r.expects); err != nil {
		return fmt.Errorf("expectations of signal %s/%s: %w", o.Source, o.ID, err)
	}
	return nil
}

// splitList reads n values, each written as its length, a colon and itself. It is nil
// where all are empty.
func splitList(text string, n int) ([]string, error) {
	if len(text) <= 2*n { // "0:" each
		return nil, nil
	}
	values := make([]string, n)
	for i := range values {
		digits, rest, _ := strings.Cut(text, ":")
		length, err := strconv.Atoi(digits)
		if err != nil || length < 0 || length > len(rest) {
			return nil, fmt.Errorf("%q is no list of %d values", text, n)
		}
		values[i], text = rest[:length], rest[length:]
	}
	return values, nil
}

// withTimeout bounds ctx where it has no deadline of its own.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// wallClock is now, for questions about what is rather than what was.
func wallClock() flows.Time { return flows.At(time.Now()) }
