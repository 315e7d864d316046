package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

var (
	//go:embed queries/erase_keys.sql
	sqlEraseKeys string
	//go:embed queries/erase_instances.sql
	sqlEraseInstances string
	//go:embed queries/erase_steps.sql
	sqlEraseSteps string
	//go:embed queries/erase_logs.sql
	sqlEraseLogs string
	//go:embed queries/erase_spans.sql
	sqlEraseSpans string
)

// EraseSignals stores what is left of signals in place of all their copies. fresh are those
// of left that are not stored yet; of losers, whose copy that counts does not carry the key,
// the copies go that do.
func (s *Store) EraseSignals(ctx context.Context, x Erasure, left, fresh []flows.Signal, losers []flows.Identity) error {
	for part := range slices.Chunk(fresh, 5000) {
		if err := s.InsertSignals(ctx, "", part); err != nil {
			return err
		}
	}
	whole := make([]string, len(left))
	for i := range left {
		whole[i] = halfOf(left[i].Identity())
	}
	others := make([]string, len(losers))
	for i := range losers {
		others[i] = halfOf(losers[i])
	}
	if err := s.changeOf(ctx, "signals", "DELETE", hashOf(signalIdentity), " AND NOT has(keys, "+quoted(flows.Key{Type: x.Key.Type, Value: x.Token}.String())+")", whole); err != nil {
		return err
	}
	return s.changeOf(ctx, "signals", "DELETE", hashOf(signalIdentity), " AND arrayExists(k -> "+hashOf("k")+" = "+half(x.Key.String())+", keys)", others)
}

// ErasedFlow is a flow whose instances have keys of a type that is erased.
type ErasedFlow struct {
	Name  string
	Parts bool // a key may have several instances
}

// called are the condition and the parameters for what its instances are called.
func (f ErasedFlow) called(x Erasure) (keys string, args []any) {
	rest := "^(\\x1f|$)"
	if f.Parts {
		rest = "^(#[0-9]+)?(\\x1f|$)"
	}
	_, keys, _ = strings.Cut(strings.TrimSpace(sqlEraseKeys), "\n")
	return keys, []any{
		clickhouse.Named("flow", f.Name), clickhouse.Named("value", x.Key.Value), clickhouse.Named("rest", rest),
		clickhouse.Named("token", x.Token), clickhouse.Named("cutoff", x.Cutoff),
	}
}

// RenameInstances puts the token in place of the value where it is that of instances of a
// flow; what was stored under it does not count from then on.
func (s *Store) RenameInstances(ctx context.Context, x Erasure, f ErasedFlow) error {
	keys, args := f.called(x)
	for _, insert := range []string{sqlEraseSteps, sqlEraseInstances} {
		if err := s.conn.Exec(quietly(ctx), strings.ReplaceAll(insert, "/*keys*/", keys), args...); err != nil {
			return fmt.Errorf("erase in %s: %w", f.Name, err)
		}
	}
	return nil
}

// ForgetRenamed removes what RenameInstances left behind under the value.
func (s *Store) ForgetRenamed(ctx context.Context, x Erasure, f ErasedFlow) error {
	keys, args := f.called(x)
	for _, table := range []string{"steps", "steps_by_time", "instances", "instances_by_time"} {
		hashes, err := s.hashes(ctx, "SELECT DISTINCT "+hashOf("key")+" FROM "+table+" WHERE "+keys+" AND row_version <= {cutoff:UInt64}", args...)
		if err != nil {
			return fmt.Errorf("erase in %s: %w", table, err)
		}
		and := fmt.Sprintf(" AND flow = %s AND row_version <= %d", quoted(f.Name), x.Cutoff)
		if err := s.changeOf(ctx, table, "DELETE", hashOf("key"), and, hashes); err != nil {
			return err
		}
	}
	s.hours.forget()
	return nil
}

// HasInstances says whether a value is that of an instance of a flow.
func (s *Store) HasInstances(ctx context.Context, flow, value string) (bool, error) {
	var n uint64
	err := s.conn.QueryRow(quietly(ctx), "SELECT count() FROM instances FINAL WHERE flow = {flow:String} AND (key = {value:String} OR startsWith(key, concat({value:String}, char(31))))",
		clickhouse.Named("flow", flow), clickhouse.Named("value", value)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for instances of a key: %w", err)
	}
	return n > 0, nil
}

// EraseWords puts the token in place of the value where signals of instances, of other keys
// too, have it as a child's name or as a segment.
func (s *Store) EraseWords(ctx context.Context, x Erasure, left []flows.Signal, segments []string) error {
	ids := make([]string, len(left))
	for i := range left {
		ids[i] = halfOf(left[i].Identity())
	}
	is := func(expression string) string { return hashOf(expression) + " = " + half(x.Key.Value) }
	token := quoted(x.Token)
	what := "UPDATE child = if(" + is("child") + ", " + token + ", child), segments = mapApply((k, v) -> (k, if(" + is("v") + ", " + token + ", v)), segments)"
	and := fmt.Sprintf(" AND (%s OR arrayExists(v -> %s, mapValues(segments))) AND row_version <= %d", is("child"), is("v"), x.Cutoff)
	for _, table := range []string{"steps", "steps_by_time"} {
		if err := s.changeOf(ctx, table, what, hashOf("concat(source, char(0), id)"), and, ids); err != nil {
			return err
		}
	}
	if len(segments) == 0 {
		return nil
	}
	names := make([]string, len(segments))
	for i, name := range segments {
		names[i] = half(name)
	}
	one := "k -> " + hashOf("k.1") + " IN (" + strings.Join(names, ", ") + ") AND " + is("k.2")
	return s.change(ctx, "instances", "UPDATE segments = mapApply((k, v) -> (k, if("+hashOf("k")+" IN ("+strings.Join(names, ", ")+") AND "+is("v")+", "+token+", v)), segments)"+
		" WHERE arrayExists("+one+", arrayZip(mapKeys(segments), mapValues(segments)))")
}

// keptOfResource is what says who reports, in which version.
const keptOfResource = "mapFilter((k, v) -> k IN ('service.name', 'service.version', 'deployment.environment.name'), ResourceAttributes)"

// EraseSpans takes the attributes and texts from the spans that are among the signals left or
// have the value as one of some attributes, and from the log records that belong to these or
// speak of the value.
func (s *Store) EraseSpans(ctx context.Context, x Erasure, left []flows.Signal, names []string) error {
	value := clickhouse.Named("value", x.Key.Value)
	named := clickhouse.Named("names", names)
	var spans []string
	for i := range left {
		if g := &left[i]; g.TraceID != "" && g.SpanID != "" {
			spans = append(spans, g.TraceID+":"+g.SpanID)
		}
	}
	rows, err := s.conn.Query(quietly(ctx), sqlEraseSpans, value, named)
	if err != nil {
		return fmt.Errorf("look for spans of a key: %w", err)
	}
	if err := errors.Join(eachRow(rows, func() error {
		var name string
		err := rows.Scan(&name)
		spans = append(spans, name)
		return err
	}), rows.Close()); err != nil {
		return fmt.Errorf("look for spans of a key: %w", err)
	}
	hashes := make([]string, len(spans))
	for i, name := range spans {
		hashes[i] = half(name)
	}
	if err := s.changeOf(ctx, "spans", "UPDATE SpanAttributes = map(), ResourceAttributes = "+keptOfResource+", TraceState = '', StatusMessage = '',"+
		" `Events.Attributes` = arrayMap(a -> mapFilter((k, v) -> 0, a), `Events.Attributes`),"+
		" `Links.Attributes` = arrayMap(a -> mapFilter((k, v) -> 0, a), `Links.Attributes`)", hashOf("concat(TraceId, ':', SpanId)"), "", hashes); err != nil {
		return err
	}
	return s.eraseLogs(ctx, x, spans, names)
}

// Values shorter than wordBytes stand in too many texts by chance: of these the log records
// are looked at that share a trace with an erased signal.
const wordBytes = 5

func (s *Store) eraseLogs(ctx context.Context, x Erasure, spans, names []string) error {
	table, err := tableOf("erased_spans", spans)
	if err != nil {
		return err
	}
	word := "(^|[^A-Za-z0-9])" + regexp.QuoteMeta(x.Key.Value) + "([^A-Za-z0-9]|$)"
	hashes, err := s.hashes(clickhouse.Context(ctx, clickhouse.WithExternalTable(table)), sqlEraseLogs,
		clickhouse.Named("value", x.Key.Value), clickhouse.Named("names", names), clickhouse.Named("word", word), clickhouse.Named("anywhere", flag(len(x.Key.Value) >= wordBytes)))
	if err != nil {
		return fmt.Errorf("look for log records of a key: %w", err)
	}
	return s.changeOf(ctx, "logs", "UPDATE Body = '', LogAttributes = map(), ScopeAttributes = map(), ResourceAttributes = "+keptOfResource+"",
		hashOf("concat(toString(Timestamp), ServiceName, TraceId, SpanId, Body)"), "", hashes)
}

// ForgetLeft removes by what components with a key were found that had left memory, and
// their states of before: they were taken back, and are saved.
func (s *Store) ForgetLeft(ctx context.Context, x Erasure, keyHashes []uint64) error {
	rows, err := s.Evicted(ctx, keyHashes)
	if err != nil {
		return err
	}
	var ids, hashes []string
	for _, row := range rows {
		ids = append(ids, fmt.Sprint(row.ID))
	}
	for _, h := range keyHashes {
		hashes = append(hashes, fmt.Sprint(h))
	}
	if err := s.changeOf(ctx, "engine_state", "DELETE", "id", fmt.Sprintf(" AND kind = 'evicted' AND row_version <= %d", x.Cutoff), ids); err != nil {
		return err
	}
	return s.changeOf(ctx, "engine_left", "DELETE", "hash", "", hashes)
}

// forget drops all hours in memory.
func (h *hours) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = nil
}
