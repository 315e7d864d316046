package flows

import (
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

// Fold derives the state of an instance at now from the set of its occurrences, which must
// make one exist, each identity from one copy only. It brings them in order; nothing else
// about their arrival matters.
func (f *Flow) Fold(occurrences []Occurrence, now Time) Instance {
	var in Instance
	f.FoldInto(&in, occurrences, now)
	return in
}

// FoldInto is Fold into the memory of an earlier result.
func (f *Flow) FoldInto(in *Instance, occurrences []Occurrence, now Time) {
	f.foldInto(in, occurrences, now, true)
}

// FoldCounted is FoldInto but for what no number counts: how long it was stuck, and in what
// it deviates while it is in flight.
func (f *Flow) FoldCounted(in *Instance, occurrences []Occurrence, now Time) {
	f.foldInto(in, occurrences, now, false)
}

func (f *Flow) foldInto(in *Instance, occurrences []Occurrence, now Time, whole bool) {
	SortOccurrences(occurrences)
	fold := folder{flow: f, plan: f.plan(), in: in, now: now, occurrences: occurrences, resolvedAt: NoTime, heldFrom: NoTime, sampledAt: NoTime}
	fold.reset()
	end := fold.scan()
	fold.downstream()
	fold.steps()
	fold.verdict()
	if whole {
		fold.stuckTime()
	}
	if whole || !in.State.InFlight() {
		fold.deviations(end)
	}
}

// folder is one run of the fold.
type folder struct {
	flow        *Flow
	plan        *plan
	in          *Instance
	now         Time
	occurrences []Occurrence
	held        []Interval // by the flow's holds
	heldFrom    Time       // first signal of a hold
	resolvedAt  Time
	sampledAt   Time // first signal of a producer that samples, where that matters
	lastStep    int  // position in occurrences of the last signal of a step
	overdue     bool // something is past its deadline, held or not
}

func (d *folder) reset() {
	in := d.in
	*in = Instance{
		ReasonStep: -1, EndStep: -1, StuckSince: NoTime, HeldSince: NoTime, HeldUntil: NoTime,
		StartedAt: NoTime, FirstAt: NoTime, LastAt: NoTime, EndedAt: NoTime, NextChange: NoTime, ExpiresAt: NoTime,
		Steps: in.Steps[:0], Path: in.Path[:0], Times: in.Times[:0], Failures: in.Failures[:0],
		WaitingOn: in.WaitingOn[:0], Deviations: in.Deviations[:0],
	}
	in.Steps = append(in.Steps, d.plan.blank...)
}

// scan takes the occurrences in order and returns the position of the end, or -1.
func (d *folder) scan() int {
	in, steps, end := d.in, len(d.flow.Steps), -1
	var kids *children
	if d.plan.each {
		kids = d.expectations()
	}
	if len(d.flow.Holds) > 0 {
		d.held = d.flow.heldTime(d.occurrences)
	}
	for i := range d.occurrences {
		o := &d.occurrences[i]
		if i == 0 || o.Start < in.FirstAt {
			in.FirstAt = o.Start
		}
		if o.Step >= steps {
			d.beside(o)
			continue
		}
		d.lastStep, in.Began = i, true
		if in.StartedAt == NoTime || o.Start < in.StartedAt {
			in.StartedAt = o.Start
		}
		d.signal(o)
		if o.Failed {
			in.Steps[o.Step].Errors++
			in.Failures = append(in.Failures, Failure{o.Step, o.At})
			continue
		}
		in.Path, in.Times = append(in.Path, o.Step), append(in.Times, o.At)
		step := &in.Steps[o.Step]
		step.Count++
		if kids != nil && kids.add(o) {
			step.Seen++
		} else if kids == nil || !kids.of(o.Step) {
			step.Seen = 1
		}
		if step.At != NoTime || step.Seen < step.Expected {
			continue
		}
		step.At = o.At
		if outcome := d.flow.Steps[o.Step].End; end < 0 && outcome != Open {
			end, in.State, in.EndedAt, in.EndStep = i, outcome, o.At, o.Step
		}
	}
	if kids != nil {
		kids.release()
	}
	if in.StartedAt == NoTime { // so far a hold alone
		in.StartedAt = d.heldFrom
	}
	return end
}

// beside takes what is no step: a hold's signal or the resolution.
func (d *folder) beside(o *Occurrence) {
	if o.Step < d.flow.resolvedPosition() {
		d.signal(o)
		if d.heldFrom == NoTime {
			d.heldFrom = o.Start
		}
	} else if d.resolvedAt == NoTime {
		d.resolvedAt = o.At
	}
}

// signal takes what every signal of the instance has.
func (d *folder) signal(o *Occurrence) {
	in := d.in
	in.LastAt = o.At
	if o.Sampled && d.sampledAt == NoTime && !d.flow.Sampling {
		d.sampledAt = o.At
	}
	if !in.Amount.Valid && o.Amount.Valid {
		in.Amount, in.Currency = o.Amount, o.Currency
	}
	for i, v := range o.Segments {
		if v == "" {
			continue
		}
		if in.Segments == nil {
			in.Segments = make([]string, len(d.flow.Segments))
		}
		if in.Segments[i] == "" {
			in.Segments[i] = v
		}
	}
}

func (d *folder) occurred(s int) bool { return d.in.Steps[s].At != NoTime }

func (d *folder) anyOccurred(steps []int) bool { return slices.ContainsFunc(steps, d.occurred) }

// spared says that a step need not occur: it is optional, or no child of it is expected.
func (d *folder) spared(s int) bool { return d.flow.Steps[s].Optional || d.in.Steps[s].Expected == 0 }

// downstream finds per step the earliest time at which a step after it occurred, and
// with that which steps were skipped.
func (d *folder) downstream() {
	steps := d.in.Steps
	for _, s := range slices.Backward(d.plan.order) {
		for _, next := range d.plan.successors[s] {
			steps[s].Passed = earlier(steps[s].Passed, earlier(steps[next].At, steps[next].Passed))
		}
		passed := steps[s].Passed != NoTime || (d.in.State == Completed && len(d.flow.Steps[s].After) > 0)
		steps[s].Skipped = passed && !d.occurred(s) && d.required(s)
	}
}

// required as in FLOWS.md section 5: only a required step can be skipped.
func (d *folder) required(s int) bool {
	step := &d.flow.Steps[s]
	otherOutcome := step.End != Open && d.in.EndStep >= 0 && step.End != d.in.State
	return !d.spared(s) && !otherOutcome && !d.anyOccurred(d.plan.siblings[s]) && !d.anyOccurred(d.plan.fellows[s])
}

// earlier is the smaller of two instants, where NoTime is none.
func earlier(a, b Time) Time {
	if a == NoTime || (b != NoTime && b < a) {
		return b
	}
	return a
}

// steps works out due times, deadlines, latencies, and what the instance waits for.
func (d *folder) steps() {
	for s := range d.flow.Steps {
		fold := &d.in.Steps[s]
		fold.DueAt = d.dueAt(&d.flow.Steps[s])
		if fold.DueAt == NoTime {
			continue
		}
		waits := false
		switch {
		case d.occurred(s):
			fold.Latency = max(0, fold.At.Sub(fold.DueAt))
		case fold.Skipped:
		case d.anyOccurred(d.plan.siblings[s]): // the alternative was taken
			fold.DueAt = NoTime
			continue
		default:
			waits = d.in.State == Open && fold.Expected > 0
		}
		fold.Deadline = d.deadline(s)
		if waits {
			d.in.WaitingOn = append(d.in.WaitingOn, Waiting{s, fold.DueAt, fold.Deadline, fold.Expected, fold.Seen})
		}
	}
}

// dueAt is when the predecessors of a step had occurred; NoTime where they have not.
func (d *folder) dueAt(step *Step) Time {
	due := NoTime
	for _, p := range step.After {
		at := d.in.Steps[p].At
		if d.in.Steps[p].Skipped {
			at = d.in.Steps[p].Passed
		}
		switch {
		case at != NoTime && step.Any:
			due = earlier(due, at)
		case at != NoTime:
			due = max(due, at)
		case !step.Any && !d.spared(p):
			return NoTime
		}
	}
	return due
}

// deadline is when a due step becomes overdue; NoTime for never.
func (d *folder) deadline(s int) Time {
	step := &d.flow.Steps[s]
	if step.Within == 0 || d.spared(s) {
		return NoTime
	}
	due := d.in.Steps[s].DueAt
	if step.Calendar == nil && len(d.held)+len(step.Downtime) == 0 {
		return due.Add(step.Within)
	}
	return elapsed(due, step.Within, step.Calendar, union(d.held, step.Downtime))
}

// verdict finds the state, the cause that came first, and when the verdict changes.
func (d *folder) verdict() {
	in := d.in
	if in.State != Open {
		return
	}
	if d.resolvedAt != NoTime {
		in.State, in.EndedAt, in.WaitingOn = Resolved, d.resolvedAt, in.WaitingOn[:0]
		return
	}
	paused := d.paused()
	if d.flow.Expire > 0 {
		at := elapsed(in.LastAt, d.flow.Expire, nil, paused)
		in.ExpiresAt = at
		if at != NoTime && d.now > at {
			in.State, in.EndedAt, in.WaitingOn = Expired, at, in.WaitingOn[:0]
			return
		}
		d.changesAfter(at)
	}
	idle := NoTime
	if d.flow.Idle > 0 {
		idle = elapsed(in.LastAt, d.flow.Idle, nil, paused)
	}
	d.overdue = idle != NoTime && d.now > idle ||
		slices.ContainsFunc(in.WaitingOn, func(w Waiting) bool { return w.Overdue(d.now) })
	if d.isHeld() {
		return
	}
	for _, w := range in.WaitingOn {
		if w.Deadline != NoTime && !d.inDowntime(w.Step) {
			d.cause(ReasonDeadline, w.Step, w.Deadline, d.unheard(w.Step))
		}
	}
	if idle != NoTime {
		step := -1
		if len(in.WaitingOn) > 0 {
			step = in.WaitingOn[0].Step
		}
		d.cause(ReasonIdle, step, idle, d.unheardAll())
	}
}

// cause makes the instance stuck after an instant that has passed, if no earlier one did;
// unknown where there is a reason for which what is awaited may not be heard, if nothing
// makes it stuck.
func (d *folder) cause(reason Reason, step int, after Time, unheard Reason) {
	in := d.in
	if d.now <= after {
		d.changesAfter(after)
		return
	}
	state := Stuck
	if unheard != ReasonNone {
		state, reason = Unknown, unheard
	}
	if in.State == Open || state == Stuck && in.State == Unknown || state == in.State && after < in.StuckSince {
		in.State, in.Reason, in.ReasonStep, in.StuckSince = state, reason, step, after
	}
}

// changesAfter notes that the verdict changes right after an instant; NoTime is never.
func (d *folder) changesAfter(t Time) {
	if t != NoTime {
		d.changesAt(t.Add(1))
	}
}

func (d *folder) changesAt(t Time) { d.in.NextChange = earlier(d.in.NextChange, t) }

// deviations lists in what the instance does not conform so far; end is the position of
// the signal that ended it, or -1.
func (d *folder) deviations(end int) {
	in := d.in
	var skipped, order, repeat, surplus, started bool
	for s := range d.flow.Steps {
		step, fold := &d.flow.Steps[s], &in.Steps[s]
		skipped = skipped || fold.Skipped
		order = order || (d.occurred(s) && fold.DueAt != NoTime && fold.DueAt > fold.At)
		repeat = repeat || (fold.Count > fold.Seen && !step.Repeat)
		surplus = surplus || fold.Seen > fold.Expected
		started = started || (step.Start && d.occurred(s))
	}
	afterEnd := end >= 0 && end < d.lastStep
	noStart := d.plan.hasStart && !started && in.State == Completed
	for i, holds := range [...]bool{skipped, order, repeat, surplus, afterEnd, noStart} {
		if holds {
			in.Deviations = append(in.Deviations, allDeviations[i])
		}
	}
	in.Conforming = in.State == Completed && len(in.Deviations) == 0
}

// Latency is the end-to-end latency of a completed instance; false for others.
func (in *Instance) Latency() (time.Duration, bool) {
	return in.EndedAt.Sub(in.StartedAt), in.State == Completed
}
