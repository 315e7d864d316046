package engine

import (
	"fmt"
	"slices"
	"strings"

	"throughline/flows"
)

// reference is correlation as FLOWS.md section 4 defines it, worked out from the whole set
// of signals at once: slow, and without any of the engine's means.
type reference struct {
	set      *flows.Set
	signals  []*flows.Signal // of each identity the copy that counts
	partners map[refKey]map[refKey]bool
}

type refKey struct{ environment, typ, value string }

func newReference(set *flows.Set, all []flows.Signal) *reference {
	counts := map[flows.Identity]*flows.Signal{}
	for i := range all {
		s := &all[i]
		have := counts[s.Identity()]
		if have == nil || s.Time < have.Time || (s.Time == have.Time && s.ContentHash() < have.ContentHash()) {
			counts[s.Identity()] = s
		}
	}
	r := &reference{set: set, partners: map[refKey]map[refKey]bool{}}
	for _, s := range counts {
		r.signals = append(r.signals, s)
		for _, a := range keysOf(s) {
			if r.partners[a] == nil {
				r.partners[a] = map[refKey]bool{}
			}
			for _, b := range keysOf(s) {
				if a != b {
					r.partners[a][b] = true
				}
			}
		}
	}
	return r
}

func keysOf(s *flows.Signal) (keys []refKey) {
	for _, k := range s.Keys {
		keys = append(keys, refKey{s.Environment, k.Type, k.Value})
	}
	return keys
}

func (r *reference) common(k refKey) bool {
	typ, _ := r.set.KeyTypeInUse(k.typ)
	return len(r.partners[k]) > typ.Partners
}

func primaryOf(f *flows.Flow, k refKey) bool { return k.typ == f.Key }
func linkOf(f *flows.Flow, k refKey) bool    { return slices.Contains(f.Links, k.typ) }
func ofFlow(f *flows.Flow, k refKey) bool    { return primaryOf(f, k) || linkOf(f, k) }

// primaries are the primary keys at the fewest hops from a key.
func (r *reference) primaries(f *flows.Flow, from refKey) (found []refKey) {
	if primaryOf(f, from) {
		return []refKey{from}
	}
	seen, ring := map[refKey]bool{from: true}, []refKey{from}
	for len(ring) > 0 && len(found) == 0 {
		var next []refKey
		for _, k := range ring {
			if r.common(k) {
				continue
			}
			for p := range r.partners[k] {
				if seen[p] || r.common(p) || !ofFlow(f, p) {
					continue
				}
				seen[p] = true
				if primaryOf(f, p) {
					found = append(found, p)
				} else {
					next = append(next, p)
				}
			}
		}
		ring = next
	}
	return found
}

// place names something in a trace or under a correlation id.
type place struct{ environment, kind, group, self string }

// where a signal stands, and below what.
func where(s *flows.Signal) (own, parents []place) {
	correlation, _ := s.Attributes["correlationid"].(string)
	cause, _ := s.Attributes["causationid"].(string)
	switch {
	case s.TraceID == "":
	case s.Kind == flows.Span:
		own = append(own, place{s.Environment, "trace", s.TraceID, s.SpanID})
		if s.ParentID != "" {
			parents = append(parents, place{s.Environment, "trace", s.TraceID, s.ParentID})
		}
	default:
		own = append(own, place{s.Environment, "trace", s.TraceID, ""})
		if s.SpanID != "" {
			parents = append(parents, place{s.Environment, "trace", s.TraceID, s.SpanID})
		}
	}
	if correlation != "" && s.Kind == flows.Event {
		own = append(own, place{s.Environment, "correlation", correlation, s.ID})
		if cause != "" {
			parents = append(parents, place{s.Environment, "correlation", correlation, cause})
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	links, _ := s.Attributes[flows.SpanLinks].([]any)
	for _, l := range links {
		trace, span, _ := strings.Cut(l.(string), ":")
		parents = append(parents, place{s.Environment, "trace", trace, span})
	}
	return own, parents
}

// inherited are the keys of the nearest ancestors that carry one of the flow, else the
// only one of its type in the trace.
func (r *reference) inherited(f *flows.Flow, s *flows.Signal) []refKey {
	own, level := where(s)
	seen := map[place]bool{}
	for range maxAncestry {
		var found []refKey
		var next []place
		for _, at := range level {
			if seen[at] {
				continue
			}
			seen[at] = true
			for _, other := range r.signals {
				theirs, parents := where(other)
				if at.self == "" || !slices.Contains(theirs, at) {
					continue
				}
				next = append(next, parents...)
				for _, k := range keysOf(other) {
					if ofFlow(f, k) {
						found = append(found, k)
					}
				}
			}
		}
		if len(found) > 0 {
			return found
		}
		level = next
	}
	_, parents := where(s)
	for _, at := range append(slices.Clone(own), parents...) {
		keys, several := r.only(f, at)
		if len(keys) > 0 || several {
			return keys
		}
	}
	return nil
}

// only are the keys that are the only ones of their type in a trace: the primary one, else
// links.
func (r *reference) only(f *flows.Flow, at place) (keys []refKey, several bool) {
	byType := map[string]map[refKey]bool{}
	for _, other := range r.signals {
		theirs, _ := where(other)
		for _, t := range theirs {
			if t.environment != at.environment || t.kind != at.kind || t.group != at.group {
				continue
			}
			for _, k := range keysOf(other) {
				if byType[k.typ] == nil {
					byType[k.typ] = map[refKey]bool{}
				}
				byType[k.typ][k] = true
			}
		}
	}
	if len(byType[f.Key]) > 1 {
		return nil, true
	}
	for k := range byType[f.Key] {
		return []refKey{k}, false
	}
	for _, typ := range f.Links {
		if len(byType[typ]) > 1 {
			several = true
			continue
		}
		for k := range byType[typ] {
			keys = append(keys, k)
		}
	}
	return keys, several
}

// instances are what belongs to what: lines "flow key environment: step source/id".
func (r *reference) instances() []string {
	var lines []string
	for _, s := range r.signals {
		for _, hit := range r.set.Match(s, nil) {
			var direct, linked []refKey
			for _, k := range keysOf(s) {
				if primaryOf(hit.Flow, k) {
					direct = append(direct, k)
				} else if linkOf(hit.Flow, k) {
					linked = append(linked, k)
				}
			}
			if len(direct) == 0 {
				if len(linked) == 0 {
					linked = r.inherited(hit.Flow, s)
				}
				for _, k := range linked {
					direct = append(direct, r.primaries(hit.Flow, k)...)
				}
			}
			for _, k := range direct {
				lines = append(lines, belongs(hit.Flow, k.value, k.environment, hit.Step, s.Identity(), s.Time))
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func belongs(f *flows.Flow, key, environment string, step int, id flows.Identity, at flows.Time) string {
	return fmt.Sprintf("%s %s %q: %s %s/%s at %d", f.Name, key, environment, f.Steps[step].ID, id.Source, id.ID, at)
}

// found is the same of an engine.
func found(e *Engine) []string {
	var lines []string
	for _, fs := range e.flows {
		for in := range fs.instances.each() {
			key, environment := flows.SplitInstanceKey(in.key)
			for _, o := range e.occurrences(in) {
				lines = append(lines, belongs(fs.flow, key, environment, o.Step, identity(&o), o.Start))
			}
		}
	}
	slices.Sort(lines)
	return lines
}
