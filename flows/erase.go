package flows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Eraser takes the value of one key out of signals, and all that they carry besides what
// numbers rest on: they are counted as before, under a word that says nothing.
type Eraser struct {
	Key     Key
	Token   string // in place of the value
	set     *Set
	typ     *KeyType
	numbers []string // attributes that are added up or counted with, kept as they are
	words   []string // attributes that tell cases, children and copies apart, kept but for the value itself
}

// Attributes that say where a signal belongs, whatever flows there are. They are kept.
var placing = []string{"service.name", "correlationid", "causationid", "traceparent", SpanLinks}

// NewEraser is for a key in its normal form. more are flows by which instances are folded
// besides those of the set: earlier versions.
func NewEraser(set *Set, key Key, token string, more []*Flow) *Eraser {
	e := &Eraser{Key: key, Token: token, set: set}
	if typ, ok := set.KeyTypeInUse(key.Type); ok {
		e.typ = typ
	}
	for _, f := range append(slices.Clone(set.Flows()), more...) {
		e.numbers = append(append(e.numbers, f.Amount, f.Currency), f.Expects()...)
		e.words = append(e.words, f.Segments...)
		for i := range f.Steps {
			e.words = append(e.words, f.Steps[i].Each)
		}
		for i := range f.resolvedPosition() {
			if m := f.match(i); m.Where != nil {
				e.words = append(e.words, m.Where.names...)
			}
		}
	}
	none := func(name string) bool { return name == "" }
	e.numbers = distinct(slices.DeleteFunc(e.numbers, none))
	e.words = slices.DeleteFunc(distinct(slices.DeleteFunc(e.words, none)), func(name string) bool {
		return slices.Contains(e.numbers, name) || slices.Contains(placing, name)
	})
	return e
}

// Carries says whether a signal, as it is stored, has the key: it was found when it came,
// or is by the definitions in force now. The keys of a signal that was erased before are
// those that it is stored with.
func (e *Eraser) Carries(s *Signal) bool {
	if slices.Contains(s.Keys, e.Key) {
		return true
	}
	again := *s
	return !s.Erased && e.set.AssignKeys(&again) == nil && slices.Contains(again.Keys, e.Key)
}

// Erase makes of a signal that carries the key what is left of it.
func (e *Eraser) Erase(s *Signal) error {
	if err := s.Unpack(); err != nil {
		return err
	}
	keys := s.Keys
	if again := *s; !s.Erased && e.set.AssignKeys(&again) == nil {
		keys = append(slices.Clone(keys), again.Keys...)
	}
	s.Keys = slices.Clone(keys)
	for i, k := range s.Keys {
		if k == e.Key {
			s.Keys[i].Value = e.Token
		}
	}
	if err := settleKeys(s); err != nil {
		return err
	}
	if typ, value := stringOf(s.Field("key_type")), stringOf(s.Field("key")); s.Name == ResolvedName && s.Source == ResolvedSource {
		if (Key{typ, value}) == e.Key {
			value = e.Token
		}
		s.Attributes, s.Data = nil, map[string]any{"flow": s.Data["flow"], "key_type": typ, "key": value}
		s.Erased = true
		return nil
	}
	kept := map[string]any{}
	for _, name := range slices.Concat(e.numbers, placing) {
		if v, ok := s.Lookup(name); ok {
			kept[name] = v
		}
	}
	for _, name := range e.words {
		if v, ok := s.Lookup(name); ok {
			kept[name] = e.without(v)
		}
	}
	if s.Attributes, s.Data, s.Erased = kept, nil, true; len(kept) == 0 {
		s.Attributes = nil
	}
	return nil
}

// without is a value with the token in place of the key's.
func (e *Eraser) without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, inner := range v {
			m[name] = e.without(inner)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = e.without(inner)
		}
		return list
	}
	if text, ok := Text(v); ok && e.Is(text) {
		return e.Token
	}
	return v
}

// Is says whether a text is the key's value, as somebody may have written it.
func (e *Eraser) Is(text string) bool {
	return text == e.Key.Value || e.typ != nil && e.typ.normal(text) == e.Key.Value
}

// Names are the attributes and fields that the key's type is found in, those of composite
// keys not among them.
func (e *Eraser) Names() (names []string) {
	if e.typ == nil {
		return []string{e.Key.Type}
	}
	for _, place := range e.typ.From {
		if len(place) == 1 {
			names = append(names, place[0])
		}
	}
	return names
}

// AssignStored is AssignKeys for a signal as it is stored. One that was erased has no
// attributes to find its keys by: it is stored with them.
func (s *Set) AssignStored(sig *Signal) error {
	if !sig.Erased {
		return s.AssignKeys(sig)
	}
	s.naming.name(sig)
	sig.Keys = slices.DeleteFunc(sig.Keys, func(k Key) bool {
		_, used := slices.BinarySearch(s.keys, k.Type)
		return !used
	})
	return nil
}

// ErasableKey reads type:value as somebody writes it, into its normal form; the error says
// what is wrong with it.
func (s *Set) ErasableKey(text string) (Key, error) {
	key, err := ParseKey(text)
	if err != nil {
		return key, err
	}
	if typ, ok := s.KeyTypeInUse(key.Type); ok && !strings.Contains(key.Value, ":") {
		key.Value = typ.normal(key.Value)
	}
	return key, nil
}

// Erasable says what of a key cannot be erased; nil where it can.
func (s *Set) Erasable(key Key) error {
	switch {
	case len(key.String()) > MaxKeyBytes+MaxNameBytes:
		return fmt.Errorf("the key has %d bytes; no key has more than %d", len(key.String()), MaxKeyBytes+MaxNameBytes)
	case !utf8.ValidString(key.String()) || strings.ContainsFunc(key.String(), unicode.IsControl):
		return errors.New("the key is no text; write it as type:value, for example order_id:4711")
	case !keyTypePattern.MatchString(key.Type):
		return fmt.Errorf("%s is no type of key; write it as type:value, for example order_id:4711", shortened(key.Type))
	}
	return nil
}
