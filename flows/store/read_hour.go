package store

import (
	"context"
	_ "embed" // the query
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"throughline/flows"
)

//go:embed queries/hours_version.sql
var sqlHoursVersion string

const (
	// maxHeld bounds the occurrences in memory, some 300 bytes each.
	maxHeld = 500_000
	// leastHeld is below what an hour is read anew: it costs next to nothing.
	leastHeld = 5_000
	// An hour in memory is looked at anew after so long, whatever came meanwhile.
	holdFor = time.Minute
	// One that took longer to read is not read again at each signal that comes.
	longRead = 200 * time.Millisecond
)

// hours are what was read for questions about the past, so that a run of instants in one hour reads it once.
type hours struct {
	mu    sync.Mutex // guards list
	list  []*heldHour
	least int
	long  time.Duration
}

// heldHour has the occurrences of the instances that may matter between two instants.
type heldHour struct {
	name        string // of the flow, its version and the hour
	from, to    flows.Time
	first, last int32 // hours of the rows
	version     uint64
	read        time.Time
	took        time.Duration
	ls          *lenses
	keys        []heldKey
	size        int

	mu     sync.Mutex // guards judged and states
	judged flows.Time
	states []flows.State // of keys, at judged, and beyond all where it did not exist
}

type heldKey struct {
	key         string
	own         *lens
	occurrences []flows.Occurrence // words of all versions
}

// hourOf is the hour in memory that answers a question, and what there is of that hour otherwise.
func (h *hours) hourOf(name string, b bound) (held, other *heldHour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.list {
		if one.name != name {
			continue
		}
		if one.from <= b.from && b.to <= one.to {
			return one, nil
		}
		other = one
	}
	return nil, other
}

// hold keeps an hour, in place of that of its name and of the oldest where they are too many.
func (h *hours) hold(hour *heldHour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = slices.DeleteFunc(h.list, func(one *heldHour) bool { return one.name == hour.name || time.Since(one.read) > holdFor })
	if hour.size < h.least || hour.size > maxHeld {
		return
	}
	h.list = append(h.list, hour)
	size := 0
	for _, one := range h.list {
		size += one.size
	}
	for size > maxHeld {
		size -= h.list[0].size
		h.list = h.list[1:]
	}
}

// heldHour finds or reads the hour of a question in hindsight; nil where the instances are too many.
func (s *Store) heldHour(ctx context.Context, q foldQuery, ls *lenses) (*heldHour, error) {
	name := fmt.Sprintf("%s %s %d", q.flow.Name, q.flow.Version, hour(q.now))
	held, other := s.hours.hourOf(name, q.bound)
	if held != nil {
		if ok, err := s.stillHolds(ctx, q.flow.Name, held); err != nil {
			return nil, err
		} else if ok {
			return held, nil
		}
	}
	if other != nil && time.Since(other.read) < holdFor { // a second instant of this hour: there will be more
		end := flows.Time(hour(q.now)+1) * flows.Time(time.Hour)
		q.bound.from, q.bound.to = min(other.from, q.bound.from), max(q.bound.to, end)
	}
	read, err := s.readHour(ctx, name, q, ls)
	if err != nil || read == nil {
		return nil, err
	}
	s.hours.hold(read)
	return read, nil
}

// stillHolds says whether nothing came since an hour was read, or reading took long and was a moment ago.
func (s *Store) stillHolds(ctx context.Context, flow string, held *heldHour) (bool, error) {
	age := time.Since(held.read)
	if age > holdFor {
		return false, nil
	}
	if held.took > s.hours.long && age < min(10*held.took, 10*time.Second) {
		return true, nil
	}
	version, err := s.hoursVersion(ctx, flow, held.first, held.last)
	return version == held.version, err
}

// hoursVersion is the latest version of the rows in some hours.
func (s *Store) hoursVersion(ctx context.Context, flow string, first, last int32) (version uint64, err error) {
	row := s.conn.QueryRow(ctx, sqlHoursVersion, clickhouse.Named("flow", flow), clickhouse.Named("first", first), clickhouse.Named("last", last))
	if err := row.Scan(&version); err != nil {
		return 0, fmt.Errorf("look what came since: %w", err)
	}
	return version, nil
}

// readHour reads the occurrences that q may need up to the end of its bound.
func (s *Store) readHour(ctx context.Context, name string, q foldQuery, ls *lenses) (*heldHour, error) {
	began := time.Now()
	found, ok, err := s.candidates(ctx, &q)
	if err != nil || !ok || len(found) > maxHeld {
		return nil, err
	}
	h := &heldHour{name: name, from: q.bound.from, to: q.bound.to, last: hour(q.bound.to), read: began, ls: ls, judged: flows.NoTime}
	h.first = h.last
	parts, ok, err := s.parts(ctx, q.flow.Name, found, q.bound.to)
	if err != nil || !ok {
		return nil, err
	}
	for _, p := range parts {
		if p.byTime {
			h.first = p.first
		}
	}
	// Before the rows: what comes while they are read is looked for again.
	if h.version, err = s.hoursVersion(ctx, q.flow.Name, h.first, h.last); err != nil {
		return nil, err
	}
	words := map[string]string{}
	for _, p := range parts {
		rows, kept, err := s.readPart(ctx, q.flow, ls, p, q.bound.to)
		if err != nil {
			return nil, err
		}
		err = eachKey(rows, ls, kept, func(key, version string, occurrences []flows.Occurrence) error {
			for i := range occurrences {
				o := &occurrences[i]
				o.Source, o.System, o.Currency = oneOf(words, o.Source), oneOf(words, o.System), oneOf(words, o.Currency)
			}
			h.keys = append(h.keys, heldKey{key, ls.others[version], slices.Clone(occurrences)})
			h.size += len(occurrences)
			return nil
		})
		if err := errors.Join(err, rows.Close(), kept.close()); err != nil {
			return nil, err
		}
		if h.size > 4*maxHeld {
			return nil, nil
		}
	}
	h.took = time.Since(began)
	return h, nil
}

// oneOf is one of equal texts, of those that repeat.
func oneOf(words map[string]string, text string) string {
	if known, ok := words[text]; ok {
		return known
	}
	if len(words) < 1000 {
		words[text] = text
	}
	return text
}

// fold is Store.fold of what is in memory.
func (h *heldHour) fold(q foldQuery, visit func(folded) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.judged == q.now && q.segment.name == "" && len(q.states) > 0
	learn := !known && q.segment.name == ""
	if learn {
		h.judged, h.states = flows.NoTime, slices.Grow(h.states[:0], len(h.keys))[:len(h.keys)]
	}
	at := 0
	f := folder{q: q, visit: func(c folded) error {
		if learn {
			h.states[at] = c.counted.State
		}
		return visit(c)
	}}
	var seen []flows.Occurrence
	for i := range h.keys {
		k := &h.keys[i]
		if known && !slices.Contains(q.states, h.states[i]) {
			continue
		}
		at, seen = i, seen[:0]
		for _, o := range k.occurrences {
			if o.At <= q.now {
				seen = append(seen, o)
			}
		}
		if learn {
			h.states[i] = flows.Expired + 1 // no state
		}
		if len(seen) == 0 {
			continue
		}
		l := h.ls.inForce
		if k.own != nil && !f.openBy(k.own, seen) {
			l = k.own
		}
		if err := f.key(l.flow, k.key, l.see(seen)); err != nil {
			return err
		}
	}
	if learn {
		h.judged = q.now
	}
	return nil
}
