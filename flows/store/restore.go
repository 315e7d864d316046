package store

import (
	"context"
	_ "embed" // the queries
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

var (
	//go:embed queries/restore_signals.sql
	sqlRestoreSignals string
	//go:embed queries/restore_instances.sql
	sqlRestoreInstances string
	//go:embed queries/restore_lately.sql
	sqlRestoreLately string
)

// SignalFilter selects signals that have one of the names, or a key of one of the types.
// The zero value selects none.
type SignalFilter struct {
	Names    []string
	KeyTypes []string
}

// Signals streams stored signals, in no order, copies included, as of one instant. Each is
// what was inserted, but for whole numbers: a float64 without a fraction comes back as
// int64. It ends when yield fails.
func (s *Store) Signals(ctx context.Context, filter SignalFilter, yield func(flows.Signal) error) error {
	if len(filter.Names) == 0 && len(filter.KeyTypes) == 0 {
		return nil
	}
	names, err := tableOf("wanted_names", filter.Names)
	if err != nil {
		return err
	}
	types, err := tableOf("wanted_types", filter.KeyTypes)
	if err != nil {
		return err
	}
	rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithExternalTable(names, types)), signalQuery(sqlRestoreSignals))
	if err != nil {
		return fmt.Errorf("read signals: %w", err)
	}
	return errors.Join(eachSignal(rows, yield), rows.Close())
}

// tableOf sends values beside a query, as a table with the column value. Unlike a
// parameter, which is part of the address over HTTP, it may have any size.
func tableOf(name string, values []string) (*ext.Table, error) {
	table, err := ext.NewTable(name, ext.Column("value", "String"))
	if err != nil {
		return nil, fmt.Errorf("make table %s: %w", name, err)
	}
	for _, v := range values {
		if err := table.Append(v); err != nil {
			return nil, fmt.Errorf("fill table %s: %w", name, err)
		}
	}
	return table, nil
}

func eachSignal(rows driver.Rows, yield func(flows.Signal) error) error {
	for rows.Next() {
		g, err := scanSignal(rows)
		if err != nil {
			return err
		}
		if err := yield(g); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read signals: %w", err)
	}
	return nil
}

// InstanceStates streams the stored instances of a flow by key, those that are not deleted,
// as they were written: all that are in flight, and those that ended and were written since
// an instant. It ends when yield fails.
func (s *Store) InstanceStates(ctx context.Context, flow string, since flows.Time, yield func(flows.InstanceRecord) error) error {
	condition := ""
	if since > 0 {
		condition = "\n" + strings.TrimSpace(sqlRestoreLately)
	}
	rows, err := s.conn.Query(ctx, instanceQuery(strings.Replace(sqlRestoreInstances, " /*keys*/", condition, 1)), clickhouse.Named("flow", flow), clickhouse.Named("since", max(0, int64(since)/1e9)), clickhouse.Named("none", int64(flows.NoTime)))
	if err != nil {
		return fmt.Errorf("read instances of %s: %w", flow, err)
	}
	return errors.Join(eachInstance(rows, yield), rows.Close())
}

func eachInstance(rows driver.Rows, yield func(flows.InstanceRecord) error) error {
	for rows.Next() {
		r, err := scanInstance(rows)
		if err != nil {
			return err
		}
		if len(r.Path) == 0 {
			r.Path = nil
		}
		if len(r.Segments) == 0 {
			r.Segments = nil
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read instances: %w", err)
	}
	return nil
}

// scanSignal reads a row of signal_columns.sql.
func scanSignal(rows driver.Rows) (flows.Signal, error) {
	var (
		g                               flows.Signal
		received, at, duration, asOf    int64
		kind, outcome, attributes, data string
		keys                            []string
	)
	err := rows.Scan(
		&received, &at, &duration, &kind, &g.Name, &g.Source, &g.ID, &g.System, &g.Environment, &outcome,
		&g.Sequence, &g.TraceID, &g.SpanID, &g.ParentID, &keys, &attributes, &data, &asOf, &g.Sampled, &g.Erased,
	)
	if err != nil {
		return g, fmt.Errorf("scan a signal: %w", err)
	}
	if kind == flows.Span.String() {
		g.Kind = flows.Span
	}
	g.Received, g.Time, g.Duration, g.AsOf = flows.Time(received), flows.Time(at), time.Duration(duration), flows.Time(asOf)
	g.Failed = outcome == "error"
	if g.Attributes, err = parseObject(attributes); err != nil {
		return g, fmt.Errorf("attributes of signal %s/%s: %w", g.Source, g.ID, err)
	}
	if g.Data, err = parseObject(data); err != nil {
		return g, fmt.Errorf("data of signal %s/%s: %w", g.Source, g.ID, err)
	}
	if len(keys) > 0 {
		g.Keys = make([]flows.Key, len(keys))
	}
	for i, text := range keys {
		g.Keys[i].Type, g.Keys[i].Value, _ = strings.Cut(text, ":")
	}
	return g, nil
}

// parseObject reads what objectText wrote. It knows no limit: what was stored is read.
func parseObject(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("decode JSON object: %w", err)
	}
	exactNumbers(m)
	return m, nil
}

// exactNumbers gives numbers the kinds that flows.DecodeObject documents.
func exactNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			v[name] = exactNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = exactNumbers(e)
		}
	case json.Number:
		return flows.Number(v.String())
	}
	return v
}
