package engine

import (
	"iter"
	"slices"
	"strings"

	"throughline/flows"
)

// ancestor names a parent by the group it stands in and what it is called there.
type ancestor struct {
	group *group
	self  uint64
}

// lineage is where one signal stands.
type lineage struct {
	own     []ancestor // the groups it is in, and what it is called there
	parents []ancestor
	linked  []*group // traces that its span links lead to
}

// trace finds where a signal stands; nil for nowhere.
func (e *Engine) trace(s *flows.Signal) *lineage {
	correlation := textOf(s, "correlationid")
	if s.TraceID == "" && correlation == "" {
		return nil
	}
	l := &lineage{}
	if s.TraceID != "" {
		g := e.traces.group(e, traceClass, s.Environment, s.TraceID)
		self, parent := uint64(0), s.SpanID // an event stands in its span
		if s.Kind == flows.Span {
			self, parent = e.selfOf(s.SpanID), s.ParentID
		}
		l.own = append(l.own, ancestor{g, self})
		if parent != "" {
			l.parents = append(l.parents, ancestor{g, e.selfOf(parent)})
		}
	}
	if correlation != "" && s.Kind == flows.Event {
		g := e.traces.group(e, correlationClass, s.Environment, correlation)
		l.own = append(l.own, ancestor{g, e.selfOf(s.ID)})
		if cause := textOf(s, "causationid"); cause != "" {
			l.parents = append(l.parents, ancestor{g, e.selfOf(cause)})
		}
	}
	e.follow(s, l)
	return l
}

// textOf is an attribute that is a string; "" for none.
func textOf(s *flows.Signal, name string) string {
	v, _ := s.Attribute(name)
	text, _ := v.(string)
	return text
}

// linkedTraces are the trace and the span that each span link names.
func linkedTraces(s *flows.Signal) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		v, _ := s.Attribute(flows.SpanLinks)
		links, _ := v.([]any)
		for _, v := range links[:min(len(links), maxParents)] {
			text, _ := v.(string)
			if trace, span, ok := strings.Cut(text, ":"); ok && !yield(trace, span) {
				return
			}
		}
	}
}

// follow adds the parents that span links name.
func (e *Engine) follow(s *flows.Signal, l *lineage) {
	for trace, span := range linkedTraces(s) {
		g := e.traces.group(e, traceClass, s.Environment, trace)
		l.parents = append(l.parents, ancestor{g, e.selfOf(span)})
		if !slices.Contains(l.linked, g) && (len(l.own) == 0 || l.own[0].group != g) {
			l.linked = append(l.linked, g)
		}
	}
}

func (e *Engine) selfOf(id string) uint64 { return e.copies.hasher.text(2, id) }

// hang makes h wait for changes of the groups that may give it a key.
func (l *lineage) hang(e *Engine, h *held) {
	for _, g := range l.all() {
		if len(g.held) >= maxMembers && !g.void {
			g.becomeVoid(e)
		}
		if !g.void {
			g.held = append(g.held, h)
		}
	}
}

func (l *lineage) unhang(h *held) {
	for _, g := range l.all() {
		g.held = slices.DeleteFunc(g.held, func(o *held) bool { return o == h })
	}
}

// all are the groups that a signal's key may come from, its own first.
func (l *lineage) all() []*group {
	groups := make([]*group, 0, len(l.own)+len(l.linked))
	for _, own := range l.own {
		groups = append(groups, own.group)
	}
	return append(groups, l.linked...)
}

// names says whether a signal has a name that others may call their parent.
func (l *lineage) names() bool {
	return slices.ContainsFunc(l.own, func(a ancestor) bool { return a.self != 0 })
}

// effects appends the groups that a signal is in.
func (l *lineage) effects(list []effect) []effect {
	for _, g := range l.all() {
		list = append(list, effect(g.index|isGroup))
	}
	return list
}

// inherit finds the keys that a signal without one takes from its trace.
func (e *Engine) inherit(h *held) {
	keys, ambiguous := e.inherited(h.fs, h.rest.trace)
	h.rest.setAmbiguous(e, ambiguous)
	slices.Sort(keys)
	if keys = slices.Compact(keys); slices.Equal(keys, h.keys) {
		return
	}
	for _, id := range h.keys {
		e.graph.unhang(h, id)
	}
	h.keys = keys
	for _, id := range h.keys {
		e.graph.hang(h, id)
	}
}

func (r *unsettled) setAmbiguous(e *Engine, ambiguous bool) {
	if r.ambiguous == ambiguous {
		return
	}
	r.ambiguous = ambiguous
	if ambiguous {
		r.producer.Ambiguous++
		e.stats.Ambiguous++
	} else {
		r.producer.Ambiguous--
		e.stats.Ambiguous--
	}
}

// inherited are the keys of the nearest ancestors that carry one of the flow's, else the
// only one of its type in the trace, the primary type first.
func (e *Engine) inherited(fs *flowState, l *lineage) (keys []nodeID, ambiguous bool) {
	if keys = e.ancestral(fs, l.parents); len(keys) > 0 {
		return keys, false
	}
	for _, g := range l.all() {
		for _, want := range [...]role{rolePrimary, roleLink} {
			for _, s := range g.sums {
				switch {
				case fs.role(&e.graph, s.class) != want:
				case s.several:
					ambiguous = true
				default:
					keys = append(keys, s.key)
				}
			}
			if len(keys) > 0 || ambiguous && want == rolePrimary {
				return keys, len(keys) == 0
			}
		}
		ambiguous = ambiguous || g.void
		if ambiguous {
			return nil, true
		}
	}
	return nil, false
}

// ancestral are the keys of the flow that the nearest ancestors carry.
func (e *Engine) ancestral(fs *flowState, level []ancestor) (keys []nodeID) {
	seen := map[ancestor]bool{}
	for range maxAncestry {
		var next []ancestor
		for _, a := range level {
			if seen[a] {
				continue
			}
			seen[a] = true
			a.group.called(a.self, func(m *groupMember) {
				for _, id := range m.keys {
					if fs.role(&e.graph, e.graph.at(id).class) != roleNone {
						keys = append(keys, id)
					}
				}
				next = append(next, m.parents...)
			})
		}
		if len(keys) > 0 || len(next) == 0 || len(seen) > maxMembers {
			return keys
		}
		level = next
	}
	return nil
}
