package engine

import (
	"slices"
	"strings"

	"throughline/flows"
)

// Replace puts other flow definitions in force. A flow whose version is the same keeps its
// instances, unless key types are defined otherwise now. One whose version takes the same
// signals keeps them too, folded anew. The names returned are those that start empty, and
// want their stored signals applied and then Retire.
func (e *Engine) Replace(set *flows.Set) (empty []string) {
	rekeyed := e.set != nil && otherKeys(e.set, set)
	unfinished := e.again // the stored signals of a change before are not all applied
	e.again = e.set != nil
	e.set = set
	kept := make(map[string]*flowState, len(set.Flows()))
	for _, f := range set.Flows() {
		if old := e.flows[f.Name]; old != nil && old.flow.Version == f.Version && !rekeyed {
			kept[f.Name] = old
			continue
		}
		if old := e.flows[f.Name]; old != nil && !rekeyed && !old.fresh && old.flow.TakesAs(f) {
			e.refold(old, f)
			kept[f.Name] = old
			continue
		}
		kept[f.Name] = &flowState{
			flow: f, shape: e.shape(f), positions: f.Positions(), producers: make([]*producer, len(f.Positions())), gauges: flows.NewGauges(f), window: newWindow(f),
			cohorts: map[cohortID]*cohort{}, changed: true, fresh: e.again, rolled: flows.NewRollUps(f), rolledAnew: true,
		}
		empty = append(empty, f.Name)
		if old := e.flows[f.Name]; old != nil && !rekeyed && old.flow.Keeps(f) {
			e.keepEnded(old, kept[f.Name])
		}
	}
	for name, old := range e.flows {
		if kept[name] != old {
			e.unsaveAll(old)
			e.forget(old)
			if kept[name] != nil {
				kept[name].before, kept[name].laterBefore = old.instances, old.later
			}
		}
	}
	for _, fs := range kept {
		fs.keyed = keyedSegments(set, fs.flow)
	}
	e.flows, e.primary = kept, nil
	if rekeyed {
		e.reset(e.copies.hasher)
	}
	if len(empty) == 0 {
		e.again = unfinished
	}
	return empty
}

// keyedSegments says of a flow's segments which are found where keys are.
func keyedSegments(set *flows.Set, f *flows.Flow) (keyed []bool) {
	for i, name := range f.Segments {
		if set.NamesKeys(name) {
			if keyed == nil {
				keyed = make([]bool, len(f.Segments))
			}
			keyed[i] = true
		}
	}
	return keyed
}

// refold judges all instances of a flow by another version of it.
func (e *Engine) refold(fs *flowState, f *flows.Flow) {
	before := fs.flow
	fs.kept = e.left.clone() // what left memory had ended
	e.rollAnew(fs, f)
	for in := range fs.instances.each() {
		fs.flow = before
		if in.kept || in.ended() {
			e.keep(in)
			continue
		}
		e.touch(in)
		fs.flow = f
		e.rollAll(in, in.work.occurrences)
		e.judge(in, e.now)
		e.rest(in)
		e.opened = e.opened[:0]
	}
	fs.flow, fs.window.flow, fs.changed = f, f, true
	for _, c := range fs.cohorts {
		c.shown = nil
	}
}

// shape is a hash of what parcels speak of by number.
func (e *Engine) shape(f *flows.Flow) uint32 {
	text := strings.Join(slices.Concat([]string{f.Key}, f.Links, f.Segments, f.Expects(), f.Positions()), "\n")
	return uint32(e.copies.hasher.text(3, text))
}

// otherKeys says whether a flow that stays has keys of other rules. All flows share what
// is known of the keys, so all start anew then.
func otherKeys(before, now *flows.Set) bool {
	return slices.ContainsFunc(now.Flows(), func(f *flows.Flow) bool {
		old, ok := before.Flow(f.Name)
		return ok && before.KeyRules(old) != now.KeyRules(f)
	})
}

// Retire emits the removal of what the versions before the last Replace held and those
// in force do not, once the stored signals are applied to these.
func (e *Engine) Retire() {
	for _, fs := range e.flows {
		for old := range fs.before.each() {
			now := fs.instances.get(old.key)
			if now != nil && now.kept {
				continue
			}
			if now == nil {
				now = newInstance(fs, old.key) // unnumbered: it holds nothing
				e.out.instance(now)            // without an occurrence: a removal
			}
			here := e.names.unpack(now.packed, nil)
			for _, o := range e.occurrences(old) {
				same := func(c flows.Occurrence) bool {
					return identity(&c) == identity(&o) && fs.flow.Position(c.Step) == old.fs.flow.Position(o.Step)
				}
				if !slices.ContainsFunc(here, same) {
					e.out.remove(old, &o)
				}
			}
		}
		for _, later := range fs.laterBefore {
			for _, old := range later {
				if fs.find(old.key) == nil {
					e.out.instance(newInstance(fs, old.key))
				}
			}
		}
		fs.before, fs.laterBefore, fs.fresh = roster{}, nil, false
	}
	e.again, e.bySig = false, nil
}

// unsaveAll removes the rows of all components that a flow has a part in.
func (e *Engine) unsaveAll(fs *flowState) {
	for in := range fs.instances.each() {
		if in.cell != 0 {
			e.wake(in.cell)
		}
	}
	before := e.graph.round
	for in := range fs.instances.each() {
		if in.mark <= before { // else it was in a component before
			if m := e.members(part{instancePart, in.index}); m != nil {
				e.unsave(m)
			}
		}
	}
}

// forget removes everything of a flow from what the flows share.
func (e *Engine) forget(fs *flowState) {
	for in := range fs.instances.each() {
		e.timers.remove(in)
		e.out.drop(in)
		e.copies.leave(in)
	}
	for in := range fs.firsts {
		e.timers.remove(in)
		e.out.drop(in)
	}
	e.forgetHeld(fs)
	e.rollNoMore(fs)
	for id := range e.producers {
		if id.fs == fs {
			delete(e.producers, id)
		}
	}
}
