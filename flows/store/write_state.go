package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

// WriteInstances stores the state of instances. Of all rows of one instance that with the
// greatest version counts, of equal versions the last written.
func (s *Store) WriteInstances(ctx context.Context, version uint64, instances []flows.InstanceRecord) error {
	return insert(ctx, s, "instances", "", instances, func(r *flows.InstanceRecord) (instanceRow, error) {
		return newInstanceRow(r, version), nil
	})
}

// WriteOccurrences stores signals of instances, by version as WriteInstances. A Deleted one
// takes back what was stored under the same instance, signal and step.
func (s *Store) WriteOccurrences(ctx context.Context, version uint64, occurrences []flows.OccurrenceRecord) error {
	return insert(ctx, s, "steps", "", occurrences, func(r *flows.OccurrenceRecord) (stepRow, error) {
		return newStepRow(r, version), nil
	})
}

// SaveCheckpoints records by name that all rows up to that position of what name reads are
// stored. The last one saved counts.
func (s *Store) SaveCheckpoints(ctx context.Context, positions map[string]uint64) error {
	rows := make([]checkpointRow, 0, len(positions))
	for name, seq := range positions {
		rows = append(rows, checkpointRow{name, seq})
	}
	return insert(ctx, s, "checkpoints", "", rows, same)
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

// FlowVersion is a flow file that runs or ran.
type FlowVersion struct {
	Flow       string `ch:"flow"`
	Version    string `ch:"version"`
	Definition string `ch:"definition"` // the file's bytes
}

// SaveFlowVersion records that a flow file runs from now on.
func (s *Store) SaveFlowVersion(ctx context.Context, v FlowVersion) error {
	return insert(ctx, s, "flow_versions", "", []FlowVersion{v}, same)
}

func same[R any](r *R) (R, error) { return *r, nil }

type checkpointRow struct {
	Name string `ch:"name"`
	Seq  uint64 `ch:"seq"`
}

type instanceRow struct {
	Flow          string            `ch:"flow"`
	Key           string            `ch:"key"`
	Version       string            `ch:"version"`
	State         string            `ch:"state"`
	Reason        string            `ch:"reason"`
	ReasonStep    string            `ch:"reason_step"`
	System        string            `ch:"system"`
	StuckSince    *time.Time        `ch:"stuck_since"`
	StuckFor      int64             `ch:"stuck_for"`
	Recovered     bool              `ch:"recovered"`
	StartedAt     *time.Time        `ch:"started_at"`
	LastAt        *time.Time        `ch:"last_at"`
	EndedAt       *time.Time        `ch:"ended_at"`
	EndStep       string            `ch:"end_step"`
	WaitingStep   []string          `ch:"waiting_on.step"`
	WaitingSystem []string          `ch:"waiting_on.system"`
	WaitingDue    []*time.Time      `ch:"waiting_on.due_at"`
	WaitingUntil  []*time.Time      `ch:"waiting_on.deadline"`
	WaitingExpect []uint32          `ch:"waiting_on.expected"`
	WaitingSeen   []uint32          `ch:"waiting_on.seen"`
	Hold          string            `ch:"hold"`
	HeldSince     *time.Time        `ch:"held_since"`
	HeldUntil     *time.Time        `ch:"held_until"`
	Reopened      bool              `ch:"reopened"`
	Path          []string          `ch:"path"`
	Deviations    []string          `ch:"deviations"`
	Conforming    bool              `ch:"conforming"`
	Amount        *string           `ch:"amount"`
	Currency      string            `ch:"currency"`
	Segments      map[string]string `ch:"segments"`
	AsOf          *time.Time        `ch:"as_of"`
	Imported      bool              `ch:"imported"`
	Deleted       uint8             `ch:"deleted"`
	RowVersion    uint64            `ch:"row_version"`
}

func newInstanceRow(r *flows.InstanceRecord, version uint64) instanceRow {
	row := instanceRow{
		Flow: r.Flow, Key: flows.InstanceKey(r.Key, r.Environment), Version: r.Version, State: r.State.String(), Reason: string(r.Reason), ReasonStep: r.ReasonStep,
		System: r.System, StuckSince: nullable(r.StuckSince), StuckFor: int64(r.StuckFor), Recovered: r.Recovered,
		StartedAt: nullable(r.StartedAt), LastAt: nullable(r.LastAt), EndedAt: nullable(r.EndedAt), EndStep: r.EndStep,
		Path: r.Path, Conforming: r.Conforming, Amount: amountText(r.Amount), Currency: r.Currency, Segments: r.Segments,
		AsOf: nullable(r.AsOf), Imported: r.Imported, Deleted: flag(r.Deleted), RowVersion: version,
		Hold: r.Hold, HeldSince: nullable(r.HeldSince), HeldUntil: nullable(r.HeldUntil), Reopened: r.Reopened,
	}
	for _, w := range r.WaitingOn {
		row.WaitingStep = append(row.WaitingStep, w.Step)
		row.WaitingSystem = append(row.WaitingSystem, w.System)
		row.WaitingDue = append(row.WaitingDue, nullable(w.DueAt))
		row.WaitingUntil = append(row.WaitingUntil, nullable(w.Deadline))
		row.WaitingExpect = append(row.WaitingExpect, uint32(w.Expected))
		row.WaitingSeen = append(row.WaitingSeen, uint32(w.Seen))
	}
	for _, d := range r.Deviations {
		row.Deviations = append(row.Deviations, string(d))
	}
	return row
}

type stepRow struct {
	Flow       string            `ch:"flow"`
	Key        string            `ch:"key"`
	Source     string            `ch:"source"`
	ID         string            `ch:"id"`
	Step       string            `ch:"step"`
	Time       time.Time         `ch:"time"`
	StartTime  time.Time         `ch:"start_time"`
	Outcome    string            `ch:"outcome"`
	Sequence   string            `ch:"sequence"`
	System     string            `ch:"system"`
	AsOf       time.Time         `ch:"as_of"`
	Hash       uint64            `ch:"hash"`
	Amount     *string           `ch:"amount"`
	Currency   string            `ch:"currency"`
	Segments   map[string]string `ch:"segments"`
	Child      string            `ch:"child"`
	Expect     map[string]string `ch:"expect"`
	RowVersion uint64            `ch:"row_version"`
	Deleted    uint8             `ch:"deleted"`
}

func newStepRow(r *flows.OccurrenceRecord, version uint64) stepRow {
	row := stepRow{
		Flow: r.Flow, Key: flows.InstanceKey(r.Key, r.Environment), Source: r.Source, ID: r.ID, Step: r.StepID, Time: r.At.Std(), StartTime: r.Start.Std(),
		Outcome: "ok", Sequence: r.Sequence, System: r.System, AsOf: r.AsOf.Std(), Hash: r.Hash, Amount: amountText(r.Amount),
		Currency: r.Currency, Segments: r.Segments, Child: r.Child, Expect: r.Expect, RowVersion: version, Deleted: flag(r.Deleted),
	}
	if r.Failed {
		row.Outcome = "error"
	}
	return row
}

// amountText is the exact amount in plain decimals; nil for none.
func amountText(a decimal.NullDecimal) *string {
	if !a.Valid {
		return nil
	}
	text := a.Decimal.String()
	return &text
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
