package flows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const versionOne = `
flow: orders
key: order_id
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: checked, match: {event: order.checked}, after: placed}
  - {id: picked, system: carrier, match: {event: order.picked, where: 'attributes.n > 1'}, after: checked, within: {business: 2h, calendar: c}}
  - {id: done, match: {event: order.done}, after: picked, end: completed}
`

const versionTwo = `
flow: orders
key: order_id
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: paid, match: {event: order.paid}, after: placed}
  - {id: picked, match: {event: order.picked}, after: paid}
  - {id: done, match: {event: order.done}, after: picked, end: completed}
`

// What is stored of a version makes the same flow again, whatever the files say since.
func TestParseVersion(t *testing.T) {
	calendar := mustCalendar(t, warehouse)
	systems, faults := ParseSystems("systems.yaml", []byte(
		"carrier: {downtime: [{from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}]}"), nil)
	if faults != nil {
		t.Fatal(faults)
	}
	refs := Refs{Calendars: map[string]*Calendar{"c": calendar}, Systems: systems}
	flow, faults := refs.Parse("orders.yaml", []byte(versionOne))
	if faults != nil {
		t.Fatal(faults)
	}
	again, err := ParseVersion(flow.Version, versionOne, flow.Referred())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(flow.Steps[2].Downtime, again.Steps[2].Downtime); diff != "" {
		t.Error(diff)
	}
	from := At(time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC))
	if a, b := flow.Steps[2].Calendar.Add(from, 2*time.Hour), again.Steps[2].Calendar.Add(from, 2*time.Hour); a != b {
		t.Errorf("two hours of work end at %v, not %v", b, a)
	}
	for what, err := range map[string]func() (*Flow, error){
		"without its calendar": func() (*Flow, error) { return ParseVersion(flow.Version, versionOne, "") },
		"another file":         func() (*Flow, error) { return ParseVersion(flow.Version, versionTwo, "") },
		"cut off":              func() (*Flow, error) { return ParseVersion(flow.Version, versionOne, flow.Referred()[:20]) },
	} {
		if f, err := err(); err == nil {
			t.Errorf("%s: %s", what, f.Version)
		}
	}
	if plain := mustParse(t, versionTwo); plain.Referred() != "" {
		t.Errorf("%q", plain.Referred())
	}
}

// Of the positions of two versions those are the same that take the same signals.
func TestTakes(t *testing.T) {
	one, two := mustParse(t, withoutCalendar), mustParse(t, versionTwo)
	for id, want := range map[string]bool{"placed": true, "checked": false, "paid": false, "picked": false, "done": true, "resolved:": true} {
		if got := two.Takes(one, id); got != want {
			t.Errorf("%s: %v", id, got)
		}
	}
}

const withoutCalendar = `
flow: orders
key: order_id
steps:
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: checked, match: {event: order.checked}, after: placed}
  - {id: picked, match: {event: order.picked, where: 'attributes.n > 1'}, after: checked, within: 2h}
  - {id: done, match: {event: order.done}, after: picked, end: completed}
`

// An instance of another version counts in the steps that there are, and else as it is.
func TestProject(t *testing.T) {
	one, two := mustParse(t, withoutCalendar), mustParse(t, versionTwo)
	at := func(step int, minute int) Occurrence {
		when := Time(minute) * Time(time.Minute)
		return Occurrence{Step: step, At: when, Start: when, ID: one.Steps[step].ID}
	}
	in := one.Fold([]Occurrence{at(0, 1), at(1, 2), at(2, 4), at(3, 9)}, Time(time.Hour))
	got := two.Project(one, &in)
	if got.State != Completed || got.EndedAt != in.EndedAt || !got.Conforming || two.Steps[got.EndStep].ID != "done" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]int{0, 2, 3}, got.Path); diff != "" {
		t.Error(diff)
	}
	if got.Steps[1].Skipped || got.Steps[1].At != NoTime || got.Steps[2].Latency != 2*time.Minute {
		t.Errorf("%+v", got.Steps)
	}
	tally := NewTally(two)
	CountInstance(&got, 1, func(Time) *Tally { return tally })
	if tally.Started != 1 || tally.Ended[Completed] != 1 || tally.Conforming != 1 || tally.Steps[1].Reached != 0 || tally.Steps[2].Reached != 1 {
		t.Errorf("%+v", tally)
	}
	only := one.Fold([]Occurrence{at(1, 2)}, Time(time.Hour))
	started := two.Project(one, &only)
	tally = NewTally(two)
	CountInstance(&started, 1, func(Time) *Tally { return tally })
	if tally.Started != 1 {
		t.Error("an instance of a step that is no more did not start")
	}
}
