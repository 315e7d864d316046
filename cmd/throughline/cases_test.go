package main

import (
	"os"
	"strings"
	"testing"

	"throughline/flows"
)

const casesFlow = `flow: orders
key: order_id
holds: [{id: on-hold, from: {event: order.held}, until: {event: order.released}}]
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: paid, system: psp, match: {span: "POST /capture"}, after: placed, within: {business: 15m, calendar: office}}
  - {id: shipped, match: {event: shipped}, after: paid, within: 4h, each: shipment_id, expect: order.shipments, end: completed}
cases:
  - name: two of three shipments are not enough
    signals:
      - {event: order.placed, data: {order.shipments: 3}}
      - {span: POST /capture, at: +5m, duration: 2s}
      - {event: shipped, at: +1h, data: {shipment_id: A}}
      - {event: shipped, at: +2h, data: {shipment_id: B}}
    expect:
      - {at: +10m, state: open, waiting_on: [shipped]}
      - {at: +5h, state: stuck, step: shipped, path: [placed, paid, shipped, shipped]}
  - name: a payment that is reported late
    signals:
      - {event: order.placed}
      - {span: POST /capture, at: +14m, duration: 30s, arrives: +20m}
    expect:
      - {at: +16m, state: open, reason: deadline, step: paid, waiting_on: []}
      - {at: +21m, state: open, recovered_late: false}
  - name: out of hours nobody waits
    start: 2026-01-10T12:00:00Z
    signals: [{event: order.placed, data: {orderNumber: a}}, {event: order.placed, data: {orderNumber: b}, at: +1h}, {event: order.held, data: {orderNumber: b}, at: +2h}]
    expect:
      - {at: 2026-01-12T07:14:59Z, key: A, state: open}
      - {at: 2026-01-12T07:15:01Z, key: A, state: stuck, reason: deadline}
      - {key: B, state: held, reason: held, deviations: []}
      - {at: +30m, key: B, absent: true}
      - {at: +1h, state: open}
`

// The examples of docs/flows.md are good, and its cases pass.
func TestExamplesOfTheReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	example := map[string]string{} // by its first word
	for i, block := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(block, "yaml\n"); ok && i%2 == 1 {
			word, _, _ := strings.Cut(code, ":")
			example[word] = code
		}
	}
	f := newFolder(t)
	f.calendar("warehouse", example["zone"])
	f.write("../systems.yaml", example["carrier"])
	f.write("orders.yaml", "flow: orders\nkey: order_id\n"+example["holds"]+`steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: paid, match: {span: POST /capture}, after: placed, within: {business: 8h, calendar: warehouse}}
  - {id: shipped, system: carrier, match: {event: shipped}, after: paid, within: 4h, each: shipment_id, expect: order.shipments, end: completed}
`+example["cases"])
	if found, faults := flows.ParseCapabilities("capabilities.yaml", []byte(example["order-fulfilment"])); len(found) != 1 || len(faults) > 0 {
		t.Errorf("%d capabilities, %v", len(found), faults)
	}
	var out strings.Builder
	if passed, failed, err := testFlows(f.dir, &out); err != nil || passed != 1 || failed != 0 || len(example) != 5 {
		t.Errorf("%d passed, %d failed, %v\n%s", passed, failed, err, out.String())
	}
}

func TestCasesOfAFlow(t *testing.T) {
	f := newFolder(t)
	f.write("orders.yaml", casesFlow)
	var out strings.Builder
	if _, _, err := testFlows(f.dir, &out); err == nil || !strings.Contains(out.String(), "orders.yaml:6:110: no calendar is named `office`") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	f.write("../keys.yaml", "order_id: {from: [orderNumber], normalise: [upper]}\n")
	f.write("../flows/more.yaml", flowText("more", "a"))
	f.calendar("office", "zone: Europe/Berlin\nhours: {mon-fri: [\"08:00-17:00\"]}\n")
	out.Reset()
	passed, failed, err := testFlows(f.dir, &out)
	if err != nil || passed != 1 || failed != 2 {
		t.Errorf("%d passed, %d failed, %v", passed, failed, err)
	}
	// The first line of the second case lies before office hours, too: 15 minutes from 08:00 in Berlin, 07:00 UTC.
	file := f.path("orders.yaml")
	want := `ok    orders: two of three shipments are not enough
FAIL  orders: a payment that is reported late
  ` + file + `:23: at +16m (2026-01-05T08:16:00Z), order_id 1
      - {at: +16m, state: open, reason: deadline, step: paid, waiting_on: []}
    state          want open
                   got  stuck (deadline; waits for paid, due by +15m)
    waiting_on     want []
                   got  [paid]
  what happened, from 2026-01-05T08:00:00Z:
    +0s   event order.placed of order_id:1: placed
    +0s     order_id 1 is open (waits for paid, due by +15m)
    +15m    order_id 1 is stuck (deadline; waits for paid, due by +15m)
    +20m  span POST /capture of order_id:1: paid, heard of late: it is of +14m30s
    +20m    order_id 1 is open (waits for shipped, due by +4h14m30s)
FAIL  orders: out of hours nobody waits
  ` + file + `:33: at +1h (2026-01-10T13:00:00Z)
      - {at: +1h, state: open}
    there are 2 instances; say which is meant, as ` + "`key: A`" + `
  what happened, from 2026-01-10T12:00:00Z:
    +0s        event order.placed of order_id:A: placed
    +0s          order_id A is open (waits for paid, due by +1d19h15m)
    +1h        event order.placed of order_id:B: placed
    +1h          order_id B is open (waits for paid, due by +1d19h15m)
    +2h        event order.held of order_id:B: from:on-hold
    +2h          order_id B is held (by on-hold; waits for paid)
    +1d19h15m    order_id A is stuck (deadline; waits for paid, due by +1d19h15m)
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.write("orders.yaml", `flow: orders
key: order_id
steps: [{id: placed, match: {event: order.placed, source: /shop}}, {id: paid, match: {span: pay}, after: placed, within: 5m}]
cases:
  - name: of nothing
    signals: [{event: order.placed}, {event: order.place, at: +1m}, {span: pay, at: +1h}]
    expect: [{at: +2m, state: stuck}, {at: +3m, key: Z, absent: true}]
`)
	out.Reset()
	if _, failed, err := testFlows(f.path("orders.yaml"), &out); failed != 1 || err != nil {
		t.Errorf("%d failed, %v", failed, err)
	}
	for _, says := range []string{
		"no instance is there: no signal so far is a step of this flow\n",
		"event order.placed of order_id:1: nothing of this flow; `service`, `source` or `where` of placed do not fit\n",
		"event order.place of order_id:1: nothing of this flow; did you mean `order.placed`?\n",
		"+1h  span pay of order_id:1: paid, after all that is expected: it was left out\n",
	} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, out.String())
		}
	}
	if passed, failed, err := testFlows(f.path("more.yaml"), &out); passed+failed != 0 || err != nil {
		t.Errorf("a file without cases: %d passed, %d failed, %v", passed, failed, err)
	}
	if _, _, err := testFlows(f.path("none.yaml"), &out); err == nil {
		t.Error("a path that does not exist is no error")
	}
}

// A case can say that a span is one of those that its producer chose to send.
func TestCasesWithSampledSpans(t *testing.T) {
	f := newFolder(t)
	flow := `flow: orders
key: order_id
steps:
  - {id: placed, match: {span: place}, start: true}
  - {id: paid, match: {span: pay}, after: placed, within: 15m}
  - {id: packed, match: {event: packed}, after: placed, within: 1h}
cases:
  - name: sampled
    signals: [{span: place, sampled: true}]
    expect: [{at: +14m, state: open}, {at: +16m, state: unknown, reason: sampled, step: paid, waiting_on: [paid, packed]}, {at: +61m, state: stuck, reason: deadline, step: packed}]
  - name: whole
    signals: [{span: place}]
    expect: [{at: +16m, state: stuck, reason: deadline, step: paid}]
`
	try := func(text string, failures int, says ...string) {
		t.Helper()
		f.write("orders.yaml", text)
		var out strings.Builder
		if _, failed, err := testFlows(f.path("orders.yaml"), &out); failed != failures || err != nil {
			t.Errorf("%d failed, %v\n%s", failed, err, out.String())
		}
		for _, s := range says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("no %q in\n%s", s, out.String())
			}
		}
	}
	try(flow, 0)
	try("sampling: ok\n"+flow, 1, "order_id 1 is stuck (deadline; waits for paid, due by +15m")
	try(strings.Replace(flow, "unknown", "stuck", 1), 1, "got  unknown (sampled; waits for paid, due by +15m")
}
