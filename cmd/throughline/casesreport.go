package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"throughline/flows"
)

// report says where a case and its flow differ: the expectation as it is written, what was
// wanted and what was found, and what happened until then, by the case's clock.
func (c *caseRun) report(stdout io.Writer, file string, lines []string) {
	fmt.Fprintf(stdout, "FAIL  %s: %s\n", c.flow.Name, c.test.Name)
	for _, w := range c.wrong {
		fmt.Fprintf(stdout, "  %s:%d: %s\n", file, w.line, w.where)
		if w.line <= len(lines) {
			fmt.Fprintf(stdout, "      %s\n", strings.TrimSpace(lines[w.line-1]))
		}
		for _, d := range w.differences {
			fmt.Fprintf(stdout, "    %s\n", d)
		}
	}
	fmt.Fprintf(stdout, "  what happened, from %s:\n", c.test.Start)
	width := 0
	for _, h := range c.story {
		width = max(width, len(c.since(h.at)))
	}
	for _, h := range c.story {
		fmt.Fprintf(stdout, "    %-*s  %s\n", width, c.since(h.at), h.what)
	}
}

// verdict is the state of an instance, and why it has it.
func (c *caseRun) verdict(r *flows.InstanceRecord) string {
	var why []string
	if r.Hold != "" {
		why = append(why, "by "+r.Hold)
	} else if r.Reason != flows.ReasonNone {
		why = append(why, string(r.Reason))
	}
	for _, w := range r.WaitingOn {
		text := "waits for " + w.Step
		if w.Expected > 1 {
			text += fmt.Sprintf(", %d of %d", w.Seen, w.Expected)
		}
		if w.Deadline != flows.NoTime {
			text += ", due by " + c.since(w.Deadline)
		}
		why = append(why, text)
	}
	if r.EndStep != "" {
		why = append(why, "by "+r.EndStep)
	}
	if len(why) == 0 {
		return r.State.String()
	}
	return r.State.String() + " (" + strings.Join(why, "; ") + ")"
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
func (c *caseRun) when(at flows.Time) string { return fmt.Sprintf("%s (%s)", c.since(at), at) }

// since is an instant as the case would write it: "+1d2h30m".
func (c *caseRun) since(at flows.Time) string {
	d, sign := at.Sub(c.test.Start).Truncate(time.Microsecond), "+" // a verdict is a nanosecond after its deadline
	if d < 0 {
		d, sign = -d, "-"
	}
	if days := d / (24 * time.Hour); days > 0 {
		sign += fmt.Sprintf("%dd", days)
		if d %= 24 * time.Hour; d == 0 {
			return sign
		}
	}
	text := d.String()
	for _, none := range []string{"0s", "0m"} {
		if short, ok := strings.CutSuffix(text, none); ok && short != "" && strings.ContainsAny(short[len(short)-1:], "hm") {
			text = short
		}
	}
	return sign + text
}

// what says what a signal is, and what of the flow.
func (c *caseRun) what(s *flows.CaseSignal) string {
	var steps []string
	for _, hit := range c.set.Match(&s.Signal, nil) {
		step := c.flow.Position(hit.Step)
		if hit.Failed {
			step += " (a failed try)"
		}
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		steps = []string{c.nothing(&s.Signal)}
	}
	var keys []string
	for _, k := range s.Signal.Keys {
		keys = append(keys, k.String())
	}
	text := fmt.Sprintf("%s %s of %s: %s", s.Signal.Kind, s.Signal.Name, strings.Join(keys, " "), strings.Join(steps, ", "))
	if at := s.Signal.OccursAt(); s.Arrives != at {
		text += ", heard of late: it is of " + c.since(at)
	}
	return text
}

// nothing says why a signal is no step.
func (c *caseRun) nothing(s *flows.Signal) string {
	var names []string
	for i := range c.flow.Steps {
		step := &c.flow.Steps[i]
		if step.Match.Kind == s.Kind && step.Match.Name == s.Name {
			return fmt.Sprintf("nothing of this flow; `service`, `source` or `where` of %s do not fit", step.ID)
		}
		names = append(names, step.Match.Name)
	}
	if name := flows.Nearest(s.Name, names); name != "" {
		return fmt.Sprintf("nothing of this flow; did you mean `%s`?", name)
	}
	return "nothing of this flow"
}
