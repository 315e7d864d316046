package engine

import (
	"slices"

	"throughline/flows"
)

// An instance that ended keeps the version under which it did when the flow's file changes
// (FLOWS.md section 2). The engine knows one version of a flow, that in force: so it judges
// a kept instance no more. It goes on to know its signals, and to place those that come
// late; its state is folded by its own version from what is stored of it, by whoever takes
// Rows.Late. Until Move the version in force does not see it.

// InstanceID names an instance; Key is a flows.InstanceKey.
type InstanceID struct{ Flow, Key string }

func (in *instance) id() InstanceID { return InstanceID{in.fs.flow.Name, in.key} }

// ended says whether an instance is judged, and not in flight.
func (in *instance) ended() bool { return in.counted && in.openAt < 0 }

// keep takes an instance that ended from those that are judged. It stays in the numbers of
// the live window, for as long as these go back.
func (e *Engine) keep(in *instance) {
	if in.row != 0 && !in.kept {
		e.out.early = append(e.out.early, e.record(in))
		e.out.drop(in)
	}
	in.kept, in.counted = true, false
	e.timers.remove(in)
}

// keepEnded has a flow that starts empty know the instances that ended under the version
// before, and the live numbers that they leave.
func (e *Engine) keepEnded(old, fs *flowState) {
	for in := range old.instances.each() {
		if !in.kept && !in.ended() {
			e.settleOut(in)
			continue
		}
		late := in.row != 0 && in.kept
		e.keep(in)
		value, environment := flows.SplitInstanceKey(in.key)
		now := e.instance(fs, value, environment)
		now.kept = true
		if late {
			e.out.instance(now)
		}
	}
	fs.window.inherit(old.window)
}

// inherit has a window, still empty, count what that of another version did.
func (w *window) inherit(from *window) {
	w.first, w.current = from.first, from.current
	w.slots = make([]slot, len(from.slots))
	for i, of := range from.slots {
		if of.tally == nil || of.number < w.first {
			continue
		}
		w.slots[i] = slot{of.number, w.flow.ProjectTally(from.flow, of.tally)}
		if of.number <= w.current {
			w.total.Merge(w.slots[i].tally)
		}
	}
	if len(from.slots) == 0 {
		w.slots = nil
	}
}

// settleOut takes an instance in flight out of the numbers of a version that is no more.
func (e *Engine) settleOut(in *instance) {
	if in.counted {
		w := e.touch(in)
		e.count(in, &w.counted, nil)
		in.fs.untrack(in, &w.counted)
		w.dirty = false
		e.rest(in)
		e.opened = e.opened[:0]
	}
}

// Keep notes what is stored of a flow: an instance that ended under another version than
// that in force. It is called before the stored signals of a flow that starts empty are
// applied, once what is Away of these instances has returned, or after all state was restored.
func (e *Engine) Keep(id InstanceID) {
	fs := e.flows[id.Flow]
	if fs == nil {
		return
	}
	value, environment := flows.SplitInstanceKey(id.Key)
	hash := e.graph.hash(e.graph.class(e.set, environment, fs.flow.Key), value)
	fs.kept.add(hash)
	in := fs.instances.get(id.Key)
	switch {
	case in == nil && e.left.has(hash) && !fs.fresh:
		return // it is known when it comes back
	case in == nil:
		in = e.instance(fs, value, environment)
	case in.openAt >= 0:
		e.settleOut(in)
	}
	e.out.drop(in)
	e.keep(in)
}

// Kept says whether an instance in memory keeps a version that is not in force.
func (e *Engine) Kept(id InstanceID) bool {
	fs := e.flows[id.Flow]
	return fs != nil && fs.instances.get(id.Key) != nil && fs.instances.get(id.Key).kept
}

// Away returns the hashes by which the components of some instances, of a type of key, are
// found that are not in memory.
func (e *Engine) Away(keyType string, ids []InstanceID) (hashes []uint64) {
	for _, id := range ids {
		value, environment := flows.SplitInstanceKey(id.Key)
		hashes = e.missing(hashes, environment, keyType, value)
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// Move has an instance folded by the version in force, judged at now, and owes all its
// rows; false where it is not in memory.
func (e *Engine) Move(id InstanceID, now flows.Time) bool {
	fs := e.flows[id.Flow]
	if fs == nil || fs.instances.get(id.Key) == nil {
		return false
	}
	in := fs.instances.get(id.Key)
	if in.kept {
		e.now = now
		in.kept = false
		if fs.window.moved == nil {
			fs.window.moved = map[*instance]int64{}
		}
		fs.window.moved[in] = slotOf(now)
		if in.cell != 0 && len(e.occurrences(in)) == 0 {
			e.wake(in.cell)
		}
		e.out.drop(in)
		e.oweWhole(in)
		e.touch(in)
		e.settle(now)
	}
	return true
}

// oweWhole owes all rows of an instance: what is stored of others of its signals is wrong.
func (e *Engine) oweWhole(in *instance) {
	e.out.instance(in)
	for _, o := range e.occurrences(in) {
		e.out.add(in, &o)
	}
	e.out.whole = append(e.out.whole, in.id())
}
