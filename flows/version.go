package flows

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A flow that ran is kept with all that its version is a hash of, so that instances that
// ended under it can be folded by it for as long as they are kept.

// referredFiles is what a flow file refers to in other files.
type referredFiles struct {
	Calendars map[string]string     `json:"calendars,omitempty"` // text by name
	Downtime  map[string][]Interval `json:"downtime,omitempty"`  // by system
	Sampled   []string              `json:"sampled,omitempty"`   // systems
}

// Referred is what ParseVersion needs of other files to read this version of a flow again;
// "" for nothing.
func (f *Flow) Referred() string {
	r := referredFiles{Calendars: map[string]string{}, Downtime: map[string][]Interval{}}
	for i := range f.Steps {
		s := &f.Steps[i]
		if s.Calendar != nil {
			r.Calendars[s.Calendar.Name] = s.Calendar.text
		}
		if len(s.Downtime) > 0 {
			r.Downtime[s.System] = s.Downtime
		}
		if s.samples() && !slices.Contains(r.Sampled, s.System) {
			r.Sampled = append(r.Sampled, s.System)
		}
	}
	if len(r.Calendars)+len(r.Downtime)+len(r.Sampled) == 0 {
		return ""
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "" // not reached: it is made of texts and numbers
	}
	return string(text)
}

// ParseVersion reads a version of a flow that ran: its file, and what Referred said of it.
// An error says that this build takes it no more.
func ParseVersion(version, definition, referred string) (*Flow, error) {
	var r referredFiles
	if referred != "" {
		if err := json.Unmarshal([]byte(referred), &r); err != nil {
			return nil, fmt.Errorf("read what version %s refers to: %w", version, err)
		}
	}
	refs := Refs{Calendars: map[string]*Calendar{}, Systems: map[string]*System{}}
	for name, text := range r.Calendars {
		c, faults := ParseCalendar(name, name, []byte(text))
		if c == nil {
			return nil, fmt.Errorf("version %s: %s", version, faults[0])
		}
		refs.Calendars[name] = c
	}
	for name, downtime := range r.Downtime {
		refs.Systems[name] = &System{Name: name, Title: name, Downtime: downtime}
	}
	for _, name := range r.Sampled {
		if refs.Systems[name] == nil {
			refs.Systems[name] = &System{Name: name, Title: name}
		}
		refs.Systems[name].Sampled = true
	}
	f, faults := refs.Parse("version "+version, []byte(definition))
	if f == nil {
		return nil, fmt.Errorf("version %s: %s", version, faults[0])
	}
	if f.Version != version {
		return nil, fmt.Errorf("version %s: what is stored of it is version %s", version, f.Version)
	}
	return f, nil
}

// Takes says whether this version takes the same signals as another as the position of an
// id, and the same of them.
func (f *Flow) Takes(other *Flow, id string) bool {
	mine, others := f.at(id), other.at(id)
	if mine < 0 || others < 0 {
		return false
	}
	if mine == f.resolvedPosition() {
		return true
	}
	if !f.match(mine).equal(other.match(others)) {
		return false
	}
	return mine >= len(f.Steps) || f.Steps[mine].Each == other.Steps[others].Each
}

// Keeps says whether instances that ended under this version keep it when another is put in
// force: not where either says `reopen: new`, or where they have other keys.
func (f *Flow) Keeps(other *Flow) bool {
	return f.Version != other.Version && !f.Reopen && !other.Reopen && f.Key == other.Key
}

// Project is an instance that another version folded, in the positions of this one: what
// is of steps that this one lacks is left out.
func (f *Flow) Project(from *Flow, in *Instance) Instance {
	if f == from {
		return *in
	}
	to := make([]int, len(from.Steps))
	for i := range from.Steps {
		to[i] = f.at(from.Steps[i].ID)
	}
	at := func(step int) int {
		if step < 0 {
			return step
		}
		return to[step]
	}
	out := *in
	out.ReasonStep, out.EndStep = at(in.ReasonStep), at(in.EndStep)
	out.Steps, out.Path, out.Times, out.Failures, out.WaitingOn = make([]StepFold, len(f.Steps)), nil, nil, nil, nil
	for i := range out.Steps {
		out.Steps[i] = StepFold{At: NoTime, DueAt: NoTime, Deadline: NoTime, Passed: NoTime, Expected: 1}
	}
	for i := range in.Steps {
		if to[i] >= 0 {
			out.Steps[to[i]] = in.Steps[i]
		}
	}
	for i, step := range in.Path {
		if to[step] >= 0 {
			out.Path, out.Times = append(out.Path, to[step]), append(out.Times, in.Times[i])
		}
	}
	for _, failure := range in.Failures {
		if to[failure.Step] >= 0 {
			out.Failures = append(out.Failures, Failure{to[failure.Step], failure.At})
		}
	}
	for _, w := range in.WaitingOn {
		if w.Step = to[w.Step]; w.Step >= 0 {
			out.WaitingOn = append(out.WaitingOn, w)
		}
	}
	return out
}

// ProjectTally is what another version counted, by the steps of this one.
func (f *Flow) ProjectTally(from *Flow, t *Tally) *Tally {
	out := NewTally(f)
	out.Started, out.Ended, out.Conforming = t.Started, t.Ended, t.Conforming
	out.Latency.Merge(&t.Latency)
	for i := range t.Steps {
		if at := f.at(from.Steps[i].ID); at >= 0 {
			s := &out.Steps[at]
			s.Reached, s.Skipped, s.Errors = t.Steps[i].Reached, t.Steps[i].Skipped, t.Steps[i].Errors
			s.Latency.Merge(&t.Steps[i].Latency)
		}
	}
	for pair, sketch := range t.Edges {
		a, b := f.at(from.Steps[pair[0]].ID), f.at(from.Steps[pair[1]].ID)
		if a >= 0 && b >= 0 {
			out.Edges[[2]int{a, b}] = new(Sketch)
			out.Edges[[2]int{a, b}].Merge(sketch)
		}
	}
	return out
}
