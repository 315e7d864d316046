package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// maxKeys bounds the keys of one signal, so that a list of a thousand keys does not link
// a thousand instances to each other.
const maxKeys = 256

// Set is a compiled index over the flows that run together. It is immutable: a change of
// a flow file makes a new Set. Everything in it may be shared.
type Set struct {
	flows   []*Flow // by name
	keys    []string
	primary []string
	dotted  []string            // of keys, those with a dot: they may be paths into data
	isKey   map[string]struct{} // keys
	lengths [256]uint64         // first byte of a key type -> bit set of lengths modulo 64
	names   [2]map[string][]target
}

// target is a step that a signal of some name may be.
type target struct {
	flow *Flow
	step int
}

// Hit is a step that a signal matched.
type Hit struct {
	Flow   *Flow
	Step   int
	Failed bool // a failed try: counts as an error, does not make the step occur
}

// NewSet indexes flows. Two flows of one name are an error.
func NewSet(flows []*Flow) (*Set, error) {
	s := &Set{flows: slices.Clone(flows), isKey: map[string]struct{}{}}
	slices.SortFunc(s.flows, func(a, b *Flow) int { return strings.Compare(a.Name, b.Name) })
	s.names[Event], s.names[Span] = map[string][]target{}, map[string][]target{}
	for i, f := range s.flows {
		if i > 0 && s.flows[i-1].Name == f.Name {
			return nil, fmt.Errorf("two flows are named %q", f.Name)
		}
		s.primary = append(s.primary, f.Key)
		s.keys = append(append(s.keys, f.Key), f.Links...)
		for j := range f.Steps {
			m := &f.Steps[j].Match
			s.names[m.Kind][m.Name] = append(s.names[m.Kind][m.Name], target{f, j})
		}
	}
	s.primary, s.keys = distinct(s.primary), distinct(s.keys)
	for _, k := range s.keys {
		s.isKey[k] = struct{}{}
		s.lengths[k[0]] |= 1 << (len(k) % 64)
		if strings.Contains(k, ".") {
			s.dotted = append(s.dotted, k)
		}
	}
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

// AssignKeys sets the signal's keys: of each key type in use the attribute or the field
// of data of that name, in normal form (without spaces around it). A list gives a key
// for each of its values. On an error, which names the key, the signal has no keys.
func (s *Set) AssignKeys(sig *Signal) error {
	sig.Keys = nil
	if len(s.keys) <= 4 || len(sig.Attributes)+len(sig.Data) > 4*len(s.keys) {
		for _, typ := range s.keys {
			if v, ok := sig.Lookup(typ); ok {
				addKeys(sig, typ, v)
			}
		}
	} else {
		for name, v := range sig.Attributes {
			if s.mayBeKey(name) {
				addKeys(sig, name, v)
			}
		}
		for name, v := range sig.Data {
			if s.mayBeKey(name) {
				if _, hidden := sig.Attributes[name]; !hidden {
					addKeys(sig, name, v)
				}
			}
		}
		if len(sig.Data) > 0 {
			s.assignPaths(sig)
		}
	}
	if len(sig.Keys) == 0 {
		return nil
	}
	return settleKeys(sig)
}

// assignPaths adds the keys that lie deeper in data.
func (s *Set) assignPaths(sig *Signal) {
	for _, typ := range s.dotted {
		if _, ok := sig.Attributes[typ]; ok {
			continue
		}
		if _, ok := sig.Data[typ]; ok {
			continue
		}
		if v, ok := sig.Lookup(typ); ok {
			addKeys(sig, typ, v)
		}
	}
}

// mayBeKey is isKey behind a filter that spares most names the hash.
func (s *Set) mayBeKey(name string) bool {
	if name == "" || s.lengths[name[0]]>>(len(name)%64)&1 == 0 {
		return false
	}
	_, ok := s.isKey[name]
	return ok
}

func addKeys(sig *Signal, typ string, v any) {
	list, ok := v.([]any)
	if !ok {
		addKey(sig, typ, v)
		return
	}
	for _, e := range list {
		addKey(sig, typ, e)
	}
}

func addKey(sig *Signal, typ string, v any) {
	if text, ok := Text(v); ok {
		if text = strings.TrimSpace(text); text != "" {
			sig.Keys = append(sig.Keys, Key{typ, text})
		}
	}
}

// settleKeys sorts the keys and holds them to their limits.
func settleKeys(sig *Signal) error {
	slices.SortFunc(sig.Keys, CompareKeys)
	sig.Keys = slices.Compact(sig.Keys)
	var err error
	if n := len(sig.Keys); n > maxKeys {
		err = fmt.Errorf("signal has %d keys, the first is %s; at most %d are taken", n, shortened(sig.Keys[0].String()), maxKeys)
	}
	for _, k := range sig.Keys {
		if len(k.Value) > MaxKeyBytes {
			err = fmt.Errorf("key %s has %d bytes; at most %d are taken", k.Type, len(k.Value), MaxKeyBytes)
			break
		}
	}
	if err != nil {
		sig.Keys = nil
	}
	return err
}

// Wants says whether some flow may have use for a signal whose keys are assigned: it
// carries a key, or has the name of a step.
func (s *Set) Wants(sig *Signal) bool {
	return len(sig.Keys) > 0 || len(s.names[sig.Kind][sig.Name]) > 0
}

// Match appends the steps that a signal is, by flow name, then in file order. A step
// whose condition cannot be evaluated is not matched; Where.Faults counts it.
func (s *Set) Match(sig *Signal, hits []Hit) []Hit {
	for _, t := range s.names[sig.Kind][sig.Name] {
		m := &t.flow.Steps[t.step].Match
		if m.Source != "" && m.Source != sig.Source || m.Service != "" && m.Service != sig.service() {
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

// service is what a step's `service` filter speaks of: service.name, which is a span's
// source; else who reports.
func (s *Signal) service() string {
	if s.Kind == Span {
		return s.Source
	}
	if name, ok := s.Attributes["service.name"].(string); ok {
		return name
	}
	return s.System
}

// Occur is what the fold needs of a signal that matched a step of this flow.
func (f *Flow) Occur(sig *Signal, step int, failed bool) Occurrence {
	id := sig.Identity()
	o := Occurrence{
		Step: step, At: sig.OccursAt(), Start: sig.Time, Failed: failed, Source: id.Source, ID: id.ID,
		Sequence: sig.Sequence, System: sig.System, AsOf: sig.AsOf, Hash: sig.ContentHash(),
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
	if amount, ok := ParseAmount(v); ok {
		o.Amount, o.Currency = decimal.NewNullDecimal(amount), currency
	}
}
