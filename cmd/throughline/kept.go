package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"throughline/flows"
	"throughline/flows/engine"
)

// keptSlice is how many instances one question to the store is about.
const keptSlice = 1000

// Instances that ended keep the version under which they did. The engine judges by the
// version in force only: what it says of others is folded here, from what is stored of
// them, by the version that each is stored with.

// byFlow are the keys of instances by flow, in slices.
func byFlow(ids []engine.InstanceID) map[string][][]string {
	keys := map[string][]string{}
	for _, id := range ids {
		keys[id.Flow] = append(keys[id.Flow], id.Key)
	}
	slices := map[string][][]string{}
	for flow, all := range keys {
		for len(all) > 0 {
			n := min(len(all), keptSlice)
			slices[flow], all = append(slices[flow], all[:n]), all[n:]
		}
	}
	return slices
}

func idOf(r *flows.OccurrenceRecord) engine.InstanceID {
	return engine.InstanceID{Flow: r.Flow, Key: flows.InstanceKey(r.Key, r.Environment)}
}

// occurrences are those to be written: of instances that keep another version what that
// takes too, and the removal of what others are no longer made of.
func (w *rowWriter) occurrences(ctx context.Context, j *job) ([]flows.OccurrenceRecord, error) {
	rows := j.rows.Occurrences
	if len(j.rows.Late) > 0 {
		own := map[engine.InstanceID]*flows.Flow{}
		for flow, lists := range byFlow(j.rows.Late) {
			f, ok := j.set.Flow(flow)
			for i := 0; ok && i < len(lists); i++ {
				versions, err := w.store.KeptVersions(ctx, f, lists[i])
				if err != nil {
					return nil, err //nolint:wrapcheck // says what it did
				}
				for key, version := range versions {
					own[engine.InstanceID{Flow: flow, Key: key}] = version
				}
			}
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(r flows.OccurrenceRecord) bool {
			version := own[idOf(&r)]
			f, ok := j.set.Flow(r.Flow)
			return version != nil && ok && !version.Takes(f, r.StepID)
		})
	}
	for flow, lists := range byFlow(j.rows.Whole) {
		for _, keys := range lists {
			stored, err := w.store.StepKeys(ctx, flow, keys)
			if err != nil {
				return nil, err //nolint:wrapcheck // says what it did
			}
			rows = append(slices.Clip(rows), removals(j.rows.Occurrences, stored)...)
		}
	}
	return rows, nil
}

// removals are those of the stored that are not among the rows.
func removals(rows, stored []flows.OccurrenceRecord) (gone []flows.OccurrenceRecord) {
	type name struct {
		id                engine.InstanceID
		source, sig, step string
	}
	nameOf := func(r *flows.OccurrenceRecord) name { return name{idOf(r), r.Source, r.ID, r.StepID} }
	there := make(map[name]struct{}, len(rows))
	for i := range rows {
		if !rows[i].Deleted {
			there[nameOf(&rows[i])] = struct{}{}
		}
	}
	for i := range stored {
		if _, ok := there[nameOf(&stored[i])]; !ok {
			stored[i].Deleted = true
			gone = append(gone, stored[i])
		}
	}
	return gone
}

// late folds the instances that keep another version, and got signals, from what is stored
// now. Those that a signal opened again are to be folded by the version in force.
func (w *rowWriter) late(ctx context.Context, j *job) (records []flows.InstanceRecord, reopened []engine.InstanceID, err error) {
	now := flows.At(j.at)
	for flow, lists := range byFlow(j.rows.Late) {
		f, ok := j.set.Flow(flow)
		if !ok {
			continue
		}
		for _, keys := range lists {
			found := map[string]bool{}
			if err := w.store.FoldKeys(ctx, f, keys, now, func(r flows.InstanceRecord) error {
				key := flows.InstanceKey(r.Key, r.Environment)
				found[key] = true
				if r.State.InFlight() {
					reopened = append(reopened, engine.InstanceID{Flow: flow, Key: key})
				} else {
					records = append(records, r)
				}
				return nil
			}); err != nil {
				return nil, nil, err //nolint:wrapcheck // says what it did
			}
			for _, key := range keys {
				if !found[key] { // its signals turned out to belong elsewhere
					records = append(records, f.NoRecord(key))
				}
			}
		}
	}
	return records, reopened, nil
}

// storedKept are the instances of a flow that keep another version, as they are stored.
func (r *runner) storedKept(ctx context.Context, f *flows.Flow) (ids []engine.InstanceID, err error) {
	err = r.store.KeptInstances(ctx, f, flows.NoTime, "", func(key string) error {
		ids = append(ids, engine.InstanceID{Flow: f.Name, Key: key})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("versions of instances: %w", err)
	}
	return ids, nil
}

// keepStored has the engine know of all flows what is stored as of another version.
func (r *runner) keepStored(ctx context.Context) error {
	for _, f := range r.engine.Set().Flows() {
		ids, err := r.storedKept(ctx, f)
		if err != nil {
			return err
		}
		for _, id := range ids {
			r.engine.Keep(id)
		}
	}
	return nil
}

// willKeep are the instances whose version stays where a set is put in force: of flows that
// start empty then, and whose ended instances are not in memory all; and what left memory of
// them, which may be part of other flows too.
func (r *runner) willKeep(ctx context.Context, set *flows.Set) (ids []engine.InstanceID, away []engine.State, err error) {
	for _, f := range set.Flows() {
		running, ok := r.engine.Set().Flow(f.Name)
		unfilled := slices.Contains(r.unfilled, f.Name)
		if ok && !unfilled && (running.Version == f.Version || running.TakesAs(f) || !running.Keeps(f)) {
			continue
		}
		if ok && r.engine.Set().KeyRules(running) != set.KeyRules(f) {
			continue // keys that are others now are folded anew
		}
		more, err := r.storedKept(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, more...)
		for turn := range slices.Chunk(more, keptSlice) {
			states, err := r.evicted(ctx, r.engine.Away(f.Key, turn))
			if err != nil {
				return nil, nil, err
			}
			away = append(away, states...)
		}
	}
	slices.SortFunc(away, func(a, b engine.State) int { return cmp.Compare(a.ID, b.ID) })
	return ids, slices.CompactFunc(away, func(a, b engine.State) bool { return a.ID == b.ID }), nil
}
