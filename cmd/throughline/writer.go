package main

import (
	"context"
	"fmt"
	"time"

	"throughline/flows"
	"throughline/flows/store"
	"throughline/ingest/bus"
)

const (
	// spansPause keeps a trickle of spans visible within 100 ms, by no more than 20 inserts
	// a second; each makes a part that ClickHouse has to merge.
	spansPause = 50 * time.Millisecond
	// maxSpans of one insert: the more, the fewer merges. They wait in memory, 300 to 500
	// bytes each.
	maxSpans = 50_000
	// maxSplits of a range bound the inserts it takes to find what is at fault in it: with
	// more faults than that, larger parts are set aside.
	maxSplits = 64
)

// storeName names the readers of the streams that bring them to the store.
const storeName = "store"

// storeTables are those that hold what comes from outside, as it came.
var storeTables = [...]string{tableSpans: "spans", tableLogs: "logs", tableSignals: "signals"}

const (
	tableSpans = iota
	tableLogs
	tableSignals
)

// cargo is what a range has for one table. Its rows are numbered from 0.
type cargo struct {
	table  int // of storeTables
	rows   int
	insert func(ctx context.Context, token string, from, to int) error
	batch  func(from, to int) flows.Batch
}

// unloader brings the ranges of a stream to the store. What ClickHouse refuses for good is
// halved until the rows at fault are found, which are set aside; the rest is stored.
//
// What was refused is recorded before anything follows from it, and each part has a token of
// its own. So the parts are the same after a crash, whatever ClickHouse says then.
type unloader struct {
	app    *app
	token  string
	stored map[string]bool // parts of the range that has this token
}

func (u *unloader) unload(ctx context.Context, d *bus.Delivery, cargoes ...cargo) error {
	if token := d.Token(); token != u.token {
		u.token, u.stored = token, map[string]bool{}
	}
	for _, c := range cargoes {
		if err := u.part(ctx, d, &c, 0, c.rows); err != nil {
			return err
		}
	}
	return nil
}

func (u *unloader) part(ctx context.Context, d *bus.Delivery, c *cargo, from, to int) error {
	name := fmt.Sprintf("%s:%d-%d", storeTables[c.table], from, to)
	if from == to || u.stored[name] {
		return nil
	}
	if place := d.RefusedAs(name); place >= 0 {
		if half := from + (to-from)/2; half > from && place < maxSplits {
			if err := u.part(ctx, d, c, from, half); err != nil {
				return err
			}
			return u.part(ctx, d, c, half, to)
		}
		if err := u.app.bus.SetAside(ctx, d, c.batch(from, to), d.Refused[place]); err != nil {
			return err //nolint:wrapcheck // it says what it was doing
		}
		u.app.setAside.Add(uint64(to - from))
	} else if err := u.insert(ctx, d, c, name, from, to); err != nil {
		return err
	}
	u.stored[name] = true
	return nil
}

func (u *unloader) insert(ctx context.Context, d *bus.Delivery, c *cargo, name string, from, to int) error {
	if err := c.insert(ctx, tokenOf(d, c, name, from, to), from, to); err != nil {
		if !store.Retryable(err) {
			return &bus.Refused{Part: name, Err: err}
		}
		return err
	}
	u.app.stored[c.table].Add(uint64(to - from))
	return nil
}

// tokenOf is the token of a part. The whole has the range's.
func tokenOf(d *bus.Delivery, c *cargo, name string, from, to int) string {
	if to-from == c.rows {
		return d.Token()
	}
	return d.Token() + ":" + name
}

func (a *app) writeSignals() error {
	if !a.awaitStore() {
		return nil
	}
	u := unloader{app: a}
	config := bus.RangesConfig{Stream: bus.Signals, Name: storeName, Pause: 100 * time.Millisecond, Stretch: 40 * time.Microsecond}
	return a.bus.Ranges(a.ctx, config, func(ctx context.Context, d bus.Delivery) error {
		return u.unload(ctx, &d, cargo{
			table: tableSignals, rows: len(d.Signals),
			insert: func(ctx context.Context, token string, from, to int) error {
				a.erased.lock.RLock()
				defer a.erased.lock.RUnlock()
				return a.store.InsertSignals(ctx, token, a.erased.keep(d.Signals[from:to]))
			},
			batch: func(from, to int) flows.Batch { return flows.Batch{Signals: d.Signals[from:to]} },
		})
	})
}

func (a *app) writeSpans() error {
	if !a.awaitStore() {
		return nil
	}
	u := unloader{app: a}
	config := bus.RangesConfig{Stream: bus.Spans, Name: storeName, Pause: spansPause, MaxItems: maxSpans}
	return a.bus.Ranges(a.ctx, config, func(ctx context.Context, d bus.Delivery) error {
		spans := cargo{
			table: tableSpans, rows: d.SpanCount(),
			insert: func(ctx context.Context, token string, from, to int) error {
				a.erased.lock.RLock()
				defer a.erased.lock.RUnlock()
				return a.repeats.Insert(a.erased.keepSpans(cutSpans(d.Spans, from, to)), d.LastReceived, func(fresh []flows.SpanBlock) error {
					return a.store.InsertSpans(ctx, token, fresh, d.LastReceived)
				})
			},
			batch: func(from, to int) flows.Batch { return flows.Batch{Spans: cutSpans(d.Spans, from, to)} },
		}
		logs := cargo{
			table: tableLogs, rows: len(d.Logs),
			insert: func(ctx context.Context, token string, from, to int) error {
				return a.store.InsertLogs(ctx, token, d.Logs[from:to], d.LastReceived)
			},
			batch: func(from, to int) flows.Batch { return flows.Batch{Logs: d.Logs[from:to]} },
		}
		return u.unload(ctx, &d, spans, logs)
	})
}

// cutSpans is rows from to to of blocks.
func cutSpans(blocks []flows.SpanBlock, from, to int) []flows.SpanBlock {
	var cut []flows.SpanBlock
	first := 0 // row of the block
	for i := range blocks {
		b := &blocks[i]
		last := first + b.Rows
		switch {
		case last <= from || first >= to:
		case from <= first && last <= to:
			cut = append(cut, *b)
		default:
			cut = append(cut, b.Keep(func(row int) bool { return from <= first+row && first+row < to }))
		}
		first = last
	}
	return cut
}
