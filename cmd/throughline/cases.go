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
func testFlow(flow *flows.Flow, keys *flows.Keys, naming flows.Naming, file string, stdout io.Writer) (passed, failed int, err error) {
	set, err := flows.NewKeyedSet([]*flows.Flow{flow}, keys)
	if err != nil {
		return 0, 0, err
	}
	set = set.Named(naming)
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
		fmt.Fprintf(stdout, "FAIL  %s: %s\n", flow.Name, run.test.Name)
		for _, w := range run.wrong {
			fmt.Fprintf(stdout, "  %s:%d: %s\n", file, w.line, w.where)
			for _, d := range w.differences {
				fmt.Fprintf(stdout, "    %s\n", d)
			}
		}
		fmt.Fprintf(stdout, "  what happened:\n%s", run.story())
	}
	return passed, failed, nil
}

// caseRun is one case in a virtual clock: signals are applied as they arrive, deadlines
// pass as they are due, through the engine that runs live.
type caseRun struct {
	flow    *flows.Flow
	set     *flows.Set
	test    *flows.Case
	records map[string]flows.InstanceRecord // by key
	wrong   []unexpected
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
	e := engine.New(c.set)
	for _, x := range expect {
		for len(signals) > 0 && signals[0].Arrives <= x.At {
			e.Roll(signals[0].Arrives)
			e.Advance(signals[0].Arrives)
			e.Apply([]flows.Signal{signals[0].Signal}, signals[0].Arrives)
			signals = signals[1:]
		}
		e.Roll(x.At)
		e.Advance(x.At)
		for _, r := range e.Take().Instances {
			c.records[r.Key] = r
			if r.Deleted {
				delete(c.records, r.Key)
			}
		}
		c.compare(&x)
	}
	return nil
}

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
		differ = []string{fmt.Sprintf("instance %s is there, in state %s; none is expected", key, r.State)}
	case !x.Absent && !ok:
		differ = []string{"no such instance is there"}
	case ok:
		differ = differences(x, &r)
	}
	if len(differ) > 0 {
		if key != "" {
			where += ", " + c.flow.Key + " " + key
		}
		c.wrong = append(c.wrong, unexpected{x.Line, "at " + where, differ})
	}
}

// differences are a line for each field that was expected otherwise.
func differences(x *flows.Expectation, r *flows.InstanceRecord) (lines []string) {
	waiting := make([]string, len(r.WaitingOn))
	for i, w := range r.WaitingOn {
		waiting[i] = w.Step
	}
	differ(&lines, "state", x.State, r.State, func(a, b flows.State) bool { return a == b })
	differ(&lines, "reason", x.Reason, r.Reason, func(a, b flows.Reason) bool { return a == b })
	differ(&lines, "step", x.Step, r.ReasonStep, func(a, b string) bool { return a == b })
	differ(&lines, "waiting_on", x.WaitingOn, waiting, slices.Equal)
	differ(&lines, "path", x.Path, r.Path, slices.Equal)
	differ(&lines, "deviations", x.Deviations, r.Deviations, slices.Equal)
	same := func(a, b bool) bool { return a == b }
	differ(&lines, "conforming", x.Conforming, r.Conforming, same)
	differ(&lines, "recovered_late", x.Recovered, r.Recovered, same)
	differ(&lines, "reopened", x.Reopened, r.Reopened, same)
	return lines
}

func differ[T any](lines *[]string, field string, want *T, got T, same func(T, T) bool) {
	if want != nil && !same(*want, got) {
		*lines = append(*lines, fmt.Sprintf("%-14s is %s, want %s", field, written(got), written(*want)))
	}
}

// written is a value as one would write it in the file.
func written(v any) string {
	switch v := v.(type) {
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case []flows.Deviation:
		return strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
	}
	if text := fmt.Sprint(v); text != "" {
		return text
	}
	return "none"
}

// when is an instant as the case would write it, and as the clock shows it.
func (c *caseRun) when(at flows.Time) string {
	return fmt.Sprintf("+%s (%s)", at.Sub(c.test.Start), at)
}

// story lists the signals, and what of the flow each is.
func (c *caseRun) story() string {
	var b strings.Builder
	for _, s := range c.test.Signals {
		var steps []string
		for _, hit := range c.set.Match(&s.Signal, nil) {
			what := c.flow.Position(hit.Step)
			if hit.Failed {
				what += " (a failed try)"
			}
			steps = append(steps, what)
		}
		if len(steps) == 0 {
			steps = []string{"nothing of this flow"}
		}
		fmt.Fprintf(&b, "    +%-8s %s %s: %s", s.Signal.OccursAt().Sub(c.test.Start), s.Signal.Kind, s.Signal.Name, strings.Join(steps, ", "))
		if s.Arrives != s.Signal.OccursAt() {
			fmt.Fprintf(&b, ", arrives +%s", s.Arrives.Sub(c.test.Start))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
