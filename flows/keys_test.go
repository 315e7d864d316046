package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const keysFile = `
order_id: {from: [order_id, order.id, app.order.id, orderNumber], normalise: [trim, upper, strip_zeros], pattern: '^[A-Z0-9-]+$'}
order_line: {from: [[order_id, line_no]]}
card: {from: [card], normalise: [lower]}
blank: {}
`

func mustKeys(t testing.TB, text string) *Keys {
	t.Helper()
	keys, faults := ParseKeys("keys.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return keys
}

func mustKeyedSet(t testing.TB, keys string, flows ...*Flow) *Set {
	t.Helper()
	s, err := NewKeyedSet(flows, mustKeys(t, keys))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseKeys(t *testing.T) {
	keys := mustKeys(t, keysFile)
	var names []string
	for _, typ := range keys.Types() {
		names = append(names, typ.Name)
	}
	if want := []string{"blank", "card", "order_id", "order_line"}; !slices.Equal(names, want) {
		t.Errorf("types %v", names)
	}
	for _, empty := range []string{"", "\n", "# nothing\n  # here\n", "{}"} {
		if got := mustKeys(t, empty).Types(); len(got) > 0 {
			t.Errorf("%q defines %v", empty, got)
		}
	}
	if got := (*Keys)(nil).Types(); len(got) > 0 {
		t.Error("no file defines something")
	}
}

func TestParseKeysFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		keys, faults := ParseKeys("keys.yaml", []byte(text))
		var got []string
		for _, fault := range faults {
			got = append(got, strings.TrimPrefix(fault.String(), "keys.yaml:"))
		}
		if keys != nil || !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
	f("[a]", "1:1: a keys file is a mapping; start it with a key type")
	f("a: {}\n---\nb: {}", "2:1: a second document")
	f("a: {}\na: {}", "2:1: key type `a` stands twice")
	f("1a: {}", "1:1: `key type` cannot be `1a`; write at most 128")
	f("a: order_id", "1:4: `a` must be a mapping, as {from: [a]")
	f("a:", "1:3: `a` must be a mapping")
	f("a: {form: [b]}", "1:5: unknown field `form`; did you mean `from`?")
	f("a: {from: b}", "1:11: `from` must be a list of names")
	f("a: {from: []}", "1:11: `from` must be a list of names")
	f("a: {from: [b, b]}", "1:15: `b` stands twice in `from`")
	f("a: {from: [[b]]}", "1:12: a key of several parts has one")
	f("a: {from: [[b, b]]}", "1:16: `b` stands twice in `from`")
	f("a: {from: [[b, c], [b, c]]}", "1:20: `b, c` stands twice in `from`")
	f("a: {from: [[1,2,3,4,5,6,7,8,9]]}", "1:29: a key of 9 parts; at most 8")
	f("a: {from: [''] }", "1:12: `from` is empty")
	f("a: {normalise: [trimm]}", "1:17: `normalise` cannot be `trimm`; write some of `trim`, `upper`, `lower`, `strip_zeros`; did you mean `trim`?")
	f("a: {normalise: [upper, lower]}", "1:16: `upper` and `lower` in one `normalise`")
	f("a: {pattern: '['}", "1:14: `pattern` is not a regular expression (RE2): missing closing ]")
	f("a: {pattern: '(?=x)'}", "1:14: `pattern` is not a regular expression (RE2): invalid or unsupported Perl syntax")
	f("a: {pattern: '"+strings.Repeat("x", maxPatternBytes+1)+"'}", "1:14: `pattern` has 1025 bytes")
	f("a: {partners: 0}", "1:15: `partners` must be a number from 1 to 100000")
	f("a: {partners: many}", "1:15: `partners` must be a number from 1 to 100000")
	var many strings.Builder
	for i := range maxKeyTypes + 2 {
		fmt.Fprintf(&many, "k%d: {}\n", i)
	}
	f(many.String(), "1001:1: more than 1000 key types")
}

func TestAssignKeysByFile(t *testing.T) {
	flow := &Flow{Name: "f", Key: "order_id", Links: []string{"order_line", "card", "blank", "other"}}
	type m = map[string]any
	s := mustKeyedSet(t, keysFile, flow)
	f := func(attributes, data m, want ...string) {
		t.Helper()
		for _, s := range []*Set{s, wide(t, flow)} {
			sig := &Signal{Attributes: attributes, Data: data}
			if err := s.AssignKeys(sig); err != nil {
				t.Error(err)
			}
			var got []string
			for _, k := range sig.Keys {
				got = append(got, k.String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v %v: %q, want %q", attributes, data, got, want)
			}
		}
	}
	f(m{"order_id": " 00a1 "}, nil, "order_id:A1")
	f(m{"order_id": int64(7)}, nil, "order_id:7")
	f(m{"order_id": "000"}, nil, "order_id:0")
	f(m{"orderNumber": "5"}, m{"order": m{"id": "6"}}, "order_id:6")            // the first place that has one
	f(m{"orderNumber": "5", "order_id": "n/a"}, nil, "order_id:5")              // n/a is none
	f(m{"order_id": "n/a"}, nil)                                                // nor is there another
	f(nil, m{"app": m{"order": m{"id": "9"}}}, "order_id:9")                    // a path
	f(m{"app.order.id": "8"}, m{"app": m{"order": m{"id": "9"}}}, "order_id:8") // an attribute first
	f(m{"order_id": []any{"1", "n/a", "01"}}, nil, "order_id:1")                // a list, without repeats
	f(m{"order_id": "4:7", "line_no": int64(2)}, nil, `order_line:4\:7:2`)      // 4:7 is no order id
	f(m{"order_id": "4", "line_no": `7:2\`}, nil, "order_id:4", `order_line:4:7\:2\\`)
	f(m{"order_id": "4", "line_no": []any{"2", "1"}}, nil, "order_id:4", "order_line:4:1", "order_line:4:2")
	f(m{"order_id": []any{"4", "5"}, "line_no": []any{"2", "1"}}, nil, "order_id:4", "order_id:5")
	f(m{"line_no": "1"}, nil)
	f(m{"order_id": "", "line_no": "1"}, nil)
	f(m{"card": " ABC"}, nil, "card: abc") // not trimmed, since the file does not say so
	f(m{"card": "  "}, nil)
	f(m{"card": "a\x1fb"}, nil) // what stands between key and environment
	f(m{"blank": " x "}, nil, "blank:x")
	f(m{"other": " x "}, nil, "other:x")
	typ, ok := s.KeyTypeInUse("order_id")
	if !ok || typ.Refused() != 4 {
		t.Errorf("refused %d values", typ.Refused())
	}
	if _, ok := s.KeyTypeInUse("unused"); ok {
		t.Error("a type that no flow names is in use")
	}
}

// wide has so many key types beside those of a flow that keys are found by going through
// the signal.
func wide(t testing.TB, flow *Flow) *Set {
	other := &Flow{Name: "wide", Key: "w"}
	for i := range 50 {
		other.Links = append(other.Links, fmt.Sprintf("w.%d", i))
	}
	return mustKeyedSet(t, keysFile, flow, other)
}

// Keys of several parts are the same only where all parts are.
func TestCompositeKeysAreOneToOne(t *testing.T) {
	texts := []string{"a", ":", `\`, "a:", `a\`, `\:`, "a:b", `:\`}
	seen := map[string][2]string{}
	for _, a := range texts {
		for _, b := range texts {
			key := joinParts([]string{a, b})
			if other, ok := seen[key]; ok {
				t.Errorf("%q is of %q and of %q %q", key, other, a, b)
			}
			seen[key] = [2]string{a, b}
		}
	}
}

func TestKeyRules(t *testing.T) {
	a := &Flow{Name: "a", Key: "order_id"}
	b := &Flow{Name: "b", Key: "b", Links: []string{"card"}}
	c := &Flow{Name: "c", Key: "c"}
	before := mustKeyedSet(t, "order_id: {}\ncard: {from: [x]}", a, b, c)
	after := mustKeyedSet(t, "# said otherwise\norder_id: {normalise: [upper]}\ncard:\n  from: [x]\n", a, b, c)
	for flow, same := range map[*Flow]bool{a: false, b: true, c: true} {
		if (before.KeyRules(flow) == after.KeyRules(flow)) != same {
			t.Errorf("%s: %q and %q", flow.Name, before.KeyRules(flow), after.KeyRules(flow))
		}
	}
	if plain := mustSet(t, a, b, c); plain.KeyRules(a) == before.KeyRules(a) || plain.KeyRules(c) != before.KeyRules(c) {
		t.Error("a definition is not told from none")
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, text := range []string{keysFile, "a: {from: [[b, c], d]}", "a: {pattern: '(a|b)*'}", "&x a: *x", "a: {<<: {}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, faults := ParseKeys("keys.yaml", []byte(text))
		if (keys == nil) == (len(faults) == 0) {
			t.Fatalf("%v, %v", keys, faults)
		}
		if keys == nil {
			return
		}
		flow := &Flow{Name: "f", Key: "k"}
		for _, typ := range keys.Types() {
			flow.Links = append(flow.Links, typ.Name)
		}
		s, err := NewKeyedSet([]*Flow{flow}, keys)
		if err != nil {
			t.Fatal(err)
		}
		sig := &Signal{Attributes: map[string]any{"a": "1", "b": " 0x", "c": []any{"2"}}, Data: map[string]any{"d": map[string]any{"e": "3"}}}
		_ = s.AssignKeys(sig) // must only not fail otherwise
	})
}
