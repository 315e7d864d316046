package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"throughline/flows"
)

//go:embed queries/signals_of_instance.sql
var sqlSignalsOfInstance string

// maxDetailSignals is how many signals one instance shows; the earliest are shown. The
// timeline pages through all of them.
const maxDetailSignals = 10_000

// Instance is one instance of f, with its steps in file order and the signals that are
// its own in order, at most 10,000. at is an instant of hindsight, or NoTime for now. It
// is flows.ErrNotFound where there is none (at that instant). key is a flows.InstanceKey.
func (s *Store) Instance(ctx context.Context, f *flows.Flow, key string, at flows.Time) (flows.InstanceDetail, error) {
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	d, err := s.instance(ctx, f, key, at)
	if err != nil {
		return flows.InstanceDetail{}, fmt.Errorf("instance %.100q of %s: %w", key, f.Name, err)
	}
	return d, nil
}

func (s *Store) instance(ctx context.Context, f *flows.Flow, key string, at flows.Time) (d flows.InstanceDetail, err error) {
	if len(key) > maxInstanceKey {
		return d, flows.ErrNotFound
	}
	q := foldQuery{flow: f, now: at, hindsight: at != flows.NoTime}
	if !q.hindsight {
		if d.InstanceRecord, err = s.instanceNow(ctx, f, key); err != nil {
			return d, err
		}
		q.now = d.AsOf
	}
	inForce := f
	if f, err = s.ownVersion(ctx, f, key); err != nil {
		return d, err
	}
	occurrences, err := s.occurrencesOf(ctx, f, key, q.until())
	if err != nil {
		return d, err
	}
	if q.hindsight && f != inForce && f.Exists(occurrences) && f.Fold(occurrences, q.now).State.InFlight() { // see folder.openBy
		f = inForce
		if occurrences, err = s.occurrencesOf(ctx, f, key, q.until()); err != nil {
			return d, err
		}
	}
	if !f.Exists(occurrences) {
		if q.hindsight {
			return d, flows.ErrNotFound
		}
		return d, nil // its steps are gone from the flow
	}
	in := f.Fold(occurrences, q.now)
	if q.hindsight {
		value, environment := flows.SplitInstanceKey(key)
		d.InstanceRecord = f.Record(value, &in, q.now)
		d.Environment = environment
		d.Imported = imported(occurrences)
	}
	d.Steps, d.Held = stepRecords(f, &in), f.HeldTimes(occurrences)
	d.Signals, err = s.signalsOf(ctx, f, occurrences)
	return d, err
}

// instanceNow reads the instance as the engine last judged it.
func (s *Store) instanceNow(ctx context.Context, f *flows.Flow, key string) (r flows.InstanceRecord, err error) {
	rows, err := s.conn.Query(
		ctx, instanceQuery(sqlInstance), clickhouse.Named("flow", f.Name), clickhouse.Named("key", key),
		clickhouse.Named("none", int64(flows.NoTime)),
	)
	if err != nil {
		return r, fmt.Errorf("read the instance: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return r, fmt.Errorf("read the instance: %w", err)
		}
		return r, flows.ErrNotFound
	}
	return scanInstance(rows)
}

// occurrencesOf reads those of one instance, up to an instant: where a flow says "reopen: new", key#2 is a part of key.
func (s *Store) occurrencesOf(
	ctx context.Context, f *flows.Flow, key string, until flows.Time,
) (list []flows.Occurrence, err error) {
	value, environment := flows.SplitInstanceKey(key)
	if whole, part := flows.PartOf(value); f.Reopen && part > 0 {
		whole = flows.InstanceKey(whole, environment)
		if list, err = s.occurrences(ctx, f, whole, until); err != nil {
			return nil, err
		}
		if parts := f.Parts(list); part < len(parts) {
			return parts[part], nil
		}
	}
	if list, err = s.occurrences(ctx, f, key, until); err != nil {
		return nil, err
	}
	return f.Parts(list)[0], nil
}

// earlyKeys has ClickHouse look at the keys of a granule before it reads the rest of it, with FINAL too.
const earlyKeys = "\nSETTINGS optimize_move_to_prewhere_if_final = 1"

// occurrences reads those of one key, up to an instant.
func (s *Store) occurrences(
	ctx context.Context, f *flows.Flow, key string, until flows.Time,
) (list []flows.Occurrence, err error) {
	query, args := occurrencesQuery(lensesOf(f), until, "AND key = {key:String}")
	rows, err := s.conn.Query(ctx, query+earlyKeys, append(args, clickhouse.Named("key", key))...)
	if err != nil {
		return nil, fmt.Errorf("read occurrences: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	reader := occurrenceReader{segments: len(f.Segments), expects: len(f.Expects())}
	for rows.Next() {
		if err := reader.scan(rows); err != nil {
			return nil, err
		}
		list = append(list, reader.occurrence)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read occurrences: %w", err)
	}
	return list, nil
}

func stepRecords(f *flows.Flow, in *flows.Instance) []flows.StepRecord {
	records := make([]flows.StepRecord, len(f.Steps))
	for i := range f.Steps {
		step, fold := &f.Steps[i], &in.Steps[i]
		records[i] = flows.StepRecord{
			Step: step.ID, Title: step.Title, System: step.System, At: fold.At, DueAt: fold.DueAt, Deadline: fold.Deadline,
			Latency: fold.Latency, Count: fold.Count, Errors: fold.Errors, Skipped: fold.Skipped,
			Expected: fold.Expected, Seen: fold.Seen,
		}
	}
	return records
}

// signalsOf reads the signals of occurrences that are in order, in the same order.
func (s *Store) signalsOf(ctx context.Context, f *flows.Flow, occurrences []flows.Occurrence) (ordered []flows.Signal, err error) {
	wanted, err := wantedSignals(occurrences)
	if err != nil {
		return nil, err
	}
	rows, err := s.conn.Query(
		clickhouse.Context(ctx, clickhouse.WithExternalTable(wanted)), signalQuery(sqlSignalsOfInstance),
		clickhouse.Named("names", f.SignalNames()), clickhouse.Named("limit", maxDetailSignals),
	)
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	signals, err := collectSignals(rows)
	if err != nil {
		return nil, err
	}
	byIdentity := make(map[flows.Identity]*flows.Signal, len(signals))
	for i := range signals {
		byIdentity[signals[i].Identity()] = &signals[i]
	}
	ordered = make([]flows.Signal, 0, len(signals))
	for i := range occurrences {
		id := flows.Identity{Source: occurrences[i].Source, ID: occurrences[i].ID}
		if g := byIdentity[id]; g != nil { // else it is gone by age, or not written yet
			ordered = append(ordered, *g)
			delete(byIdentity, id)
		}
	}
	return ordered, nil
}

// wantedSignals is a table, wanted_signals, of where the signals of occurrences stand, for queries beside it.
func wantedSignals(occurrences []flows.Occurrence) (*ext.Table, error) {
	wanted, err := ext.NewTable("wanted_signals", ext.Column("at", "Int64"), ext.Column("source", "String"), ext.Column("id", "String"))
	for i := 0; err == nil && i < len(occurrences); i++ {
		err = wanted.Append(int64(occurrences[i].Start), occurrences[i].Source, occurrences[i].ID)
	}
	if err != nil {
		return nil, fmt.Errorf("look for signals: %w", err)
	}
	return wanted, nil
}
