package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"throughline/flows"
	"throughline/flows/engine"
)

// testFlow runs the cases of one flow, each in an engine of its own, and prints a line for
// each and what was not as expected.
func testFlow(flow *flows.Flow, keys *flows.Keys, naming flows.Naming, file string, text []byte, stdout io.Writer) (passed, failed int, err error) {
	set, err := flows.NewKeyedSet([]*flows.Flow{flow}, keys)
	if err != nil {
		return 0, 0, err
	}
	set = set.Named(naming)
	lines := strings.Split(string(text), "\n")
	for i := range flow.Cases {
		run := &caseRun{flow: flow, set: set, test: &flow.Cases[i], records: map[string]flows.InstanceRecord{}}
		if err := run.run(); err != nil {
			return passed, failed, err
		}
		if len(run.wrong) == 0 {
			passed++
			fmt.Fprintf(stdout, "ok    %s: %s\n", flow.Name, run.test.Name)
			continue
		}
		failed++
		run.report(stdout, file, lines)
	}
	return passed, failed, nil
}

// caseRun is one case in a virtual clock: signals are applied as they arrive, deadlines
// pass as they are due, through the engine that runs live.
type caseRun struct {
	flow    *flows.Flow
	set     *flows.Set
	test    *flows.Case
	engine  *engine.Engine
	records map[string]flows.InstanceRecord // by key
	wrong   []unexpected
	story   []happened
}

// happened is something that a case did, at an instant of its clock.
type happened struct {
	at   flows.Time
	what string
}

// unexpected is an expectation that was not met.
type unexpected struct {
	line        int
	where       string
	differences []string
}

// defaultKey is the key of a case's signals that carry none.
const defaultKey = "1"

func (c *caseRun) run() error {
	signals := slices.Clone(c.test.Signals)
	latest := flows.NoTime
	for i := range signals {
		s := &signals[i].Signal
		latest = max(latest, s.OccursAt())
		if err := c.set.AssignKeys(s); err != nil {
			return fmt.Errorf("case %s: %w", c.test.Name, err)
		}
		if len(s.Keys) == 0 {
			s.Keys = []flows.Key{{Type: c.flow.Key, Value: defaultKey}}
		}
	}
	slices.SortStableFunc(signals, func(a, b flows.CaseSignal) int { return cmp.Compare(a.Arrives, b.Arrives) })
	expect := slices.Clone(c.test.Expect)
	for i := range expect {
		if expect[i].At == flows.NoTime {
			expect[i].At = latest
		}
	}
	slices.SortStableFunc(expect, func(a, b flows.Expectation) int { return cmp.Compare(a.At, b.At) })
	c.engine = engine.New(c.set)
	for _, x := range expect {
		for len(signals) > 0 && signals[0].Arrives <= x.At {
			c.advance(signals[0].Arrives)
			c.tell(signals[0].Arrives, c.what(&signals[0]))
			c.engine.Apply([]flows.Signal{signals[0].Signal}, signals[0].Arrives)
			c.take(signals[0].Arrives)
			signals = signals[1:]
		}
		c.advance(x.At)
		c.compare(&x)
	}
	for i := range signals {
		c.tell(signals[i].Arrives, c.what(&signals[i])+", after all that is expected: it was left out")
	}
	return nil
}

// advance moves the clock, and stops whenever a verdict changes.
func (c *caseRun) advance(to flows.Time) {
	for next := c.engine.Next(); next <= to; {
		c.engine.Roll(next)
		c.engine.Advance(next)
		c.take(next)
		after := c.engine.Next()
		if after <= next { // more than one call may take
			break
		}
		next = after
	}
	c.engine.Roll(to)
	c.engine.Advance(to)
	c.take(to)
}

// take notes how instances changed.
func (c *caseRun) take(at flows.Time) {
	rows := c.engine.Take().Instances
	slices.SortFunc(rows, func(a, b flows.InstanceRecord) int { return cmp.Compare(a.Key, b.Key) })
	for _, r := range rows {
		before, known := c.records[r.Key]
		switch {
		case r.Deleted:
			delete(c.records, r.Key)
			c.tell(at, fmt.Sprintf("  %s %s is gone: its signals belong elsewhere", c.flow.Key, r.Key))
			continue
		case !known || before.State != r.State || before.Reason != r.Reason || before.ReasonStep != r.ReasonStep:
			c.tell(at, fmt.Sprintf("  %s %s is %s", c.flow.Key, r.Key, c.verdict(&r)))
		}
		c.records[r.Key] = r
	}
}

func (c *caseRun) tell(at flows.Time, what string) { c.story = append(c.story, happened{at, what}) }

// compare notes what differs from one expectation.
func (c *caseRun) compare(x *flows.Expectation) {
	key, where := x.Key, c.when(x.At)
	if key == "" {
		if len(c.records) > 0 {
			key = slices.Min(slices.Collect(maps.Keys(c.records)))
		}
		if len(c.records) > 1 {
			c.wrong = append(c.wrong, unexpected{x.Line, "at " + where, []string{
				fmt.Sprintf("there are %d instances; say which is meant, as `key: %s`", len(c.records), key),
			}})
			return
		}
	}
	r, ok := c.records[key]
	var differ []string
	switch {
	case x.Absent && ok:
		differ = []string{fmt.Sprintf("instance %s is there, %s; none is expected", key, c.verdict(&r))}
	case !x.Absent && !ok && len(c.records) > 0:
		differ = []string{"no such instance is there; there are " + strings.Join(slices.Sorted(maps.Keys(c.records)), ", ")}
	case !x.Absent && !ok:
		differ = []string{"no instance is there: no signal so far is a step of this flow"}
	case ok:
		differ = c.differences(x, &r)
	}
	if len(differ) > 0 {
		if key != "" {
			where += ", " + c.flow.Key + " " + key
		}
		c.wrong = append(c.wrong, unexpected{x.Line, "at " + where, differ})
	}
}

// differences are lines for each field that was expected otherwise.
func (c *caseRun) differences(x *flows.Expectation, r *flows.InstanceRecord) (lines []string) {
	waiting := make([]string, len(r.WaitingOn))
	for i, w := range r.WaitingOn {
		waiting[i] = w.Step
	}
	same := func(a, b bool) bool { return a == b }
	differ(&lines, "state", x.State, r.State, func(a, b flows.State) bool { return a == b })
	if len(lines) > 0 {
		lines[len(lines)-1] = strings.Replace(lines[len(lines)-1], r.State.String(), c.verdict(r), 1)
	}
	differ(&lines, "reason", x.Reason, r.Reason, func(a, b flows.Reason) bool { return a == b })
	differ(&lines, "step", x.Step, r.ReasonStep, func(a, b string) bool { return a == b })
	differ(&lines, "waiting_on", x.WaitingOn, waiting, slices.Equal)
	differ(&lines, "path", x.Path, r.Path, slices.Equal)
	differ(&lines, "deviations", x.Deviations, r.Deviations, slices.Equal)
	differ(&lines, "conforming", x.Conforming, r.Conforming, same)
	differ(&lines, "recovered_late", x.Recovered, r.Recovered, same)
	differ(&lines, "reopened", x.Reopened, r.Reopened, same)
	return lines
}

func differ[T any](lines *[]string, field string, want *T, got T, same func(T, T) bool) {
	if want != nil && !same(*want, got) {
		*lines = append(*lines, fmt.Sprintf("%-14s want %s", field, written(*want)), fmt.Sprintf("%-14s got  %s", "", written(got)))
	}
}
