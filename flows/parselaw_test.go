package flows

import (
	"slices"
	"testing"
	"time"
)

func TestParseHoldsChildrenAndCalendars(t *testing.T) {
	calendar := mustCalendar(t, warehouse)
	systems, faults := ParseSystems("systems.yaml", []byte(`
carrier:
  title: Carrier feed
  owner: logistics
  calendar: c
  match: {service: [dhl-poller, ups-poller]}
  downtime:
    - {from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}
    - {from: 2026-12-02T03:00:00Z, until: "2026-12-02T06:00:00+01:00"}
    - {from: 2026-11-01T00:00:00Z, until: 2026-11-01T01:00:00Z}
erp: {owner: finance}
`), map[string]*Calendar{"c": calendar})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	const text = `
flow: order-to-cash
key: order_id
reopen: new
holds:
  - {id: on-hold, from: {event: order.held}, until: {event: order.released}, at_most: 10d}
  - {id: away, from: {span: "PUT /away", where: 'outcome == "ok"'}, until: {event: back, source: /shop}}
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: picked, match: {event: picked}, after: placed, within: {business: 8h, calendar: c}}
  - {id: shipped, system: carrier, match: {event: shipped}, after: picked, within: 4h, each: shipment_id, expect: order.shipments}
  - {id: cash, system: erp, match: {event: cash}, after: shipped, end: completed}
`
	refs := Refs{Calendars: map[string]*Calendar{"c": calendar}, Systems: systems}
	flow, faults := refs.Parse("f.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if !flow.Reopen || len(flow.Holds) != 2 || flow.Holds[1].From.Where == nil || flow.Holds[0].AtMost != 240*time.Hour || flow.Holds[1].Until.Source != "/shop" {
		t.Errorf("got %+v", flow.Holds)
	}
	if s := flow.Steps[1]; s.Within != 8*time.Hour || s.Calendar != calendar {
		t.Errorf("got %+v", s)
	}
	if s := flow.Steps[2]; s.Each != "shipment_id" || s.Expect != "order.shipments" || len(s.Downtime) != 2 || !slices.Equal(flow.Expects(), []string{"order.shipments"}) {
		t.Errorf("got %+v", s)
	}
	if s := systems["carrier"]; s.Downtime[1].To.String() != "2026-12-02T05:00:00Z" || s.Owner != "logistics" || len(s.Service) != 2 || systems["erp"].Title != "erp" {
		t.Errorf("got %+v", s)
	}

	// The version speaks of all that the results depend on, and of no more.
	version := func(change func(*Refs)) string {
		t.Helper()
		other := Refs{Calendars: map[string]*Calendar{"c": calendar}, Systems: map[string]*System{}}
		for name, s := range systems {
			kept := *s
			other.Systems[name] = &kept
		}
		change(&other)
		flow, faults := other.Parse("f.yaml", []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return flow.Version
	}
	for what, c := range map[string]struct {
		same   bool
		change func(*Refs)
	}{
		"nothing":  {true, func(*Refs) {}},
		"title":    {true, func(r *Refs) { r.Systems["carrier"].Title = "other" }},
		"calendar": {false, func(r *Refs) { r.Calendars["c"] = mustCalendar(t, warehouse+"# more") }},
		"downtime": {false, func(r *Refs) { r.Systems["carrier"].Downtime = nil }},
		"of other": {true, func(r *Refs) { r.Systems["wms"] = &System{Downtime: []Interval{{1, 2}}} }},
	} {
		if got := version(c.change); (got == flow.Version) != c.same {
			t.Errorf("%s changed: %s, was %s", what, got, flow.Version)
		}
	}
	plain, _ := Parse("x.yaml", []byte(minimal("{id: a, match: {event: a}}")))
	with, _ := refs.Parse("x.yaml", []byte(minimal("{id: a, match: {event: a}}")))
	if plain.Version != with.Version {
		t.Error("a flow that refers to nothing is the same whatever there is")
	}
}

func TestParseFaultsOfHoldsAndChildren(t *testing.T) {
	faultyHolds(func(text string, want ...string) {
		t.Helper()
		flow, faults := Refs{Calendars: map[string]*Calendar{"warehouse": {}}}.Parse("f.yaml", []byte(text))
		checkFaults(t, text, flow == nil, faults, want)
	})
}

// faultyHolds is faultyFlows for holds, children, calendars and reopening.
func faultyHolds(f func(text string, want ...string)) {
	a := "{id: a, match: {event: a}}"
	hold := func(h string) string { return "flow: f\nkey: k\nholds: [" + h + "]\nsteps: [" + a + "]" }
	f(hold("{id: h, from: {event: x}, until: {event: y}}"))
	f(hold("{id: h, from: {event: x}, at_most: 1d}"))
	f(hold(""), "3:8 `holds` must be a list")
	f(hold("h"), "3:9 a hold must be a mapping")
	f(hold("{from: {event: x}, at_most: 1d}"), "3:9 the hold has no `id`")
	f(hold("{id: h, at_most: 1d}"), "3:9 hold `h` has no `from`")
	f(hold("{id: h, from: {event: x}}"), "3:9 hold `h` would never end; write `until`, `at_most`, or both")
	f(hold("{id: h, from: {event: x}, until: {event: x}}"), "3:42 match the same signal")
	f(hold("{id: h, from: x, at_most: 1d}"), "3:23 `from` must be a mapping; write {event: NAME}")
	f(hold("{id: h, from: {event: x, span: y}, at_most: 1d}"), "3:40 `from` names an event and a span; keep one")
	f(hold("{id: h, from: {event: x}, at_most: 1d, untill: {event: y}}"), "3:48 unknown field `untill`; did you mean `until`?")
	f(hold("{id: h, from: {event: x}, at_most: 1d}, {id: h, from: {event: z}, at_most: 1d}"), "3:54 hold `h` stands twice, first in line 3")
	f(hold("{id: h, from: {event: x}, at_most: soon}"), "3:44 `at_most`: duration `soon`")

	f(minimal(a, "{id: b, match: {event: b}, each: x}"))
	f(minimal(a, "{id: b, match: {event: b}, expect: y}"), "5:38 `expect` says how many children are due, so it needs `each`")
	f(minimal(a, "{id: b, match: {event: b}, each: [x]}"), "5:36 `each` must be text")

	within := func(w string) string { return minimal(a, "{id: b, match: {event: b}, after: a, within: "+w+"}") }
	f(within("{business: 8h, calendar: warehouse}"))
	f(within("{business: 8h, calendar: warehoues}"), "5:73 no calendar is named `warehoues`; did you mean `warehouse`?; there are `warehouse`; write calendars/warehoues.yaml")
	f(within("{business: 8h}"), "5:48 `within` lacks `calendar`")
	f(within("{calendar: warehouse}"), "5:48 `within` lacks `business`")
	f(within("{business: often, calendar: warehouse}"), "5:59 `business`: duration `often`")
	f(within("{busines: 8h, calendar: warehouse}"), "5:48 `within` lacks `business`", "5:49 unknown field `busines`; did you mean `business`?")

	f("flow: f\nkey: k\nreopen: yes\nsteps: ["+a+"]", "3:9 `reopen` cannot be `yes`; write `new`")
	f("flow: f\nkey: k\nreopen: new\nsteps: ["+a+"]", "3:9 `reopen: new` needs a step with `start: true`")
	f("flow: f\nkey: k\nreopen: new\nsteps: [{id: a, match: {event: a}, start: true}, {id: b, match: {event: b}, end: failed}]")
}

func TestParseSystemsFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		systems, faults := ParseSystems("systems.yaml", []byte(text), map[string]*Calendar{"c": {}})
		checkFaults(t, text, systems == nil, faults, want)
	}
	f("a: {}\n")
	f("", "1:1 the file is empty; start it with a system, as `carrier: {title: Carrier feed}`")
	f("- a", "1:1 a systems file is a mapping")
	f("a: {titel: x}", "1:5 unknown field `titel`; did you mean `title`?")
	f("a: {calendar: d}", "1:15 no calendar is named `d`")
	f("a: {}\na: {}", "2:1 system `a` stands twice")
	f("a: x", "1:4 system `a` must be a mapping")
	f("a: {match: x}", "1:12 `match` must be a mapping")
	f("a: {match: {servic: [x]}}", "1:13 unknown field `servic`")
	f("a: {heartbeat: often}", "1:16 `heartbeat`: duration `often`")
	f("a: {match: {service: [x]}}\nb: {match: {source: [x]}}\nc: {match: {service: [y, x]}}", "3:12 service `x` is matched by system `a` already; keep one")
	f("a: {downtime: x}", "1:15 `downtime` must be a list")
	f("a: {downtime: [x]}", "1:16 a downtime must be a mapping")
	f("a: {downtime: [{from: 2026-12-01T22:00:00Z}]}", "1:16 lacks `until`")
	f("a: {downtime: [{from: tomorrow, until: 2026-12-01T22:00:00Z}]}", "1:23 `from` cannot be `tomorrow`; write an instant with its zone")
	f("a: {downtime: [{from: 2026-12-01T22:00:00, until: 2026-12-02T22:00:00Z}]}", "1:23 with its zone")
	f("a: {downtime: [{from: 2026-12-01T22:00:00Z, until: 2026-12-01T22:00:00Z}]}", "1:52 `until` is not after `from`")
}

const lawFlow = `
flow: law
key: order_id
reopen: new
holds: [{id: on-hold, from: {event: order.held}, until: {event: order.released}, at_most: 10d}]
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: shipped, match: {event: shipped}, after: placed, within: {business: 8h, calendar: c}, each: shipment_id, expect: order.shipments}
  - {id: cash, match: {event: cash}, after: shipped, end: completed}
cases:
  - name: one
    start: 2026-12-01T22:00:00Z
    signals: [{event: placed, data: {order: {shipments: 2}, a: [1, {b: 2.5}]}}, {span: s, at: +90m, duration: 5s, outcome: error, arrives: +2h}]
    expect: [{at: +1h, state: open, waiting_on: [shipped]}, {state: stuck, reason: deadline, deviations: [], path: [placed], conforming: false}]
`

// FuzzParseReferred: no calendar and no systems file panics, and what parses can be used.
func FuzzParseReferred(f *testing.F) {
	f.Add([]byte(warehouse), int64(0))
	f.Add([]byte("zone: America/Santiago\nhours: {sat-mon: [\"00:00-24:00\"], tue: []}\nholidays: [us, gb, 2026-02-29]\n"), int64(1)<<61)
	f.Add([]byte("carrier: {calendar: c, match: {service: [a]}, downtime: [{from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}]}"), int64(-1)<<60)
	f.Fuzz(func(t *testing.T, b []byte, at int64) {
		c, faults := ParseCalendar("c.yaml", "c", b)
		if (c == nil) != (len(faults) > 0) {
			t.Fatalf("calendar %v and faults %v", c, faults)
		}
		if c != nil {
			end := c.Add(Time(at), time.Hour)
			if end != endless && c.Between(Time(at), end) != time.Hour {
				t.Fatalf("an hour from %v is %v, of which %v is working time", Time(at), end, c.Between(Time(at), end))
			}
		}
		systems, faults := ParseSystems("s.yaml", b, map[string]*Calendar{"c": c})
		if (systems == nil) != (len(faults) > 0) {
			t.Fatalf("systems %v and faults %v", systems, faults)
		}
	})
}
