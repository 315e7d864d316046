package store

import (
	"cmp"
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/instances.sql
	sqlInstances string
	//go:embed queries/instances_of_keys.sql
	sqlInstancesOfKeys string
	//go:embed queries/instances_places.sql
	sqlInstancesPlaces string
	//go:embed queries/instances_of_states.sql
	sqlInstancesOfStates string
	//go:embed queries/instance.sql
	sqlInstance string
)

// Instances lists a page of the instances of f: as they are, or in hindsight at q.At,
// folded from their occurrences. A limit of 0 is 50, the most is flows.MaxListed. A bad limit, sort
// or cursor is a flows.InputError.
func (s *Store) Instances(ctx context.Context, f *flows.Flow, q flows.InstanceQuery) (flows.InstancePage, error) {
	q.Sort = cmp.Or(q.Sort, flows.SortAge)
	if !slices.Contains([]flows.Sort{flows.SortAge, flows.SortStarted, flows.SortValue, flows.SortKey}, q.Sort) {
		return flows.InstancePage{}, &flows.InputError{
			Field: "sort", Detail: fmt.Sprintf("sort %q: write age, started, value or key", q.Sort),
		}
	}
	var err error
	if q.Limit, err = limitUpTo(q.Limit, flows.MaxListed); err != nil {
		return flows.InstancePage{}, err
	}
	var after *place
	if q.Cursor != "" {
		after = new(place)
		if err := decodeCursor(q.Cursor, after); err != nil {
			return flows.InstancePage{}, err
		}
		if after.Sort != q.Sort || len(after.Key) > maxInstanceKey || math.IsNaN(after.Negative) || math.IsInf(after.Negative, 0) {
			return flows.InstancePage{}, badCursor()
		}
	}
	page := flows.InstancePage{AsOf: q.At}
	if q.At == flows.NoTime {
		page.AsOf = wallClock()
	}
	if _, byRow := countedRows(q.Counted); q.At == flows.NoTime && (q.Counted == "" || byRow) {
		page.Instances, err = s.instancesNow(ctx, f, q, page.AsOf, after)
	} else {
		page.Instances, err = s.instancesFolded(ctx, f, q, page.AsOf, after)
	}
	if err != nil {
		return flows.InstancePage{}, fmt.Errorf("instances of %s: %w", f.Name, err)
	}
	if len(page.Instances) > q.Limit {
		page.Instances = page.Instances[:q.Limit]
		page.Next, err = encodeCursor(placeOf(q.Sort, &page.Instances[q.Limit-1]))
	}
	return page, err
}

// maxInstanceKey bounds what an instance is stored under.
const maxInstanceKey = flows.MaxKeyBytes + 1 + flows.MaxNameBytes

// place is where an instance stands in a list: Rank, then Negative, then Key, ascending.
type place struct {
	Sort     flows.Sort `json:"sort"`
	Rank     int64      `json:"rank,omitempty"`
	Negative float64    `json:"negative,omitempty"`
	Key      string     `json:"key"`
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Negative, b.Negative), cmp.Compare(a.Key, b.Key))
}

// placeOf is the same place that instances.sql works out.
func placeOf(sort flows.Sort, r *flows.InstanceRecord) place {
	p := place{Sort: sort, Key: flows.InstanceKey(r.Key, r.Environment)}
	switch sort {
	case flows.SortAge:
		p.Rank = int64(waitingSince(r))
	case flows.SortStarted:
		p.Rank = -int64(r.StartedAt)
	case flows.SortValue:
		p.Negative = math.MaxFloat64 // without a value: last
		if r.Amount.Valid {
			p.Negative = -r.Amount.Decimal().InexactFloat64()
		}
	}
	return p
}

// waitingSince is the start of the wait that orders a list by age.
func waitingSince(r *flows.InstanceRecord) flows.Time {
	if r.State == flows.Stuck && r.Reason != flows.ReasonIdle {
		return r.StuckSince
	}
	return r.LastAt
}

// Rows that are replaced since, and not merged yet, may stand among the first of a list: so often a page looks at more of
// them, four times as many each time, before it reads all.
const placeRounds = 4

// orderRounds is how often it looks where instances stand in order, but by no state: where few are of the list, others are too many.
const orderRounds = 2

// instancesNow reads one instance more than the page holds, where there is one.
func (s *Store) instancesNow(ctx context.Context, f *flows.Flow, q flows.InstanceQuery, asOf flows.Time, after *place) ([]flows.InstanceRecord, error) {
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	l := listOfRows{flow: f, q: q, asOf: asOf}
	if onlyInFlight(q.States) && q.Counted == "" {
		return l.read(ctx, s, sqlInstancesOfStates, after)
	}
	inOrder := l.inOrder()
	if inOrder {
		var err error
		if inOrder, err = s.rowsByTime(ctx); err != nil {
			return nil, err
		}
	}
	var records []flows.InstanceRecord
	most := q.Limit + 1 + q.Limit/4
	for round := range placeRounds {
		look := l.places
		if inOrder && round < orderRounds {
			look = l.placesInOrder
		}
		places, err := look(ctx, s, after, most)
		if err != nil || len(places) == 0 {
			return records, err
		}
		keys := make([]string, len(places))
		for i := range places {
			keys[i] = places[i].Key
		}
		withThem, err := withKeys(ctx, keys)
		if err != nil {
			return nil, err
		}
		found, err := l.readKeys(withThem, s)
		if err != nil {
			return nil, err
		}
		all, last := len(places) < most, &places[len(places)-1]
		found = slices.DeleteFunc(found, func(r flows.InstanceRecord) bool {
			at := placeOf(q.Sort, &r)
			return after != nil && comparePlaces(at, *after) <= 0 ||
				!all && comparePlaces(at, *last) > 0 // behind the last place there may be others before these
		})
		after = last
		if records = append(records, found...); all || len(records) > q.Limit {
			return records[:min(len(records), q.Limit+1)], nil
		}
		most *= 4
	}
	rest, err := l.read(ctx, s, "", after)
	return append(records, rest...), err
}

// listOfRows is a list that is read from the rows of the instances.
type listOfRows struct {
	flow *flows.Flow
	q    flows.InstanceQuery
	asOf flows.Time
	near bool // others may be found too
}

// query puts the conditions of a list into a query, and one on the keys.
func (l listOfRows) query(query, keys string, after *place, limit int) (string, []any) {
	q := &l.q
	begin := after == nil
	if begin {
		after = &place{}
	}
	states := make([]string, len(q.States))
	for i, state := range q.States {
		states[i] = state.String()
	}
	conditions := []string{strings.TrimSpace(keys)}
	if len(states) > 0 {
		conditions = append(conditions, "AND state IN {states:Array(String)}")
		if l.near { // a small column, before the others
			query = strings.Replace(query, "FROM instances\n", "FROM instances\nPREWHERE state IN {states:Array(String)}\n", 1)
		}
	}
	counted, _ := countedRows(q.Counted)
	if l.near && q.Counted == flows.CountedStarted { // its steps tell the rest
		counted.conditions[0], _, _ = strings.Cut(counted.conditions[0], "\nAND (notEmpty")
	}
	conditions = append(conditions, counted.conditions...)
	switch {
	case q.Step == "" || q.Counted == flows.CountedStarted: // which counts at no step
	case q.Counted == "":
		conditions = append(conditions, "AND has(waiting_on.step, {step:String})")
	default:
		conditions = append(conditions, "AND end_step = {step:String}")
	}
	if q.Path != nil {
		conditions = append(conditions, "AND path = {path:Array(String)}")
	}
	if q.Sort == flows.SortKey {
		conditions = append(conditions, "AND key > {key:String}")
		query = strings.Replace(query, "ORDER BY rank, negative, key", "ORDER BY key", 1)
	}
	from, steps := flows.NoTime, make([]string, len(l.flow.Steps))
	if q.Over > 0 {
		from = l.asOf.Add(-q.Over)
	}
	for i := range steps {
		steps[i] = l.flow.Steps[i].ID
	}
	text := strings.TrimLeft(strings.Join(conditions, "\n"), "\n")
	among := ""
	if keys == ofWantedKeys {
		among = " " + ofWantedKeys
	}
	text = strings.ReplaceAll(text, " /*among*/", among)
	if text != "" {
		text = "\n" + text
	}
	return strings.Replace(query, " /*keys*/", text, 1), []any{
		clickhouse.Named("flow", l.flow.Name), clickhouse.Named("none", int64(flows.NoTime)),
		clickhouse.Named("sort", string(q.Sort)), clickhouse.Named("most", math.MaxFloat64),
		clickhouse.Named("states", states), clickhouse.Named("step", q.Step), clickhouse.Named("since", int64(q.Since)),
		clickhouse.Named("begin", flag(begin)), clickhouse.Named("rank", after.Rank),
		clickhouse.Named("negative", after.Negative), clickhouse.Named("key", after.Key),
		clickhouse.Named("limit", limit),
		clickhouse.Named("counted", counted.state.String()), clickhouse.Named("from", int64(from)), clickhouse.Named("to", int64(l.asOf)),
		clickhouse.Named("steps", steps), clickhouse.Named("path", append([]string{}, q.Path...)),
	}
}

// places are the first rows of a list behind a place, at most so many.
func (l listOfRows) places(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	return l.placesOf(ctx, s, sqlInstancesPlaces, after, most)
}

// placesOf are those that a query finds.
func (l listOfRows) placesOf(ctx context.Context, s *Store, query string, after *place, most int, more ...any) (list []place, err error) {
	l.near = true
	query, args := l.query(query, "", after, most)
	rows, err := s.conn.Query(ctx, query, append(args, more...)...)
	if err != nil {
		return nil, fmt.Errorf("look for instances: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		p := place{Sort: l.q.Sort}
		if err := rows.Scan(&p.Rank, &p.Negative, &p.Key); err != nil {
			return nil, fmt.Errorf("scan the place of an instance: %w", err)
		}
		list = append(list, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for instances: %w", err)
	}
	return list, nil
}

// read reads a page and one more, of the instances that a condition on their keys leaves.
func (l listOfRows) read(ctx context.Context, s *Store, keys string, after *place) ([]flows.InstanceRecord, error) {
	query, args := l.query(sqlInstances, keys, after, l.q.Limit+1)
	return l.readOf(ctx, s, query, args)
}

// readKeys reads those of the wanted keys that are of the list, wherever they stand in it.
func (l listOfRows) readKeys(ctx context.Context, s *Store) ([]flows.InstanceRecord, error) {
	query, args := l.query(sqlInstancesOfKeys, ofWantedKeys, nil, 0)
	return l.readOf(ctx, s, query, args)
}

func (l listOfRows) readOf(ctx context.Context, s *Store, query string, args []any) (records []flows.InstanceRecord, err error) {
	rows, err := s.conn.Query(ctx, instanceQuery(query), args...)
	if err != nil {
		return nil, fmt.Errorf("read instances: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scanInstance(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read instances: %w", err)
	}
	sortRecords(l.q.Sort, records)
	return records, nil
}

func onlyInFlight(states []flows.State) bool {
	return len(states) > 0 && !slices.ContainsFunc(states, func(state flows.State) bool { return !state.InFlight() })
}

func sortRecords(sort flows.Sort, records []flows.InstanceRecord) {
	slices.SortFunc(records, func(a, b flows.InstanceRecord) int {
		return comparePlaces(placeOf(sort, &a), placeOf(sort, &b))
	})
}

// instancesFolded folds, and keeps only as many as the page holds and one more. They are
// judged in hindsight where q.At says so, else as they are at asOf, which is now.
func (s *Store) instancesFolded(
	ctx context.Context, f *flows.Flow, q flows.InstanceQuery, asOf flows.Time, after *place,
) ([]flows.InstanceRecord, error) {
	fq := foldQuery{flow: f, now: asOf, hindsight: q.At != flows.NoTime, states: q.States}
	from := flows.NoTime
	if q.Over > 0 {
		from = asOf.Add(-q.Over)
	}
	switch {
	case q.Counted != "" && q.Over > 0:
		fq.bound = between(from, asOf)
	case q.Counted != "":
	case onlyInFlight(q.States):
		fq.bound = between(q.At, q.At)
	case q.Since != flows.NoTime:
		fq.bound = between(q.Since, q.At)
	}
	step := slices.IndexFunc(f.Steps, func(step flows.Step) bool { return step.ID == q.Step })
	if q.Step != "" && step < 0 {
		return nil, nil
	}
	matches := func(in *flows.Instance) bool {
		if len(q.States) > 0 && !slices.Contains(q.States, in.State) || in.LastAt < q.Since {
			return false
		}
		if q.Counted != "" {
			return q.Counted.Counts(in, step, from, asOf)
		}
		return step < 0 || slices.ContainsFunc(in.WaitingOn, func(w flows.Waiting) bool { return w.Step == step })
	}
	var records []flows.InstanceRecord
	trim := func() {
		sortRecords(q.Sort, records)
		records = records[:min(len(records), q.Limit+1)]
	}
	err := s.fold(ctx, fq, func(c folded) error {
		if !matches(c.counted) {
			return nil
		}
		key, environment := flows.SplitInstanceKey(c.key)
		r := c.flow.Record(key, c.in, c.now)
		r.Environment, r.Imported = environment, c.imported
		if q.Path != nil && !slices.Equal(r.Path, q.Path) || after != nil && comparePlaces(placeOf(q.Sort, &r), *after) <= 0 {
			return nil
		}
		if records = append(records, r); len(records) >= 4*(q.Limit+1) {
			trim()
		}
		return nil
	})
	trim()
	return records, err
}
