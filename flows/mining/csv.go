package mining

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"throughline/flows"
)

// columns are where the parts of a row stand.
type columns struct {
	names                          []string
	caseID, activity, at, sequence int // sequence is -1 where there is none
}

func readCSV(plain *bufio.Reader, o Options) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		limit := &bounded{r: plain}
		comma := delimiter(plain)
		r := csv.NewReader(limit)
		r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
		header, err := r.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the file is empty; its first line must name the columns")
			}
			yield(Row{}, fmt.Errorf("read CSV header: %w", err))
			return
		}
		cols, err := findColumns(slices.Clone(header), o)
		if err != nil {
			yield(Row{}, err)
			return
		}
		var c clock
		for n := 0; ; n++ {
			limit.reset()
			record, err := r.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var row Row
			var syntax *csv.ParseError
			switch {
			case errors.As(err, &syntax):
				err = &RowError{syntax.Line, syntax.Err}
			case err != nil:
				yield(Row{}, fmt.Errorf("read CSV: %w", err))
				return
			default:
				line, _ := r.FieldPos(0)
				if row, err = cols.row(record, n, &c); err != nil {
					err = &RowError{line, err}
				}
				row.Line = line
			}
			if err != nil {
				row = Row{}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// delimiter is the one of the usual delimiters that stands most in the first line. It
// skips a byte order mark.
func delimiter(plain *bufio.Reader) rune {
	if head, _ := plain.Peek(len(utf8BOM)); bytes.Equal(head, utf8BOM) {
		_, _ = plain.Discard(len(utf8BOM)) // they were peeked: they are there
	}
	head, _ := plain.Peek(32 << 10) // a short file is all there is
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', bytes.Count(line, []byte(","))
	for _, c := range ";\t|" {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

func findColumns(names []string, o Options) (*columns, error) {
	if len(names) > flows.MaxAttributes {
		return nil, fmt.Errorf("the file has %d columns; at most %d are taken", len(names), flows.MaxAttributes)
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if err := checkText(names[i], name); err != nil {
			return nil, fmt.Errorf("the header: %w", err)
		}
		if at := slices.Index(names[:i], names[i]); at >= 0 && names[i] != "" {
			return nil, fmt.Errorf("two columns are named %q; rename one", names[i])
		}
	}
	c := &columns{names: names}
	var err error
	if c.caseID, err = find(names, "case", o.Case, caseNames); err != nil {
		return nil, err
	}
	if c.activity, err = find(names, "activity", o.Activity, activityNames); err != nil {
		return nil, err
	}
	if c.at, err = find(names, "time", o.Time, timeNames); err != nil {
		return nil, err
	}
	if c.sequence, err = find(names, "sequence", o.Sequence, sequenceNames); err != nil && o.Sequence != "" {
		return nil, err
	}
	return c, nil
}

// find is the place of the column that holds a part of the rows.
func find(names []string, part, asked string, usual []string) (int, error) {
	if asked != "" {
		if i := slices.Index(names, asked); i >= 0 {
			return i, nil
		}
		return -1, fmt.Errorf("no column %q for the %s; the columns are %s", asked, part, listed(names))
	}
	for _, name := range usual {
		if i := slices.Index(names, name); i >= 0 {
			return i, nil
		}
	}
	for _, name := range usual {
		if i := slices.IndexFunc(names, func(s string) bool { return strings.EqualFold(s, name) }); i >= 0 {
			return i, nil
		}
	}
	return -1, fmt.Errorf("no column holds the %s: none is named %s; say which of these does: %s",
		part, strings.Join(usual, ", "), listed(names))
}

// listed are names in a message, not more than a screen of them.
func listed(names []string) string {
	const most = 40
	if len(names) > most {
		return fmt.Sprintf("%q and %d more", names[:most], len(names)-most)
	}
	return fmt.Sprintf("%q", names)
}

func (c *columns) row(record []string, n int, clock *clock) (Row, error) {
	if len(record) != len(c.names) {
		return Row{}, fmt.Errorf("%d fields; the header has %d", len(record), len(c.names))
	}
	for i, value := range record {
		if err := checkText(c.names[i], value); err != nil {
			return Row{}, err
		}
	}
	at, err := clock.parse(record[c.at])
	if err != nil {
		return Row{}, err
	}
	row := Row{
		Case: strings.TrimSpace(record[c.caseID]), Activity: strings.TrimSpace(record[c.activity]), Time: at,
		Sequence: strconv.Itoa(n), Attributes: make(map[string]any, len(record)),
	}
	explicit := false
	for i, value := range record {
		switch {
		case i == c.caseID || i == c.activity || i == c.at || value == "" || c.names[i] == "":
		case i == c.sequence:
			row.Sequence, explicit = strings.TrimSpace(value), true
		default:
			row.Attributes[c.names[i]] = value
		}
	}
	return row, row.finish(explicit)
}
