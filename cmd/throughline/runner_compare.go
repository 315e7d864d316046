package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows"
	"throughline/flows/store"
)

// comparing is the comparison of what is stored of the instances with a state that was
// adopted. It owes the rows that the process before did not come to write, while signals are
// applied and numbers are shown. What changes meanwhile owes its row by itself, so that a
// row that is read too early is at worst written once more. A process that ends before all is
// compared leaves that to the next start.
type comparing struct {
	since flows.Time // those of ended instances that were written before are right
	rows  chan compared
	seen  map[string]bool // of the flow under way
}

// compared are some stored rows of a flow.
type compared struct {
	flow string
	rows []flows.InstanceRecord
	last bool // of the flow
	end  bool // of all
}

// compareLater begins to read what is stored, where that is to be compared. It ends with ctx.
func (r *runner) compareLater(ctx context.Context) {
	c := r.comparing
	if c == nil {
		return
	}
	c.rows = make(chan compared)
	names := r.engine.Flows()
	r.lookups.Go(func() {
		for _, flow := range names {
			attempt := func() (struct{}, error) { return struct{}{}, c.read(ctx, r.store, flow) }
			if _, err := backoff.Retry(ctx, attempt, backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
				r.log.WarnContext(ctx, "stored rows not compared with the state yet", "error", err)
			})); err != nil {
				return // ctx ended
			}
		}
		c.send(ctx, compared{end: true}) //nolint:errcheck // the end of ctx is the end of this, too
	})
}

func (c *comparing) send(ctx context.Context, some compared) error {
	select {
	case c.rows <- some:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads the stored rows of a flow. What is read twice, since the first time
// failed, is compared twice.
func (c *comparing) read(ctx context.Context, s *store.Store, flow string) error {
	rows := make([]flows.InstanceRecord, 0, compareBatch)
	err := s.InstanceStates(ctx, flow, c.since, func(stored flows.InstanceRecord) error {
		if rows = append(rows, stored); len(rows) < compareBatch {
			return nil
		}
		full := rows
		rows = make([]flows.InstanceRecord, 0, compareBatch)
		return c.send(ctx, compared{flow: flow, rows: full})
	})
	if err != nil {
		return fmt.Errorf("compare %s: %w", flow, err)
	}
	return c.send(ctx, compared{flow: flow, rows: rows, last: true})
}

// compares are stored rows to be compared; nil while too much is owed, and where there is
// nothing to compare.
func (r *runner) compares() <-chan compared {
	if r.comparing == nil || r.engine.Owed()-r.engine.Following() > maxOwed {
		return nil
	}
	return r.comparing.rows
}

// compare owes the rows that are lacking.
func (r *runner) compare(c compared) {
	if c.end {
		r.comparing = nil
		return
	}
	if r.comparing.seen == nil {
		r.comparing.seen = map[string]bool{}
	}
	for i := range c.rows {
		r.engine.Reconcile(&c.rows[i], r.comparing.seen)
	}
	if c.last {
		r.engine.OweUnseen(c.flow, r.comparing.seen)
		r.comparing.seen = nil
	}
}

// reconcile owes the rows that differ from a state that was made from the stored signals.
func (r *runner) reconcile(ctx context.Context) error {
	for _, flow := range r.engine.Flows() {
		definition, _ := r.engine.Set().Flow(flow)
		seen, otherVersion := map[string]bool{}, false
		err := r.store.InstanceStates(ctx, flow, 0, func(stored flows.InstanceRecord) error {
			otherVersion = otherVersion || (stored.Version != definition.Version && stored.State.InFlight())
			r.engine.Reconcile(&stored, seen)
			return nil
		})
		if err != nil {
			return fmt.Errorf("restore %s: %w", flow, err)
		}
		if otherVersion { // the file changed while nobody watched
			r.engine.OweAll(flow)
		} else {
			r.engine.OweUnseen(flow, seen)
		}
	}
	return nil
}
