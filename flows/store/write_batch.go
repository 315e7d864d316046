package store

import (
	"errors"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
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
