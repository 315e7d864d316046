package flows

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseCapabilities(t *testing.T) {
	const text = "order-fulfilment: {title: Order to cash, owner: order-platform, systems: [webshop, payments], flows: [orders, returns]}\ncare: {}\n"
	got, faults := ParseCapabilities("capabilities.yaml", []byte(text))
	if faults != nil {
		t.Fatal(faults)
	}
	want := map[string]*Capability{
		"order-fulfilment": {Name: "order-fulfilment", Title: "Order to cash", Owner: "order-platform", Systems: []string{"webshop", "payments"}, Flows: []string{"orders", "returns"}},
		"care":             {Name: "care", Title: "care"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Capability{})); diff != "" {
		t.Error(diff)
	}
	for what, at := range map[string]string{
		"a: {titel: A}":                          "1:5: unknown field `titel`; did you mean `title`?",
		"a: x":                                   "1:4: capability `a` must be a mapping",
		"A B: {}":                                "1:1: `a capability's name` cannot be `A B`",
		"a: {}\na: {}":                           "2:1: ",
		"a: {flows: [x]}\nb: {flows: [x]}":       "2:13: flow `x` belongs to capability `a` already",
		"a: {flows: [x, x]}":                     "1:16: `x` stands twice in `flows`",
		"a: {flows: x}":                          "1:12: `flows` must be a list",
		"a: {systems: [[]]}":                     "1:15: `systems` must be text",
		"- a":                                    "1:1: ",
		"a: {owner: \"\"}\nb: {flows: [Not ok]}": "1:12: `owner` is empty",
	} {
		_, faults := ParseCapabilities("c.yaml", []byte(what))
		if len(faults) == 0 || !strings.HasPrefix(faults[0].String(), "c.yaml:"+at) {
			t.Errorf("%q: %v", what, faults)
		}
	}
}

func TestCheckCapabilities(t *testing.T) {
	all, faults := ParseCapabilities("c.yaml", []byte("sales: {flows: [orders, returns, ordres]}\n"))
	if faults != nil {
		t.Fatal(faults)
	}
	got := CheckCapabilities("c.yaml", all, []*Flow{{Name: "orders", Capability: "sales"}, {Name: "returns", Capability: "care"}})
	var lines []string
	for _, f := range got {
		lines = append(lines, f.String())
	}
	want := []string{
		"c.yaml:1:25: flow `returns` says `capability: care` in its own file; let both say the same",
		"c.yaml:1:34: no flow is named `ordres`; did you mean `orders`?; there are `orders`, `returns`",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func FuzzCapabilities(f *testing.F) {
	f.Add([]byte("a: {title: A, flows: [x]}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, faults := ParseCapabilities("c.yaml", b)
		if (all == nil) == (len(faults) == 0) {
			t.Errorf("%v and %v", all, faults)
		}
	})
}
