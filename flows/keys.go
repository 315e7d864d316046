package flows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"go.yaml.in/yaml/v4"
)

// Bounds of a keys file, and of what it may ask for.
const (
	maxKeyTypes     = 1000
	maxFrom         = 32      // places that one key type is looked for in
	maxParts        = 8       // names of one composite key
	maxPatternBytes = 1 << 10 // of a key's pattern
	mostPartners    = 100_000

	// DefaultPartners is how many keys one key may be linked to. One with more is common:
	// it says nothing about what belongs together, and its links are void.
	DefaultPartners = 1000
)

var (
	keyFields      = []string{"from", "normalise", "pattern", "partners"}
	normaliseWords = []string{"trim", "upper", "lower", "strip_zeros"}
)

// Keys are the key types that a keys file defines (FLOWS.md section 2). It is read-only
// after ParseKeys; nil defines none.
type Keys struct {
	types map[string]*KeyType
	names []string
}

// KeyType says where keys of a type are found, and what their normal form is.
type KeyType struct {
	Name     string
	From     [][]string // places in the order they are tried; more than one name is a composite key
	Partners int        // a key with more partners is common

	normalise []string
	pattern   *regexp.Regexp // nil takes all
	rule      string         // differs where any of the above does; "" for the default
	refused   atomic.Uint64
}

// Refused is how many values were no key, because they do not match the type's pattern.
func (k *KeyType) Refused() uint64 { return k.refused.Load() }

// ParseKeys reads and checks a keys file. It returns what it defines, or every fault of
// the file in the order of their places; never both. A file without content defines none.
func ParseKeys(file string, b []byte) (*Keys, []Fault) {
	p := &parser{file: file}
	keys := &Keys{types: map[string]*KeyType{}}
	if !onlyComments(b) {
		if root := p.document(b, "keys"); root != nil {
			p.keyTypes(root, keys)
		}
	}
	if len(p.faults) > 0 {
		return nil, p.sorted()
	}
	return keys, nil
}

// Types are the key types by name.
func (k *Keys) Types() []*KeyType {
	if k == nil {
		return nil
	}
	list := make([]*KeyType, len(k.names))
	for i, name := range k.names {
		list[i] = k.types[name]
	}
	return list
}

// of is the definition of a type: that of the file, else an attribute or a field of data
// of that very name, without spaces around it.
func (k *Keys) of(name string) *KeyType {
	if k != nil {
		if t := k.types[name]; t != nil {
			return t
		}
	}
	return &KeyType{Name: name, From: [][]string{{name}}, Partners: DefaultPartners, normalise: normaliseWords[:1]}
}

func onlyComments(b []byte) bool {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

func (p *parser) keyTypes(root *yaml.Node, keys *Keys) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		typ := p.word(name, "key type", keyTypePattern, "order_id")
		switch {
		case typ == "":
		case keys.types[typ] != nil:
			p.fault(name, "key type `%s` stands twice; keep one", typ)
		case value.Kind != yaml.MappingNode:
			p.fault(value, "`%s` must be a mapping, as {from: [%s], normalise: [trim, upper]}", typ, typ)
		case len(keys.names) == maxKeyTypes:
			p.fault(name, "more than %d key types; remove those that no flow names", maxKeyTypes)
			return
		default:
			keys.types[typ] = p.keyType(typ, value)
			keys.names = append(keys.names, typ)
		}
	}
	slices.Sort(keys.names)
}

func (p *parser) keyType(name string, n *yaml.Node) *KeyType {
	fields := p.fields(n, keyFields)
	k := &KeyType{
		Name: name, From: p.from(fields["from"]), Partners: p.partners(fields["partners"]),
		pattern: p.pattern(fields["pattern"]), normalise: p.words(fields["normalise"], "normalise", p.normalForm),
	}
	if fields["from"] == nil {
		k.From = [][]string{{name}}
	}
	if fields["normalise"] == nil {
		k.normalise = normaliseWords[:1]
	}
	if slices.Contains(k.normalise, "upper") && slices.Contains(k.normalise, "lower") {
		p.fault(fields["normalise"], "`upper` and `lower` in one `normalise`; keep one")
	}
	text := fmt.Sprintf("%q %q %d %s", k.From, k.normalise, k.Partners, k.pattern)
	sum := sha256.Sum256([]byte(text))
	k.rule = hex.EncodeToString(sum[:8])
	return k
}

func (p *parser) from(n *yaml.Node) [][]string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fault(n, "`from` must be a list of names, as [order_id, order.id], or of lists of names for a key of several parts, as [[order_id, line_no]]")
		return nil
	}
	if len(n.Content) > maxFrom {
		p.fault(n.Content[maxFrom], "`from` has %d places; at most %d are looked at", len(n.Content), maxFrom)
		return nil
	}
	var places [][]string
	for _, e := range n.Content {
		var place []string
		if e.Kind == yaml.SequenceNode {
			place = p.words(e, "from", p.str)
			switch len(e.Content) {
			case 0: // words said it
			case 1:
				p.fault(e, "a key of several parts has one; write the name without brackets around it")
			default:
				if len(e.Content) > maxParts {
					p.fault(e.Content[maxParts], "a key of %d parts; at most %d are taken", len(e.Content), maxParts)
				}
			}
		} else if name := p.str(e, "from"); name != "" {
			place = []string{name}
		}
		if slices.ContainsFunc(places, func(other []string) bool { return slices.Equal(other, place) }) {
			p.fault(e, "`%s` stands twice in `from`; keep one", strings.Join(place, ", "))
			continue
		}
		places = append(places, place)
	}
	return places
}

func (p *parser) normalForm(n *yaml.Node, field string) string {
	word := p.str(n, field)
	if word != "" && !slices.Contains(normaliseWords, word) {
		p.fault(n, "`normalise` cannot be `%s`; write some of %s%s", shortened(word), quoted(normaliseWords), didYouMean(word, normaliseWords))
		return ""
	}
	return word
}

// pattern must match the whole value.
func (p *parser) pattern(n *yaml.Node) *regexp.Regexp {
	text := p.str(n, "pattern")
	if text == "" {
		return nil
	}
	if len(text) > maxPatternBytes {
		p.fault(n, "`pattern` has %d bytes; at most %d are taken", len(text), maxPatternBytes)
		return nil
	}
	if _, err := regexp.Compile(text); err != nil {
		p.fault(n, "`pattern` is not a regular expression (RE2): %s; write it as '^[A-Z0-9-]+$'", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil { // too large only with what is around it
		p.fault(n, "`pattern` is too large: %s", err)
	}
	return whole
}

func (p *parser) partners(n *yaml.Node) int {
	if n == nil {
		return DefaultPartners
	}
	number, err := strconv.Atoi(p.str(n, "partners"))
	if err != nil || number < 1 || number > mostPartners {
		p.fault(n, "`partners` must be a number from 1 to %d: a key that is linked to more others is common, and its links are void", mostPartners)
	}
	return number
}

// normal is the normal form of one part of a key.
func (k *KeyType) normal(s string) string {
	for _, word := range k.normalise {
		switch word {
		case "trim":
			s = strings.TrimSpace(s)
		case "upper":
			s = strings.ToUpper(s)
		case "lower":
			s = strings.ToLower(s)
		case "strip_zeros":
			if stripped := strings.TrimLeft(s, "0"); stripped != "" || s == "" {
				s = stripped
			} else {
				s = "0"
			}
		}
	}
	return s
}

// find appends the keys of this type that a signal carries: of the first place that has
// any.
func (k *KeyType) find(sig *Signal, keys []Key) []Key {
	before := len(keys)
	for _, place := range k.From {
		if len(place) == 1 {
			if v, ok := sig.Lookup(place[0]); ok {
				keys = k.each(v, func(part string) string { return part }, keys)
			}
		} else {
			keys = k.composite(sig, place, keys)
		}
		if len(keys) > before {
			break
		}
	}
	return keys
}

// each appends a key for a value, or for each of a list. whole makes it of the part.
func (k *KeyType) each(v any, whole func(part string) string, keys []Key) []Key {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, e := range list {
		if part, ok := k.part(e); ok {
			keys = k.take(whole(part), keys)
		}
	}
	return keys
}

// part is the normal form of a scalar; false where there is nothing in it, or what no key
// may have.
func (k *KeyType) part(v any) (string, bool) {
	text, ok := Text(v)
	if !ok || strings.TrimSpace(text) == "" || strings.IndexByte(text, environmentMark[0]) >= 0 {
		return "", false
	}
	return k.normal(text), true
}

// take appends a key, if its value is one of this type.
func (k *KeyType) take(value string, keys []Key) []Key {
	if k.pattern != nil && !k.pattern.MatchString(value) {
		k.refused.Add(1)
		return keys
	}
	return append(keys, Key{k.Name, value})
}

// composite appends the keys made of several parts, all of which must be there. One of
// them may be a list; of two lists nobody can tell what belongs to what.
func (k *KeyType) composite(sig *Signal, place []string, keys []Key) []Key {
	parts, many := make([]string, len(place)), -1
	var list any
	for i, name := range place {
		v, ok := sig.Lookup(name)
		if !ok {
			return keys
		}
		if _, isList := v.([]any); isList {
			if many >= 0 {
				return keys
			}
			many, list = i, v
			continue
		}
		if parts[i], ok = k.part(v); !ok {
			return keys
		}
	}
	if many < 0 {
		return k.take(joinParts(parts), keys)
	}
	return k.each(list, func(part string) string {
		parts[many] = part
		return joinParts(parts)
	}, keys)
}

// partEscapes keep two composite keys apart whatever their parts hold.
var partEscapes = strings.NewReplacer(`\`, `\\`, `:`, `\:`)

// joinParts is the value of a composite key: its parts with a colon between them.
func joinParts(parts []string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(':')
		}
		if strings.ContainsAny(part, `\:`) {
			part = partEscapes.Replace(part)
		}
		b.WriteString(part)
	}
	return b.String()
}
