package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"throughline/flows"
	"throughline/flows/store"
	"throughline/ingest/bus"
)

// pingWithin bounds how long live numbers stand still for a store that does not answer.
const pingWithin = time.Second

// replace puts a new set in force, and fills the flows that are new or changed from the
// stored signals. While the store lacks some of these the definitions before run on: a flow
// without its past would say that nothing is stuck.
func (r *runner) replace(ctx context.Context, set *flows.Set) error {
	if len(r.unfilled) > 0 || r.isNew(set) {
		if err := r.awaitStored(ctx); err != nil {
			return err
		}
	}
	kept, away, err := r.willKeep(ctx, set)
	if err != nil {
		return err
	}
	interrupted, before := slices.Clone(r.unfilled), r.engine.Set()
	r.saves.under = false // what is left of it is saved with what changes now
	r.putInForce(set)
	r.takeBack(away, r.clock(time.Now()))
	for _, id := range kept {
		r.engine.Keep(id)
	}
	if len(r.unfilled) == 0 {
		return nil
	}
	var lost error
	n, err := r.load(ctx, set, r.unfilled, func(signals []flows.Signal, now flows.Time) {
		hashes := r.engine.Missing(signals)
		states, err := r.evicted(ctx, hashes)
		r.takeBack(states, now)
		if err == nil {
			r.engine.Asked(hashes)
		}
		lost = errors.Join(lost, err)
		r.engine.Apply(signals, now)
	})
	err = errors.Join(err, lost)
	if err != nil {
		return err
	}
	r.engine.Retire()
	for _, flow := range r.unfilled {
		running, ok := before.Flow(flow)
		now, _ := set.Flow(flow)
		// Rows may be there of a version that was never whole, or of one that nothing keeps.
		if slices.Contains(interrupted, flow) || ok && !running.Keeps(now) {
			r.engine.OweAll(flow)
		}
		r.shows.changed[flow] = true
	}
	r.log.InfoContext(ctx, "flow definitions in force", "flows", r.unfilled, "signals", n)
	r.unfilled = nil
	return nil
}

// isNew says whether a set has a flow whose signals are not all applied as it takes them.
func (r *runner) isNew(set *flows.Set) bool {
	return slices.ContainsFunc(set.Flows(), func(f *flows.Flow) bool {
		running, ok := r.engine.Set().Flow(f.Name)
		return !ok || (running.Version != f.Version && !running.TakesAs(f)) || r.engine.Set().KeyRules(running) != set.KeyRules(f)
	})
}

func (r *runner) putInForce(set *flows.Set) {
	before := r.engine.Set()
	empty := r.engine.Replace(set)
	changed := slices.Clone(empty)
	for _, f := range before.Flows() {
		now, ok := set.Flow(f.Name)
		switch {
		case !ok:
			r.hub.Drop(f.Name)
			r.writer.rollUps.gone(f.Name)
		case now.Version != f.Version && !slices.Contains(empty, f.Name):
			changed = append(changed, f.Name)
			r.log.Info("flow definition in force: instances are folded anew", "flow", f.Name)
		}
	}
	r.keepVersions(set, changed)
	for _, flow := range r.unfilled {
		if _, ok := set.Flow(flow); ok && !slices.Contains(empty, flow) {
			empty = append(empty, flow)
		}
	}
	for _, flow := range empty {
		r.shows.changed[flow] = true
	}
	r.unfilled = empty
}

// keepVersions has the texts of definitions stored, since every instance names its own.
func (r *runner) keepVersions(set *flows.Set, names []string) {
	for _, name := range names {
		if f, ok := set.Flow(name); ok {
			r.writer.rollUps.inForce(name, f.Version)
			r.writer.versions = append(r.writer.versions, store.FlowVersion{Flow: name, Version: f.Version, Definition: r.source(name), Referred: f.Referred()})
		}
	}
}

// awaitStored waits a little until the store has what the engine applied: a load would
// miss the rest.
func (r *runner) awaitStored(ctx context.Context) error {
	if err := r.ping(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := r.bus.Done(ctx, bus.Signals)
		if err != nil {
			return fmt.Errorf("wait for the store: %w", err)
		}
		if done >= r.applied {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the store has %d of %d messages", done, r.applied)
		}
	}
}

func (r *runner) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	return r.store.Ping(ctx) //nolint:wrapcheck // the caller says what waits
}

// load applies the stored signals that some flows want.
func (r *runner) load(ctx context.Context, set *flows.Set, only []string, apply func([]flows.Signal, flows.Time)) (n int, err error) {
	var wanted []*flows.Flow
	for _, name := range only {
		if f, ok := set.Flow(name); ok {
			wanted = append(wanted, f)
		}
	}
	part, err := flows.NewSet(wanted)
	if err != nil {
		return 0, fmt.Errorf("load signals: %w", err)
	}
	clock := r.clock(time.Now())
	r.engine.Roll(flows.At(time.Now()))
	batch := make([]flows.Signal, 0, loadBatch)
	err = r.store.Signals(ctx, store.SignalFilter{Names: matchedNames(wanted), KeyTypes: part.KeyTypes()}, func(s flows.Signal) error {
		if err := set.AssignStored(&s); err != nil {
			return nil // refused at ingest since; it cannot belong to an instance
		}
		n++
		if batch = append(batch, s); len(batch) == loadBatch {
			apply(batch, clock)
			batch = batch[:0]
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("load signals: %w", err)
	}
	apply(batch, clock)
	return n, nil
}

// matchedNames are the names of the signals that are something in some flows.
func matchedNames(wanted []*flows.Flow) []string {
	var names []string
	for _, f := range wanted {
		names = append(names, f.SignalNames()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
