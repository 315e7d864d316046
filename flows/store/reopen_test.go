package store

import (
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

// Where a flow says `reopen: new`, key#2 is found, listed and counted beside key, now and
// in hindsight, although its occurrences are stored under key.
func TestLaterInstancesOfAKey(t *testing.T) {
	s := openStore(t)
	f := parseFlow(t, []byte(`
flow: ticket
key: ticket_id
reopen: new
steps:
  - {id: opened, match: {event: opened}, start: true}
  - {id: closed, match: {event: closed}, after: opened, within: 1h, end: completed}
`))
	hour := func(n int) flows.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	var rows []flows.OccurrenceRecord
	var all []flows.Occurrence
	for i, step := range []int{0, 1, 0} {
		o := flows.Occurrence{Step: step, At: hour(i * 10), Start: hour(i * 10), Source: "s", ID: string(rune('a' + i))}
		all = append(all, o)
		rows = append(rows, f.OccurrenceRecord("A", o))
	}
	now := hour(30)
	var records []flows.InstanceRecord
	for i, part := range f.Parts(all) {
		in := f.Fold(part, now)
		records = append(records, f.Record(flows.PartKey("A", i), &in, now))
	}
	if err := s.WriteOccurrences(t.Context(), 1, rows); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteInstances(t.Context(), 1, records); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]flows.State{"A": flows.Completed, "A#2": flows.Stuck} {
		for _, at := range []flows.Time{flows.NoTime, hour(29)} {
			d, err := s.Instance(t.Context(), f, key, at)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, key, d.State, want)
			equal(t, key+" opened", d.Steps[0].At, d.StartedAt)
		}
	}
	if _, err := s.Instance(t.Context(), f, "A#3", hour(29)); err == nil {
		t.Error("there is no third")
	}
	if _, err := s.Instance(t.Context(), f, "A#2", hour(19)); err == nil {
		t.Error("there was no second yet")
	}
	page, err := s.Instances(t.Context(), f, flows.InstanceQuery{At: hour(21), Since: flows.NoTime, Sort: flows.SortKey, States: []flows.State{flows.Open}})
	if err != nil || len(page.Instances) != 1 || page.Instances[0].Key != "A#2" {
		t.Errorf("got %+v, %v", page.Instances, err)
	}
	page, err = s.Instances(t.Context(), f, flows.InstanceQuery{At: flows.NoTime, Since: flows.NoTime, Sort: flows.SortKey})
	var keys []string
	for _, r := range page.Instances {
		keys = append(keys, r.Key)
	}
	if err != nil || !slices.Equal(keys, []string{"A", "A#2"}) {
		t.Errorf("got %v, %v", keys, err)
	}
	h, err := s.Health(t.Context(), f, flows.Window{From: hour(15), To: hour(30)}, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "started", h.Started, 1)
	equal(t, "stuck", h.Stuck, 1)
}
