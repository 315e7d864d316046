package main

import (
	"context"
	"slices"

	"throughline/flows"
	"throughline/flows/engine"
	"throughline/flows/store"
)

// planErasure looks for all that carries a key. only are the signals of an erasure that was
// begun; nil for one that begins, which is flows.ErrNotFound where nothing does.
func (r *runner) planErasure(ctx context.Context, x store.Erasure, set *flows.Set, only map[store.IdentityHash]bool) (*erasePlan, error) {
	versions, err := r.store.FlowVersions(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	copies, err := r.store.Carriers(ctx, x.Key, x.Token, maxErased)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	if len(copies) > maxErased {
		return nil, errCommonKey
	}
	eraser := flows.NewEraser(set, x.Key, x.Token, versions)
	plan := &erasePlan{Erasure: x, names: eraser.Names(), flows: erasedFlows(x.Key.Type, slices.Concat(set.Flows(), versions))}
	if only != nil {
		copies = slices.DeleteFunc(copies, func(s flows.Signal) bool { return !only[store.HashIdentity(s.Identity())] })
	}
	if err := plan.take(eraser, copies); err != nil {
		return nil, err
	}
	for _, f := range slices.Concat(set.Flows(), versions) {
		for _, name := range f.Segments {
			if slices.Contains(plan.names, name) && !slices.Contains(plan.segments, name) {
				plan.segments = append(plan.segments, name)
			}
		}
	}
	if plan.Signals = len(plan.left) + len(plan.losers); plan.Signals > 0 || only != nil {
		return plan, nil
	}
	for _, f := range plan.flows { // whose signals are not kept any more
		if found, err := r.store.HasInstances(ctx, f.Name, x.Key.Value); err != nil || found {
			return plan, err //nolint:wrapcheck // says what it did
		}
	}
	return nil, flows.ErrNotFound
}

// take sorts the copies of signals: of those of one identity the smallest counts.
func (p *erasePlan) take(eraser *flows.Eraser, copies []flows.Signal) error {
	token := flows.Key{Type: p.Key.Type, Value: p.Token}
	type one struct {
		counts        *flows.Signal
		carried, left bool
	}
	all := map[flows.Identity]*one{}
	var order []flows.Identity
	for i := range copies {
		s := &copies[i]
		o := all[s.Identity()]
		if o == nil {
			o = &one{}
			all[s.Identity()] = o
			order = append(order, s.Identity())
		}
		switch {
		case o.left: // its copies of before are to go
		case s.Erased && slices.Contains(s.Keys, token):
			o.counts, o.left, o.carried = s, true, true
		default:
			o.carried = eraser.Carries(s) || o.carried
			if o.counts == nil || s.Time < o.counts.Time || s.Time == o.counts.Time && s.ContentHash() < o.counts.ContentHash() {
				o.counts = s
			}
		}
	}
	for _, id := range order {
		o := all[id]
		switch {
		case !o.carried:
		case o.left:
			p.left = append(p.left, *o.counts)
		case !eraser.Carries(o.counts):
			p.losers = append(p.losers, id)
		default:
			left := *o.counts
			if err := eraser.Erase(&left); err != nil {
				return err //nolint:wrapcheck // says what it did
			}
			p.left, p.fresh = append(p.left, left), append(p.fresh, left)
		}
	}
	return nil
}

// erasedFlows are the flows that have, or had, instances of keys of a type.
func erasedFlows(typ string, all []*flows.Flow) (list []store.ErasedFlow) {
	for _, f := range all {
		if f.Key != typ {
			continue
		}
		at := slices.IndexFunc(list, func(known store.ErasedFlow) bool { return known.Name == f.Name })
		if at < 0 {
			at, list = len(list), append(list, store.ErasedFlow{Name: f.Name})
		}
		list[at].Parts = list[at].Parts || f.Reopen
	}
	return list
}

// rename has the rows of instances stored under the token.
func (p *erasePlan) rename(ctx context.Context, s *store.Store) error {
	for _, f := range p.flows {
		if err := s.RenameInstances(ctx, p.Erasure, f); err != nil {
			return err //nolint:wrapcheck // says what it did
		}
	}
	return nil
}

// eraseRows changes all that is stored of a key, once its instances are renamed: a row that
// takes one back, and that is written while these are removed, would stay.
func (r *runner) eraseRows(ctx context.Context, plan *erasePlan) error {
	if err := r.store.EraseSignals(ctx, plan.Erasure, plan.left, plan.fresh, plan.losers); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	plan.fresh = nil
	for _, f := range plan.flows {
		if err := r.store.ForgetRenamed(ctx, plan.Erasure, f); err != nil {
			return err //nolint:wrapcheck // says what it did
		}
	}
	if err := r.store.EraseWords(ctx, plan.Erasure, plan.left, plan.segments); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	return r.store.EraseSpans(ctx, plan.Erasure, plan.left, plan.names) //nolint:wrapcheck // says what it did
}

func statesOf(rows []store.StateRow) []engine.State {
	states := make([]engine.State, len(rows))
	for i, row := range rows {
		states[i] = engine.State{ID: row.ID, Text: row.Text}
	}
	return states
}

// running says whether some backfill runs.
func (b *backfills) running() bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, s := range b.last {
		if s.State == backfillRunning {
			return true
		}
	}
	return false
}
