package store

import (
	"context"
	_ "embed" // the query
	"fmt"
	"maps"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

//go:embed queries/latest_version.sql
var sqlLatestVersion string

// WriteInstances stores the state of instances. Of all rows of one instance that with the
// greatest version counts, of equal versions the last written.
func (s *Store) WriteInstances(ctx context.Context, version uint64, instances []flows.InstanceRecord) error {
	return insert(ctx, s, "instances", "", instances, instanceFields(version))
}

// WriteOccurrences stores signals of instances, by version as WriteInstances. A Deleted one
// takes back what was stored under the same instance, signal and step.
func (s *Store) WriteOccurrences(ctx context.Context, version uint64, occurrences []flows.OccurrenceRecord) error {
	return insert(ctx, s, "steps", "", occurrences, stepFields(version))
}

// SaveCheckpoints records by name that all rows up to that position of what name reads are
// stored. The last one saved counts.
func (s *Store) SaveCheckpoints(ctx context.Context, positions map[string]uint64) error {
	return insert(ctx, s, "checkpoints", "", slices.Sorted(maps.Keys(positions)), []field[string]{
		strs("name", func(name *string) string { return *name }),
		integers("seq", "UInt64", func(name *string) uint64 { return positions[*name] }),
	})
}

// Checkpoint is the position that was saved last; 0 for none.
func (s *Store) Checkpoint(ctx context.Context, name string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var seq uint64
	row := s.conn.QueryRow(ctx, "SELECT argMax(seq, saved) FROM checkpoints WHERE name = {name:String}", clickhouse.Named("name", name))
	if err := row.Scan(&seq); err != nil {
		return 0, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	return seq, nil
}

// LatestVersion is the greatest version of the rows of instances, their steps and the
// engine's state; 0 for none.
func (s *Store) LatestVersion(ctx context.Context) (version uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := s.conn.QueryRow(ctx, sqlLatestVersion).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the latest version: %w", err)
	}
	return version, nil
}

// FlowVersion is a flow file that runs or ran.
type FlowVersion struct {
	Flow       string
	Version    string
	Definition string // the file's bytes
	Referred   string // flows.Flow.Referred
}

// SaveFlowVersion records that a flow file runs from now on.
func (s *Store) SaveFlowVersion(ctx context.Context, v FlowVersion) error {
	return insert(ctx, s, "flow_versions", "", []FlowVersion{v}, []field[FlowVersion]{
		words("flow", func(v *FlowVersion) string { return v.Flow }),
		strs("version", func(v *FlowVersion) string { return v.Version }),
		strs("definition", func(v *FlowVersion) string { return v.Definition }),
		strs("referred", func(v *FlowVersion) string { return v.Referred }),
	})
}

func instanceFields(version uint64) []field[flows.InstanceRecord] {
	type record = flows.InstanceRecord
	waiting := func(r *record) []flows.WaitingRecord { return r.WaitingOn }
	return []field[record]{
		words("flow", func(r *record) string { return r.Flow }),
		strs("key", func(r *record) string { return flows.InstanceKey(r.Key, r.Environment) }),
		words("version", func(r *record) string { return r.Version }),
		words("state", func(r *record) string { return r.State.String() }),
		words("reason", func(r *record) string { return string(r.Reason) }),
		words("reason_step", func(r *record) string { return r.ReasonStep }),
		words("system", func(r *record) string { return r.System }),
		nullInstants("stuck_since", func(r *record) flows.Time { return r.StuckSince }),
		integers("stuck_for", "Int64", func(r *record) uint64 { return uint64(r.StuckFor) }),
		flags("recovered", "Bool", func(r *record) bool { return r.Recovered }),
		nullInstants("started_at", func(r *record) flows.Time { return r.StartedAt }),
		nullInstants("last_at", func(r *record) flows.Time { return r.LastAt }),
		nullInstants("first_at", func(r *record) flows.Time { return r.FirstAt }),
		nullInstants("ended_at", func(r *record) flows.Time { return r.EndedAt }),
		words("end_step", func(r *record) string { return r.EndStep }),
		wordLists("waiting_on.step", waiting, func(w *flows.WaitingRecord) string { return w.Step }),
		wordLists("waiting_on.system", waiting, func(w *flows.WaitingRecord) string { return w.System }),
		nullInstantLists("waiting_on.due_at", waiting, func(w *flows.WaitingRecord) flows.Time { return w.DueAt }),
		nullInstantLists("waiting_on.deadline", waiting, func(w *flows.WaitingRecord) flows.Time { return w.Deadline }),
		numberLists("waiting_on.expected", waiting, func(w *flows.WaitingRecord) int { return w.Expected }),
		numberLists("waiting_on.seen", waiting, func(w *flows.WaitingRecord) int { return w.Seen }),
		words("hold", func(r *record) string { return r.Hold }),
		nullInstants("held_since", func(r *record) flows.Time { return r.HeldSince }),
		nullInstants("held_until", func(r *record) flows.Time { return r.HeldUntil }),
		flags("reopened", "Bool", func(r *record) bool { return r.Reopened }),
		wordLists("path", func(r *record) []string { return r.Path }, func(s *string) string { return *s }),
		integers("path_for", "Int64", func(r *record) uint64 { return uint64(r.PathFor) }),
		wordLists("deviations", func(r *record) []flows.Deviation { return r.Deviations }, func(d *flows.Deviation) string { return string(*d) }),
		flags("conforming", "Bool", func(r *record) bool { return r.Conforming }),
		amounts("amount", func(r *record) flows.Amount { return r.Amount }),
		words("currency", func(r *record) string { return r.Currency }),
		textMaps("segments", func(r *record) (map[string]string, error) { return r.Segments, nil }),
		nullInstants("as_of", func(r *record) flows.Time { return r.AsOf }),
		flags("imported", "Bool", func(r *record) bool { return r.Imported }),
		flags("deleted", "UInt8", func(r *record) bool { return r.Deleted }),
		integers("row_version", "UInt64", func(*record) uint64 { return version }),
	}
}

func stepFields(version uint64) []field[flows.OccurrenceRecord] {
	type record = flows.OccurrenceRecord
	return []field[record]{
		words("flow", func(r *record) string { return r.Flow }),
		strs("key", func(r *record) string { return flows.InstanceKey(r.Key, r.Environment) }),
		strs("source", func(r *record) string { return r.Source }),
		strs("id", func(r *record) string { return r.ID }),
		words("step", func(r *record) string { return r.StepID }),
		instants("time", func(r *record) flows.Time { return r.At }),
		instants("start_time", func(r *record) flows.Time { return r.Start }),
		flags("outcome", typeOutcome, func(r *record) bool { return r.Failed }),
		strs("sequence", func(r *record) string { return r.Sequence }),
		words("system", func(r *record) string { return r.System }),
		instants("as_of", func(r *record) flows.Time { return r.AsOf }),
		integers("hash", "UInt64", func(r *record) uint64 { return r.Hash }),
		flags("sampled", "Bool", func(r *record) bool { return r.Sampled }),
		amounts("amount", func(r *record) flows.Amount { return r.Amount }),
		words("currency", func(r *record) string { return r.Currency }),
		textMaps("segments", func(r *record) (map[string]string, error) { return r.Segments, nil }),
		strs("child", func(r *record) string { return r.Child }),
		textMaps("expect", func(r *record) (map[string]string, error) { return r.Expect, nil }),
		integers("row_version", "UInt64", func(*record) uint64 { return version }),
		flags("deleted", "UInt8", func(r *record) bool { return r.Deleted }),
	}
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
