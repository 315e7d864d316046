package engine

import (
	"slices"

	"throughline/flows"
)

// A component is everything that the state knows of keys, instances, traces and signals
// that are linked, over however many links. It is what goes to rest, to the store and back
// as one. Common keys link nothing and belong to none.

// members are the parts of a component in memory.
type members struct {
	nodes     []nodeID
	instances []*instance
	helds     []*held
	groups    []*group
	round     uint32
	work      int // parts looked at
}

// part is a node, an instance or a group, by its number: one that a component is known by
// from outside, for as long as it is in memory.
type part struct {
	kind   partKind
	number uint32
}

type partKind uint8

const (
	nodePart partKind = iota + 1
	instancePart
	groupPart
)

// members collects the component of a part; nil where the part is no more.
func (e *Engine) members(of part) *members {
	e.graph.round++
	m := &e.component
	*m = members{
		nodes: m.nodes[:0], instances: m.instances[:0], helds: m.helds[:0], groups: m.groups[:0], round: e.graph.round,
	}
	switch of.kind {
	case nodePart:
		if id := nodeID(of.number); e.graph.at(id).class != 0 {
			e.addNode(m, id)
		}
	case instancePart:
		if in := e.copies.instances[of.number]; in != nil {
			m.addInstance(in)
		}
	case groupPart:
		if g := e.traces.groups[of.number]; g != nil {
			m.addGroup(g)
		}
	}
	if len(m.nodes)+len(m.instances)+len(m.groups) == 0 {
		return nil
	}
	var node, in, h, g int
	for {
		switch {
		case node < len(m.nodes):
			e.aroundNode(m, m.nodes[node])
			node++
		case in < len(m.instances):
			e.aroundInstance(m, m.instances[in])
			in++
		case h < len(m.helds):
			e.aroundHeld(m, m.helds[h])
			h++
		case g < len(m.groups):
			e.aroundGroup(m, m.groups[g])
			g++
		default:
			return m
		}
	}
}

// addSignal adds what a signal did.
func (e *Engine) addSignal(m *members, ref uint32) {
	if ref&isRecord == 0 {
		if in := e.copies.instances[ref]; in != nil {
			m.addInstance(in)
		}
		return
	}
	for _, f := range e.copies.effects(ref) {
		if f&isGroup == 0 {
			e.addNode(m, nodeID(f))
		} else if g := e.traces.groups[f&^isGroup]; g != nil {
			m.addGroup(g)
		}
	}
}

func (e *Engine) addNode(m *members, id nodeID) {
	if n := e.graph.at(id); n.mark != m.round && !n.common {
		n.mark = m.round
		m.nodes = append(m.nodes, id)
	}
}

func (m *members) addInstance(in *instance) {
	if in.mark != m.round {
		in.mark = m.round
		m.instances = append(m.instances, in)
	}
}

func (m *members) addHeld(h *held) {
	if h.mark != m.round {
		h.mark = m.round
		m.helds = append(m.helds, h)
	}
}

func (m *members) addGroup(g *group) {
	if g.mark != m.round && !g.gone {
		g.mark = m.round
		m.groups = append(m.groups, g)
	}
}

func (e *Engine) aroundNode(m *members, id nodeID) {
	n := e.graph.at(id)
	for _, p := range e.graph.partners(id, n) {
		m.work++
		e.addNode(m, p.to)
	}
	e.graph.hanging(id, m.addHeld)
	for _, fs := range e.flowsOf(n.class) {
		if in := fs.instances.get(flows.InstanceKey(n.value, e.graph.classes[n.class].environment)); in != nil {
			m.addInstance(in)
		}
	}
}

func (e *Engine) aroundInstance(m *members, in *instance) {
	if id := e.nodeOf(in); id != 0 {
		e.addNode(m, id)
	}
	e.read = e.unpacked(in, e.read[:0])
	for i := range e.read {
		m.work++
		if seen := e.copies.seen.find(e.copies.hash(identity(&e.read[i])), nil); seen != nil {
			e.addSignal(m, seen.ref)
		}
	}
}

func (e *Engine) aroundHeld(m *members, h *held) {
	m.work++
	for _, id := range h.keys {
		e.addNode(m, id)
	}
	for _, id := range h.targets {
		e.addNode(m, id)
	}
	if r := h.rest; r != nil && r.trace != nil {
		m.addLineage(r.trace)
	}
	if seen := e.copies.seen.find(h.sig, nil); seen != nil {
		e.addSignal(m, seen.ref)
	}
}

func (m *members) addLineage(l *lineage) {
	for _, own := range l.own {
		m.addGroup(own.group)
	}
	for _, g := range l.linked {
		m.addGroup(g)
	}
	for _, p := range l.parents {
		m.addGroup(p.group)
	}
}

func (e *Engine) aroundGroup(m *members, g *group) {
	for i := range g.members {
		member := &g.members[i]
		m.work++
		for _, id := range member.keys {
			e.addNode(m, id)
		}
		for _, p := range member.parents {
			m.addGroup(p.group)
		}
		if seen := e.copies.seen.find(member.sig, nil); seen != nil {
			e.addSignal(m, seen.ref)
		}
	}
	for _, h := range g.held {
		m.addHeld(h)
	}
	for _, f := range g.followers {
		m.addGroup(f)
	}
}

// nodeOf is the node of an instance's key; 0 where its key links nothing.
func (e *Engine) nodeOf(in *instance) nodeID {
	class, value := e.keyOf(in)
	return e.graph.lookup(e.graph.hash(class, value), class, value)
}

// keyOf is the key of an instance, as the graph knows keys.
func (e *Engine) keyOf(in *instance) (class uint32, value string) {
	value, environment := flows.SplitInstanceKey(in.key)
	return e.graph.class(e.set, environment, in.fs.flow.Key), value
}

// joinFellows has a new instance be in one component with those of its key in other flows:
// they leave memory together then.
func (e *Engine) joinFellows(in *instance) {
	class, value := e.keyOf(in)
	for _, fs := range e.flowsOf(class) {
		if fs.flow.Name != in.fs.flow.Name && fs.instances.get(in.key) != nil {
			e.node(class, value)
			return
		}
	}
}

// flowsOf are the flows whose instances have primary keys of a class.
func (e *Engine) flowsOf(class uint32) []*flowState {
	for int(class) >= len(e.primary) {
		var of []*flowState
		for _, fs := range e.flows {
			if fs.flow.Key == e.graph.classes[len(e.primary)].typ {
				of = append(of, fs)
			}
		}
		e.primary = append(e.primary, of)
	}
	return e.primary[class]
}

// restable says whether all of a component may go to rest: nothing waits or is under way.
func (m *members) restable() bool {
	return !slices.ContainsFunc(m.helds, func(h *held) bool { return h.stale || (h.rest != nil && h.rest.at >= 0) }) &&
		!slices.ContainsFunc(m.groups, func(g *group) bool { return g.dirty }) &&
		!slices.ContainsFunc(m.instances, func(in *instance) bool { return in.work != nil || in.cell != 0 || in.fs.fresh })
}
