package flows

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const orderToCash = `flow: order-to-cash
title: Order to cash
capability: order-fulfilment
owner: order-platform
runbook: https://wiki.example.com/o2c
key: order_id
links: [invoice_id, shipment_id]
value: {amount: order.total, currency: order.currency}
segments: [region, channel]
idle: 7d
expire: 45d
steps:
  - {id: placed,  title: Order placed,  system: webshop,   match: {event: order.placed}, start: true}
  - {id: paid,    title: Payment taken, system: payments,
     match: {span: "POST /capture", service: payments, where: 'outcome == "ok"'},
     after: placed, within: 15m}
  - {id: picked,  system: warehouse, match: {event: goods.picked, kind: event}, after: [placed], within: 8h, choice: pick}
  - {id: dropped, system: warehouse, match: {event: goods.dropped}, after: placed, choice: pick, optional: true}
  - {id: packed,  match: {event: goods.packed, source: /packer}, after: {any: [picked, dropped]}}
  - {id: shipped, system: carrier,   match: {event: shipment.dispatched}, after: [paid, packed], within: 1d12h, repeat: true}
  - {id: cash,    system: erp, match: {event: payment.settled}, after: shipped, within: 1w, end: completed}
  - {id: cancelled, match: {event: order.cancelled}, end: cancelled}
  - {id: rejected,  match: {event: payment.rejected}, end: failed}
`

func TestParse(t *testing.T) {
	flow, faults := Parse("order-to-cash.yaml", []byte(orderToCash))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	where := flow.Steps[1].Match.Where
	if where.String() != `outcome == "ok"` || !where.UsesOutcome() {
		t.Errorf("where is %v", where)
	}
	flow.Steps[1].Match.Where = nil
	version := flow.Version
	if len(version) != 12 {
		t.Errorf("version %q", version)
	}
	want := &Flow{
		Name: "order-to-cash", Title: "Order to cash", Capability: "order-fulfilment", Owner: "order-platform",
		Runbook: "https://wiki.example.com/o2c", Version: version, Key: "order_id", Links: []string{"invoice_id", "shipment_id"},
		Amount: "order.total", Currency: "order.currency", Segments: []string{"region", "channel"},
		Idle: 7 * 24 * time.Hour, Expire: 45 * 24 * time.Hour,
		Steps: []Step{
			{ID: "placed", Title: "Order placed", System: "webshop", Match: Match{Name: "order.placed"}, Start: true},
			{
				ID: "paid", Title: "Payment taken", System: "payments",
				Match: Match{Kind: Span, Name: "POST /capture", Service: "payments"}, After: []int{0}, Within: 15 * time.Minute,
			},
			{
				ID: "picked", Title: "picked", System: "warehouse", Match: Match{Name: "goods.picked"}, After: []int{0},
				Within: 8 * time.Hour, Choice: "pick",
			},
			{
				ID: "dropped", Title: "dropped", System: "warehouse", Match: Match{Name: "goods.dropped"}, After: []int{0},
				Choice: "pick", Optional: true,
			},
			{ID: "packed", Title: "packed", Match: Match{Name: "goods.packed", Source: "/packer"}, After: []int{2, 3}, Any: true},
			{
				ID: "shipped", Title: "shipped", System: "carrier", Match: Match{Name: "shipment.dispatched"},
				After: []int{1, 4}, Within: 36 * time.Hour, Repeat: true,
			},
			{
				ID: "cash", Title: "cash", System: "erp", Match: Match{Name: "payment.settled"}, After: []int{5},
				Within: 168 * time.Hour, End: Completed,
			},
			{ID: "cancelled", Title: "cancelled", Match: Match{Name: "order.cancelled"}, End: Cancelled},
			{ID: "rejected", Title: "rejected", Match: Match{Name: "payment.rejected"}, End: Failed},
		},
	}
	if !reflect.DeepEqual(flow, want) {
		t.Errorf("got  %+v\nwant %+v", flow, want)
	}
	other, _ := Parse("x.yaml", []byte(orderToCash+"# changed\n"))
	if other.Version == version {
		t.Error("another file has the same version")
	}
}

// TestParsePublicFlows reads the flow files that the public logs come with.
func TestParsePublicFlows(t *testing.T) {
	files, _ := filepath.Glob("../../shared/data/flows/*.yaml")
	if len(files) == 0 {
		t.Skip("no ../shared/data")
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flow, faults := Parse(file, b)
		if len(faults) > 0 {
			t.Error(faults)
			continue
		}
		if flow.Name != strings.TrimSuffix(filepath.Base(file), ".yaml") || flow.Key != "case_id" || flow.Idle == 0 || len(flow.Steps) < 4 {
			t.Errorf("%s: %+v", file, flow)
		}
	}
}

// minimal is a good flow around the given steps.
func minimal(steps ...string) string {
	return "flow: f\nkey: k\nsteps:\n- " + strings.Join(steps, "\n- ") + "\n"
}

// checkFaults compares faults with "LINE:COL part of the message" each.
func checkFaults(t *testing.T, text string, refused bool, faults []Fault, want []string) {
	t.Helper()
	if !refused && len(want) > 0 {
		t.Errorf("%s\nparsed", text)
	}
	ok := len(faults) == len(want)
	for i := 0; ok && i < len(want); i++ {
		place, what, _ := strings.Cut(want[i], " ")
		got := faults[i].String()
		ok = strings.HasPrefix(got, faults[i].File+":"+place+": ") && strings.Contains(got, what) && !strings.Contains(got, "\n")
	}
	if !ok {
		t.Errorf("%s\ngot:", shortened(text))
		for _, fault := range faults {
			t.Errorf("  %s", fault)
		}
		t.Errorf("want: %q", want)
	}
}

func TestParseFaults(t *testing.T) {
	faultyFlows(func(text string, want ...string) {
		t.Helper()
		flow, faults := Parse("f.yaml", []byte(text))
		checkFaults(t, text, flow == nil, faults, want)
	})
}

// faultyFlows calls f with each thing that is refused, and where that is said.
func faultyFlows(f func(text string, want ...string)) {
	a, b := "{id: a, match: {event: a}}", "{id: b, match: {event: b}, after: a}"
	f(minimal(a, b))

	// The file.
	f("", "1:1 the file is empty")
	f("# nothing\n", "1:1 the file is empty")
	f("---\n...\n", "2:1 is a mapping")
	f("- a\n", "1:1 is a mapping")
	f("flow: [a\n", "2:1 not YAML: did not find expected ',' or ']'")
	f("flow: a\nkey: b: c\n", "2:7 not YAML")
	f("flow: a\n\xff", "2:1 not UTF-8")
	f("flow: a\nké\x00y: b", "2:3 control character")
	f(minimal(a)+"---\n"+minimal(a), "5:1 second document")
	f(strings.Repeat("#", MaxFlowBytes+1), "1:1 at most 1048576")
	f("flow: "+strings.Repeat("[", 50), "1:23 exceeded max depth")
	f("{}", "1:1 `flow` is missing", "1:1 `key` is missing", "1:1 `steps` is missing")

	// Fields of the flow.
	f("flow: Order To Cash\nkey: k\nsteps: ["+a+"]", "1:7 `flow` cannot be `Order To Cash`")
	f("flow: f\nkey: 'a:b'\nsteps: ["+a+"]", "2:6 `key` cannot be `a:b`")
	f("flow: f\nkey: \nsteps: ["+a+"]", "2:5 `key` must be text")
	f("flow: f\nkey: [a]\nsteps: ["+a+"]", "2:6 `key` must be text")
	f("flow: f\nkey: k\nflow: g\nsteps: ["+a+"]", "3:1 `flow` stands twice")
	f("flow: f\nkey: k\nmining: []\nsteps: ["+a+"]", "3:1 unknown field `mining`; allowed here: `flow`, `title`")
	f("flow: f\nkey: k\nsegmnets: [a]\nsteps: ["+a+"]", "3:1 unknown field `segmnets`; did you mean `segments`?")
	f("flow: f\nkey: k\n? [a]\n: b\nsteps: ["+a+"]", "3:3 name must be a word")
	f("flow: f\nkey: &k k\ntitle: *k\nsteps: ["+a+"]", "3:8 is an alias")
	f("flow: f\nkey: k\ntitle: !!binary eA==\nsteps: ["+a+"]", "3:8 has the tag !!binary")
	f("flow: f\nkey: k\n<<: {idle: 1d}\nsteps: ["+a+"]", "3:1 unknown field `<<`")
	f("flow: f\nkey: k\nlinks: [k]\nsteps: ["+a+"]", "3:9 is the key")
	f("flow: f\nkey: k\nlinks: l\nsteps: ["+a+"]", "3:8 must be a list")
	f("flow: f\nkey: k\nlinks: []\nsteps: ["+a+"]", "3:8 is empty")
	f("flow: f\nkey: k\nsegments: [a, b, a]\nsteps: ["+a+"]", "3:18 stands twice")
	f("flow: f\nkey: k\nvalue: total\nsteps: ["+a+"]", "3:8 must name two attributes")
	f("flow: f\nkey: k\nvalue: {amount: total}\nsteps: ["+a+"]", "3:8 lacks `currency`")
	f("flow: f\nkey: k\nrunbook: javascript:alert(1)\nsteps: ["+a+"]", "3:10 must be a web address")
	f("flow: f\nkey: k\nsteps: []", "3:8 at least one step")
	f("flow: f\nkey: k\nsteps: 5", "3:8 at least one step")

	// Durations.
	f("flow: f\nkey: k\nidle: 5\nsteps: ["+a+"]", "3:7 `idle`: duration `5` has a number without a unit")
	f("flow: f\nkey: k\nidle: 5 days\nsteps: ["+a+"]", "3:7 unknown unit ` days`")
	f("flow: f\nkey: k\nidle: -5d\nsteps: ["+a+"]", "3:7 is negative")
	f("flow: f\nkey: k\nidle: 0s\nsteps: ["+a+"]", "3:7 more than 0")
	f("flow: f\nkey: k\nexpire: 999999d\nsteps: ["+a+"]", "3:9 more than 292 years")
	f(minimal(a, "{id: b, match: {event: b}, after: a, within: [8h]}"), "5:48 must be one duration")
	f(minimal(a, "{id: b, match: {event: b}, after: a, within: learnt}"), "5:48 `within`: duration `learnt` has no number")
	f(minimal(a, "{id: b, match: {event: b}, within: 5m}"), "5:38 has `within` but no `after`")

	// Steps.
	f(minimal("a"), "4:3 a step must be a mapping")
	f(minimal("{id: a}"), "4:3 has no `match`")
	f(minimal("{match: {event: a}}"), "4:3 has no `id`")
	f(minimal("{id: a b, match: {event: a}}"), "4:8 `id` cannot be `a b`")
	f(minimal("{id: ., match: {event: a}}"), "4:8 `id` cannot be `.`")
	f(minimal(a, "{id: a, match: {event: b}}"), "5:8 `a` stands twice, first in line 4")
	f(minimal(a, "{id: b, match: {event: a}}"), "5:18 match the same signal")
	f(minimal("{id: a, match: {span: a, where: 'name == \"a\"'}}", "{id: b, match: {span: a, where: 'name == \"a\"'}}"), "5:18 match the same")
	f(minimal("{id: a, match: {span: a}}", "{id: b, match: {event: a}}", "{id: c, match: {span: a, service: s}}"))
	f(minimal("{id: a, match: {event: a}, end: complete}"), "4:35 `completed`, `failed`, `cancelled`; did you mean `completed`?")
	f(minimal("{id: a, match: {event: a}, optional: yes}"), "4:40 must be true or false")
	f(minimal("{id: a, match: order.placed}"), "4:18 write {event: NAME}")
	f(minimal("{id: a, match: {}}"), "4:18 names no signal")
	f(minimal("{id: a, match: {event: a, span: b}}"), "4:35 an event and a span")
	f(minimal("{id: a, match: {event: a, kind: span}}"), "4:35 `kind` cannot be `span`")
	f(minimal("{id: a, match: {event: a, name: b}}"), "4:29 unknown field `name`")
	f(minimal("{id: a, match: {event: "+strings.Repeat("x", 2000)+"}}"), "4:26 at most 1024")
	f(minimal("{id: a, match: {event: \"a\\0\"}}"), "4:26 control character")

	// where.
	f(minimal("{id: a, match: {event: a, where: 'outcom == \"ok\"'}}"), "4:37 did you mean `outcome`?")
	f(minimal("{id: a, match: {event: a, where: 'name == \"a\" && name > 5'}}"), "4:57 mismatched types")
	f(minimal("{id: a, match: {event: a, where: duration}}"), "4:36 expected bool")

	// after.
	f(minimal(a, "{id: b, match: {event: b}, after: aa}"), "5:37 no step has the id `aa`; did you mean `a`?; there are `a`, `b`")
	f(minimal(a, "{id: b, match: {event: b}, after: [a, a]}"), "5:41 stands twice")
	f(minimal(a, "{id: b, match: {event: b}, after: []}"), "5:37 is empty")
	f(minimal(a, "{id: b, match: {event: b}, after: {all: [a]}}"), "5:37 {any: [a, b]}", "5:38 unknown field `all`")
	f(minimal("{id: a, match: {event: a}, after: a}"), "4:37 a -> a;")
	f(minimal("{id: a, match: {event: a}, after: c}", b, "{id: c, match: {event: c}, after: b}"), "5:37 a -> b -> c -> a;")
	f(minimal(a, "{id: b, match: {event: b}, after: [a, c]}", "{id: c, match: {event: c}, after: {any: [b, a]}}"), "6:44 b -> c -> b;")

	// What can never be due.
	x, y := "{id: x, match: {event: x}, choice: c, after: a}", "{id: y, match: {event: y}, choice: c, after: a}"
	x2, y2 := "{id: x2, match: {event: x2}, after: x}", "{id: y2, match: {event: y2}, after: y}"
	f(minimal(a, x, y, "{id: z, match: {event: z}, after: [x, y]}"), "7:41 alternatives of choice `c`; write {any: [x, y]}")
	f(minimal(a, x, y, "{id: z, match: {event: z}, after: {any: [x, y]}}"))
	f(minimal(a, x, y, x2, y2, "{id: z, match: {event: z}, after: [x2, y2]}"), "9:37 `z` is unreachable: it needs both `x` and `y`")
	f(minimal(a, x, y, x2, y2, "{id: z, match: {event: z}, after: {any: [x2, y2]}}"))
	f(minimal(a, x, "{id: y, match: {event: y}, choice: c, after: x}"), "6:48 `y` is unreachable: it comes after `x`, its alternative")
	e := "{id: e, match: {event: e}, end: completed}"
	f(minimal(a, e, "{id: z, match: {event: z}, after: [a, e]}"), "6:37 `z` is unreachable: `e` ends the instance")
	f(minimal(a, e, "{id: z, match: {event: z}, after: {any: [a, e]}}"))
	f(minimal(a, e, "{id: z, match: {event: z}, after: {any: [e]}}", "{id: zz, match: {event: zz}, after: z}"), "6:37 `z` is unreachable")

	// All faults of a file at once, in the order of their places.
	f("flow: F\nkey: k\nidel: 5d\nsteps:\n- {id: a, match: {event: a}, end: done}\n- {id: b, match: {event: b}, after: [c, d], within: 5}\n",
		"1:7 ", "3:1 did you mean `idle`", "5:35 ", "6:38 `c`", "6:41 `d`", "6:53 without a unit")
}

func TestCirclesAreDrawn(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, faults := Parse("f.yaml", []byte(text))
		if len(faults) != 1 || faults[0].Picture != strings.TrimPrefix(want, "\n") {
			t.Errorf("got\n%s\nwant%s", faults[0].Picture, want)
		}
	}
	f(minimal("{id: a, match: {event: a}, after: returned}", "{id: b, match: {event: b}, after: a}", "{id: returned, match: {event: c}, after: {any: [b]}}"), `
    +-> a         line 4: after returned
    |   b         line 5: after a
    +-- returned  line 6: after b`)
	f(minimal("{id: a, match: {event: a}, after: a}"), `
    +-> a  line 4: after a, itself`)
	var steps []string
	for i := range 30 {
		steps = append(steps, fmt.Sprintf("{id: s%02d, match: {event: s%d}, after: s%02d}", i, i, (i+29)%30))
	}
	f(minimal(steps...), `
    +-> s00  line 4: after s29
    |   s01  line 5: after s00
    |   s02  line 6: after s01
    |   s03  line 7: after s02
    |   s04  line 8: after s03
    |   s05  line 9: after s04
    |   ... 18 more
    |   s24  line 28: after s23
    |   s25  line 29: after s24
    |   s26  line 30: after s25
    |   s27  line 31: after s26
    |   s28  line 32: after s27
    +-- s29  line 33: after s28`)
}

func TestParseManySteps(t *testing.T) {
	steps := func(n int) []byte {
		var b strings.Builder
		b.WriteString("flow: f\nkey: k\nsteps:\n- {id: s0, match: {event: s0}}\n")
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, "- {id: s%d, match: {event: s%d}, after: s%d, choice: c%d}\n", i, i, i-1, i)
		}
		return []byte(b.String())
	}
	if flow, faults := Parse("f.yaml", steps(MaxSteps)); len(faults) > 0 || len(flow.Steps) != MaxSteps {
		t.Error(faults)
	}
	if _, faults := Parse("f.yaml", steps(MaxSteps+1)); len(faults) != 1 || !strings.Contains(faults[0].Message, "at most 1000") {
		t.Error(faults)
	}
	many := []byte("flow: f\nkey: k\nsteps: [{id: a, match: {event: a}}]\n" + strings.Repeat("holds: 1\n", 500))
	_, faults := Parse("f.yaml", many)
	if len(faults) != maxFaults || !strings.HasSuffix(faults[maxFaults-1].Message, "; and 400 more faults") {
		t.Errorf("%d faults, the last %v", len(faults), faults[len(faults)-1])
	}
}

// A file of many long lists is no heavier than its steps squared.
func TestPlanOfManyLongLists(t *testing.T) {
	var b strings.Builder
	b.WriteString("flow: f\nkey: k\nsteps:\n")
	var before []string
	for i := range MaxSteps {
		fmt.Fprintf(&b, "- {id: s%d, match: {event: s%d}", i, i)
		if i >= MaxSteps-200 {
			fmt.Fprintf(&b, ", after: {any: [%s]}", strings.Join(before, ","))
		} else {
			before = append(before, fmt.Sprint("s", i))
		}
		b.WriteString("}\n")
	}
	f := mustParse(t, b.String())
	most := 0
	for s := range f.Steps {
		most = max(most, cap(f.plan().fellows[s]))
	}
	if most < len(before)-1 || most > 2*MaxSteps {
		t.Errorf("room for %d fellows of one of %d steps", most, MaxSteps)
	}
	began := time.Now()
	f.Fold([]Occurrence{{Step: 0}, {Step: MaxSteps - 1, At: 1}}, 2)
	if took := time.Since(began); took > time.Second {
		t.Errorf("one fold took %v", took)
	}
}

func TestParseDuration(t *testing.T) {
	f := func(text string, want time.Duration) {
		t.Helper()
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	f("15m", 15*time.Minute)
	f("2d", 48*time.Hour)
	f("1d12h", 36*time.Hour)
	f("1w", 168*time.Hour)
	f("1.5h", 90*time.Minute)
	f("0.1s", 100*time.Millisecond)
	f("106751d23h47m16s854ms775us807ns", 1<<63-1)
	f("0s", 0)
	for _, bad := range []string{"", "5", "d", "-1d", "5 d", "1d 2h", "5y", "1..5h", "1e3s", "300y", "400000d", "106751d23h47m16s854ms775us808ns", "+5m", "∞s"} {
		if d, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is %v", bad, d)
		}
	}
}

// FuzzParse: no input panics; there is a flow or there are faults with a place, never
// both; and what parses keeps what the engine relies on.
func FuzzParse(f *testing.F) {
	f.Add([]byte(orderToCash))
	f.Add([]byte(minimal("{id: a, match: {event: a}}", "{id: b, match: {span: b, where: 'x.y > 5'}, after: {any: [a]}, choice: q}")))
	f.Add([]byte(lawFlow))
	f.Add([]byte("flow: a\nkey: k\nsteps: [{id: a, match: {event: a}}]\ncases: [{name: n, signals: [{event: a, data: &d {k: *d}}], expect: [{state: open}]}]"))
	f.Add([]byte("flow: a\nkey: &x [*x]\n<<: *x\nsteps: *x"))
	f.Add([]byte("a: &a [b]\nb: [*a, *a]\n---\n...\n%YAML 1.1\n"))
	add := func(text string, _ ...string) {
		if len(text) < 4<<10 {
			f.Add([]byte(text))
		}
	}
	faultyFlows(add)
	faultyHolds(add)
	f.Fuzz(func(t *testing.T, b []byte) {
		flow, faults := Parse("f.yaml", b)
		if (flow == nil) != (len(faults) > 0) {
			t.Fatalf("flow %v and faults %v", flow, faults)
		}
		if !slices.IsSortedFunc(faults, CompareFaults) {
			t.Fatal("faults out of order")
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Col < 1 || fault.Message == "" {
				t.Fatalf("%+v", fault)
			}
		}
		if flow != nil {
			checkFlow(t, flow)
			again, _ := Parse("f.yaml", b)
			if again == nil || again.Version != flow.Version || len(again.Steps) != len(flow.Steps) {
				t.Fatal("parses in two ways")
			}
		}
	})
}

// checkFlow holds a parsed flow to what its readers rely on.
func checkFlow(t *testing.T, flow *Flow) {
	t.Helper()
	if !flowNamePattern.MatchString(flow.Name) || flow.Key == "" || flow.Title == "" || flow.Idle < 0 || flow.Expire < 0 || len(flow.Steps) == 0 {
		t.Fatalf("%+v", flow)
	}
	ids := map[string]bool{}
	for i, s := range flow.Steps {
		if s.ID == "" || ids[s.ID] || s.Title == "" || s.Match.Name == "" || s.Within < 0 || s.Within > 0 && len(s.After) == 0 {
			t.Fatalf("step %d: %+v", i, s)
		}
		ids[s.ID] = true
		// Walking back from a step any number of times never leads to itself.
		seen := make([]bool, len(flow.Steps))
		for next := slices.Clone(s.After); len(next) > 0; {
			j := next[len(next)-1]
			next = next[:len(next)-1]
			if j == i {
				t.Fatalf("step %s is its own predecessor", s.ID)
			}
			if !seen[j] {
				seen[j] = true
				next = append(next, flow.Steps[j].After...)
			}
		}
	}
	if _, err := NewSet([]*Flow{flow}); err != nil {
		t.Fatal(err)
	}
}
