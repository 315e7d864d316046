package main

import (
	"os"
	"strings"
	"testing"
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
	var out strings.Builder
	if passed, failed, err := testFlows(f.dir, &out); err != nil || passed != 1 || failed != 0 || len(example) != 4 {
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
  ` + file + `:23: at +16m0s (2026-01-05T08:16:00Z), order_id 1
    state          is stuck, want open
    waiting_on     is [paid], want []
  what happened:
    +0s       event order.placed: placed
    +14m30s   span POST /capture: paid, arrives +20m0s
FAIL  orders: out of hours nobody waits
  ` + file + `:33: at +1h0m0s (2026-01-10T13:00:00Z)
    there are 2 instances; say which is meant, as ` + "`key: A`" + `
  what happened:
    +0s       event order.placed: placed
    +1h0m0s   event order.placed: placed
    +2h0m0s   event order.held: from:on-hold
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if passed, failed, err := testFlows(f.path("more.yaml"), &out); passed+failed != 0 || err != nil {
		t.Errorf("a file without cases: %d passed, %d failed, %v", passed, failed, err)
	}
	if _, _, err := testFlows(f.path("none.yaml"), &out); err == nil {
		t.Error("a path that does not exist is no error")
	}
}
