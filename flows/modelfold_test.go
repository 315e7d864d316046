package flows

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// trial is a flow, a history of one instance, and an instant to judge it at.
type trial struct {
	flow    *Flow
	signals []Occurrence
	now     Time
}

// outcome is what the fold and the model must agree on.
type outcome struct {
	State      State
	Reason     Reason
	ReasonStep int
	StuckSince Time
	StuckFor   time.Duration
	Recovered  bool
	Reopened   bool
	HeldSince  Time
	EndedAt    Time
	EndStep    int
	StartedAt  Time
	LastAt     Time
	Path       []int
	Waiting    []Waiting
	Steps      []StepFold
	Deviations []Deviation
	Conforming bool
}

var office = mustOffice()

// mustOffice works from 00:08 to 00:16 and so on, so that many shifts lie in a few hours.
func mustOffice() *Calendar {
	var spans []string
	for h := range 24 {
		spans = append(spans, fmt.Sprintf("%q", fmt.Sprintf("%02d:08-%02d:16", h, h)), fmt.Sprintf("%q", fmt.Sprintf("%02d:30-%02d:50", h, h)))
	}
	c, faults := ParseCalendar("c.yaml", "c", []byte("zone: UTC\nhours: {mon-sun: ["+strings.Join(spans, ", ")+"]}\n"))
	if len(faults) > 0 {
		panic(faults[0])
	}
	return c
}

func officeHours(at Time) bool {
	m := at / minute % 60
	return 8 <= m && m < 16 || 30 <= m && m < 50
}

func (c *trial) folded() outcome {
	in := c.flow.Fold(slices.Clone(c.signals), c.now)
	o := outcome{
		in.State, in.Reason, in.ReasonStep, in.StuckSince, in.StuckFor, in.Recovered, in.Reopened, in.HeldSince, in.EndedAt, in.EndStep,
		in.StartedAt, in.LastAt, in.Path, in.WaitingOn, in.Steps, in.Deviations, in.Conforming,
	}
	if o.State == Held {
		o.ReasonStep = -1 // what is shown beside a hold is no law
	}
	return o
}

func (c *trial) modelled() outcome {
	m := newModel(c.flow, c.signals, c.now, officeHours)
	o := outcome{EndStep: m.end(), HeldSince: NoTime, StartedAt: NoTime, LastAt: NoTime, Deviations: m.deviations(), Reopened: m.reopened(), StuckFor: m.stuckFor()}
	o.State, o.Reason, o.ReasonStep, o.StuckSince, o.EndedAt = m.verdict()
	if o.State == Held {
		o.HeldSince = c.now
		in := m.inHold
		if !in(c.now) {
			in = m.awaitedDown
		}
		for o.HeldSince > 0 && in(o.HeldSince-minute) {
			o.HeldSince -= minute
		}
	}
	overdue := m.f.Idle > 0 && m.silent(m.f.Idle) != NoTime && c.now > m.silent(m.f.Idle)
	for s := range c.flow.Steps {
		fold := StepFold{At: NoTime, Expected: m.expected(s), Seen: len(m.children(s)), DueAt: m.dueAt(s), Deadline: m.deadline(s), Passed: m.passed(s), Skipped: m.skipped(s), Count: len(m.tries(s))}
		if m.occurred(s) {
			fold.At = m.t(s)
			if fold.DueAt != NoTime {
				fold.Latency = max(0, fold.At.Sub(fold.DueAt))
			}
		}
		for _, sig := range m.signals {
			if sig.Step == s {
				if o.StartedAt == NoTime || sig.Start < o.StartedAt {
					o.StartedAt = sig.Start
				}
				if sig.Failed {
					fold.Errors++
				}
			}
		}
		o.Steps = append(o.Steps, fold)
		if m.due(s) && o.State.InFlight() {
			w := Waiting{s, fold.DueAt, fold.Deadline, fold.Expected, fold.Seen}
			o.Waiting = append(o.Waiting, w)
			overdue = overdue || w.Overdue(c.now)
		}
	}
	for _, i := range m.own() {
		sig := m.signals[i]
		o.LastAt = sig.At
		if sig.Step < len(c.flow.Steps) && !sig.Failed {
			o.Path = append(o.Path, sig.Step)
		}
	}
	if o.StartedAt == NoTime {
		o.StartedAt = m.signals[m.own()[0]].Start
	}
	o.Recovered = o.StuckFor > 0 && (o.State == Completed || (o.State == Open || o.State == Held) && !overdue)
	o.Conforming = o.State == Completed && len(o.Deviations) == 0
	return o
}

func (c *trial) diff() string { return cmp.Diff(c.modelled(), c.folded(), cmpopts.EquateEmpty()) }

// shrink leaves out what the difference does not need.
func (c trial) shrink() trial {
	for again := true; again; {
		again = false
		for i := range c.signals {
			less := c
			less.signals = slices.Delete(slices.Clone(c.signals), i, i+1)
			if c.flow.Exists(less.signals) && less.diff() != "" {
				c, again = less, true
				break
			}
		}
		for i := range c.flow.Steps {
			for _, plainer := range []func(*Step){
				func(s *Step) { s.After = nil }, func(s *Step) { s.Any = false }, func(s *Step) { s.Choice = "" }, func(s *Step) { s.Each = "" },
				func(s *Step) { s.Optional = false }, func(s *Step) { s.Downtime = nil }, func(s *Step) { s.Calendar = nil }, func(s *Step) { s.Within = 0 },
				func(s *Step) { s.End = Open }, func(s *Step) { s.Start = false }, func(s *Step) { s.Match.Kind = Event }, func(s *Step) { s.Sampled = false },
			} {
				less := c
				less.flow = &Flow{Sampling: c.flow.Sampling, Idle: c.flow.Idle, Expire: c.flow.Expire, Holds: c.flow.Holds, Steps: slices.Clone(c.flow.Steps)}
				before := fmt.Sprintf("%+v", less.flow.Steps[i])
				if plainer(&less.flow.Steps[i]); fmt.Sprintf("%+v", less.flow.Steps[i]) != before && less.diff() != "" {
					c, again = less, true
				}
			}
		}
	}
	return c
}

func (c *trial) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "now %v, idle %v, expire %v, holds %+v\n", c.now/minute, c.flow.Idle, c.flow.Expire, c.flow.Holds)
	for i, s := range c.flow.Steps {
		fmt.Fprintf(&b, "step %d %+v\n", i, s)
	}
	for _, o := range c.signals {
		fmt.Fprintf(&b, "signal at %d: step %d child %q expect %v failed %v sampled %v start %d sequence %q\n", o.At/minute, o.Step, o.Child, o.Expect, o.Failed, o.Sampled, o.Start/minute, o.Sequence)
	}
	return b.String()
}

func randomFlow(rng *rand.Rand) *Flow {
	f := &Flow{Name: "random", Sampling: rng.IntN(5) == 0}
	some := func(of int) bool { return rng.IntN(of) == 0 }
	span := func(most int) time.Duration { return time.Duration(1+rng.IntN(most)) * time.Minute }
	for s := range 1 + rng.IntN(6) {
		step := Step{ID: fmt.Sprint("s", s), Optional: some(6), Repeat: some(4), Start: some(4), Match: Match{Kind: Kind(rng.IntN(2))}, Sampled: some(10)}
		for p := range s {
			if some(2) {
				step.After = append(step.After, p)
			}
		}
		step.Any = len(step.After) > 1 && some(3)
		if some(4) {
			step.Choice = []string{"x", "y"}[rng.IntN(2)]
		}
		if len(step.After) > 0 && !some(4) {
			step.Within = span(60)
		}
		if some(5) {
			step.Calendar = office
		}
		if some(5) {
			from := Time(rng.IntN(200)) * minute
			step.Downtime = merged([]Interval{{from, from.Add(span(60))}, {from + 100*minute, from.Add(100*time.Minute + span(20))}})
		}
		if some(3) {
			step.Each = "child"
			step.Expect = []string{"", "a", "a", "b"}[rng.IntN(4)]
		}
		if some(4) {
			step.End = []State{Completed, Completed, Failed, Cancelled}[rng.IntN(4)]
		}
		f.Steps = append(f.Steps, step)
	}
	for h := range max(0, rng.IntN(5)-2) {
		hold := Hold{ID: fmt.Sprint("h", h)}
		if some(2) {
			hold.AtMost = span(80)
		}
		f.Holds = append(f.Holds, hold)
	}
	if some(2) {
		f.Idle = span(100)
	}
	if some(3) {
		f.Expire = span(200)
	}
	return f
}

func randomTrial(rng *rand.Rand) trial {
	f := randomFlow(rng)
	c := trial{flow: f, now: Time(rng.IntN(400)) * minute}
	for i := range 1 + rng.IntN(10) {
		at := Time(rng.IntN(1+rng.IntN(200))) * minute
		o := Occurrence{At: at, Start: at - Time(rng.IntN(2))*minute*Time(rng.IntN(5)), ID: fmt.Sprint("id", i), Failed: rng.IntN(8) == 0, Sampled: rng.IntN(8) == 0}
		o.Step = rng.IntN(len(f.Steps))
		if rng.IntN(3) == 0 {
			o.Step = rng.IntN(len(f.Positions()) - min(1, rng.IntN(8))) // a resolution now and then
		}
		o.Sequence = []string{"", "", "2", "10"}[rng.IntN(4)]
		if o.Step < len(f.Steps) && f.Steps[o.Step].Each != "" {
			o.Child = []string{"", "A", "B", "C"}[rng.IntN(4)]
		}
		if n := len(f.Expects()); n > 0 && o.Step < f.resolvedPosition() && rng.IntN(3) == 0 {
			o.Expect = make([]string, n)
			o.Expect[rng.IntN(n)] = fmt.Sprint(rng.IntN(4))
		}
		if o.Step == f.resolvedPosition() {
			o.Failed = false
		}
		c.signals = append(c.signals, o)
	}
	return c
}

// The fold agrees with the model that says the law word by word.
func TestFoldAgreesWithTheModel(t *testing.T) {
	states := map[State]int{}
	for seed := range uint64(2000) {
		c := randomTrial(rand.New(rand.NewPCG(seed, 3)))
		if !c.flow.Exists(c.signals) {
			continue
		}
		if diff := c.diff(); diff != "" {
			less := c.shrink()
			t.Fatalf("seed %d, shrunk:\n%s\n-law +fold:\n%s", seed, &less, less.diff())
		}
		states[c.folded().State]++
	}
	for state := Open; state <= Expired; state++ {
		if states[state] < 20 {
			t.Errorf("only %d are %v: the trials say little", states[state], state)
		}
	}
}

// Nothing changes before the instant that the fold names, and what it names is not put off.
func TestNextChangeIsNeverLate(t *testing.T) {
	verdict := func(c trial, now Time) string {
		in := c.flow.Fold(slices.Clone(c.signals), now)
		return fmt.Sprint(in.State, in.Reason, in.ReasonStep, in.StuckSince, in.HeldSince, in.EndedAt)
	}
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		c := randomTrial(rng)
		if !c.flow.Exists(c.signals) {
			continue
		}
		next := c.flow.Fold(slices.Clone(c.signals), c.now).NextChange
		if next == NoTime {
			next = c.now + 2000*minute
		}
		if next <= c.now {
			t.Fatalf("seed %d: next change %v at %v\n%s", seed, next, c.now, &c)
		}
		before := verdict(c, c.now)
		for range 5 {
			at := c.now + Time(rng.Int64N(int64(next-c.now)))
			if got := verdict(c, at); got != before {
				t.Fatalf("seed %d: %s at %v, %s at %v, next change at %v\n%s", seed, before, c.now, got, at, next, &c)
			}
		}
	}
}
