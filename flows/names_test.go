package flows

import (
	"math/rand/v2"
	"testing"
)

// TestNamesSpareNothingWanted: a span that is wanted, or whose keys are at fault, has a
// name or an attribute that the set names; ingest looks at no other.
func TestNamesSpareNothingWanted(t *testing.T) {
	flow := mustParse(t, `flow: names
key: order_id
links: [order_line, card]
steps:
  - id: a
    match: {span: "POST /pay"}
  - id: b
    match: {event: "order.paid"}
    after: [a]
    within: 1h
`)
	set := mustKeyedSet(t, keysFile, flow)
	names := []string{
		"order_id", "order.id", "app.order.id", "orderNumber", "line_no", "card", "blank", "order", "app", "", "order_line", "x", "card ",
	}
	values := []any{"4711", int64(5), "", nil, []any{"a", "b"}, map[string]any{"id": "1"}, string(make([]byte, MaxKeyBytes+1))}
	random, wanted, spared := rand.New(rand.NewPCG(1, 2)), 0, 0
	for range 5000 {
		s := Signal{Kind: Span, Name: []string{"POST /pay", "order.paid", "x"}[random.IntN(3)], Attributes: map[string]any{}}
		named := set.NamesSpan(s.Name)
		for range random.IntN(4) {
			name := names[random.IntN(len(names))]
			s.Attributes[name] = values[random.IntN(len(values))]
			named = named || set.NamesAttribute(name)
		}
		err := set.AssignKeys(&s)
		if err != nil || set.Wants(&s) {
			if wanted++; !named {
				t.Fatalf("%q %v is wanted (%v), but not named", s.Name, s.Attributes, err)
			}
		} else if !named {
			spared++
		}
	}
	if wanted < 500 || spared < 500 {
		t.Errorf("%d wanted, %d spared: the samples say little", wanted, spared)
	}
}
