package store

import (
	"context"
	"database/sql"
	_ "embed" // the queries
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

var (
	//go:embed queries/kept_versions.sql
	sqlKeptVersions string
	//go:embed queries/ended_versions.sql
	sqlEndedVersions string
)

// FlowVersion is the version of a flow that instances name; in force is f itself. One that
// is not stored, or that this build reads no more, is f too: there is nothing better to
// fold what ended under it by.
func (s *Store) FlowVersion(ctx context.Context, f *flows.Flow, version string) (*flows.Flow, error) {
	if version == f.Version {
		return f, nil
	}
	name := f.Name + " " + version
	if own, ok := s.versions.Load(name); ok {
		if own := own.(*flows.Flow); own != nil {
			return own, nil
		}
		return f, nil
	}
	ctx, cancel := withTimeout(ctx, foldTimeout)
	defer cancel()
	var definition, referred string
	err := s.conn.QueryRow(
		ctx, "SELECT definition, referred FROM flow_versions FINAL WHERE flow = {flow:String} AND version = {version:String}",
		clickhouse.Named("flow", f.Name), clickhouse.Named("version", version),
	).Scan(&definition, &referred)
	if errors.Is(err, sql.ErrNoRows) {
		return f, nil // it may still be written
	}
	if err != nil {
		return nil, fmt.Errorf("read version %.20s of %s: %w", version, f.Name, err)
	}
	own, err := flows.ParseVersion(version, definition, referred)
	if err != nil || own.Name != f.Name {
		own = nil
	}
	s.versions.Store(name, own)
	if own == nil {
		return f, nil
	}
	return own, nil
}

const endedSince = "AND toUnixTimestamp64Nano(ended_at) >= {since:Int64} AND key > {after:String}"

// KeptInstances streams, by key, the flows.InstanceKeys of the ended instances that keep
// another version than that in force, and ended since an instant, NoTime for all; those
// behind a key. It ends when yield fails.
func (s *Store) KeptInstances(ctx context.Context, f *flows.Flow, since flows.Time, after string, yield func(key string) error) error {
	kept, err := s.keptVersions(ctx, f, endedSince, clickhouse.Named("since", int64(since)), clickhouse.Named("after", after))
	if err != nil {
		return err
	}
	for kept.next() {
		if err := yield(kept.key); err != nil {
			return errors.Join(err, kept.rows.Close())
		}
	}
	return errors.Join(kept.err, kept.rows.Close())
}

// CountKept is how many KeptInstances would stream.
func (s *Store) CountKept(ctx context.Context, f *flows.Flow, since flows.Time, after string) (n uint64, err error) {
	query := "SELECT count() FROM (" + strings.Replace(sqlKeptVersions, "/*keys*/", endedSince, 1) + ")"
	row := s.conn.QueryRow(ctx, query, clickhouse.Named("since", int64(since)), clickhouse.Named("after", after),
		clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version))
	if err := row.Scan(&n); err != nil {
		return 0, fmt.Errorf("count the instances of other versions of %s: %w", f.Name, err)
	}
	return n, nil
}

// keptRows are the kept versions by key, read beside what is sorted by key too.
type keptRows struct {
	rows         driver.Rows
	key, version string
	err          error
	done         bool
}

func (s *Store) keptVersions(ctx context.Context, f *flows.Flow, condition string, args ...any) (*keptRows, error) {
	query := strings.Replace(sqlKeptVersions, "/*keys*/", "\n"+strings.TrimSpace(condition), 1)
	rows, err := s.conn.Query(ctx, query, append(args, clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version))...)
	if err != nil {
		return nil, fmt.Errorf("read the versions of %s: %w", f.Name, err)
	}
	return &keptRows{rows: rows}, nil
}

// close ends the reading; of nil it is nothing.
func (k *keptRows) close() error {
	if k == nil {
		return nil
	}
	return k.rows.Close()
}

func (k *keptRows) next() bool {
	if k.done || !k.rows.Next() {
		k.done = true
		if err := k.rows.Err(); err != nil {
			k.err = fmt.Errorf("read versions: %w", err)
		}
		return false
	}
	if err := k.rows.Scan(&k.key, &k.version); err != nil {
		k.done, k.err = true, fmt.Errorf("scan a version: %w", err)
		return false
	}
	return true
}

// of is the version that the instance of a key keeps; "" is that in force. It is asked for
// keys that grow.
func (k *keptRows) of(key string) (string, error) {
	for !k.done && k.key < key {
		k.next()
	}
	if k.key == key && !k.done {
		return k.version, k.err
	}
	return "", k.err
}

// lens is a version of a flow, and how it sees what is read for all versions at once.
type lens struct {
	flow              *flows.Flow
	steps             []int // by position among all
	segments, expects []int // by those of the version, among all
}

// lenses are the versions that instances of a flow are of. Names that the version in force
// has come first, in its order.
type lenses struct {
	inForce                    *lens
	others                     map[string]*lens
	steps, segments, expecting []string
}

// lensesOf is one version alone.
func lensesOf(f *flows.Flow) *lenses {
	return &lenses{inForce: &lens{flow: f}, steps: f.Positions(), segments: f.Segments, expecting: f.Expects()}
}

// lenses looks for the versions that are kept by some instances of a flow.
func (s *Store) lenses(ctx context.Context, f *flows.Flow) (*lenses, error) {
	ls := lensesOf(f)
	var versions []string
	row := s.conn.QueryRow(
		ctx, sqlEndedVersions,
		clickhouse.Named("flow", f.Name), clickhouse.Named("version", f.Version),
	)
	if err := row.Scan(&versions); err != nil {
		return nil, fmt.Errorf("read the versions of %s: %w", f.Name, err)
	}
	if len(versions) == 0 {
		return ls, nil
	}
	ls.others = map[string]*lens{}
	for _, version := range versions {
		own, err := s.FlowVersion(ctx, f, version)
		if err != nil {
			return nil, err
		}
		if own != f {
			ls.others[version] = &lens{flow: own}
		}
	}
	for _, l := range ls.others {
		ls.steps, ls.segments, ls.expecting = joined(ls.steps, l.flow.Positions()), joined(ls.segments, l.flow.Segments), joined(ls.expecting, l.flow.Expects())
	}
	ls.inForce.among(ls)
	for _, l := range ls.others {
		l.among(ls)
	}
	return ls, nil
}

func joined(all, more []string) []string {
	all = slices.Clip(all)
	for _, name := range more {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// among learns where the names of the version stand among all.
func (l *lens) among(ls *lenses) {
	own := l.flow.Positions()
	for _, id := range ls.steps {
		l.steps = append(l.steps, slices.Index(own, id))
	}
	for _, name := range l.flow.Segments {
		l.segments = append(l.segments, slices.Index(ls.segments, name))
	}
	for _, name := range l.flow.Expects() {
		l.expects = append(l.expects, slices.Index(ls.expecting, name))
	}
}

// see puts occurrences into the words of the version, in place.
func (l *lens) see(occurrences []flows.Occurrence) []flows.Occurrence {
	if l.steps == nil { // there is one version only
		return occurrences
	}
	seen := occurrences[:0]
	for _, o := range occurrences {
		if o.Step = l.steps[o.Step]; o.Step < 0 {
			continue
		}
		o.Segments, o.Expect = pick(o.Segments, l.segments), pick(o.Expect, l.expects)
		seen = append(seen, o)
	}
	return seen
}

// pick takes the values at some places; nil where all are empty.
func pick(values []string, at []int) (picked []string) {
	if values == nil {
		return nil
	}
	for i, from := range at {
		if values[from] == "" {
			continue
		}
		if picked == nil {
			picked = make([]string, len(at))
		}
		picked[i] = values[from]
	}
	return picked
}

// ownVersion is the version that an instance is of now.
func (s *Store) ownVersion(ctx context.Context, f *flows.Flow, key string) (*flows.Flow, error) {
	value, environment := flows.SplitInstanceKey(key)
	keys := []string{key}
	if whole, part := flows.PartOf(value); part > 0 {
		keys = append(keys, flows.InstanceKey(whole, environment))
	}
	kept, err := s.keptVersions(ctx, f, "AND key IN {keys:Array(String)}", clickhouse.Named("keys", keys))
	if err != nil {
		return nil, err
	}
	version := f.Version
	for kept.next() {
		if kept.key == key {
			version = kept.version
		}
	}
	if err := errors.Join(kept.err, kept.rows.Close()); err != nil {
		return nil, err
	}
	return s.FlowVersion(ctx, f, version)
}

// withKeys puts keys beside a query as the table wanted_keys.
func withKeys(ctx context.Context, keys []string) (context.Context, error) {
	table, err := tableOf("wanted_keys", keys)
	if err != nil {
		return nil, err
	}
	return clickhouse.Context(ctx, clickhouse.WithExternalTable(table)), nil
}

const ofWantedKeys = "AND key IN (SELECT value FROM wanted_keys)"

// KeptVersions are the versions that those of some ended instances keep that are not of the
// version in force, by flows.InstanceKey.
func (s *Store) KeptVersions(ctx context.Context, f *flows.Flow, keys []string) (map[string]*flows.Flow, error) {
	ctx, err := withKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	kept, err := s.keptVersions(ctx, f, ofWantedKeys)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for kept.next() {
		names[kept.key] = kept.version
	}
	if err := errors.Join(kept.err, kept.rows.Close()); err != nil {
		return nil, err
	}
	versions := make(map[string]*flows.Flow, len(names))
	for key, version := range names {
		if versions[key], err = s.FlowVersion(ctx, f, version); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

// FoldKeys folds some instances from what is stored of them, each by its own version, as
// they are at now. One of which nothing is stored is not among them. It ends when yield
// fails.
func (s *Store) FoldKeys(ctx context.Context, f *flows.Flow, keys []string, now flows.Time, yield func(flows.InstanceRecord) error) error {
	return s.fold(ctx, foldQuery{flow: f, now: now, keys: keys}, func(c folded) error {
		key, environment := flows.SplitInstanceKey(c.key)
		r := c.flow.Record(key, c.in, c.now)
		r.Environment, r.Imported = environment, c.imported
		return yield(r)
	})
}

//go:embed queries/steps_of_keys.sql
var sqlStepsOfKeys string

// StepKeys are what is stored of some instances of a flow: of each signal only what tells
// its row from others.
func (s *Store) StepKeys(ctx context.Context, flow string, keys []string) (found []flows.OccurrenceRecord, err error) {
	if ctx, err = withKeys(ctx, keys); err != nil {
		return nil, err
	}
	rows, err := s.conn.Query(ctx, sqlStepsOfKeys, clickhouse.Named("flow", flow))
	if err != nil {
		return nil, fmt.Errorf("read steps of %s: %w", flow, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r := flows.OccurrenceRecord{Flow: flow}
		if err := rows.Scan(&r.Key, &r.Source, &r.ID, &r.StepID); err != nil {
			return nil, fmt.Errorf("scan a step: %w", err)
		}
		r.Key, r.Environment = flows.SplitInstanceKey(r.Key)
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read steps of %s: %w", flow, err)
	}
	return found, nil
}
