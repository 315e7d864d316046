package engine_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
	"throughline/flows/engine"
)

// Each test here is named after a way in which another product gets it wrong. The fourteenth, a person who is
// erased, needs the store: it stands in cmd/throughline.

const minute = flows.Time(time.Minute)

// morning is Monday, 5 January 2026, 08:00 UTC: minute 0 of these tests.
var morning = flows.At(time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC))

const shop = `
flow: shop
key: order
value: {amount: total, currency: currency}
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, system: psp, match: {event: paid}, after: placed, within: 15m}
  - {id: shipped, system: carrier, match: {event: shipped}, after: paid, within: 1h, end: completed}
`

func setOf(t *testing.T, refs flows.Refs, keysFile string, files ...string) *flows.Set {
	t.Helper()
	var all []*flows.Flow
	for _, text := range files {
		f, faults := refs.Parse("flow.yaml", []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		all = append(all, f)
	}
	keys, faults := flows.ParseKeys("keys.yaml", []byte(keysFile))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := flows.NewKeyedSet(all, keys)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// feed is an engine that keeps what it wrote, as the store would.
type feed struct {
	t       *testing.T
	set     *flows.Set
	e       *engine.Engine
	now     flows.Time
	rows    map[string]flows.InstanceRecord // by flow and key
	written int                             // rows of instances in all
	kept    map[string]flows.InstanceRecord // what those are to be that keep their version
	keeper  *keeper                         // nil where no definition changes
	rolled  engine.RolledSums               // nil where nothing is saved
}

func newFeed(t *testing.T, set *flows.Set) *feed {
	f := &feed{t: t, set: set, e: engine.New(set), rows: map[string]flows.InstanceRecord{}}
	f.until(0)
	return f
}

// until lets the clock go to a minute; deadlines pass on the way.
func (f *feed) until(m float64) {
	f.t.Helper()
	f.now = morning.Add(time.Duration(m * float64(time.Minute)))
	f.e.Roll(f.now)
	f.e.Advance(f.now)
	f.take()
}

func (f *feed) send(signals ...flows.Signal) {
	f.t.Helper()
	for i := range signals {
		if err := f.set.AssignKeys(&signals[i]); err != nil {
			f.t.Fatal(err)
		}
	}
	f.e.Apply(signals, f.now)
	f.take()
}

func (f *feed) take() {
	rows := f.e.Take()
	for _, r := range rows.Instances {
		f.written++
		if r.Deleted {
			delete(f.rows, r.Flow+"/"+r.Key)
			continue
		}
		f.rows[r.Flow+"/"+r.Key] = r
	}
	if f.rolled != nil {
		f.rolled.Take(rows.Rolled)
	}
	if f.keeper != nil {
		f.keep(rows)
	}
}

func (f *feed) instance(flow, key string) flows.InstanceRecord {
	f.t.Helper()
	r, ok := f.rows[flow+"/"+key]
	if !ok {
		f.t.Fatalf("no instance %s/%s", flow, key)
	}
	return r
}

func (f *feed) health(flow string) flows.Health {
	f.t.Helper()
	h, ok := f.e.Health(flow, f.now)
	if !ok {
		f.t.Fatalf("no flow %s", flow)
	}
	return h
}

// ev is an event of order 1 at a minute, unless data names another.
func ev(id, name string, at float64, data ...any) flows.Signal {
	s := flows.Signal{
		Source: "/test", ID: id, Name: name, System: "/test", Time: morning.Add(time.Duration(at * float64(time.Minute))),
		Data: map[string]any{"order": "1"},
	}
	for i := 0; i < len(data); i += 2 {
		s.Data[data[i].(string)] = data[i+1]
		if data[i+1] == nil {
			delete(s.Data, data[i].(string))
		}
	}
	s.Received = s.Time
	return s
}

// orders calls back with every order of arrival of few signals.
func orders(signals []flows.Signal, do func([]flows.Signal)) {
	var permute func(n int)
	permute = func(n int) {
		if n < 2 {
			do(slices.Clone(signals))
			return
		}
		for i := range n {
			permute(n - 1)
			j := 0
			if n%2 == 0 {
				j = i
			}
			signals[j], signals[n-1] = signals[n-1], signals[j]
		}
	}
	permute(len(signals))
}

// inEveryOrder sends signals one by one in all orders, and wants the same rows of all.
func inEveryOrder(t *testing.T, set *flows.Set, signals []flows.Signal, at float64) (last *feed) {
	t.Helper()
	orders(signals, func(mixed []flows.Signal) {
		f := newFeed(t, set)
		f.until(at)
		for i := range mixed {
			f.send(mixed[i])
		}
		if last != nil {
			if diff := gocmp.Diff(last.rows, f.rows); diff != "" {
				t.Fatalf("another order of arrival gives other instances: %s", diff)
			}
		}
		last = f
	})
	return last
}

func TestRival01StepTwoBeforeStepOne(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	byArrival := newFeed(t, set)
	byArrival.until(10)
	byArrival.send(ev("2", "paid", 5))
	byArrival.send(ev("1", "placed", 0))
	inTime := inEveryOrder(t, set, []flows.Signal{ev("1", "placed", 0), ev("2", "paid", 5)}, 10)
	if diff := gocmp.Diff(inTime.rows, byArrival.rows); diff != "" {
		t.Errorf("by arrival: %s", diff)
	}
	if r := byArrival.instance("shop", "1"); len(r.Deviations) > 0 || r.WaitingOn[0].Step != "shipped" || r.WaitingOn[0].DueAt != morning+5*minute {
		t.Errorf("by arrival: %+v", r)
	}
	byTime := inEveryOrder(t, set, []flows.Signal{ev("1", "placed", 5), ev("2", "paid", 0)}, 30)
	r := byTime.instance("shop", "1")
	if r.State != flows.Open || !slices.Equal(r.Deviations, []flows.Deviation{flows.DeviationOrder}) || r.WaitingOn[0].Step != "shipped" {
		t.Errorf("by event time: %+v", r)
	}
}

func TestRival02TwoOfStepTwoOneBeforeStepOne(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	f := inEveryOrder(t, set, []flows.Signal{ev("1", "paid", 0), ev("2", "placed", 1), ev("3", "paid", 2), ev("4", "shipped", 3)}, 10)
	if r := f.instance("shop", "1"); r.State != flows.Completed || !slices.Equal(r.Path, []string{"paid", "placed", "paid", "shipped"}) {
		t.Errorf("%+v", r)
	}
	if h := f.health("shop"); h.Completed != 1 || h.InFlight != 0 || h.Steps[1].Reached != 1 || h.Steps[1].Skipped != 0 {
		t.Errorf("%+v", h)
	}
}

func TestRival03EqualTimestampsAreOrderedNotLost(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	f := inEveryOrder(t, set, []flows.Signal{ev("c", "placed", 0), ev("b", "paid", 0), ev("a", "shipped", 0)}, 1)
	if r := f.instance("shop", "1"); !r.Conforming || !slices.Equal(r.Path, []string{"placed", "paid", "shipped"}) {
		t.Errorf("by position in the file: %+v", r)
	}
	numbered := func(s flows.Signal, sequence string) flows.Signal { s.Sequence = sequence; return s }
	f = inEveryOrder(t, set, []flows.Signal{numbered(ev("a", "placed", 0), "10"), numbered(ev("b", "paid", 0), "9"), ev("c", "shipped", 0)}, 1)
	if r := f.instance("shop", "1"); r.State != flows.Completed || !slices.Equal(r.Path, []string{"paid", "placed", "shipped"}) {
		t.Errorf("by sequence, as numbers, absent last: %+v", r)
	}
}

func TestRival04AnInstanceAcrossTheWindowsEdgeIsInFlight(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", strings.ReplaceAll(shop, "within: 15m", "within: 7d"))
	f := newFeed(t, set)
	f.send(ev("1", "placed", 0), ev("2", "placed", 0, "order", "2"))
	f.until(300)
	f.send(ev("3", "paid", 299, "order", "2"), ev("4", "shipped", 300, "order", "2"))
	h := f.health("shop")
	if h.Started != 0 || h.InFlight != 1 || h.Completed != 1 || h.Steps[1].Waiting != 1 || h.Latency.Count != 1 || *h.Latency.Max != 300*60 || *h.OpenAge.Max != 300*60 {
		t.Errorf("%+v", h)
	}
}

func TestRival05LatencyIsNeverNegative(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	f := newFeed(t, set)
	f.until(10)
	f.send(ev("1", "placed", 9), ev("2", "paid", 5), ev("3", "shipped", 2))
	if h := f.health("shop"); *h.Latency.Max != 0 || *h.Steps[1].Latency.Max != 0 || *h.Steps[2].Latency.Max != 0 || h.Completed != 1 {
		t.Errorf("%+v", h)
	}
	definition, _ := set.Flow("shop")
	rng := rand.New(rand.NewPCG(5, 5))
	for range 3000 {
		var all []flows.Occurrence
		for i := range 1 + rng.IntN(6) {
			at := morning + flows.Time(rng.IntN(100))*minute
			all = append(all, flows.Occurrence{Step: rng.IntN(3), At: at, Start: at - flows.Time(rng.IntN(3))*minute, ID: fmt.Sprint(i)})
		}
		in := definition.Fold(all, morning+200*minute)
		latency, done := in.Latency()
		for _, s := range in.Steps {
			latency = min(latency, s.Latency)
		}
		if latency < 0 && (done || latency > math.MinInt64) {
			t.Fatalf("%v of %+v", latency, all)
		}
	}
}

func TestRival06ASilentStallIsFoundByTheClockAlone(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	placed := ev("1", "placed", 0)
	stalls := func(f *feed, why string) {
		t.Helper()
		deadline := morning + 15*minute
		if f.e.Next() != deadline+1 {
			t.Fatalf("%s: the timer is set to %v", why, f.e.Next())
		}
		f.until(15)
		if r := f.instance("shop", "1"); r.State != flows.Open {
			t.Errorf("%s: raised early: %+v", why, r)
		}
		f.now = f.e.Next() // one tick
		f.e.Roll(f.now)
		f.e.Advance(f.now)
		f.take()
		if r := f.instance("shop", "1"); r.State != flows.Stuck || r.ReasonStep != "paid" || r.System != "psp" || r.StuckSince != deadline {
			t.Errorf("%s: %+v", why, r)
		}
		if c := f.e.Cohorts(); len(c) != 1 || c[0].Count != 1 {
			t.Errorf("%s: %+v", why, c)
		}
	}
	f := newFeed(t, set)
	f.send(placed)
	stalls(f, "running on")
	before := f.instance("shop", "1")

	again := newFeed(t, set)
	again.rows["shop/1"] = flows.InstanceRecord{}
	again.until(7)
	if err := set.AssignKeys(&placed); err != nil {
		t.Fatal(err)
	}
	again.e.Load([]flows.Signal{placed}, again.now)
	again.e.OweAll("shop")
	again.take()
	stalls(again, "restarted in between")
	if diff := gocmp.Diff(before, again.instance("shop", "1")); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
}

func TestRival07ALateEventClearsTheStallAndRestatesOnce(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	f := newFeed(t, set)
	f.send(ev("1", "placed", 0))
	f.until(20)
	if h := f.health("shop"); h.Stuck != 1 || h.Steps[1].Overdue != 1 {
		t.Fatalf("%+v", h)
	}
	written := f.written
	f.send(ev("2", "paid", 18))
	for range 3 {
		f.send(ev("2", "paid", 18))
	}
	r := f.instance("shop", "1")
	if r.State != flows.Open || !r.Recovered || r.StuckFor != 3*time.Minute || f.written != written+1 || len(f.e.Cohorts()) != 0 {
		t.Errorf("%d rows, %+v", f.written-written, r)
	}
	h := f.health("shop")
	if h.Started != 1 || h.Stuck != 0 || h.Steps[1].Reached != 1 || h.Steps[1].Overdue != 0 || h.Steps[1].Latency.Count != 1 || *h.Steps[1].Latency.Max != 18*60 {
		t.Errorf("%+v", h)
	}
}

func TestRival08TenThousandStallsAreOneIncident(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", shop)
	f := newFeed(t, set)
	const n = 10_000
	var all []flows.Signal
	for i := range n {
		all = append(all, ev(fmt.Sprint(i), "placed", 0, "order", fmt.Sprint(i), "total", "0.10", "currency", "EUR"))
	}
	f.send(all...)
	f.until(16)
	incident := func(count int, risk string) {
		t.Helper()
		c := f.e.Cohorts()
		if len(c) != 1 || c[0].Count != count || c[0].Step != "paid" || c[0].Reason != flows.ReasonDeadline || len(c[0].Keys) > 10 || c[0].AtRisk["EUR"].String() != risk {
			t.Fatalf("%d incidents, %+v", len(c), c)
		}
		if h := f.health("shop"); h.Stuck != count || h.Steps[1].Overdue != count {
			t.Errorf("%d stuck, %d overdue, want %d", h.Stuck, h.Steps[1].Overdue, count)
		}
	}
	incident(n, "1000")
	f.send(ev("paid", "paid", 16, "order", "7"))
	incident(n-1, "999.9")
}

// Of the states of a system only its calendar is there so far: with it closed there is
// nothing to say, and nobody is late.
func TestRival09NothingToSayIsNotSilence(t *testing.T) {
	office, faults := flows.ParseCalendar("office.yaml", "office", []byte("zone: UTC\nhours: {mon-fri: [\"08:00-17:00\"]}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	refs := flows.Refs{Calendars: map[string]*flows.Calendar{"office": office}}
	set := setOf(t, refs, "", shop, strings.NewReplacer("flow: shop", "flow: desk", "within: 15m", "within: {business: 15m, calendar: office}").Replace(shop))
	f := newFeed(t, set)
	f.until(9*60 - 5)
	f.send(ev("1", "placed", 9*60-5)) // five minutes before it closes
	f.until(20 * 60)
	if a, b := f.instance("shop", "1").State, f.instance("desk", "1").State; a != flows.Stuck || b != flows.Open {
		t.Errorf("by the clock %v, by the calendar %v", a, b)
	}
	f.until(24*60 + 10.001)
	if b := f.instance("desk", "1").State; b != flows.Stuck {
		t.Errorf("the office is open again: %v", b)
	}
}

func TestRival10AChangedRuleLeavesTheRestAsItWas(t *testing.T) {
	other := strings.Replace(shop, "flow: shop", "flow: other", 1)
	before := setOf(t, flows.Refs{}, "", shop, other)
	after := setOf(t, flows.Refs{}, "", strings.Replace(shop, "within: 15m", "within: 25m", 1), other)
	var history []flows.Signal
	for i := range 100 {
		order := fmt.Sprint(i)
		history = append(history, ev("a"+order, "placed", 0, "order", order))
		if i >= 14 {
			history = append(history, ev("b"+order, "paid", float64(i%14), "order", order))
		}
	}
	f := newFeed(t, before)
	f.send(history...)
	f.until(20)
	was := f.rows
	f.rows = map[string]flows.InstanceRecord{}
	f.set = after
	if empty := f.e.Replace(after); len(empty) > 0 {
		t.Fatalf("starts anew: %v", empty)
	}
	f.take()
	cleared := 0
	for key, now := range f.rows {
		old := was[key]
		if now.Flow == "other" {
			t.Errorf("%s is written again", key)
		}
		if old.State == flows.Stuck && now.State == flows.Open {
			cleared++
			continue
		}
		old.Version, old.AsOf = now.Version, now.AsOf // it was judged again, with the same result
		if diff := gocmp.Diff(old, now); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if cleared != 14 || len(f.rows) != 100 || f.health("other").Stuck != 14 {
		t.Errorf("%d of %d are not stuck any more; %d of the other flow are", cleared, len(f.rows), f.health("other").Stuck)
	}
}

func TestRival11TwoOfThreeShipmentsAreNotComplete(t *testing.T) {
	set := setOf(t, flows.Refs{}, "", strings.Replace(shop, "within: 1h,", "within: 1h, each: parcel, expect: parcels,", 1))
	f := inEveryOrder(t, set, []flows.Signal{
		ev("1", "placed", 0, "parcels", int64(3)), ev("2", "paid", 1), ev("3", "shipped", 2, "parcel", "A"), ev("4", "shipped", 3, "parcel", "B"), ev("5", "shipped", 4, "parcel", "B"),
	}, 10)
	r := f.instance("shop", "1")
	if r.State != flows.Open || len(r.WaitingOn) != 1 || r.WaitingOn[0].Seen != 2 || r.WaitingOn[0].Expected != 3 || r.EndedAt != flows.NoTime {
		t.Errorf("%+v", r)
	}
	if h := f.health("shop"); h.InFlight != 1 || h.Completed != 0 || h.Steps[2].Reached != 0 {
		t.Errorf("%+v", h)
	}
	f.send(ev("6", "shipped", 5, "parcel", "C"))
	if r := f.instance("shop", "1"); r.State != flows.Completed || r.EndedAt != morning+5*minute {
		t.Errorf("%+v", r)
	}
}

func TestRival12ALimitThatIsHitIsNamedAndCounted(t *testing.T) {
	set := setOf(t, flows.Refs{}, "invoice: {partners: 25}\n", strings.Replace(shop, "key: order\n", "key: order\nlinks: [invoice]\nexpire: 1h\n", 1))
	f := newFeed(t, set)
	for i := range 28 { // no step is left out because there are too many
		f.send(ev(fmt.Sprint(i), "placed", 0, "order", fmt.Sprint(i), "invoice", "all"))
	}
	f.send(ev("paid", "paid", 1, "order", nil, "invoice", "all"))
	if common := f.e.CommonKeys(); len(common) != 1 || common[0].Key.Value != "all" || common[0].Limit != 25 {
		t.Errorf("%+v", common)
	}
	st := f.e.Stats()
	if st.Common != 1 || st.Waiting != 1 || f.health("shop").InFlight != 28 || f.health("shop").Steps[1].Reached != 0 {
		t.Errorf("%+v", st)
	}
	f.until(62)
	if c := f.e.Coverage(); f.e.Stats().GivenUp != 1 || !slices.ContainsFunc(c, func(c engine.Coverage) bool { return c.Name == "paid" && c.GivenUp == 1 && len(c.Missing) == 2 }) {
		t.Errorf("%+v %+v", f.e.Stats(), c)
	}
}

func TestRival13FridayEveningPlusEightBusinessHours(t *testing.T) {
	const text = `
flow: f
key: order
steps:
  - {id: a, match: {event: a}}
  - {id: b, match: {event: b}, after: a, within: {business: 8h, calendar: desk}}
`
	f := func(hours, from, want string) {
		t.Helper()
		calendar, faults := flows.ParseCalendar("desk.yaml", "desk", []byte(hours))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		set := setOf(t, flows.Refs{Calendars: map[string]*flows.Calendar{"desk": calendar}}, "", text)
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		definition, _ := set.Flow("f")
		in := definition.Fold([]flows.Occurrence{{At: flows.At(at), Start: flows.At(at)}}, flows.At(at))
		if got := in.WaitingOn[0].Deadline.Std().In(calendar.Zone).Format("Mon 2006-01-02 15:04"); got != want {
			t.Errorf("8 business hours from %s end %s, want %s", from, got, want)
		}
	}
	const berlin = "zone: Europe/Berlin\nhours: {mon-fri: [\"08:00-17:00\"]}\n"
	f(berlin, "2026-01-09T17:00:00+01:00", "Mon 2026-01-12 16:00")
	f(berlin+"holidays: [2026-01-12]\n", "2026-01-09T17:00:00+01:00", "Tue 2026-01-13 16:00")
	f(berlin+"holidays: [de-by]\n", "2026-04-02T17:00:00+02:00", "Tue 2026-04-07 16:00") // Good Friday, Easter Monday
	const nights = "zone: Europe/Berlin\nhours: {mon-sun: [\"00:00-06:00\"]}\n"
	f(nights, "2026-03-28T00:00:00+01:00", "Sun 2026-03-29 03:00") // from 02:00 the clock goes to 03:00
	f(nights, "2026-10-24T00:00:00+02:00", "Sun 2026-10-25 02:00") // 02:00 is there twice
	f("zone: UTC\nhours: {mon-sun: [\"00:00-06:00\"]}\n", "2026-03-28T00:00:00Z", "Sun 2026-03-29 02:00")
}

func TestRival15StepsToldApartByWhereAndFlowsFarBeyondATraceAndADay(t *testing.T) {
	text := strings.NewReplacer(
		"{event: paid}", `{span: POST /charge, where: 'attributes.kind == "capture"'}`,
		"{event: placed}", `{span: POST /charge, where: 'attributes.kind == "authorise"'}`,
		"within: 15m", "within: 400d").Replace(shop)
	set := setOf(t, flows.Refs{}, "", text)
	span := func(trace, kind string, day float64) flows.Signal {
		s := ev("", "POST /charge", day*24*60)
		s.Kind, s.ID, s.TraceID, s.SpanID, s.Data = flows.Span, trace+":1", trace, "1", nil
		s.Attributes = map[string]any{"order": "1", "kind": kind}
		return s
	}
	f := inEveryOrder(t, set, []flows.Signal{span("t1", "authorise", 0), span("t2", "capture", 399), ev("3", "shipped", 399*24*60+1)}, 399*24*60+2)
	if r := f.instance("shop", "1"); len(f.rows) != 1 || !r.Conforming || !slices.Equal(r.Path, []string{"placed", "paid", "shipped"}) {
		t.Errorf("%d instances, %+v", len(f.rows), r)
	}
	if h := f.health("shop"); *h.Latency.Max != (399*24*60+1)*60 {
		t.Errorf("latency %v s", *h.Latency.Max)
	}

	waits := newFeed(t, set)
	waits.send(span("t1", "authorise", 0))
	waits.until(399.9 * 24 * 60)
	if r := waits.instance("shop", "1"); r.State != flows.Open || r.WaitingOn[0].Deadline != morning.Add(400*24*time.Hour) {
		t.Errorf("after 400 days less a little: %+v", r)
	}

	const steps = 200
	var b strings.Builder
	b.WriteString("flow: long\nkey: order\nsteps:\n- {id: s0, match: {event: s0}}\n")
	var all []flows.Signal
	for i := range steps {
		if i > 0 {
			fmt.Fprintf(&b, "- {id: s%d, match: {event: s%d}, after: s%d, within: 1h}\n", i, i, i-1)
		}
		all = append(all, ev(fmt.Sprint(i), fmt.Sprint("s", i), float64(i)))
	}
	long := newFeed(t, setOf(t, flows.Refs{}, "", b.String()))
	long.until(steps)
	slices.SortFunc(all, func(a, b flows.Signal) int { return cmp.Compare(a.ID, b.ID) }) // not the order of time
	long.send(all[:steps-1]...)
	long.send(all[steps-1])
	if r := long.instance("long", "1"); len(r.Path) != steps || len(r.Deviations) > 0 || long.health("long").Steps[steps-1].Reached != 1 {
		t.Errorf("%d of %d steps, %v", len(r.Path), steps, r.Deviations)
	}
}

func TestRival16WaitingOnPurposeIsNotStuck(t *testing.T) {
	text := strings.Replace(shop, "steps:", "idle: 2h\nholds: [{id: parked, from: {event: held}, until: {event: released}}]\nsteps:", 1)
	f := newFeed(t, setOf(t, flows.Refs{}, "", text))
	f.send(ev("1", "placed", 0))
	f.until(10)
	f.send(ev("2", "held", 10))
	f.until(10_000)
	r := f.instance("shop", "1")
	if h := f.health("shop"); r.State != flows.Held || r.Hold != "parked" || h.Held != 1 || h.Stuck != 0 || len(f.e.Cohorts()) > 0 {
		t.Errorf("%+v, %+v", r, h)
	}
	f.send(ev("3", "released", 10_000))
	f.until(10_005)
	if r := f.instance("shop", "1"); r.State != flows.Open || r.StuckFor != 0 {
		t.Errorf("five minutes are left: %+v", r)
	}
	f.until(10_005.001)
	if r := f.instance("shop", "1"); r.State != flows.Stuck || r.StuckSince != morning+10_005*minute {
		t.Errorf("the five minutes are over: %+v", r)
	}
}
