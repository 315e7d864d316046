package engine_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
	"throughline/flows/engine"
)

// keeper is what the engine's owner does for instances that keep their version: it stores
// their signals, and folds those that got late ones by their own version.
type keeper struct {
	versions map[string]*flows.Flow
	stored   map[engine.InstanceID]map[[3]string]flows.OccurrenceRecord
	moved    map[engine.InstanceID]bool
}

// keeping has a feed store what an owner stores. It is called before any signal.
func (f *feed) keeping() {
	f.keeper = &keeper{map[string]*flows.Flow{}, map[engine.InstanceID]map[[3]string]flows.OccurrenceRecord{}, map[engine.InstanceID]bool{}}
	f.know()
}

func (f *feed) know() {
	for _, flow := range f.set.Flows() {
		f.keeper.versions[flow.Version] = flow
	}
}

func (f *feed) keep(rows engine.Rows) {
	k := f.keeper
	for _, id := range rows.Whole {
		k.stored[id] = nil
	}
	for _, r := range rows.Occurrences {
		id := engine.InstanceID{Flow: r.Flow, Key: flows.InstanceKey(r.Key, r.Environment)}
		now, _ := f.set.Flow(r.Flow)
		if own := k.versions[f.rows[r.Flow+"/"+r.Key].Version]; own != nil && slices.Contains(rows.Late, id) && !own.Takes(now, r.StepID) {
			continue
		}
		if k.stored[id] == nil {
			k.stored[id] = map[[3]string]flows.OccurrenceRecord{}
		}
		if at := [3]string{r.Source, r.ID, r.StepID}; r.Deleted {
			delete(k.stored[id], at)
		} else {
			k.stored[id][at] = r
		}
	}
	for _, id := range rows.Late {
		value, _ := flows.SplitInstanceKey(id.Key)
		own := k.versions[f.rows[id.Flow+"/"+value].Version]
		var occurrences []flows.Occurrence
		for _, r := range k.stored[id] {
			if o, ok := own.Occurrence(r); ok {
				occurrences = append(occurrences, o)
			}
		}
		in := own.Fold(occurrences, flows.Clock(occurrences, f.now))
		if in.State.InFlight() {
			k.moved[id] = true
			f.e.Move(id, f.now)
			continue
		}
		f.rows[id.Flow+"/"+value] = own.Record(value, &in, f.now)
	}
	if len(rows.Late) > 0 {
		f.take()
	}
}

// change puts another set in force, and returns the instances that had ended and keep
// their version.
func (f *feed) change(set *flows.Set, stored []flows.Signal) map[string]flows.InstanceRecord {
	f.t.Helper()
	kept := map[string]flows.InstanceRecord{}
	for name, r := range f.rows {
		if now, ok := set.Flow(r.Flow); ok && !r.State.InFlight() && f.keeper.versions[r.Version].Keeps(now) {
			kept[name] = r
		}
	}
	f.set = set
	f.know()
	if len(f.e.Replace(set)) > 0 {
		f.send(slices.Clone(stored)...)
		f.e.Retire()
	}
	f.take()
	for name, was := range kept {
		id := engine.InstanceID{Flow: was.Flow, Key: was.Key}
		if diff := gocmp.Diff(was, f.rows[name]); diff != "" || (f.e.Stats().Instances > 0 && !f.e.Kept(id)) {
			f.t.Errorf("%s ended under %s, and is rewritten by a change: %s", name, was.Version, diff)
		}
	}
	return kept
}

const kettle = `
flow: kettle
key: order
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, system: payments, match: {event: paid}, after: placed, within: 15m}
  - {id: sent, system: carrier, match: {event: sent}, after: paid, end: completed}
`

// The laws of section 2: ended instances keep their version on a change, open ones do not.
func TestEndedInstancesKeepTheirVersion(t *testing.T) {
	before := setOf(t, flows.Refs{}, "", kettle)
	changes := map[string]string{
		"a deadline": strings.Replace(kettle, "within: 15m", "within: 5m", 1),
		"an end":     strings.Replace(kettle, ", end: completed", "", 1),
		"a new step": strings.Replace(kettle, "  - {id: sent, system: carrier, match: {event: sent}, after: paid",
			"  - {id: packed, match: {event: packed}, after: paid}\n  - {id: sent, system: carrier, match: {event: sent}, after: packed", 1),
		"a step less":    strings.NewReplacer("  - {id: paid, system: payments, match: {event: paid}, after: placed, within: 15m}\n", "", "after: paid", "after: placed").Replace(kettle),
		"another signal": strings.Replace(kettle, "match: {event: paid}", "match: {event: charged}", 1),
	}
	for what, text := range changes {
		t.Run(what, func(t *testing.T) {
			f := newFeed(t, before)
			f.keeping()
			history := []flows.Signal{
				ev("a1", "placed", 0, "order", "a"), ev("a2", "paid", 10, "order", "a"), ev("a3", "sent", 12, "order", "a"),
				ev("b1", "placed", 0, "order", "b"), ev("b2", "paid", 10, "order", "b"),
				ev("c1", "placed", 0, "order", "c"),
			}
			f.until(14)
			f.send(slices.Clone(history)...)
			after := setOf(t, flows.Refs{}, "", text)
			kept := f.change(after, history)
			if len(kept) != 1 || f.instance("kettle", "a").Version == f.instance("kettle", "b").Version {
				t.Fatalf("%d kept; a is of %s, b of %s", len(kept), f.instance("kettle", "a").Version, f.instance("kettle", "b").Version)
			}
			if h := f.health("kettle"); h.Completed != 1 || h.Started != 3 || h.InFlight != 2 {
				t.Errorf("completed %d, started %d, in flight %d", h.Completed, h.Started, h.InFlight)
			}
			f.send(ev("a4", "sent", 13, "order", "a")) // late
			if r := f.instance("kettle", "a"); r.Version != before.Flows()[0].Version || len(r.Path) != 4 || r.Deviations[0] != flows.DeviationRepeat {
				t.Errorf("a late signal: %+v", r)
			}
			if !f.e.Move(engine.InstanceID{Flow: "kettle", Key: "a"}, f.now) {
				t.Error("it is in memory, and not moved")
			}
			f.take()
			if h := f.health("kettle"); h.Completed != 1 || h.Started != 3 {
				t.Errorf("moved: completed %d, started %d", h.Completed, h.Started)
			}
			now := after.Flows()[0]
			signals := append(history[:3:3], ev("a4", "sent", 13, "order", "a"))
			want := foldedBy(t, after, signals, f.now)["kettle/a"]
			if diff := gocmp.Diff(want, settled(f.instance("kettle", "a"))); diff != "" || f.instance("kettle", "a").Version != now.Version {
				t.Error(diff)
			}
			steps := map[string]bool{}
			for at := range f.keeper.stored[engine.InstanceID{Flow: "kettle", Key: "a"}] {
				steps[at[2]] = true
				if !slices.Contains(now.Positions(), at[2]) {
					t.Errorf("a row of %s is left", at[2])
				}
			}
			if len(steps) != len(slices.Compact(slices.Sorted(maps.Keys(steps)))) || !steps["sent"] {
				t.Errorf("rows of %v", steps)
			}
		})
	}
}

// leave has all that is in memory, and has ended, leave it.
func (f *feed) leave() []engine.Evicted {
	f.t.Helper()
	f.e.BeginSave()
	for !f.e.Save(f.now, 100) {
	}
	f.until(30)
	f.e.Rest(f.now, 100)
	f.until(200)
	f.e.Evict(f.now, 100)
	left := f.e.Take().Evicted
	f.e.Leave(left)
	if len(left) == 0 || f.e.Stats().Instances != 0 {
		f.t.Fatalf("%d left, %d in memory", len(left), f.e.Stats().Instances)
	}
	return left
}

// A flow that takes other signals now leaves another flow's instance of the same key as it
// is, though they left memory together.
func TestKeptInstancesLeaveOthersAlone(t *testing.T) {
	lid := strings.NewReplacer("flow: kettle", "flow: lid", "event: ", "event: lid.").Replace(kettle)
	f := newFeed(t, setOf(t, flows.Refs{}, "", kettle, lid))
	f.keeping()
	for _, what := range []string{"", "lid."} {
		f.send(ev(what+"1", what+"placed", 0), ev(what+"2", what+"paid", 10), ev(what+"3", what+"sent", 12))
	}
	f.until(14)
	left := f.leave()
	f.set = setOf(t, flows.Refs{}, "", strings.Replace(kettle, "match: {event: paid}", "match: {event: charged}", 1), lid)
	id := engine.InstanceID{Flow: "kettle", Key: "1"}
	if f.e.Away("order", []engine.InstanceID{id}) == nil {
		t.Fatal("nothing is away")
	}
	if empty := f.e.Replace(f.set); len(empty) != 1 {
		t.Fatal(empty)
	}
	for _, out := range left {
		if err := f.e.Return([]engine.State{out.State}, f.now); err != nil {
			t.Fatal(err)
		}
	}
	f.e.Keep(id)
	f.e.Retire()
	f.take()
	if !f.e.Kept(id) || f.e.Kept(engine.InstanceID{Flow: "lid", Key: "1"}) {
		t.Error("the wrong one is kept")
	}
	f.send(ev("lid.4", "lid.paid", 11))
	if r := f.instance("lid", "1"); len(r.Path) != 4 || r.State != flows.Completed {
		t.Errorf("%+v", r)
	}
	if r := f.instance("kettle", "1"); r.State != flows.Completed || len(r.Path) != 3 {
		t.Errorf("%+v", r)
	}
}

// What left memory before or after a change comes back as it left: kept.
func TestKeptInstancesLeaveMemoryAndComeBack(t *testing.T) {
	for what, leaveFirst := range map[string]bool{"left before": true, "left after": false} {
		t.Run(what, func(t *testing.T) {
			before := setOf(t, flows.Refs{}, "", kettle)
			f := newFeed(t, before)
			f.keeping()
			f.send(ev("a1", "placed", 0, "order", "a"), ev("a2", "paid", 10, "order", "a"), ev("a3", "sent", 12, "order", "a"))
			f.until(14)
			var left []engine.Evicted
			if leaveFirst {
				left = f.leave()
			}
			was := f.instance("kettle", "a")
			f.change(setOf(t, flows.Refs{}, "", strings.Replace(kettle, ", end: completed", "", 1)), nil)
			if !leaveFirst {
				left = f.leave()
			}
			late := ev("a4", "sent", 13, "order", "a")
			if err := f.set.AssignKeys(&late); err != nil {
				t.Fatal(err)
			}
			if f.e.Missing([]flows.Signal{late}) == nil {
				t.Fatal("nothing is missing")
			}
			if err := f.e.Return([]engine.State{left[0].State}, f.now); err != nil {
				t.Fatal(err)
			}
			f.take()
			if diff := gocmp.Diff(was, f.instance("kettle", "a")); diff != "" {
				t.Errorf("as it came back: %s", diff)
			}
			f.send(late)
			if r := f.instance("kettle", "a"); r.Version != was.Version || r.State != flows.Completed || len(r.Path) != 4 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What is stored as of another version is kept after a restart too, with or without a
// saved state.
func TestKeepAfterARestart(t *testing.T) {
	history := []flows.Signal{
		ev("a1", "placed", 0, "order", "a"), ev("a2", "paid", 10, "order", "a"), ev("a3", "sent", 12, "order", "a"), ev("b1", "placed", 0, "order", "b"),
	}
	after := setOf(t, flows.Refs{}, "", strings.Replace(kettle, "within: 15m", "within: 5m", 1))
	for what, first := range map[string]bool{"before the signals": true, "after the state": false} {
		f := newFeed(t, after)
		signals := slices.Clone(history)
		for i := range signals {
			if err := after.AssignKeys(&signals[i]); err != nil {
				t.Fatal(err)
			}
		}
		id := engine.InstanceID{Flow: "kettle", Key: "a"}
		if first {
			f.e.Keep(id)
		}
		f.e.Load(signals, morning.Add(14e9*60))
		if !first {
			f.e.Keep(id)
		}
		f.e.OweAll("kettle")
		f.e.OweUnseen("kettle", map[string]bool{})
		f.until(14)
		if _, ok := f.rows["kettle/a"]; ok || len(f.rows) != 1 || !f.e.Kept(id) {
			t.Errorf("%s: %v", what, f.rows)
		}
		f.e.Reconcile(&flows.InstanceRecord{Flow: "kettle", Key: "gone", Version: "x"}, map[string]bool{})
		f.e.Reconcile(&flows.InstanceRecord{Flow: "kettle", Key: "a", Version: "x", State: flows.Completed}, map[string]bool{})
		rows := f.e.Take()
		if len(rows.Instances) != 1 || !rows.Instances[0].Deleted || rows.Instances[0].Key != "gone" || len(rows.Late) > 0 {
			t.Errorf("%s: %+v", what, rows)
		}
	}
}
