package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
	"throughline/flows/engine"
)

// generated is a flow with a history, both made up: of all that a flow may have.
type generated struct {
	text    string
	refs    flows.Refs
	signals []flows.Signal
	now     flows.Time
	seed    uint64
}

// shifts works 20 minutes of every hour.
func shifts(t *testing.T) *flows.Calendar {
	t.Helper()
	var spans []string
	for h := range 24 {
		spans = append(spans, fmt.Sprintf("\"%02d:10-%02d:30\"", h, h))
	}
	c, faults := flows.ParseCalendar("shifts.yaml", "shifts", []byte("zone: Europe/Berlin\nhours: {mon-sun: ["+strings.Join(spans, ", ")+"]}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

// flowText writes a flow that may or may not be a good one.
func flowText(rng *rand.Rand) string {
	some := func(of int) bool { return rng.IntN(of) == 0 }
	span := func(most int) string { return fmt.Sprintf("%dm", 1+rng.IntN(most)) }
	var b strings.Builder
	b.WriteString("flow: made\nkey: order\nvalue: {amount: total, currency: currency}\nsegments: [region]\n")
	for _, line := range []string{"idle: " + span(90), "expire: " + span(300), "reopen: new", "sampling: ok"} {
		if some(2) {
			b.WriteString(line + "\n")
		}
	}
	if some(2) {
		b.WriteString("holds:\n- {id: h0, from: {event: h0}, until: {event: u0}}\n")
		if some(2) {
			fmt.Fprintf(&b, "- {id: h1, from: {event: h1}, at_most: %s}\n", span(60))
		}
	}
	b.WriteString("steps:\n")
	for s := range 2 + rng.IntN(5) {
		fmt.Fprintf(&b, "- {id: s%d, system: y%d, match: {%s: s%d}", s, rng.IntN(2), []string{"event", "span"}[rng.IntN(2)], s)
		var after []string
		for p := range s {
			if some(2) {
				after = append(after, fmt.Sprint("s", p))
			}
		}
		if len(after) > 0 {
			list := "[" + strings.Join(after, ", ") + "]"
			if len(after) > 1 && some(3) {
				list = "{any: " + list + "}"
			}
			b.WriteString(", after: " + list)
			switch rng.IntN(4) {
			case 0:
			case 1:
				fmt.Fprintf(&b, ", within: {business: %s, calendar: shifts}", span(40))
			default:
				fmt.Fprintf(&b, ", within: %s", span(60))
			}
		}
		for _, field := range []struct {
			text string
			of   int
		}{
			{"choice: c", 5}, {"each: child", 4}, {"optional: true", 6}, {"repeat: true", 3}, {"start: true", 3}, {"end: " + []string{"completed", "completed", "failed", "cancelled"}[rng.IntN(4)], 4},
		} {
			if some(field.of) {
				b.WriteString(", " + field.text)
				if field.text == "each: child" && some(2) {
					b.WriteString(", expect: children")
				}
			}
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// generate tries until the flow is a good one.
func generate(t *testing.T, seed uint64) *generated {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 21))
	g := &generated{seed: seed, refs: flows.Refs{Calendars: map[string]*flows.Calendar{"shifts": shifts(t)}}}
	if rng.IntN(3) == 0 {
		from := morning + flows.Time(rng.IntN(150))*minute
		g.refs.Systems = map[string]*flows.System{"y0": {Name: "y0", Downtime: []flows.Interval{{From: from, To: from + 40*minute}}}}
	}
	for flow := (*flows.Flow)(nil); flow == nil; flow, _ = g.refs.Parse("made.yaml", []byte(g.text)) {
		g.text = flowText(rng)
	}
	names := []string{"noise", "h0", "u0", "h1"}
	for s := range strings.Count(g.text, "- {id: s") {
		names = append(names, fmt.Sprint("s", s), fmt.Sprint("s", s))
	}
	for i := range 1 + rng.IntN(24) {
		s := ev(fmt.Sprint(i), names[rng.IntN(len(names))], float64(rng.IntN(1+rng.IntN(200))), "order", fmt.Sprint(rng.IntN(3)))
		s.Failed = rng.IntN(8) == 0
		s.Sequence = []string{"", "", "2", "10"}[rng.IntN(4)]
		for name, v := range map[string]any{"child": []string{"A", "B", "C"}[rng.IntN(3)], "children": int64(rng.IntN(4)), "region": "r", "total": 0.1} {
			if rng.IntN(3) == 0 {
				s.Data[name], s.Data["currency"] = v, "EUR"
			}
		}
		if rng.IntN(25) == 0 {
			s.Name, s.Source, s.Failed = flows.ResolvedName, flows.ResolvedSource, false
			s.Data["flow"], s.Data["key_type"], s.Data["key"] = "made", "order", s.Data["order"]
		}
		if s.Name[0] == 's' && strings.Contains(g.text, "span: "+s.Name) {
			s.Kind, s.Sampled = flows.Span, rng.IntN(2) == 0
		}
		g.signals = append(g.signals, s)
	}
	g.now = morning + flows.Time(rng.IntN(400))*minute
	return g
}

// folded are the instances as the fold alone makes them of the set of signals.
func (g *generated) folded(t *testing.T, set *flows.Set, signals []flows.Signal, now flows.Time) map[string]flows.InstanceRecord {
	t.Helper()
	return foldedBy(t, set, signals, now)
}

// foldedBy is that of the one flow of a set.
func foldedBy(t *testing.T, set *flows.Set, signals []flows.Signal, now flows.Time) map[string]flows.InstanceRecord {
	t.Helper()
	made := set.Flows()[0]
	rows := map[string]flows.InstanceRecord{}
	for key, occurrences := range occurrencesOf(t, set, signals) {
		if !made.Exists(occurrences) {
			continue
		}
		for n, part := range made.Parts(occurrences) {
			in := made.Fold(slices.Clone(part), flows.Clock(part, now))
			name := flows.PartKey(key, n)
			rows[made.Name+"/"+name] = settled(made.Record(name, &in, now))
		}
	}
	return rows
}

// occurrencesOf are those of the one flow of a set, by key.
func occurrencesOf(t *testing.T, set *flows.Set, signals []flows.Signal) map[string][]flows.Occurrence {
	t.Helper()
	made := set.Flows()[0]
	byKey, seen := map[string][]flows.Occurrence{}, map[flows.Identity]bool{}
	for i := range signals {
		s := signals[i]
		if seen[s.Identity()] {
			continue
		}
		seen[s.Identity()] = true
		if err := set.AssignKeys(&s); err != nil {
			t.Fatal(err)
		}
		for _, hit := range set.Match(&s, nil) {
			byKey[s.Keys[0].Value] = append(byKey[s.Keys[0].Value], made.Occur(&s, hit.Step, hit.Failed))
		}
	}
	return byKey
}

// settled leaves out what goes on by itself, and when it was judged.
func settled(r flows.InstanceRecord) flows.InstanceRecord {
	r.AsOf, r.Imported = 0, false
	if r.State == flows.Stuck {
		r.StuckFor = 0
	}
	return r
}

func (f *feed) settled() map[string]flows.InstanceRecord {
	rows := map[string]flows.InstanceRecord{}
	for key, r := range f.rows {
		r.Version = ""
		rows[key] = settled(r)
	}
	return rows
}

func versionless(rows map[string]flows.InstanceRecord) map[string]flows.InstanceRecord {
	for key, r := range rows {
		r.Version = ""
		rows[key] = r
	}
	return rows
}

// at moves the clock to an instant without a stop.
func (f *feed) at(now flows.Time) {
	f.now = max(f.now, now)
	f.e.Roll(f.now)
	f.e.Advance(f.now)
	f.take()
	f.save()
}

// save saves all that changed.
func (f *feed) save() {
	if f.rolled == nil {
		f.rolled = engine.RolledSums{}
	}
	f.e.BeginSave()
	for !f.e.Save(f.now, 3) {
	}
	f.take()
}

// ways are what must all come to the same.
var ways = map[string]func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed{
	"live, in any order, doubled, in any batches": func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed {
		f := newFeed(t, set)
		for batch := range slices.Chunk(g.mixed(rng), 1+rng.IntN(4)) {
			f.at(min(g.now, f.now+flows.Time(rng.IntN(60))*minute))
			f.send(slices.Clone(batch)...)
		}
		f.at(g.now)
		return f
	},
	"imported": func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed {
		f := newFeed(t, set)
		f.at(g.now + 1_000_000*minute)
		for _, s := range g.mixed(rng) {
			s.AsOf = g.now
			if s.Source != flows.ResolvedSource {
				s.Source = flows.ImportSource + "made"
			}
			f.send(s)
		}
		return f
	},
	"restarted at any point": func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed {
		before, all := newFeed(t, set), g.mixed(rng)
		cut := rng.IntN(1 + len(all))
		at := min(g.now, morning+flows.Time(rng.IntN(200))*minute)
		before.send(slices.Clone(all[:cut])...)
		before.at(at)
		after := newFeed(t, set)
		after.rows = before.rows
		stored := slices.Clone(all[:cut])
		rng.Shuffle(len(stored), func(i, j int) { stored[i], stored[j] = stored[j], stored[i] })
		for i := range stored {
			if err := set.AssignKeys(&stored[i]); err != nil {
				t.Fatal(err)
			}
		}
		after.e.Load(stored, at)
		after.e.Rework(true)
		after.at(at)
		after.send(slices.Clone(all[rng.IntN(1+cut):])...) // some are read again
		after.e.Rework(false)
		after.at(g.now)
		return after
	},
	"judged anew after a deadline changed": func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed {
		f := newFeed(t, setOf(t, g.refs, "", regexp.MustCompile(`within: \w+`).ReplaceAllString(g.text, "within: 7m")))
		return g.changed(t, f, set, rng, func(*flows.Signal) bool { return true })
	},
	"folded anew after the definition changed": func(t *testing.T, g *generated, set *flows.Set, rng *rand.Rand) *feed {
		f := newFeed(t, setOf(t, g.refs, "", strings.Replace(g.text, "steps:\n", "steps:\n- {id: more, match: {event: noise}}\n", 1)))
		return g.changed(t, f, set, rng, func(s *flows.Signal) bool { return s.Name != "noise" })
	},
}

// changed has the definition change at some point. Those that had ended then are what
// their own version makes of their signals, of the later ones those that the other takes
// too, unless these open them again.
func (g *generated) changed(t *testing.T, f *feed, set *flows.Set, rng *rand.Rand, taken func(*flows.Signal) bool) *feed {
	t.Helper()
	before := f.set
	f.keeping()
	all := g.mixed(rng)
	cut := rng.IntN(1 + len(all))
	f.send(slices.Clone(all[:cut])...)
	f.at(min(g.now, morning+60*minute))
	kept := f.change(set, all[:cut])
	f.send(slices.Clone(all[cut:])...)
	signals := slices.Clone(all[:cut])
	for i := range all[cut:] {
		if s := all[cut+i]; taken(&s) {
			signals = append(signals, s)
		}
	}
	f.kept = map[string]flows.InstanceRecord{}
	own := foldedBy(t, before, signals, f.now)
	for name := range kept {
		if !own[name].State.InFlight() {
			f.kept[name] = own[name]
		}
	}
	f.at(g.now)
	return f
}

// mixed are the signals in some order, some of them twice.
func (g *generated) mixed(rng *rand.Rand) []flows.Signal {
	all := slices.Clone(g.signals)
	for range rng.IntN(5) {
		all = append(all, all[rng.IntN(len(all))])
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (g *generated) differs(t *testing.T, way string) string {
	t.Helper()
	set := setOf(t, g.refs, "", g.text)
	f := ways[way](t, g, set, rand.New(rand.NewPCG(g.seed, 22)))
	signals := g.signals
	if way == "imported" {
		signals = slices.Clone(signals)
		for i := range signals {
			signals[i].AsOf = g.now
			if signals[i].Source != flows.ResolvedSource {
				signals[i].Source = flows.ImportSource + "made"
			}
		}
	}
	want := g.folded(t, set, signals, g.now)
	maps.Copy(want, f.kept)
	f.save()
	return gocmp.Diff(versionless(want), f.settled()) + f.recount(set, signals)
}

// recount compares the roll-ups of the one flow of a set with what is counted anew of its
// instances that keep no other version. It says nothing of those that went from one to another.
func (f *feed) recount(set *flows.Set, signals []flows.Signal) string {
	if f.keeper != nil && len(f.keeper.moved) > 0 {
		return ""
	}
	made := set.Flows()[0]
	all := flows.NewRollUps(made)
	for key, occurrences := range occurrencesOf(f.t, set, signals) {
		if !f.e.Kept(engine.InstanceID{Flow: made.Name, Key: key}) {
			all.Change(&flows.Instance{}, nil, occurrences)
		}
	}
	want := engine.RolledSums{}
	want.Take([]engine.Rolled{{Flow: made.Name, Changes: all.Take()}})
	return gocmp.Diff(want.Clean(), f.rolled.Clean())
}

// shrunk leaves out the signals that a difference does not need.
func (g *generated) shrunk(t *testing.T, way string) *generated {
	t.Helper()
	for again := true; again; {
		again = false
		for i := range g.signals {
			less := *g
			if less.signals = slices.Delete(slices.Clone(g.signals), i, i+1); len(less.signals) > 0 && less.differs(t, way) != "" {
				g, again = &less, true
				break
			}
		}
	}
	return g
}

func (g *generated) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sdowntime %+v, now +%d\n", g.text, g.refs.Systems["y0"], (g.now-morning)/minute)
	for _, s := range g.signals {
		fmt.Fprintf(&b, "+%d %s %s sequence %q failed %v sampled %v %v\n", (s.Time-morning)/minute, s.ID, s.Name, s.Sequence, s.Failed, s.Sampled, s.Data)
	}
	return b.String()
}

// Whatever way signals come, the instances are those that the fold of their set gives.
func TestGeneratedFlowsComeToTheSameInEveryWay(t *testing.T) {
	seeds := uint64(1500)
	if testing.Short() {
		seeds = 300
	}
	covered := map[string]int{}
	for seed := range seeds {
		g := generate(t, seed)
		for _, what := range []string{"each:", "expect:", "holds:", "choice:", "any:", "optional:", "repeat:", "reopen:", "calendar:", "idle:", "expire:", "end:", "span:", "sampling:"} {
			if strings.Contains(g.text, what) {
				covered[what]++
			}
		}
		for _, r := range g.folded(t, setOf(t, g.refs, "", g.text), g.signals, g.now) {
			if r.State == flows.Unknown {
				covered["unknown"]++
			}
		}
		for way := range ways {
			if g.differs(t, way) != "" {
				g = g.shrunk(t, way)
				t.Fatalf("seed %d, %s: -fold +engine\n%s\n%s", seed, way, g.differs(t, way), g)
			}
		}
	}
	for what, n := range covered {
		if n < int(seeds)/30 {
			t.Errorf("%s is in %d of %d flows", what, n, seeds)
		}
	}
}

// Nothing fires early, and all that is due fires at the one tick that the engine asks for:
// right before it every instance is as the fold says, and right after it too.
func TestGeneratedFlowsFireInTime(t *testing.T) {
	seeds := uint64(600)
	if testing.Short() {
		seeds = 150
	}
	ticks := 0
	for seed := range seeds {
		g := generate(t, 50_000+seed)
		set := setOf(t, g.refs, "", g.text)
		f := newFeed(t, set)
		f.send(slices.Clone(g.signals)...)
		check := func(when string) {
			t.Helper()
			want := versionless(g.folded(t, set, g.signals, f.now))
			for key, r := range f.settled() {
				w := want[key]
				if r.State != w.State || r.Reason != w.Reason || r.ReasonStep != w.ReasonStep || r.StuckSince != w.StuckSince || len(r.WaitingOn) != len(w.WaitingOn) {
					t.Fatalf("seed %d, %s tick %d, at +%v: %s is %v %v %s, want %v %v %s\n%s", 50_000+seed, when, ticks, f.now.Sub(morning), key,
						r.State, r.Reason, r.ReasonStep, w.State, w.Reason, w.ReasonStep, g)
				}
			}
		}
		check("before any")
		for range 200 {
			next := f.e.Next()
			if next > f.now.Add(1e6*time.Hour) {
				break
			}
			if next-1 > f.now {
				f.now = next - 1 // the clock alone; the engine is not asked
				check("right before")
			}
			f.at(next)
			ticks++
			check("right after")
			if f.e.Next() <= f.now {
				t.Fatalf("seed %d: after the tick at +%v the next is not later", 50_000+seed, f.now.Sub(morning))
			}
		}
	}
	if ticks < int(seeds) {
		t.Errorf("%d ticks in %d histories", ticks, seeds)
	}
}
