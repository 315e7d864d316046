package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// laterOrders lacks a step and has another, with other limits, ends and segments.
const laterOrders = `
flow: orders
key: order_id
links: [invoice_id]
value: {amount: total, currency: currency}
segments: ["odd'name", region]
expire: 3d
holds: [{id: on-hold, from: {event: order.held}, until: {event: order.released}, at_most: 2h}]
steps:
  - {id: packed, match: {event: order.packed}}
  - {id: placed, match: {event: order.placed}, start: true}
  - {id: shipped, system: carrier, match: {event: order.shipped}, after: [placed, packed], within: 1h, each: parcel_id, expect: "odd'parcels"}
  - {id: cancelled, match: {event: order.cancelled}, end: failed}
`

// seen is an instance as its own version has it.
type seen struct {
	own    *flows.Flow
	judged flows.Time
	in     flows.Instance
}

// byVersion folds each instance that had ended when w was written, and before an instant of
// hindsight, by its version, and the others by the version in force.
func (w *world) byVersion(inForce *flows.Flow, now flows.Time, hindsight bool) map[string]seen {
	all := map[string]seen{}
	w.each(w.now, false, func(key string, _ flows.Time, _ bool, in *flows.Instance) {
		own := inForce
		if !in.State.InFlight() {
			own = w.flow
		}
		of := func(own *flows.Flow) (occurrences []flows.Occurrence) {
			for _, o := range w.all[key] {
				if o, ok := own.Occurrence(w.flow.OccurrenceRecord(key, o)); ok && (!hindsight || o.At <= now) {
					occurrences = append(occurrences, o)
				}
			}
			return occurrences
		}
		occurrences := of(own)
		if hindsight && own.Exists(occurrences) && own.Fold(occurrences, now).State.InFlight() {
			own = inForce
			occurrences = of(own)
		}
		if !own.Exists(occurrences) {
			return
		}
		judged := now
		if !hindsight {
			judged = flows.Clock(occurrences, now)
		}
		all[key] = seen{own, judged, own.Fold(occurrences, judged)}
	})
	return all
}

// Numbers, paths and single instances are those of each instance's own version (FLOWS.md
// section 2), whatever version is in force.
func TestReadsFoldByEachInstancesVersion(t *testing.T) {
	s := openStore(t)
	w := makeWorld(t, s, 300)
	after := parseFlow(t, []byte(laterOrders))
	if err := s.SaveFlowVersion(t.Context(), FlowVersion{Flow: "orders", Version: w.flow.Version, Definition: orders}); err != nil {
		t.Fatal(err)
	}
	for _, window := range []flows.Window{
		{From: flows.NoTime, To: w.now},
		{From: w.now.Add(-5 * 24 * time.Hour), To: w.now},
		{From: epoch.Add(6 * 24 * time.Hour), To: epoch.Add(9 * 24 * time.Hour), Hindsight: true},
	} {
		for _, region := range []string{"", "EU"} {
			tally, gauges, first, versions := flows.NewTally(after), flows.NewGauges(after), window.To, map[*flows.Flow]int{}
			for _, i := range w.byVersion(after, window.To, window.Hindsight) {
				segments := i.own.Record("", &i.in, 0).Segments
				if region != "" && segments["region"] != region {
					continue
				}
				versions[i.own]++
				first = min(first, i.in.StartedAt)
				in := after.Project(i.own, &i.in)
				flows.CountInstance(&in, 1, func(at flows.Time) *flows.Tally {
					if at < window.From || at >= window.To {
						return nil
					}
					return tally
				})
				if in.State.InFlight() {
					gauges.Count(&in, i.judged, 1)
					gauges.Age.Add(max(0, i.judged.Sub(in.StartedAt)))
				}
			}
			length, span := window.To.Sub(window.From), window.To.Sub(window.From)
			if window.From == flows.NoTime {
				length, span = 0, window.To.Sub(first)
			}
			cut := ""
			if region != "" {
				cut = "region:" + region
			}
			got, err := s.Health(t.Context(), after, window, cut)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, after.Health(tally, gauges, window.To, length, span)), asJSON(t, got)); diff != "" {
				t.Errorf("window %v %s: -want +got\n%s", window, cut, diff)
			}
			if !window.Hindsight && region == "" && window.From == flows.NoTime && (versions[after] == 0 || versions[w.flow] == 0) {
				t.Errorf("%v: of one version only", versions)
			}
		}
	}
	checkVariants(t, s, w, after)
	checkInstances(t, s, w, after)
}

func checkVariants(t *testing.T, s *Store, w *world, after *flows.Flow) {
	t.Helper()
	want, edges := map[string]int{}, map[string]int{}
	for _, i := range w.byVersion(after, w.now, false) {
		ids := idsOf(i.own, i.in.Path)
		if len(ids) > 0 {
			want[strings.Join(ids, " ")]++
		}
		for n := 1; n < len(ids); n++ {
			edges[ids[n-1]+" "+ids[n]]++
		}
	}
	found, err := s.Variants(t.Context(), after, flows.NoTime, flows.NoTime, 1000)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, v := range found.Variants {
		got[strings.Join(v.Steps, " ")] = v.Count
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variants: %s", diff)
	}
	follows, err := s.DirectlyFollows(t.Context(), after, flows.NoTime, flows.NoTime)
	if err != nil {
		t.Fatal(err)
	}
	got = map[string]int{}
	for _, e := range follows.Edges {
		got[e.From+" "+e.To] = e.Count
	}
	if diff := cmp.Diff(edges, got); diff != "" || follows.Starts["paid"] == 0 {
		t.Errorf("edges: %s", diff)
	}
}

func checkInstances(t *testing.T, s *Store, w *world, after *flows.Flow) {
	t.Helper()
	kept := map[string]bool{}
	if err := s.KeptInstances(t.Context(), after, flows.NoTime, "", func(key string) error {
		kept[key] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	at := epoch.Add(10 * 24 * time.Hour)
	then := w.byVersion(after, at, true)
	for key, i := range w.byVersion(after, w.now, false) {
		if kept[key] != (i.own == w.flow) {
			t.Errorf("%q keeps its version: %v", key, kept[key])
		}
		detail, err := s.Instance(t.Context(), after, key, flows.NoTime)
		if err != nil {
			t.Fatal(err)
		}
		if len(detail.Steps) != len(i.own.Steps) || detail.Steps[0].Step != i.own.Steps[0].ID {
			t.Errorf("%q has the steps of another version", key)
		}
		if was, ok := then[key]; ok {
			past, err := s.Instance(t.Context(), after, key, at)
			if err != nil {
				t.Fatal(err)
			}
			if past.State != was.in.State || past.Version != was.own.Version {
				t.Errorf("%q then: %v of %s, want %v of %s", key, past.State, past.Version, was.in.State, was.own.Version)
			}
		}
	}
}

// A version that is not stored, or not read any more, is folded by that in force.
func TestVersionThatIsGone(t *testing.T) {
	s := openStore(t)
	after := parseFlow(t, []byte(laterOrders))
	if err := s.SaveFlowVersion(t.Context(), FlowVersion{Flow: "orders", Version: "cut", Definition: orders[:40]}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, version := range []string{"cut", "absent", after.Version} {
			if own, err := s.FlowVersion(t.Context(), after, version); err != nil || own != after {
				t.Errorf("%s: %v, %v", version, own, err)
			}
		}
	}
}
