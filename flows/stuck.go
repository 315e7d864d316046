package flows

// stuckTime adds up how long the instance was or is stuck: the union of the times between
// a deadline and what cleared it, without the time in which it was held. What a signal
// ahead of now clears is counted up to it: so the sum does not change by itself while the
// verdict stays.
func (d *folder) stuckTime() {
	in := d.in
	until := d.now // of what is not cleared
	if in.EndedAt != NoTime {
		until = in.EndedAt
	}
	var few [8]Interval
	stuck := few[:0]
	add := func(from, to Time, held []Interval) {
		if in.EndedAt != NoTime {
			to = min(to, in.EndedAt)
		}
		switch {
		case from == NoTime || from >= to:
		case len(held) == 0:
			stuck = append(stuck, Interval{from, to})
		default:
			stuck = without(Interval{from, to}, held, stuck)
		}
	}
	for s := range d.flow.Steps {
		limit := in.Steps[s].Deadline
		if limit == NoTime {
			continue
		}
		cleared := until
		since, unheard := d.unheardSince(s) // from then on it was unknown
		switch {
		case d.occurred(s):
			cleared = in.Steps[s].At
		case in.Steps[s].Skipped && in.Steps[s].Passed != NoTime:
			cleared = in.Steps[s].Passed
		case unheard:
			cleared = since
		}
		if unheard {
			cleared = min(cleared, since)
		}
		if cleared <= limit {
			continue
		}
		add(limit, cleared, union(d.held, d.flow.Steps[s].Downtime))
	}
	if d.flow.Idle > 0 {
		d.idleTime(until, add)
	}
	in.StuckFor = length(stuck)
	in.Recovered = in.StuckFor > 0 && !d.overdue && (in.State == Open || in.State == Held || in.State == Completed)
}

// idleTime finds the gaps between signals that were longer than idle.
func (d *folder) idleTime(until Time, add func(from, to Time, held []Interval)) {
	last := -1 // signals, resolutions left out
	for i := range d.occurrences {
		if d.occurrences[i].Step == d.flow.resolvedPosition() {
			continue
		}
		if last >= 0 {
			d.gap(last, d.occurrences[i].At, add)
		}
		last = i
	}
	if last >= 0 {
		d.gap(last, until, add)
	}
}

// gap is the time after the signal at position i up to the next.
func (d *folder) gap(i int, next Time, add func(from, to Time, held []Interval)) {
	at := d.occurrences[i].At
	if next.Sub(at) <= d.flow.Idle {
		return
	}
	held := d.held
	if d.plan.downtime || d.plan.sampled || d.sampledAt != NoTime { // what was awaited then; long gaps are few
		then := folder{flow: d.flow, plan: d.plan, in: new(Instance), occurrences: d.occurrences[:i+1], resolvedAt: NoTime, heldFrom: NoTime, sampledAt: NoTime}
		then.reset()
		then.scan()
		then.downstream()
		then.steps()
		if then.unheardAll() != ReasonNone {
			return
		}
		held = union(held, then.awaitedDowntime())
	}
	add(elapsed(at, d.flow.Idle, nil, held), next, held)
}
