package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

// field is a column of a table, written for all rows at once from records of R. The
// driver's way, row by row through reflection, takes ten times as long, and asks the server
// for the columns before each insert.
type field[R any] struct {
	name, typ string
	write     func(n *native, records []R) error
}

const (
	typeInstant     = "DateTime64(9, 'UTC')"
	typeNullInstant = "Nullable(" + typeInstant + ")"
	typeOutcome     = "Enum8('ok' = 0, 'error' = 1)"
)

// usualRow is more than the bytes of nearly any row.
const usualRow = 320

// insert sends records as one block; nothing for none. With a token the server stores the
// block once, however often it is sent.
func insert[R any](ctx context.Context, s *Store, table, token string, records []R, fields []field[R]) error {
	if len(records) == 0 {
		return nil
	}
	n := natives.get()
	defer natives.put(n)
	n.begin(len(fields), len(records))
	n.buf = slices.Grow(n.buf, len(records)*usualRow) // a block that grows as it is written is copied, into ever new memory
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
		n.column(f.name, f.typ)
		if err := f.write(n, records); err != nil {
			return fmt.Errorf("insert into %s: %w: column %s: %w", table, errBadRow, f.name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if token != "" {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token": token, "insert_deduplicate": 1,
		}))
	}
	if err := s.insertNative(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")", n, len(records)); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

// natives keep their buffers, which are as large as what is inserted at once: one for each
// writer that inserts often. A sync.Pool would lose them with each collection.
var natives = spare[native]{kept: make(chan *native, 2)}

// spare are values that are used again.
type spare[T any] struct{ kept chan *T }

func (s spare[T]) get() *T {
	select {
	case v := <-s.kept:
		return v
	default:
		return new(T)
	}
}

func (s spare[T]) put(v *T) {
	select {
	case s.kept <- v:
	default:
	}
}

// each makes a field of what is written a row.
func each[R any](name, typ string, write func(n *native, r *R)) field[R] {
	return field[R]{name, typ, func(n *native, records []R) error {
		for i := range records {
			write(n, &records[i])
		}
		return nil
	}}
}

func instants[R any](name string, get func(*R) flows.Time) field[R] {
	return each(name, typeInstant, func(n *native, r *R) { n.uint64(uint64(get(r))) })
}

func integers[R any](name, typ string, get func(*R) uint64) field[R] {
	return each(name, typ, func(n *native, r *R) { n.uint64(get(r)) })
}

// bytesOf is a column of numbers below 256: an Enum8, a UInt8, a Bool.
func bytesOf[R any](name, typ string, get func(*R) uint8) field[R] {
	return each(name, typ, func(n *native, r *R) { n.buf = append(n.buf, get(r)) })
}

func flags[R any](name, typ string, get func(*R) bool) field[R] {
	return bytesOf(name, typ, func(r *R) uint8 {
		if get(r) {
			return 1
		}
		return 0
	})
}

func strs[R any](name string, get func(*R) string) field[R] {
	return each(name, "String", func(n *native, r *R) { n.text(get(r)) })
}

// objects is a column of JSON objects as text, which add appends.
func objects[R any](name string, add func(*R, []byte) ([]byte, error)) field[R] {
	var empty [binary.MaxVarintLen32]byte
	return field[R]{name, "String", func(n *native, records []R) (err error) {
		for i := range records {
			// The text is written behind room for the longest length, and then moved.
			start := len(n.buf)
			n.buf = append(n.buf, empty[:]...)
			if n.buf, err = add(&records[i], n.buf); err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
			length := len(n.buf) - start - len(empty)
			size := binary.PutUvarint(n.buf[start:start+len(empty)], uint64(length))
			n.buf = append(n.buf[:start+size], n.buf[start+len(empty):]...)
		}
		return nil
	}}
}

// words is a column of texts that repeat.
func words[R any](name string, get func(*R) string) field[R] {
	return field[R]{name, typeWord, func(n *native, records []R) error {
		n.lowCardinalityPrefix()
		var d dictionary
		n.words = n.words[:0]
		for i := range records {
			n.words = append(n.words, d.text(get(&records[i])))
		}
		n.lowCardinality(&d, n.words)
		return nil
	}}
}

// nullInstants is a column of instants; NoTime is NULL.
func nullInstants[R any](name string, get func(*R) flows.Time) field[R] {
	return field[R]{name, typeNullInstant, func(n *native, records []R) error {
		for i := range records {
			n.null(get(&records[i]) == flows.NoTime)
		}
		for i := range records {
			n.instant(get(&records[i]))
		}
		return nil
	}}
}

// amounts is a column of plain decimals; none is NULL.
func amounts[R any](name string, get func(*R) flows.Amount) field[R] {
	return field[R]{name, "Nullable(String)", func(n *native, records []R) error {
		for i := range records {
			n.null(!get(&records[i]).Valid)
		}
		for i := range records {
			n.aside = get(&records[i]).AppendTo(n.aside[:0])
			n.bytes(n.aside)
		}
		return nil
	}}
}

// lists is a column of arrays, whose elements write writes, of one row after the other.
func lists[R, E any](name, typ string, get func(*R) []E, write func(n *native, e *E)) field[R] {
	return field[R]{name, typeArray + typ + ")", func(n *native, records []R) error {
		n.listEnds(len(records), func(i int) int { return len(get(&records[i])) })
		for e := range elements(records, get) {
			write(n, e)
		}
		return nil
	}}
}

// listEnds writes where each row's array ends.
func (n *native) listEnds(rows int, length func(i int) int) {
	end := 0
	for i := range rows {
		end += length(i)
		n.uint64(uint64(end))
	}
}

// elements are those of the arrays of all rows.
func elements[R, E any](records []R, get func(*R) []E) iter.Seq[*E] {
	return func(yield func(*E) bool) {
		for i := range records {
			list := get(&records[i])
			for j := range list {
				if !yield(&list[j]) {
					return
				}
			}
		}
	}
}

func wordLists[R, E any](name string, get func(*R) []E, word func(*E) string) field[R] {
	return field[R]{name, typeArray + typeWord + ")", func(n *native, records []R) error {
		n.lowCardinalityPrefix()
		n.listEnds(len(records), func(i int) int { return len(get(&records[i])) })
		var d dictionary
		n.words = n.words[:0]
		for e := range elements(records, get) {
			n.words = append(n.words, d.text(word(e)))
		}
		n.lowCardinality(&d, n.words)
		return nil
	}}
}

func nullInstantLists[R, E any](name string, get func(*R) []E, instant func(*E) flows.Time) field[R] {
	return field[R]{name, typeArray + typeNullInstant + ")", func(n *native, records []R) error {
		n.listEnds(len(records), func(i int) int { return len(get(&records[i])) })
		for e := range elements(records, get) {
			n.null(instant(e) == flows.NoTime)
		}
		for e := range elements(records, get) {
			n.instant(instant(e))
		}
		return nil
	}}
}

func numberLists[R, E any](name string, get func(*R) []E, number func(*E) int) field[R] {
	return lists(name, "UInt32", get, func(n *native, e *E) { n.uint32(uint32(number(e))) })
}

// textMaps is a column of maps from words to texts.
func textMaps[R any](name string, get func(*R) (map[string]string, error)) field[R] {
	return field[R]{name, typeMap, func(n *native, records []R) error {
		n.lowCardinalityPrefix()
		var d dictionary
		n.words, n.aside = n.words[:0], n.aside[:0] // the values wait there, as they are written
		for i := range records {
			m, err := get(&records[i])
			if err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
			n.names = n.names[:0]
			for name := range m {
				n.names = append(n.names, name)
			}
			slices.Sort(n.names)
			for _, name := range n.names {
				n.words, n.aside = append(n.words, d.text(name)), appendText(n.aside, m[name])
			}
			n.uint64(uint64(len(n.words)))
		}
		n.lowCardinality(&d, n.words)
		n.buf = append(n.buf, n.aside...)
		clear(n.names[:cap(n.names)]) // they would keep what is written
		return nil
	}}
}

func (n *native) null(is bool) {
	if is {
		n.buf = append(n.buf, 1)
	} else {
		n.buf = append(n.buf, 0)
	}
}

// instant writes the value of an instant that may be NULL.
func (n *native) instant(t flows.Time) {
	if t == flows.NoTime {
		t = 0
	}
	n.uint64(uint64(t))
}

// text is the number of a word of a column that no block has numbered.
func (d *dictionary) text(word string) uint32 {
	if len(d.words) > 0 && d.words[d.last] == word {
		return d.last
	}
	number, ok := d.numbers[word]
	if !ok {
		if d.numbers == nil {
			d.numbers = make(map[string]uint32)
		}
		number = uint32(len(d.words))
		d.words = append(d.words, word)
		d.numbers[word] = number
	}
	d.last = number
	return number
}
