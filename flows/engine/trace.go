package engine

import (
	"slices"
	"strings"
)

// Bounds of traces. What is beyond them is counted in Stats. The first two are part of
// what a trace gives, so that this depends on the signals alone.
const (
	maxAncestry = 100       // ancestors that are asked one above the other
	maxMembers  = 2000      // signals of one trace; one with more gives nothing
	maxGroups   = 1_000_000 // traces remembered; beyond, the one longest without a signal is forgotten
	maxParents  = 128       // of one signal
)

// traces know which signals stand in one trace, or under one correlation id, and whose
// keys a signal without one takes. Only signals are known: a span that matches no step and
// carries no key of a type in use never comes here, so an ancestry that leads through one
// ends there, and the trace's only key counts.
type traces struct {
	byID   map[groupID]*group
	groups []*group // by index
	vacant []uint32
	newest *group
	oldest *group
	dirty  []*group
}

// groupID is a trace id or a correlation id within one environment.
type groupID struct {
	class uint32
	id    string
}

// The types of groups, as those of keys. No key type begins with a space.
const (
	traceClass       = " trace"
	correlationClass = " correlation"
)

// group is one trace.
type group struct {
	groupID
	index        uint32
	mark         uint32 // round of the last look at its component
	touched      uint32 // save round of the last change
	members      []groupMember
	bySelf       map[uint64][]int32 // of many members
	sums         []groupSum         // by class of key
	held         []*held            // signals without a key that stand in it
	followers    []*group           // with members whose parents stand in this one
	newer, older *group
	void, dirty  bool
	gone         bool // at rest; another takes its place
}

// groupMember is one signal of a group.
type groupMember struct {
	sig     uint64
	self    uint64 // what parents are called; 0 for one that is no parent
	parents []ancestor
	keys    []nodeID
}

// groupSum is what the members of a group carry of one class of keys.
type groupSum struct {
	class   uint32
	key     nodeID
	several bool
}

func newTraces() traces { return traces{byID: map[groupID]*group{}} }

// manyMembers is where looking through the list costs more than a map.
const manyMembers = 16

// group finds or makes a group, and makes it the newest.
func (t *traces) group(e *Engine, class, environment, id string) *group {
	key := groupID{e.graph.class(e.set, environment, class), id}
	g := t.byID[key]
	if g == nil && e.wakeAt(e.graph.hash(key.class, id)) {
		g = t.byID[key]
	}
	if g == nil {
		key.id = strings.Clone(id)
		g = &group{groupID: key}
		if last := len(t.vacant) - 1; last >= 0 {
			g.index, t.vacant = t.vacant[last], t.vacant[:last]
			t.groups[g.index] = g
		} else {
			g.index = uint32(len(t.groups))
			t.groups = append(t.groups, g)
		}
		t.byID[key] = g
		if len(t.byID) > e.limits.groups {
			t.forgetOldest(e)
		}
	} else {
		t.cut(g)
	}
	if g.older = t.newest; g.older != nil {
		g.older.newer = g
	} else {
		t.oldest = g
	}
	t.newest = g
	return g
}

// cut takes a group out of the order of age.
func (t *traces) cut(g *group) {
	if g.newer != nil {
		g.newer.older = g.older
	} else if t.newest == g {
		t.newest = g.older
	}
	if g.older != nil {
		g.older.newer = g.newer
	} else if t.oldest == g {
		t.oldest = g.newer
	}
	g.newer, g.older = nil, nil
}

// forgetOldest makes room. What waits in the group still knows it; later signals of the
// trace do not.
func (t *traces) forgetOldest(e *Engine) {
	g := t.oldest
	if g == nil {
		return
	}
	e.beforeSplit()
	for i := range g.members { // they may be apart now
		for _, id := range g.members[i].keys {
			e.touchPart(part{nodePart, uint32(id)})
		}
	}
	t.remove(g)
	e.stats.TracesForgotten++
}

// remove takes a group out.
func (t *traces) remove(g *group) {
	t.cut(g)
	if t.byID[g.groupID] == g {
		delete(t.byID, g.groupID)
		t.groups[g.index] = nil
		t.vacant = append(t.vacant, g.index)
	}
}

// join makes a signal with its keys a member of the groups it stands in.
func (t *traces) join(e *Engine, a *arrival) {
	l := a.lineage
	for _, own := range l.own {
		g := own.group
		if g.void || (own.self == 0 && len(a.keys) == 0) {
			continue // says nothing about others
		}
		m := groupMember{sig: a.sig, self: own.self, parents: l.parents}
		for i := range a.keys {
			m.keys = append(m.keys, a.key(e, i))
		}
		at := slices.IndexFunc(g.members, func(o groupMember) bool { return a.repeated && o.sig == a.sig })
		if at >= 0 {
			continue
		}
		if len(g.members) >= maxMembers {
			g.becomeVoid(e)
			continue
		}
		g.add(e, m)
		t.changed(g)
	}
}

// add puts in one more member.
func (g *group) add(e *Engine, m groupMember) {
	for _, p := range m.parents {
		if p.group != g && !slices.Contains(p.group.followers, g) && len(p.group.followers) < maxMembers {
			p.group.followers = append(p.group.followers, g)
		}
	}
	g.members = append(g.members, m)
	g.indexLast()
	for _, id := range m.keys {
		g.sum(e.graph.at(id).class, id)
	}
}

// becomeVoid makes a group with too many signals give nothing.
func (g *group) becomeVoid(e *Engine) {
	g.void, g.members, g.bySelf, g.sums = true, nil, nil, nil
	e.stats.CommonTraces++
	e.traces.changed(g)
}

func (t *traces) changed(g *group) {
	if !g.dirty {
		g.dirty = true
		t.dirty = append(t.dirty, g)
	}
}

func (g *group) indexLast() {
	last := len(g.members) - 1
	switch {
	case last < manyMembers:
	case g.bySelf == nil:
		g.bySelf = make(map[uint64][]int32, 2*manyMembers)
		for i := range g.members {
			g.bySelf[g.members[i].self] = append(g.bySelf[g.members[i].self], int32(i))
		}
	default:
		g.bySelf[g.members[last].self] = append(g.bySelf[g.members[last].self], int32(last))
	}
}

// called calls f with the members of a name.
func (g *group) called(self uint64, f func(*groupMember)) {
	if g.bySelf != nil {
		for _, i := range g.bySelf[self] {
			f(&g.members[i])
		}
		return
	}
	for i := range g.members {
		if g.members[i].self == self {
			f(&g.members[i])
		}
	}
}

// sum notes that a member carries a key.
func (g *group) sum(class uint32, key nodeID) {
	for i := range g.sums {
		if s := &g.sums[i]; s.class == class {
			s.several = s.several || s.key != key
			return
		}
	}
	g.sums = append(g.sums, groupSum{class: class, key: key})
}

// leave takes a signal out of a group again.
func (t *traces) leave(e *Engine, index uint32, sig uint64) {
	g := t.groups[index]
	if g == nil {
		return
	}
	var mine []*held
	for _, h := range g.held {
		if h.sig == sig {
			mine = append(mine, h)
		}
	}
	for _, h := range mine {
		e.retractHeld(h)
	}
	before := len(g.members)
	var above []ancestor
	g.members = slices.DeleteFunc(g.members, func(m groupMember) bool {
		if m.sig == sig {
			above = append(above, m.parents...)
		}
		return m.sig == sig
	})
	if len(g.members) == before {
		return
	}
	for _, p := range above {
		g.unfollow(e, p.group)
	}
	members := g.members
	g.members, g.bySelf, g.sums = g.members[:0], nil, nil
	for _, m := range members {
		g.members = append(g.members, m)
		g.indexLast()
		for _, id := range m.keys {
			g.sum(e.graph.at(id).class, id)
		}
	}
	t.changed(g)
}

// unfollow notes that one member fewer has its parent in another group.
func (g *group) unfollow(e *Engine, other *group) {
	for i := range g.members {
		if slices.ContainsFunc(g.members[i].parents, func(p ancestor) bool { return p.group == other }) {
			return
		}
	}
	other.followers = slices.DeleteFunc(other.followers, func(f *group) bool { return f == g })
	e.touchPart(part{groupPart, other.index}) // they may be apart now
}

// flush marks what changed groups may lead elsewhere.
func (t *traces) flush(e *Engine) {
	for i := 0; i < len(t.dirty); i++ {
		g := t.dirty[i]
		for _, h := range g.held {
			e.markStale(h)
		}
		for _, f := range g.followers {
			t.changed(f) // once each, so a circle ends
		}
	}
	for _, g := range t.dirty {
		g.dirty = false
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
}

// forget drops what is held for a flow.
func (t *traces) forget(e *Engine, fs *flowState) {
	for _, g := range t.groups {
		if g == nil {
			continue
		}
		for _, h := range slices.Clone(g.held) {
			if h.fs != fs {
				continue
			}
			if m := e.members(part{groupPart, g.index}); m != nil {
				e.unsave(m)
			}
			e.unhook(h)
		}
	}
}
