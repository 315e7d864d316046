package flows

import (
	"fmt"
	"slices"
	"strings"
)

// Set is a compiled index over the flows that run together. It is immutable: a change of
// a flow file makes a new Set. Everything in it may be shared.
type Set struct {
	flows   []*Flow // by name
	keys    []string
	primary []string
	finder  finder
	naming  Naming
	names   [2]map[string][]target
}

// target is a position of a flow that a signal of some name may be.
type target struct {
	flow *Flow
	step int
}

// Hit is a step that a signal matched, or a hold's end, or a resolution.
type Hit struct {
	Flow   *Flow
	Step   int  // position, as Occurrence.Step
	Failed bool // a failed try: counts as an error, does not make the step occur
}

// NewSet indexes flows whose key types are defined nowhere else (see Keys). Two flows of
// one name are an error.
func NewSet(flows []*Flow) (*Set, error) { return NewKeyedSet(flows, nil) }

// NewKeyedSet indexes flows whose key types may be defined in a keys file.
func NewKeyedSet(flows []*Flow, keys *Keys) (*Set, error) {
	s := &Set{flows: slices.Clone(flows)}
	slices.SortFunc(s.flows, func(a, b *Flow) int { return strings.Compare(a.Name, b.Name) })
	s.names[Event], s.names[Span] = map[string][]target{}, map[string][]target{}
	for i, f := range s.flows {
		if i > 0 && s.flows[i-1].Name == f.Name {
			return nil, fmt.Errorf("two flows are named %q", f.Name)
		}
		s.primary = append(s.primary, f.Key)
		s.keys = append(append(s.keys, f.Key), f.Links...)
		for j := range f.resolvedPosition() {
			if m := f.match(j); m.Name != "" {
				s.names[m.Kind][m.Name] = append(s.names[m.Kind][m.Name], target{f, j})
			}
		}
		s.names[Event][ResolvedName] = append(s.names[Event][ResolvedName], target{f, f.resolvedPosition()})
	}
	s.primary, s.keys = distinct(s.primary), distinct(s.keys)
	s.finder = newFinder(s.keys, keys)
	return s, nil
}

func distinct(words []string) []string {
	slices.Sort(words)
	return slices.Compact(words)
}

// Flows are all flows by name. The slice is the set's own.
func (s *Set) Flows() []*Flow { return s.flows }

// Flow finds a flow by name.
func (s *Set) Flow(name string) (*Flow, bool) {
	i, ok := slices.BinarySearchFunc(s.flows, name, func(f *Flow, name string) int { return strings.Compare(f.Name, name) })
	if !ok {
		return nil, false
	}
	return s.flows[i], true
}

// KeyTypes are the types of all keys and links, sorted. The slice is the set's own.
func (s *Set) KeyTypes() []string { return s.keys }

// PrimaryTypes are the types of the flows' primary keys, sorted. The slice is the set's own.
func (s *Set) PrimaryTypes() []string { return s.primary }

// Wants says whether some flow may have use for a signal whose keys are assigned: it
// carries a key, or has the name of a step or a hold.
func (s *Set) Wants(sig *Signal) bool {
	return len(sig.Keys) > 0 || len(s.names[sig.Kind][sig.Name]) > 0
}

// NamesSpan says whether a span of that name may be wanted for its name.
func (s *Set) NamesSpan(name string) bool { return len(s.names[Span][name]) > 0 }

// NamesAttribute says whether a span may be wanted for an attribute of that name.
func (s *Set) NamesAttribute(name string) bool {
	return s.finder.mayBe(name) && len(s.finder.names[name]) > 0
}

// ImportSource begins the source of imported signals; the name of their flow follows.
const ImportSource = "import/"

// importedInto is the flow that an imported signal is history of. It counts in no other,
// though that may know the same names and keys; and since an event log does not say who
// sent what, steps take it by name alone.
func importedInto(sig *Signal) (flow string, imported bool) {
	if sig.AsOf == 0 {
		return "", false
	}
	return strings.CutPrefix(sig.Source, ImportSource)
}

// Match appends the positions that a signal is, by flow name, then in file order. One
// whose condition cannot be evaluated is not matched; Where.Faults counts it.
func (s *Set) Match(sig *Signal, hits []Hit) []Hit {
	only, imported := importedInto(sig)
	for _, t := range s.names[sig.Kind][sig.Name] {
		if imported && t.flow.Name != only {
			continue
		}
		if t.step == t.flow.resolvedPosition() {
			if sig.Source == ResolvedSource && stringOf(sig.Field("flow")) == t.flow.Name {
				hits = append(hits, Hit{Flow: t.flow, Step: t.step})
			}
			continue
		}
		m := t.flow.match(t.step)
		if !imported && (m.Source != "" && m.Source != sig.Source || m.Service != "" && !sig.reportsAs(m.Service)) {
			continue
		}
		failed := sig.Failed
		if m.Where != nil {
			if ok, err := m.Where.Eval(sig); err != nil || !ok {
				continue // counted by the condition itself
			}
			failed = failed && !m.Where.UsesOutcome()
		}
		hits = append(hits, Hit{t.flow, t.step, failed})
	}
	return hits
}

// reporter is service.name, which is a span's source; of an event without it its source.
func (s *Signal) reporter() string {
	if s.Kind == Event {
		v, _ := s.Attribute("service.name")
		if name, ok := v.(string); ok {
			return name
		}
	}
	return s.Source
}

// reportsAs is what a step's `service` filter asks: service.name, else who reports.
func (s *Signal) reportsAs(service string) bool {
	if s.reporter() == service {
		return true
	}
	v, _ := s.Attribute("service.name")
	_, named := v.(string)
	return s.Kind == Event && !named && s.System == service
}

// Occur is what the fold needs of a signal that matched a position of this flow.
func (f *Flow) Occur(sig *Signal, step int, failed bool) Occurrence {
	return f.OccurHashed(sig, sig.ContentHash(), step, failed)
}

// OccurHashed is Occur for who knows the signal's ContentHash already.
func (f *Flow) OccurHashed(sig *Signal, hash uint64, step int, failed bool) Occurrence {
	id := sig.Identity()
	o := Occurrence{
		Step: step, At: sig.OccursAt(), Start: sig.Time, Failed: failed, Sampled: sig.Sampled, Source: id.Source, ID: id.ID,
		Sequence: sig.Sequence, System: sig.System, AsOf: sig.AsOf, Hash: hash, Child: f.childOf(sig, step),
	}
	if step == f.resolvedPosition() {
		return o
	}
	if len(f.Expects()) > 0 {
		o.Expect = f.expectOf(sig)
	}
	if f.Amount != "" {
		f.occurValue(sig, &o)
	}
	for i, name := range f.Segments {
		v, _ := sig.Lookup(name)
		text, ok := Text(v)
		if text = strings.TrimSpace(text); !ok || text == "" || len(text) > MaxKeyBytes {
			continue
		}
		if o.Segments == nil {
			o.Segments = make([]string, len(f.Segments))
		}
		o.Segments[i] = text
	}
	return o
}

// occurValue sets the value where the signal has amount and currency, both.
func (f *Flow) occurValue(sig *Signal, o *Occurrence) {
	v, _ := sig.Lookup(f.Currency)
	text, ok := v.(string)
	currency := strings.TrimSpace(text)
	if !ok || currency == "" || len(currency) > maxCurrencyBytes {
		return
	}
	v, _ = sig.Lookup(f.Amount)
	if amount := readAmount(v); amount.Valid {
		o.Amount, o.Currency = amount, currency
	}
}
