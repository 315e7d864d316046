package flows

import (
	"fmt"
	"slices"
	"strings"
)

// maxKeys bounds the keys of one signal, so that a list of a thousand keys does not link
// a thousand instances to each other.
const maxKeys = 256

// finder finds the keys of all types in use.
type finder struct {
	types   []*KeyType
	names   map[string][]int // attribute or field of data -> positions in types
	heads   map[string][]int // field of data that a dotted name may lead into -> positions in types
	lengths [256]uint64      // first byte of a name or head -> bit set of lengths modulo 64
	places  int              // names to look up when going by types
}

func newFinder(used []string, keys *Keys) finder {
	f := finder{names: map[string][]int{}, heads: map[string][]int{}}
	for i, name := range used {
		typ := keys.of(name)
		f.types = append(f.types, typ)
		for _, place := range typ.From {
			first := place[0] // of a composite key all parts must be there
			f.places += len(place)
			f.note(f.names, first, i)
			if head, _, dotted := strings.Cut(first, "."); dotted {
				f.note(f.heads, head, i)
			}
		}
	}
	return f
}

func (f *finder) note(index map[string][]int, name string, typ int) {
	index[name] = append(index[name], typ)
	if name != "" {
		f.lengths[name[0]] |= 1 << (len(name) % 64)
	}
}

// AssignKeys sets the signal's keys, and its system where systems.yaml names it: of each key type in use those of the first place
// that has any, in normal form. A list gives a key for each of its values. On an error,
// which names the key, the signal has no keys.
func (s *Set) AssignKeys(sig *Signal) error {
	s.naming.name(sig)
	var resolution bool
	if sig.Keys, resolution = resolvedKeys(sig); resolution {
		return nil
	}
	f := &s.finder
	var room [8]Key // most signals have no more, and what they have is taken over at once
	found := room[:0]
	if f.places <= 4 || len(sig.Attributes)+len(sig.Data)+len(sig.Packed.Attributes)/16+len(sig.Packed.Data)/16 > 4*f.places {
		for _, typ := range f.types {
			found = typ.find(sig, found)
		}
	} else {
		var few [16]int
		for _, i := range f.candidates(sig, few[:0]) {
			found = f.types[i].find(sig, found)
		}
	}
	if len(found) == 0 {
		return nil
	}
	sig.Keys = append(make([]Key, 0, len(found)), found...)
	return settleKeys(sig)
}

// candidates appends the positions of the types that the signal may carry, each once.
func (f *finder) candidates(sig *Signal, found []int) []int {
	for name := range sig.Attributes {
		if f.mayBe(name) {
			found = append(found, f.names[name]...)
		}
	}
	for name := range sig.Data {
		if f.mayBe(name) {
			found = append(append(found, f.names[name]...), f.heads[name]...)
		}
	}
	members(sig.Packed.Attributes, func(name string) {
		if f.mayBe(name) {
			found = append(found, f.names[name]...)
		}
	})
	members(sig.Packed.Data, func(name string) {
		if f.mayBe(name) {
			found = append(append(found, f.names[name]...), f.heads[name]...)
		}
	})
	if len(found) < 2 {
		return found
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// mayBe is a filter that spares most names the hash.
func (f *finder) mayBe(name string) bool {
	return name != "" && f.lengths[name[0]]>>(len(name)%64)&1 != 0
}

// KeyTypeInUse finds the definition of a type that some flow names.
func (s *Set) KeyTypeInUse(name string) (*KeyType, bool) {
	i, ok := slices.BinarySearch(s.keys, name)
	if !ok {
		return nil, false
	}
	return s.finder.types[i], true
}

// NamesKeys says whether a key, or a part of one, is taken from an attribute or field of a name.
func (s *Set) NamesKeys(name string) bool {
	for _, typ := range s.keys {
		if t, ok := s.KeyTypeInUse(typ); ok && slices.ContainsFunc(t.From, func(place []string) bool { return slices.Contains(place, name) }) {
			return true
		}
	}
	return false
}

// KeyRules differ for a flow between two sets where its key types are not defined alike:
// what it holds under one is not what it would hold under the other.
func (s *Set) KeyRules(flow *Flow) string {
	rules := make([]string, 0, 1+len(flow.Links))
	for _, name := range append([]string{flow.Key}, flow.Links...) {
		if typ, ok := s.KeyTypeInUse(name); ok {
			rules = append(rules, typ.rule)
		}
	}
	return strings.Join(rules, " ")
}

// settleKeys sorts the keys and holds them to their limits.
func settleKeys(sig *Signal) error {
	if len(sig.Keys) > 1 {
		slices.SortFunc(sig.Keys, CompareKeys)
		sig.Keys = slices.Compact(sig.Keys)
	}
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
