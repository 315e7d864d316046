package store

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
)

var (
	//go:embed queries/engine_states.sql
	sqlEngineStates string
	//go:embed queries/engine_returns.sql
	sqlEngineReturns string
	//go:embed queries/engine_left.sql
	sqlEngineLeft string
)

// States streams the stored states of a kind by ID. It ends when yield fails.
func (s *Store) States(ctx context.Context, kind string, yield func(StateRow) error) error {
	rows, err := s.conn.Query(ctx, sqlEngineStates, clickhouse.Named("kind", kind))
	if err != nil {
		return fmt.Errorf("read engine state: %w", err)
	}
	for err == nil && rows.Next() {
		r := StateRow{Kind: kind}
		if err = rows.Scan(&r.ID, &r.Text); err == nil {
			err = yield(r)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read engine state: %w", err)
	}
	return nil
}

// Evicted are the states that left memory and are found by one of some hashes.
func (s *Store) Evicted(ctx context.Context, hashes []uint64) (list []StateRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	wanted, err := ext.NewTable("wanted", ext.Column("hash", "UInt64"))
	for i := 0; err == nil && i < len(hashes); i++ {
		err = wanted.Append(hashes[i])
	}
	if err != nil {
		return nil, fmt.Errorf("find what left memory: %w", err)
	}
	rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithExternalTable(wanted)), sqlEngineReturns)
	if err != nil {
		return nil, fmt.Errorf("find what left memory: %w", err)
	}
	for err == nil && rows.Next() {
		r := StateRow{Kind: "evicted"}
		err = rows.Scan(&r.ID, &r.Text)
		list = append(list, r)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("find what left memory: %w", err)
	}
	return list, nil
}

// Left streams the hashes of all that left memory, each once.
func (s *Store) Left(ctx context.Context, yield func(hash uint64)) error {
	rows, err := s.conn.Query(ctx, sqlEngineLeft)
	if err != nil {
		return fmt.Errorf("read what left memory: %w", err)
	}
	var last, hash uint64
	for n := 0; err == nil && rows.Next(); n++ {
		if err = rows.Scan(&hash); err == nil && (n == 0 || hash != last) {
			yield(hash)
			last = hash
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read what left memory: %w", err)
	}
	return nil
}
