package engine

import (
	"slices"

	"throughline/flows"
)

// arrival is one copy of one signal on its way into the state, and what it did there.
type arrival struct {
	signal   *flows.Signal
	sig      uint64 // copies.hash of its identity
	hash     uint64 // of its content
	classes  []uint32
	keys     []nodeID // as far as they were needed; 0 else
	scratch  []nodeID
	lineage  *lineage
	in       *instance // the first that took it
	complex  bool      // did more than to be in that one
	held     bool      // hangs on keys or a trace
	placed   bool      // in an instance, or for one, by its own keys
	repeated bool      // a second copy of what counts
	linked   bool      // and its keys are linked already
	first    bool      // no copy of it is known
}

// key is the node of one of the signal's keys.
func (a *arrival) key(e *Engine, i int) nodeID {
	if a.keys[i] == 0 {
		a.keys[i] = e.node(a.classes[i], a.signal.Keys[i].Value)
	}
	return a.keys[i]
}

// note that an instance took the signal.
func (a *arrival) note(in *instance) {
	if a.in == nil {
		a.in = in
	}
	a.complex = a.complex || a.in != in
}

// meet prepares for a signal.
func (e *Engine) meet(s *flows.Signal) *arrival {
	a := &e.arrival
	*a = arrival{
		signal: s, sig: e.copies.hash(s.Identity()), hash: s.ContentHash(), classes: a.classes[:0], keys: a.keys[:0], scratch: a.scratch,
	}
	for _, k := range s.Keys {
		a.classes = append(a.classes, e.graph.class(e.set, s.Environment, k.Type))
		a.keys = append(a.keys, 0)
	}
	return a
}

// admit says whether a copy is to be applied: it is the first, counts instead of the one
// before, which it takes back, or is asked for again.
func (e *Engine) admit(a *arrival) bool {
	seen := e.copies.seen.find(a.sig, nil)
	if seen == nil && e.wakeAt(a.sig) {
		seen = e.copies.seen.find(a.sig, nil)
	}
	if a.first = seen == nil; a.first {
		return true
	}
	if seen.small&^isRow == smallOf(a.hash) {
		a.repeated = true
		if !e.rework && !e.again && !e.importing {
			e.stats.Duplicates++
			return false
		}
		if seen.ref&isRecord == 0 {
			return true
		}
		if a.linked = e.sameKeys(a, seen.ref); !a.linked { // other key types are in use now
			e.retract(a, seen.ref)
			a.repeated = false
		}
		return true
	}
	start, hash, known := e.counts(a, seen.ref)
	if !known { // of a flow that is folded anew
		return true
	}
	e.stats.Conflicts++
	if start < a.signal.Time || (start == a.signal.Time && hash <= a.hash) {
		return false
	}
	e.retract(a, seen.ref)
	return true
}

// counts is the copy that counts so far.
func (e *Engine) counts(a *arrival, ref uint32) (start flows.Time, hash uint64, known bool) {
	if ref&isRecord != 0 {
		r := e.copies.record(ref)
		return r.start, r.hash, true
	}
	in := e.copies.instances[ref]
	if in == nil {
		return 0, 0, false
	}
	id := a.signal.Identity()
	for _, o := range e.open(in).occurrences {
		if identity(&o) == id {
			return o.Start, o.Hash, true
		}
	}
	return 0, 0, false
}

func (e *Engine) sameKeys(a *arrival, ref uint32) bool {
	have := e.copies.effects(ref)
	if len(have) == 0 && len(a.keys) < 2 {
		return true // did nothing, and has nothing to link
	}
	if have = have[:countKeys(have)]; len(have) != len(a.keys) {
		return false
	}
	for i := range a.keys {
		if !slices.Contains(have, effect(a.key(e, i))) {
			return false
		}
	}
	return true
}

// countKeys is how many effects are keys; these come first.
func countKeys(effects []effect) int {
	for i, f := range effects {
		if f&isGroup != 0 {
			return i
		}
	}
	return len(effects)
}

// connect links the signal's keys, and lets its trace know of them.
func (e *Engine) connect(a *arrival) {
	if len(e.save.left) > 0 && len(a.keys) > 1 && !a.linked && e.mayVoid(a) {
		e.beforeSplit()
	}
	if a.lineage = e.trace(a.signal); a.lineage != nil {
		a.complex = true
		e.traces.join(e, a)
	}
	if len(a.keys) < 2 {
		return
	}
	a.complex = true
	if a.linked {
		return
	}
	keys := a.scratch[:0]
	for i := range a.keys {
		keys = append(keys, a.key(e, i))
	}
	slices.Sort(keys)
	e.graph.link(e, keys)
	a.scratch = keys
}

// mayVoid says whether a key of a signal may become common by it.
func (e *Engine) mayVoid(a *arrival) bool {
	for i := range a.keys {
		id := a.key(e, i)
		if n := e.graph.at(id); !n.common && len(e.graph.partners(id, n))+len(a.keys)-1 > e.graph.classes[n.class].limit {
			return true
		}
	}
	return false
}

// remember keeps what the copy that counts did.
func (e *Engine) remember(a *arrival) {
	ref := uint32(0)
	if a.in != nil && !a.complex {
		ref = a.in.index
		e.touchPart(part{instancePart, ref})
	} else {
		effects := e.effects[:0]
		if a.complex {
			for i := range a.keys {
				effects = append(effects, effect(a.key(e, i)))
			}
		}
		if a.lineage != nil && (a.held || len(a.keys) > 0 || a.lineage.names()) {
			effects = a.lineage.effects(effects)
		}
		e.effects = effects
		ref = e.addRecord(record{start: a.signal.Time, hash: a.hash}, effects)
		if len(effects) == 0 {
			e.rememberIdle(a.sig)
		}
		e.touchEffects(a.in, effects)
		if a.complex && !a.placed && len(a.keys) > 0 {
			e.hangLink(a.sig, a.keys)
		}
	}
	if !a.first {
		if seen := e.copies.seen.find(a.sig, nil); seen != nil {
			if seen.ref != isRecord {
				e.dropRecord(seen.ref)
			}
			seen.small, seen.ref = seen.small&isRow|smallOf(a.hash), ref
			return
		}
	}
	e.copies.seen.add(entry{hash: a.sig, small: smallOf(a.hash), ref: ref})
}
