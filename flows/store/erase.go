package store

import (
	"context"
	"crypto/sha256"
	_ "embed" // the queries
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"throughline/flows"
)

//go:embed queries/carriers.sql
var sqlCarriers string

// IdentityHash is what is kept of an erased signal, so that a repeat is known.
type IdentityHash [16]byte

// HashIdentity is the hash of an identity.
func HashIdentity(id flows.Identity) (h IdentityHash) {
	sum := sha256.Sum256([]byte(id.Source + "\x00" + id.ID))
	copy(h[:], sum[:])
	return h
}

// half is a hash as hashOf has ClickHouse make it. What stands in the text of a mutation
// stays in the server's log of mutations: so they name hashes, and no values.
func half(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strconv.FormatUint(binary.LittleEndian.Uint64(sum[:8]), 10)
}

func hashOf(expression string) string {
	return "reinterpretAsUInt64(substring(SHA256(" + expression + "), 1, 8))"
}

const signalIdentity = "concat(if(kind = 'span', '', source), char(0), id)"

func halfOf(id flows.Identity) string { return half(id.Source + "\x00" + id.ID) }

// Erasure is a key that was erased, or is being. It is the log of it, too.
type Erasure struct {
	Token   string
	Key     flows.Key // without its value, once done
	By      string
	Began   flows.Time
	Done    bool
	Signals int
	Cutoff  uint64 // version of rows: those of before are less
}

// SaveErasure stores an erasure, instead of what was said of it before.
func (s *Store) SaveErasure(ctx context.Context, x Erasure) error {
	version := x.Cutoff
	if x.Done {
		version++
	}
	return insert(ctx, s, "erasures", "", []Erasure{x}, []field[Erasure]{
		strs("token", func(x *Erasure) string { return x.Token }),
		words("type", func(x *Erasure) string { return x.Key.Type }),
		strs("value", func(x *Erasure) string { return x.Key.Value }),
		strs("by", func(x *Erasure) string { return x.By }),
		instants("began", func(x *Erasure) flows.Time { return x.Began }),
		flags("done", "Bool", func(x *Erasure) bool { return x.Done }),
		integers("signals", "UInt64", func(x *Erasure) uint64 { return uint64(x.Signals) }),
		integers("cutoff", "UInt64", func(x *Erasure) uint64 { return x.Cutoff }),
		integers("row_version", "UInt64", func(*Erasure) uint64 { return version }),
	})
}

// Unerased are the erasures that are under way, oldest first.
func (s *Store) Unerased(ctx context.Context) (list []Erasure, err error) {
	rows, err := s.conn.Query(ctx, "SELECT token, type, value, by, toUnixTimestamp64Nano(began), signals, cutoff FROM erasures FINAL WHERE NOT done ORDER BY cutoff")
	if err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	for err == nil && rows.Next() {
		var x Erasure
		var began int64
		var signals uint64
		err = rows.Scan(&x.Token, &x.Key.Type, &x.Key.Value, &x.By, &began, &signals, &x.Cutoff)
		x.Began, x.Signals = flows.Time(began), int(signals)
		list = append(list, x)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	return list, nil
}

// SaveErased keeps by what repeats of erased signals are known.
func (s *Store) SaveErased(ctx context.Context, token string, ids []IdentityHash) error {
	return insert(ctx, s, "erased_signals", "", ids, []field[IdentityHash]{
		strs("token", func(*IdentityHash) string { return token }),
		strs("identity", func(id *IdentityHash) string { return string(id[:]) }),
	})
}

// ErasedSignals streams by what repeats of signals are known that an erasure was of; "" for
// all that were begun. Those of one that was not are of signals that are still there.
func (s *Store) ErasedSignals(ctx context.Context, token string, yield func(IdentityHash)) error {
	rows, err := s.conn.Query(ctx, "SELECT identity FROM erased_signals WHERE token IN (SELECT token FROM erasures FINAL WHERE {token:String} IN ('', token) AND signals > 0)", clickhouse.Named("token", token))
	if err != nil {
		return fmt.Errorf("read erased signals: %w", err)
	}
	for err == nil && rows.Next() {
		var text string
		if err = rows.Scan(&text); err == nil {
			var h IdentityHash
			copy(h[:], text)
			yield(h)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read erased signals: %w", err)
	}
	return nil
}

// Carriers are all stored copies of the signals that may carry a key, or did before it was
// erased; one more than limit where there are more.
func (s *Store) Carriers(ctx context.Context, key flows.Key, token string, limit int) (signals []flows.Signal, err error) {
	text, _, _ := strings.Cut(key.Value, ":") // of a composite key its first part
	ctx = quietly(ctx)
	rows, err := s.conn.Query(ctx, signalQuery(sqlCarriers), clickhouse.Named("key", key.String()), clickhouse.Named("value", text),
		clickhouse.Named("erased", flows.Key{Type: key.Type, Value: token}.String()), clickhouse.Named("limit", limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the signals of a key: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return collectSignals(rows)
}

// FlowVersions are all versions of all flows that ran and that this build can read.
func (s *Store) FlowVersions(ctx context.Context) (list []*flows.Flow, err error) {
	rows, err := s.conn.Query(ctx, "SELECT version, definition, referred FROM flow_versions FINAL")
	if err != nil {
		return nil, fmt.Errorf("read versions of flows: %w", err)
	}
	for err == nil && rows.Next() {
		var version, definition, referred string
		if err = rows.Scan(&version, &definition, &referred); err != nil {
			break
		}
		if f, unread := flows.ParseVersion(version, definition, referred); unread == nil {
			list = append(list, f)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("read versions of flows: %w", err)
	}
	return list, nil
}

// mutationWithin is how long one pass over a table may take; what is not done by then goes
// on in the server, and is asked for again.
const mutationWithin = 10 * time.Minute

// change runs a mutation, and waits until it is done on all replicas.
func (s *Store) change(ctx context.Context, table, what string, args ...any) error {
	cluster := ""
	if s.cluster != "" {
		cluster = " ON CLUSTER `" + strings.ReplaceAll(s.cluster, "`", "``") + "`"
	}
	ctx, cancel := context.WithTimeout(ctx, mutationWithin)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 2, "max_query_size": 8 << 20, "log_queries": 0}))
	if err := s.conn.Exec(ctx, "ALTER TABLE "+table+cluster+" "+what, args...); err != nil {
		return fmt.Errorf("erase in %s: %w", table, err)
	}
	return nil
}

// quietly keeps what is asked out of the server's log of queries.
func quietly(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"log_queries": 0}))
}

// quoted is a text in a statement that takes no parameters.
func quoted(text string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(text) + "'"
}

// hashesAtOnce bounds the text of one mutation, to some 200 kB.
const hashesAtOnce = 10_000

// changeOf is change for rows whose hashes are among some; where says which.
func (s *Store) changeOf(ctx context.Context, table, what, hash, and string, hashes []string) error {
	for part := range slices.Chunk(hashes, hashesAtOnce) {
		if err := s.change(ctx, table, what+" WHERE "+hash+" IN ("+strings.Join(part, ", ")+")"+and); err != nil {
			return err
		}
	}
	return nil
}

// Compact rewrites a table of replaced rows, so that none of those is left on the disk.
func (s *Store) Compact(ctx context.Context, table string) error {
	ctx, cancel := context.WithTimeout(ctx, mutationWithin)
	defer cancel()
	if err := s.conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
		return fmt.Errorf("compact %s: %w", table, err)
	}
	return nil
}

// hashes reads a query of one column of hashes.
func (s *Store) hashes(ctx context.Context, query string, args ...any) (list []string, err error) {
	rows, err := s.conn.Query(quietly(ctx), query, args...)
	if err != nil {
		return nil, err
	}
	return list, errors.Join(eachRow(rows, func() error {
		var h uint64
		err := rows.Scan(&h)
		list = append(list, strconv.FormatUint(h, 10))
		return err
	}), rows.Close())
}

func eachRow(rows driver.Rows, scan func() error) error {
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}
