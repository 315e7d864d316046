package store

import (
	"context"
	"database/sql"
	_ "embed" // the queries
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/usual.sql
	sqlUsual string
	//go:embed queries/usual_since.sql
	sqlUsualSince string
	//go:embed queries/usual_kept.sql
	sqlUsualKept string
)

// usualBack is how long before the first hour that is asked for history may have begun to be known: who was silent for all that time
// and longer begins anew, so that a single signal of a wrong year does not make silence of the years since.
const usualBack = 7 * 24 * time.Hour

// Usual is how a flow usually is in an hour, by the roll-ups of at most seven hours of its past; percentiles are within 1 %. What
// ended under another version of the flow's file is in no roll-up: hours up to its end are not known.
func (s *Store) Usual(ctx context.Context, f *flows.Flow, hours flows.UsualHours) (flows.Usual, error) {
	now := wallClock()
	generation, ok, err := s.rolledBy(ctx, f)
	if err != nil {
		return flows.Usual{}, err
	}
	if !ok {
		u := hours.Usual(flows.NoTime, now)
		u.Torn = true
		return u, nil
	}
	since, err := s.usualSince(ctx, f, generation, hours, now)
	if err != nil {
		return flows.Usual{}, err
	}
	u := hours.Usual(since, now)
	if err := s.fillUsual(ctx, f, generation, u.Hours); err != nil {
		return flows.Usual{}, fmt.Errorf("read what is usual of %s: %w", f.Name, err)
	}
	return u, nil
}

// usualSince is from when on the roll-ups hold all that happened to a flow; NoTime where they hold nothing.
func (s *Store) usualSince(ctx context.Context, f *flows.Flow, generation uint64, hours flows.UsualHours, now flows.Time) (flows.Time, error) {
	from := hours.Hour.Add(-28*24*time.Hour - usualBack)
	var first int64
	err := s.conn.QueryRow(ctx, sqlUsualSince, clickhouse.Named("flow", f.Name), clickhouse.Named("generation", generation),
		clickhouse.Named("from", int64(from)/1e9), clickhouse.Named("to", int64(now)/1e9)).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return flows.NoTime, nil
	} else if err != nil {
		return flows.NoTime, fmt.Errorf("look for the first roll-up of %s: %w", f.Name, err)
	}
	versions, err := s.FlowTexts(ctx, f.Name, 2)
	if err != nil || len(versions) < 2 {
		return flows.Time(first * 1e9), err
	}
	var kept int64
	if err := s.conn.QueryRow(ctx, sqlUsualKept, clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version)).Scan(&kept); err != nil {
		return flows.NoTime, fmt.Errorf("look for instances of other versions of %s: %w", f.Name, err)
	}
	return max(flows.Time(first*1e9), flows.Time(kept)), nil
}

// fillUsual reads the numbers of some hours.
func (s *Store) fillUsual(ctx context.Context, f *flows.Flow, generation uint64, hours []flows.UsualHour) (err error) {
	if len(hours) == 0 {
		return nil
	}
	begins, starts, span := make([]int64, len(hours)), []int64(nil), int64(flows.RollUpHour/time.Second)
	for i := range hours {
		begins[i] = int64(hours[i].Start) / 1e9
		if begins[i]%span != 0 {
			span = int64(flows.RollUpMinute / time.Second)
		}
	}
	for _, begin := range begins {
		for at := begin; at < begin+3600; at += span {
			starts = append(starts, at)
		}
	}
	rows, err := s.conn.Query(ctx, sqlUsual, clickhouse.Named("flow", f.Name), clickhouse.Named("generation", generation),
		clickhouse.Named("span", span), clickhouse.Named("hours", begins), clickhouse.Named("starts", starts))
	if err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	said := make([][]flows.RollUp, len(hours))
	for rows.Next() {
		var (
			hour    uint8 // from 1
			measure string
			r       flows.RollUp
		)
		if err := rows.Scan(&hour, &measure, &r.Step, &r.Bin, &r.Count); err != nil {
			return err //nolint:wrapcheck // the caller does
		}
		known := false
		if r.Measure, known = flows.ParseMeasure(measure); known && hour > 0 {
			said[hour-1] = append(said[hour-1], r)
		}
	}
	if err := rows.Err(); err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	for i := range hours {
		tally := flows.NewTally(f)
		tally.AddRollUps(f, said[i], nil)
		hours[i] = tally.UsualHour(f, hours[i].Start)
	}
	return nil
}
