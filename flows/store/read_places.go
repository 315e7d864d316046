package store

import (
	"context"
	"database/sql"
	_ "embed" // the queries
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/instances_by_age.sql
	sqlInstancesByAge string
	//go:embed queries/instances_by_start.sql
	sqlInstancesByStart string
	//go:embed queries/instances_start_age.sql
	sqlInstancesStartAge string
	//go:embed queries/instances_classes.sql
	sqlInstancesClasses string
)

const (
	// fewPlaces are read at once, wherever a list begins.
	fewPlaces = 200_000
	// A list begins to look where the earliest instances were known to be for so long.
	knowFirst = time.Minute
)

// looks are how far a list looks at once, one after the other: where little was found, it is far to the next.
var looks = []flows.Time{flows.Time(time.Hour), flows.Time(16 * time.Hour), flows.Time(256 * time.Hour), flows.Time(4096 * time.Hour), math.MaxInt64}

// stays are the classes of instances_by_time of which a list looks back equally far: to the last of each.
var stays = []uint8{12, 17, 21, maxClass}

// inOrder says whether the ended instances of a list stand in its order in instances_by_time. That has no state: a list of states that
// few ended in is found sooner by these.
func (l listOfRows) inOrder() bool {
	q := &l.q
	if q.Sort != flows.SortAge && q.Sort != flows.SortStarted || q.Step != "" || q.Path != nil {
		return false
	}
	switch q.Counted {
	case "", flows.CountedStarted:
		return len(q.States) == 0 || slices.Contains(q.States, flows.Completed)
	case flows.CountedCompleted: // its end is a signal: the last one, or one before
		return true
	}
	return false
}

// placesInOrder are what places are, from where rows stand in the order of the list: of ended instances a few ranges are read, however
// many there are. An instance that ends meanwhile is among both, or among the first.
func (l listOfRows) placesInOrder(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	list, err := l.placesInFlight(ctx, s, after, most)
	if err != nil {
		return nil, err
	}
	look := l.lookByAge
	if l.q.Sort == flows.SortStarted {
		look = l.lookByStart
	} else if l.q.Counted == flows.CountedStarted && l.q.Over > 0 {
		look = l.lookStarted
	}
	ended, err := look(ctx, s, after, most)
	if err != nil {
		return nil, err
	}
	list = append(list, ended...)
	slices.SortFunc(list, comparePlaces)
	return list[:min(len(list), most)], nil
}

// placesInFlight are the places of those in flight: a small share of all, found by state.
func (l listOfRows) placesInFlight(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	if l.q.Counted == flows.CountedCompleted {
		return nil, nil
	}
	states := l.q.States
	l.q.States = nil
	for _, state := range []flows.State{flows.Open, flows.Held, flows.Stuck, flows.Unknown} {
		if len(states) == 0 || slices.Contains(states, state) {
			l.q.States = append(l.q.States, state)
		}
	}
	if len(l.q.States) == 0 {
		return nil, nil
	}
	return l.places(ctx, s, after, most)
}

// lookByAge looks on from the earliest last signal that the list may have.
func (l listOfRows) lookByAge(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	from := max(earliest, l.q.Since)
	if l.q.Counted != "" && l.q.Over > 0 {
		from = max(from, l.asOf.Add(-l.q.Over))
	}
	if after != nil {
		from = max(from, flows.Time(after.Rank))
	}
	steps, err := s.looks(ctx)
	if err != nil {
		return nil, err
	}
	if len(steps) > 1 && from == earliest {
		if from, err = s.firstBegan(ctx, l.flow.Name); err != nil {
			return nil, err
		}
	}
	var list []place
	for _, ahead := range steps {
		to := latest
		if ahead < math.MaxInt64 && from < l.asOf-ahead {
			to = from + ahead
		}
		query := strings.Replace(sqlInstancesByAge, "/*classes*/", aliveFrom(from), 1)
		found, err := l.placesOf(ctx, s, query, after, most-len(list), clickhouse.Named("lo", int64(from)), clickhouse.Named("hi", int64(to)))
		if list = append(list, found...); err != nil || len(list) >= most || to == latest {
			return list, err
		}
		from = to + 1
	}
	return list, nil
}

// lookByStart looks back from the latest start that the list may have.
func (l listOfRows) lookByStart(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	to, least := latest, earliest
	if l.q.Counted != "" {
		to = l.asOf - 1
		if l.q.Over > 0 {
			least = max(least, l.asOf.Add(-l.q.Over))
		}
	}
	if after != nil {
		to = max(min(to, flows.Time(-max(after.Rank, -int64(latest)))), earliest)
	}
	steps, err := s.looks(ctx)
	if err != nil {
		return nil, err
	}
	var list []place
	for _, back := range steps {
		from := least
		if back < math.MaxInt64 {
			from = max(least, min(to, l.asOf)-back)
		}
		found, err := l.placesOf(ctx, s, sqlInstancesByStart, after, most-len(list), clickhouse.Named("lo", int64(from)), clickhouse.Named("hi", int64(to)),
			clickhouse.Named("seen", int64(max(l.q.Since, earliest))))
		if list = append(list, found...); err != nil || len(list) >= most || from == least {
			return list, err
		}
		to = from - 1
	}
	return list, nil
}

// lookStarted looks at all that started in a window.
func (l listOfRows) lookStarted(ctx context.Context, s *Store, after *place, most int) ([]place, error) {
	from := max(l.asOf.Add(-l.q.Over), earliest)
	return l.placesOf(ctx, s, sqlInstancesStartAge, after, most, clickhouse.Named("lo", int64(from)), clickhouse.Named("hi", int64(l.asOf)))
}

// aliveFrom is a condition that holds for those of instances_by_time that were there at an instant or began later.
func aliveFrom(from flows.Time) string {
	var ranges []string
	least := uint8(0)
	for _, most := range stays {
		began := earliest
		if ahead := flows.Time(time.Second << most); most < maxClass && from-earliest > ahead {
			began = from - ahead
		}
		for _, more := range []uint8{0, unknownFirst} {
			ranges = append(ranges, fmt.Sprintf("class BETWEEN %d AND %d AND began >= fromUnixTimestamp64Nano(%d, 'UTC')", more+least, more+most, began))
		}
		least = most + 1
	}
	return strings.Join(ranges, " OR ")
}

// looks are how far lists look: at all where that is little.
func (s *Store) looks(ctx context.Context) ([]flows.Time, error) {
	var rows uint64
	if err := s.conn.QueryRow(ctx, "SELECT count() FROM instances_by_time").Scan(&rows); err != nil {
		return nil, fmt.Errorf("count ended instances: %w", err)
	}
	if rows <= s.fewPlaces {
		return looks[len(looks)-1:], nil
	}
	return looks, nil
}

// first is when the earliest of a flow's ended instances began, or before, as it was found at a moment.
type first struct {
	began flows.Time
	found time.Time
}

// firstBegan is when the earliest of a flow's ended instances began, or before: the first of each class. There are few classes, and each
// is one look.
func (s *Store) firstBegan(ctx context.Context, flow string) (flows.Time, error) {
	if known, ok := s.firsts.Load(flow); ok && time.Since(known.(first).found) < knowFirst {
		var earlier uint64
		err := s.conn.QueryRow(ctx, "SELECT count() FROM (SELECT 1 FROM instances_by_time WHERE flow = {flow:String} AND began < fromUnixTimestamp64Nano({began:Int64}, 'UTC') LIMIT 1)",
			clickhouse.Named("flow", flow), clickhouse.Named("began", int64(known.(first).began))).Scan(&earlier)
		if err != nil {
			return 0, fmt.Errorf("look for earlier instances: %w", err)
		}
		if earlier == 0 {
			return known.(first).began, nil
		}
	}
	now, least, behind := time.Now(), latest, "" // a condition on the class that holds for all would have all read
	for class := uint8(0); ; behind = " AND class > {class:UInt8}" {
		var began int64
		row := s.conn.QueryRow(ctx, strings.Replace(sqlInstancesClasses, " /*behind*/", behind, 1), clickhouse.Named("flow", flow), clickhouse.Named("class", class))
		if err := row.Scan(&class, &began); errors.Is(err, sql.ErrNoRows) {
			break
		} else if err != nil {
			return 0, fmt.Errorf("look for the earliest instances: %w", err)
		}
		least = min(least, flows.Time(began))
	}
	s.firsts.Store(flow, first{least, now})
	return least, nil
}
