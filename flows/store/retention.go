package store

import (
	"context"
	"fmt"
	"time"
)

// Retention is how long each class of data is kept, after its reception or, for state,
// after it was last written.
type Retention struct {
	Spans     time.Duration // spans and log records
	Signals   time.Duration // signals that no instance can use
	Instances time.Duration // ended instances, and the signals that may be theirs
}

// SetRetention puts the lifetimes in force. What is there already goes or stays by them
// with the next merges.
func (s *Store) SetRetention(ctx context.Context, r Retention) error {
	for _, statement := range s.retention(r) {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("set retention: %w", err)
		}
	}
	return nil
}

// retention are the statements of SetRetention. Occurrences outlive an instance that was
// in flight for as long as ended ones are kept.
func (s *Store) retention(r Retention) []string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("toIntervalSecond(%d)", int64(d/time.Second)) }
	cluster := s.onCluster()
	alter := func(table, ttl string) string {
		return "ALTER TABLE " + table + cluster + " MODIFY TTL " + ttl + " SETTINGS materialize_ttl_after_modify = 0"
	}
	return []string{
		alter("spans", "Received + "+seconds(r.Spans)),
		alter("logs", "Received + "+seconds(r.Spans)),
		alter("signals", "toDateTime(received, 'UTC') + "+seconds(r.Signals)+" DELETE WHERE empty(keys) AND trace_id = '', "+
			"toDateTime(received, 'UTC') + "+seconds(max(r.Instances, r.Signals))),
		alter("instances", "written + "+seconds(r.Instances)+" DELETE WHERE isNotNull(ended_at)"),
		alter("instances_by_time", "written + "+seconds(r.Instances)),
		alter("steps", "written + "+seconds(2*r.Instances)),
		alter("steps_by_time", "written + "+seconds(2*r.Instances)),
		alter("engine_state", "written + "+seconds(r.Instances)+" DELETE WHERE kind = 'evicted'"),
		alter("releases", "toDateTime(at, 'UTC') + "+seconds(r.Instances)),
		alter("engine_left", "written + "+seconds(r.Instances)),
	}
}
