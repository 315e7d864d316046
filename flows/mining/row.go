package mining

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"throughline/flows"
)

// Row is one event of an event log.
type Row struct {
	Case       string
	Activity   string
	Time       flows.Time
	Sequence   string // of the sequence column; without one, the row's number in the file from 0
	Line       int    // in the file, from 1
	Attributes map[string]any
	content    [16]byte
}

// RowError is what is wrong with one row. The rows after it can still be read.
type RowError struct {
	Line int // from 1
	Err  error
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Err) }

func (e *RowError) Unwrap() error { return e.Err }

// Options name the columns (of CSV) or attributes (of XES) that hold the parts of a row.
// What is "" is found by the names that process-mining tools use.
type Options struct {
	Case, Activity, Time, Sequence string
}

// The names that are looked for, in this order, first as written, then in any case.
var (
	caseNames     = []string{"case:concept:name", "case_id", "case", "case id", "caseid", "trace_id"}
	activityNames = []string{"concept:name", "activity", "event", "task"}
	timeNames     = []string{"time:timestamp", "timestamp", "time", "complete timestamp", "datetime", "date"}
	sequenceNames = []string{"seq", "sequence"}
)

// finish checks a row against the limits of a signal and sets what tells it from others.
// explicit says that its sequence stands in the file.
func (r *Row) finish(explicit bool) error {
	switch {
	case r.Case == "":
		return fmt.Errorf("the case is empty")
	case r.Activity == "":
		return fmt.Errorf("the activity is empty")
	case len(r.Case) > flows.MaxKeyBytes:
		return fmt.Errorf("the case has %d bytes; at most %d are taken", len(r.Case), flows.MaxKeyBytes)
	case len(r.Activity) > flows.MaxNameBytes:
		return fmt.Errorf("the activity has %d bytes; at most %d are taken", len(r.Activity), flows.MaxNameBytes)
	case len(r.Sequence) > flows.MaxNameBytes:
		return fmt.Errorf("the sequence has %d bytes; at most %d are taken", len(r.Sequence), flows.MaxNameBytes)
	case len(r.Attributes) >= flows.MaxAttributes: // the key comes on top
		return fmt.Errorf("%d attributes; at most %d are taken", len(r.Attributes), flows.MaxAttributes-1)
	}
	sequence := ""
	if explicit {
		sequence = r.Sequence
	}
	b, err := json.Marshal([]any{r.Case, r.Activity, int64(r.Time), sequence, r.Attributes}) // map keys come out sorted
	if err != nil {
		return fmt.Errorf("hash the row: %w", err)
	}
	sum := sha256.Sum256(b)
	r.content = [16]byte(sum[:])
	return nil
}

// checkText refuses text that cannot be stored and shown as it is.
func checkText(name, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("column %q is not UTF-8; convert the file", name)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("column %q holds a NUL byte", name)
	}
	return nil
}

// Counter numbers the equal rows of one file, so that each has an identity of its own. It
// keeps about 20 bytes for each row.
type Counter struct {
	seen map[uint64]uint32
}

// Next is the number of row among the rows equal to it, from 1.
func (c *Counter) Next(row *Row) int {
	if c.seen == nil {
		c.seen = map[uint64]uint32{}
	}
	// 64 bits suffice: a row that is taken for an equal one only gets a higher number, the
	// same one each time.
	h := binary.BigEndian.Uint64(row.content[:8])
	c.seen[h]++
	return int(c.seen[h])
}

// ToSignal is the row as an event of a flow: the activity is its name, the case the
// flow's key. n is the row's number among equal ones: with it the same file gives the
// same identities each time. The caller sets AsOf and Received.
func ToSignal(flow *flows.Flow, row *Row, n int) flows.Signal {
	attributes := maps.Clone(row.Attributes)
	if attributes == nil {
		attributes = map[string]any{}
	}
	attributes[flow.Key] = row.Case
	source := flows.ImportSource + flow.Name
	return flows.Signal{
		Kind: flows.Event, Source: source, ID: hex.EncodeToString(row.content[:]) + "-" + strconv.Itoa(n),
		Name: row.Activity, System: source, Time: row.Time, Sequence: row.Sequence, Attributes: attributes,
	}
}
