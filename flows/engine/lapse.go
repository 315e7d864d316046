package engine

import "throughline/flows"

// A verdict that time alone changes costs a look at the instance and no more: nothing of its
// component is woken, and its row may follow later (see followed). A million that are
// due in the same second are judged in slices, so that signals are applied between them and
// only one slice takes memory.

// advanceSlice is how many instances are judged before what that took is given back.
const advanceSlice = 1000

// Advance judges again every instance whose verdict changes by now.
func (e *Engine) Advance(now flows.Time) {
	for !e.AdvanceSome(now, advanceSlice) {
	}
}

// AdvanceSome is Advance for about so many instances, those due first, and says whether
// these were all. Signals may be applied before it is called again.
func (e *Engine) AdvanceSome(now flows.Time, most int) (done bool) {
	e.now = now
	e.Roll(now)
	for ; most > 0 && e.timers.next() <= now; most-- {
		if in := e.timers.pop().first(); !e.lapse(in, now) {
			e.touch(in)
		}
	}
	if done = e.timers.next() > now; done {
		e.giveUpBefore(now)
	}
	e.flush()
	e.settle(now)
	return done
}

// lapse judges an instance of which nothing changed but the time; false where it takes more
// than that.
func (e *Engine) lapse(in *instance, now flows.Time) bool {
	fs := in.fs
	if in.work != nil || !in.counted || in.kept || fs.flow.Reopen {
		return false
	}
	occurrences := e.occurrences(in)
	fs.flow.FoldCounted(&e.before, occurrences, in.judged)
	fs.gauges.Count(&e.before, in.judged, -1)
	in.judged = flows.Clock(occurrences, now)
	fs.flow.FoldInto(&e.folded, occurrences, in.judged)
	if before, after := &e.before, &e.folded; before.State.InFlight() && after.State.InFlight() && slotOf(after.LastAt) <= int64(in.until) {
		fs.changed = true
		fs.gauges.Count(after, in.judged, 1) // all that the window holds of it is as it was
	} else {
		e.count(in, before, after)
	}
	e.stand(in, &e.before, now)
	if !e.quiet {
		e.followed(in, &e.folded)
	}
	return true
}
