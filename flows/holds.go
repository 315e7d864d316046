package flows

// heldTime is when an instance waits on purpose: the union over all holds, in order and
// apart. It knows what the signals say, also of what is still to come.
func (f *Flow) heldTime(occurrences []Occurrence) []Interval {
	var all []Interval
	for h := range f.Holds {
		f.eachHeld(h, occurrences, func(v Interval) { all = append(all, v) })
	}
	return merged(all)
}

// eachHeld visits the times of one hold: it opens at `from` when closed, and closes at
// the first later `until` or at from + `at_most`; anything else is ignored.
func (f *Flow) eachHeld(hold int, occurrences []Occurrence, visit func(Interval)) {
	opens := f.fromPosition(hold)
	open := false
	var now Interval
	for i := range occurrences {
		o := &occurrences[i]
		if o.Failed || o.Step != opens && o.Step != opens+1 {
			continue
		}
		if open && o.At >= now.To {
			open = false
			visit(now)
		}
		switch {
		case o.Step == opens && !open:
			open, now = true, Interval{o.At, endless}
			if most := f.Holds[hold].AtMost; most > 0 {
				now.To = o.At.Add(most)
			}
		case o.Step != opens && open:
			open, now.To = false, o.At
			if now.From < now.To {
				visit(now)
			}
		}
	}
	if open {
		visit(now)
	}
}

// paused is when idle and expire do not count: while a hold is on, and in planned downtime
// of all systems that the instance waits for.
func (d *folder) paused() []Interval {
	if !d.plan.downtime {
		return d.held
	}
	return union(d.held, d.awaitedDowntime())
}

// awaitedDowntime is when every system that the instance must wait for is down.
func (d *folder) awaitedDowntime() (down []Interval) {
	first := true
	for _, w := range d.in.WaitingOn {
		step := &d.flow.Steps[w.Step]
		switch {
		case step.Optional:
		case first:
			down, first = step.Downtime, false
		default:
			down = common(down, step.Downtime)
		}
	}
	return down
}

// inDowntime says whether a step's system is in planned downtime, and notes when that
// changes.
func (d *folder) inDowntime(s int) bool {
	list := d.flow.Steps[s].Downtime
	if len(list) == 0 {
		return false
	}
	if v, ok := holding(list, d.now); ok {
		d.changesAt(v.To)
		return true
	}
	if next := following(list, d.now); next != NoTime {
		d.changesAt(next)
	}
	return false
}

// isHeld says whether the instance is held now, and by what; and notes when that changes.
func (d *folder) isHeld() bool {
	in := d.in
	if v, ok := holding(d.held, d.now); ok {
		d.hold(d.firstHold(), v)
		return true
	}
	if next := following(d.held, d.now); next != NoTime {
		d.changesAt(next)
	}
	if !d.plan.downtime {
		return false
	}
	down := d.awaitedDowntime()
	v, ok := holding(down, d.now)
	if ok {
		d.hold("downtime", v)
		for _, w := range in.WaitingOn {
			if !d.flow.Steps[w.Step].Optional {
				in.ReasonStep = w.Step
				break
			}
		}
	} else if next := following(down, d.now); next != NoTime {
		d.changesAt(next)
	}
	return ok
}

func (d *folder) hold(id string, v Interval) {
	in := d.in
	in.State, in.Reason, in.Hold, in.HeldSince = Held, ReasonHeld, id, v.From
	if len(in.WaitingOn) > 0 {
		in.ReasonStep = in.WaitingOn[0].Step
	}
	if v.To != endless {
		in.HeldUntil = v.To
		d.changesAt(v.To)
	}
}

// firstHold is the first hold in the file that is on now; it notes when that may change,
// since another may be on, or begin, while one ends.
func (d *folder) firstHold() (id string) {
	for h := range d.flow.Holds {
		d.flow.eachHeld(h, d.occurrences, func(v Interval) {
			switch {
			case d.now < v.From:
				d.changesAt(v.From)
			case d.now < v.To:
				if v.To != endless {
					d.changesAt(v.To)
				}
				if id == "" {
					id = d.flow.Holds[h].ID
				}
			}
		})
	}
	return id
}
