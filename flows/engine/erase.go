package engine

import (
	"slices"
	"strings"

	"throughline/flows"
)

// Erase has a key be known by a token, and the signals that carried it be what is left of
// them: nothing else changes, neither what is counted nor what is linked. It is called with
// the state whole, no rows owed, and what left memory and is found by these signals or
// KeyHashes taken back. Signals that it does not know are applied. Called again it does
// nothing more.
func (e *Engine) Erase(key flows.Key, token string, signals []flows.Signal, now flows.Time) {
	e.now = now
	x := &erasing{e: e, signals: make(map[flows.Identity]*flows.Signal, len(signals)), seen: map[part]bool{}}
	for i := range signals {
		s := &signals[i]
		x.signals[s.Identity()] = s
		e.wakeAt(e.copies.hash(s.Identity()))
	}
	for _, hash := range e.KeyHashes(key, signals) {
		e.wakeAt(hash)
	}
	e.flush()
	e.settle(now)
	for class := 1; class < len(e.graph.classes); class++ {
		if e.graph.classes[class].typ == key.Type {
			e.rename(uint32(class), key.Value, token)
		}
	}
	e.renameShown(key, token)
	var unknown []flows.Signal
	for i := range signals {
		if !x.signal(&signals[i]) {
			unknown = append(unknown, signals[i])
		}
	}
	if len(unknown) > 0 {
		e.Apply(unknown, now)
	}
}

// KeyHashes are the hashes by which components with a key are found, in the environments of
// these signals and all others that are known.
func (e *Engine) KeyHashes(key flows.Key, signals []flows.Signal) (hashes []uint64) {
	e.graph.class(e.set, "", key.Type)
	for i := range signals {
		e.graph.class(e.set, signals[i].Environment, key.Type)
	}
	for class := 1; class < len(e.graph.classes); class++ {
		if e.graph.classes[class].typ == key.Type {
			hashes = append(hashes, e.graph.hash(uint32(class), key.Value))
		}
	}
	return hashes
}

// rename gives a key another value, where it links and where it is that of instances.
func (e *Engine) rename(class uint32, value, token string) {
	g := &e.graph
	hash, anew := g.hash(class, value), g.hash(class, token)
	if id := g.lookup(hash, class, value); id != 0 {
		e.touchPart(part{nodePart, uint32(id)})
		g.byKey.remove(g.byKey.find(hash, func(found *entry) bool { return found.ref == uint32(id) }))
		g.at(id).value = strings.Clone(token)
		g.byKey.add(entry{hash: anew, ref: uint32(id)})
	}
	environment := g.classes[class].environment
	for _, fs := range e.flowsOf(class) {
		if fs.kept.has(hash) {
			fs.kept.add(anew)
		}
		in := fs.instances.get(flows.InstanceKey(value, environment))
		if in == nil {
			continue
		}
		e.touchPart(part{instancePart, in.index})
		fs.instances.remove(in)
		e.renameInstance(in, flows.InstanceKey(token, environment))
		fs.instances.put(in)
		for i, later := range fs.later[in] {
			e.renameInstance(later, flows.InstanceKey(flows.PartKey(token, i+1), environment))
		}
	}
}

// renameInstance gives an instance another key. Cohorts are sorted by it.
func (e *Engine) renameInstance(in *instance, key string) {
	stuck := in.cohort != nil && e.foldAgain(in)
	if stuck {
		in.fs.leave(in, &e.folded)
	}
	in.key = key
	if stuck {
		in.fs.join(in, &e.folded)
	}
	in.fs.changed = true
}

// renameShown has the lists of keys that met a bound say the token.
func (e *Engine) renameShown(key flows.Key, token string) {
	for i := range e.common {
		if e.common[i].Key == key {
			e.common[i].Key.Value = token
		}
	}
	for i := range e.full {
		if e.full[i].Key == key {
			e.full[i].Key.Value = token
		}
	}
}

// erasing rewrites what is kept of signals, a component at a time.
type erasing struct {
	e       *Engine
	signals map[flows.Identity]*flows.Signal
	seen    map[part]bool
}

// signal rewrites what is kept of a signal; false where it is not known.
func (x *erasing) signal(s *flows.Signal) bool {
	e := x.e
	seen := e.copies.seen.find(e.copies.hash(s.Identity()), nil)
	if seen == nil {
		return false
	}
	hash := s.ContentHash()
	seen.small = smallOf(hash) | seen.small&isRow
	if seen.ref&isRecord == 0 {
		x.component(part{instancePart, seen.ref})
		return true
	}
	e.copies.record(seen.ref).hash = hash
	for _, f := range e.copies.effects(seen.ref) {
		x.component(partOf(f))
	}
	return true
}

// component rewrites what a component has of all the signals.
func (x *erasing) component(of part) {
	e := x.e
	if x.seen[of] {
		return
	}
	m := e.members(of)
	if m == nil {
		return // a key that is common
	}
	for _, id := range m.nodes {
		x.seen[part{nodePart, uint32(id)}] = true
	}
	for _, g := range m.groups {
		x.seen[part{groupPart, g.index}] = true
		e.touchPart(part{groupPart, g.index})
	}
	for _, in := range m.instances {
		x.seen[part{instancePart, in.index}] = true
		e.touchPart(part{instancePart, in.index})
		in.packed = x.packed(in.fs, in.packed)
		for _, later := range in.fs.later[in] {
			later.packed = x.packed(in.fs, later.packed)
		}
	}
	for _, h := range m.helds {
		if h.rest != nil && h.rest.occurrence != "" {
			e.touchHeld(h)
			h.rest.occurrence = x.packed(h.fs, h.rest.occurrence)
		}
	}
}

// packed are occurrences with what is left of the signals.
func (x *erasing) packed(fs *flowState, of packed) packed {
	list := x.e.names.unpack(of, nil)
	changed := false
	for i := range list {
		o := &list[i]
		s := x.signals[identity(o)]
		if s == nil {
			continue
		}
		left := fs.flow.Occur(s, o.Step, o.Failed)
		x.e.own(fs, &left)
		changed = changed || o.Hash != left.Hash || o.Child != left.Child || !slices.Equal(o.Segments, left.Segments)
		o.Hash, o.Child, o.Segments = left.Hash, left.Child, left.Segments
	}
	if !changed {
		return of
	}
	return packed(x.e.names.pack(nil, list))
}
