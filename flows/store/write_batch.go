package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

// errBadRow marks what will not be stored however often it is sent.
var errBadRow = errors.New("row cannot be stored")

// badData are the exceptions by which the server says that a value does not fit: cannot
// parse text, input, date, date-time; type mismatch; argument out of bound; cannot convert
// type; incorrect data; array, string too large; null where there is none; a condition not
// met, decimal overflow (of a column that an operator added); constraint violated; no such
// element of an enum.
var badData = []int32{6, 27, 38, 41, 53, 69, 70, 117, 128, 131, 349, 395, 407, 469, 691}

// Retryable says whether the same call may succeed later: the server is away, busy, not
// migrated, or refuses us until an operator changes that. False says that the data itself
// is at fault; an error that nobody knows is retryable, since dropping what was accepted
// is worse than waiting.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, errBadRow) {
		return false
	}
	if e, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return !slices.Contains(badData, e.Code)
	}
	return true
}

// insert sends records as one block; nothing for none. With a token the server stores the
// block once, however often it is sent.
func insert[R, Row any](ctx context.Context, s *Store, table, token string, records []R, row func(*R) (Row, error)) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if token != "" {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token": token, "insert_deduplicate": 1,
		}))
	}
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+columns[Row]()+")")
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	for i := range records {
		r, err := row(&records[i])
		if err == nil {
			err = batch.AppendStruct(&r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("insert into %s: %w: record %d: %w", table, errBadRow, i, err), batch.Close())
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

// columns lists the columns that a row fills, from its ch tags.
func columns[Row any]() string {
	t := reflect.TypeFor[Row]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("ch")
	}
	return strings.Join(names, ", ")
}

// nullable is nil for NoTime.
func nullable(t flows.Time) *time.Time {
	if t == flows.NoTime {
		return nil
	}
	std := t.Std()
	return &std
}
