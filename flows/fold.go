package flows

import (
	"cmp"
	"slices"
	"time"
)

// Clock is the instant at which a set of occurrences is judged: now, but for a set of
// imported signals only the greatest time of its imports.
func Clock(occurrences []Occurrence, now Time) Time {
	var asOf Time
	for i := range occurrences {
		if occurrences[i].AsOf == 0 {
			return now
		}
		asOf = max(asOf, occurrences[i].AsOf)
	}
	if asOf == 0 {
		return now
	}
	return asOf
}

// Fold derives the state of an instance at now from the set of its occurrences, at least
// one, each identity from one copy only. It brings them in order; nothing else about
// their arrival matters.
func (f *Flow) Fold(occurrences []Occurrence, now Time) Instance {
	var in Instance
	f.FoldInto(&in, occurrences, now)
	return in
}

// FoldInto is Fold into the memory of an earlier result.
func (f *Flow) FoldInto(in *Instance, occurrences []Occurrence, now Time) {
	SortOccurrences(occurrences)
	fold := folder{flow: f, plan: f.plan(), in: in, now: now}
	fold.reset()
	end := fold.scan(occurrences)
	fold.downstream()
	fold.steps()
	fold.verdict()
	fold.stuckTime(occurrences)
	fold.deviations(end >= 0 && end < len(occurrences)-1)
}

// folder is one run of the fold.
type folder struct {
	flow *Flow
	plan *plan
	in   *Instance
	now  Time
	down []Time // per step, the earliest occurrence downstream of it; NoTime for none
}

func (d *folder) reset() {
	in := d.in
	*in = Instance{
		ReasonStep: -1, EndStep: -1, StuckSince: NoTime, StartedAt: NoTime, LastAt: NoTime, EndedAt: NoTime, NextChange: NoTime,
		Steps: in.Steps[:0], Path: in.Path[:0], Times: in.Times[:0], Failures: in.Failures[:0],
		WaitingOn: in.WaitingOn[:0], Deviations: in.Deviations[:0],
	}
	for range d.flow.Steps {
		in.Steps = append(in.Steps, StepFold{At: NoTime, DueAt: NoTime})
	}
}

// scan takes the occurrences in order and returns the position of the end, or -1.
func (d *folder) scan(occurrences []Occurrence) int {
	in, end := d.in, -1
	for i := range occurrences {
		o := &occurrences[i]
		if in.StartedAt == NoTime || o.Start < in.StartedAt {
			in.StartedAt = o.Start
		}
		in.LastAt = o.At
		if !in.Amount.Valid && o.Amount.Valid {
			in.Amount, in.Currency = o.Amount, o.Currency
		}
		d.segments(o)
		if o.Failed {
			in.Steps[o.Step].Errors++
			in.Failures = append(in.Failures, Failure{o.Step, o.At})
			continue
		}
		step := &in.Steps[o.Step]
		if step.Count++; step.Count == 1 {
			step.At = o.At
		}
		in.Path, in.Times = append(in.Path, o.Step), append(in.Times, o.At)
		if outcome := d.flow.Steps[o.Step].End; end < 0 && outcome != Open {
			end, in.State, in.EndedAt, in.EndStep = i, outcome, o.At, o.Step
		}
	}
	return end
}

func (d *folder) segments(o *Occurrence) {
	for i, v := range o.Segments {
		if v == "" {
			continue
		}
		if d.in.Segments == nil {
			d.in.Segments = make([]string, len(d.flow.Segments))
		}
		if d.in.Segments[i] == "" {
			d.in.Segments[i] = v
		}
	}
}

func (d *folder) occurred(s int) bool { return d.in.Steps[s].At != NoTime }

func (d *folder) anyOccurred(steps []int) bool { return slices.ContainsFunc(steps, d.occurred) }

// downstream finds per step the earliest time at which a step after it occurred, and
// with that which steps were skipped.
func (d *folder) downstream() {
	var few [32]Time
	d.down = few[:0]
	for range d.flow.Steps {
		d.down = append(d.down, NoTime)
	}
	for _, s := range slices.Backward(d.plan.order) {
		for _, next := range d.plan.successors[s] {
			d.down[s] = earlier(d.down[s], earlier(d.in.Steps[next].At, d.down[next]))
		}
		passed := d.down[s] != NoTime || (d.in.State == Completed && len(d.flow.Steps[s].After) > 0)
		d.in.Steps[s].Skipped = passed && !d.occurred(s) && d.required(s)
	}
}

// required as in FLOWS.md section 5: only a required step can be skipped.
func (d *folder) required(s int) bool {
	step := &d.flow.Steps[s]
	otherOutcome := step.End != Open && d.in.EndStep >= 0 && step.End != d.in.State
	return !step.Optional && !otherOutcome && !d.anyOccurred(d.plan.siblings[s]) && !d.anyOccurred(d.plan.fellows[s])
}

// earlier is the smaller of two instants, where NoTime is none.
func earlier(a, b Time) Time {
	if a == NoTime || (b != NoTime && b < a) {
		return b
	}
	return a
}

// steps works out due times, latencies, and what the instance waits for.
func (d *folder) steps() {
	for s := range d.flow.Steps {
		step, fold := &d.flow.Steps[s], &d.in.Steps[s]
		fold.DueAt = d.dueAt(step)
		switch {
		case fold.DueAt == NoTime:
		case d.occurred(s):
			fold.Latency = max(0, fold.At.Sub(fold.DueAt))
		case fold.Skipped || d.anyOccurred(d.plan.siblings[s]):
			if !fold.Skipped {
				fold.DueAt = NoTime // the alternative was taken
			}
		case d.in.State == Open:
			d.in.WaitingOn = append(d.in.WaitingOn, Waiting{s, fold.DueAt, deadline(step, fold.DueAt)})
		}
	}
}

// dueAt is when the predecessors of a step had occurred; NoTime where they have not.
func (d *folder) dueAt(step *Step) Time {
	due := NoTime
	for _, p := range step.After {
		at := d.in.Steps[p].At
		if d.in.Steps[p].Skipped {
			at = d.down[p]
		}
		switch {
		case at != NoTime && step.Any:
			due = earlier(due, at)
		case at != NoTime:
			due = max(due, at)
		case !step.Any && !d.flow.Steps[p].Optional:
			return NoTime
		}
	}
	return due
}

func deadline(step *Step, due Time) Time {
	if step.Within == 0 || step.Optional || due == NoTime {
		return NoTime
	}
	return due.Add(step.Within)
}

// verdict finds the state, the cause that came first, and when the verdict changes.
func (d *folder) verdict() {
	in := d.in
	if in.State != Open {
		return
	}
	if d.flow.Expire > 0 {
		at := in.LastAt.Add(d.flow.Expire)
		if d.now > at {
			in.State, in.EndedAt, in.WaitingOn = Expired, at, in.WaitingOn[:0]
			return
		}
		d.changesAfter(at)
	}
	for _, w := range in.WaitingOn {
		if w.Deadline != NoTime {
			d.cause(ReasonDeadline, w.Step, w.Deadline)
		}
	}
	if d.flow.Idle > 0 {
		step := -1
		if len(in.WaitingOn) > 0 {
			step = in.WaitingOn[0].Step
		}
		d.cause(ReasonIdle, step, in.LastAt.Add(d.flow.Idle))
	}
}

// cause makes the instance stuck after an instant that has passed, if no earlier one did.
func (d *folder) cause(reason Reason, step int, after Time) {
	in := d.in
	if d.now <= after {
		d.changesAfter(after)
		return
	}
	if in.StuckSince == NoTime || after < in.StuckSince {
		in.State, in.Reason, in.ReasonStep, in.StuckSince = Stuck, reason, step, after
	}
}

func (d *folder) changesAfter(t Time) { d.in.NextChange = earlier(d.in.NextChange, t.Add(1)) }

// stuckTime adds up how long the instance was or is stuck: the union of the times between
// a deadline and what cleared it.
func (d *folder) stuckTime(occurrences []Occurrence) {
	in := d.in
	until := d.now // of what is not cleared
	if in.EndedAt != NoTime {
		until = in.EndedAt
	}
	var few [8]interval
	stuck := few[:0]
	add := func(from, to Time) {
		if in.EndedAt != NoTime {
			to = min(to, in.EndedAt)
		}
		if from < to {
			stuck = append(stuck, interval{from, to})
		}
	}
	for s := range d.flow.Steps {
		limit := deadline(&d.flow.Steps[s], in.Steps[s].DueAt)
		switch {
		case limit == NoTime:
		case d.occurred(s):
			add(limit, in.Steps[s].At)
		case in.Steps[s].Skipped && d.down[s] != NoTime:
			add(limit, d.down[s])
		default:
			add(limit, until)
		}
	}
	if d.flow.Idle > 0 {
		for i := range occurrences {
			next := until
			if i+1 < len(occurrences) {
				next = occurrences[i+1].At
			}
			add(occurrences[i].At.Add(d.flow.Idle), next)
		}
	}
	in.StuckFor = union(stuck)
	in.Recovered = in.StuckFor > 0 && (in.State == Open || in.State == Completed)
}

type interval struct{ from, to Time }

// union is the length of the union of intervals.
func union(intervals []interval) (length time.Duration) {
	slices.SortFunc(intervals, func(a, b interval) int { return cmp.Compare(a.from, b.from) })
	reached := NoTime
	for _, v := range intervals {
		if v.to > reached {
			length += v.to.Sub(max(v.from, reached))
			reached = v.to
		}
	}
	return length
}

// deviations lists in what the instance does not conform so far.
func (d *folder) deviations(afterEnd bool) {
	in := d.in
	var skipped, order, repeat, started bool
	for s := range d.flow.Steps {
		step, fold := &d.flow.Steps[s], &in.Steps[s]
		skipped = skipped || fold.Skipped
		order = order || (d.occurred(s) && fold.DueAt != NoTime && fold.DueAt > fold.At)
		repeat = repeat || (fold.Count > 1 && !step.Repeat)
		started = started || (step.Start && d.occurred(s))
	}
	noStart := d.plan.hasStart && !started && in.State == Completed
	for _, found := range []struct {
		holds     bool
		deviation Deviation
	}{
		{skipped, DeviationSkipped}, {order, DeviationOrder}, {repeat, DeviationRepeat},
		{afterEnd, DeviationAfterEnd}, {noStart, DeviationNoStart},
	} {
		if found.holds {
			in.Deviations = append(in.Deviations, found.deviation)
		}
	}
	in.Conforming = in.State == Completed && len(in.Deviations) == 0
}

// Latency is the end-to-end latency of a completed instance; false for others.
func (in *Instance) Latency() (time.Duration, bool) {
	return in.EndedAt.Sub(in.StartedAt), in.State == Completed
}
