package engine

import (
	"slices"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

// instance is one business case: its occurrences, and when they were judged. Everything
// else is folded from these when it is needed.
type instance struct {
	fs          *flowState
	key         string
	occurrences []flows.Occurrence
	seen        map[flows.Identity]struct{} // of all occurrences, from manyOccurrences on
	judged      flows.Time                  // the now of the verdict that is counted
	counted     bool                        // gauges, window and cohorts hold it
	dirty       bool
	started     flows.Time
	due         flows.Time // of its timer
	timer       int        // position in timers, -1 for none
	openAt      int        // position in fs.open, -1 for none
	cohort      *cohort
	stuckSince  flows.Time
	amount      decimal.Decimal // with currency, what cohort holds of it at risk
	currency    string
	until       int64 // last slot that the window took when it was counted
}

// manyOccurrences is where looking through the list for a duplicate costs more than a map.
const manyOccurrences = 64

// known says whether the instance has an occurrence of that identity.
func (in *instance) known(id flows.Identity) bool {
	if in.seen != nil {
		_, ok := in.seen[id]
		return ok
	}
	return slices.ContainsFunc(in.occurrences, func(o flows.Occurrence) bool { return identity(&o) == id })
}

// has says whether a signal occurs at a step.
func (in *instance) has(id flows.Identity, step string) bool {
	return slices.ContainsFunc(in.occurrences, func(o flows.Occurrence) bool {
		return identity(&o) == id && in.fs.flow.Steps[o.Step].ID == step
	})
}

func identity(o *flows.Occurrence) flows.Identity { return flows.Identity{Source: o.Source, ID: o.ID} }

// touch takes an instance out of the numbers before it changes.
func (e *Engine) touch(in *instance) {
	if in.dirty {
		return
	}
	in.dirty = true
	e.dirty = append(e.dirty, in)
	if in.counted {
		in.fs.flow.FoldInto(&e.folded, in.occurrences, in.judged)
		e.count(in, -1)
	}
}

// count adds or takes out e.folded, the instance as it was judged at in.judged.
func (e *Engine) count(in *instance, sign int) {
	in.counted = sign > 0
	in.fs.changed = true
	if in.counted {
		in.until = in.fs.window.current + aheadSlots
	}
	in.fs.window.until = in.until
	in.fs.gauges.Count(&e.folded, in.judged, sign)
	flows.CountInstance(&e.folded, sign, in.fs.window.slot)
	flows.CountInstance(&e.folded, sign, in.fs.window.inTotal)
}

// insert adds an occurrence to an instance. Of copies that differ the one with the
// smallest (time, hash) counts.
func (e *Engine) insert(in *instance, o flows.Occurrence) {
	if in.known(identity(&o)) && !e.replaces(in, &o) {
		return
	}
	e.touch(in)
	at, _ := slices.BinarySearchFunc(in.occurrences, o, func(a, b flows.Occurrence) int {
		return flows.CompareOccurrences(&a, &b)
	})
	in.occurrences = slices.Insert(in.occurrences, at, o)
	e.stats.Inserted++
	if in.seen != nil {
		in.seen[identity(&o)] = struct{}{}
	} else if len(in.occurrences) > manyOccurrences {
		in.seen = make(map[flows.Identity]struct{}, 2*manyOccurrences)
		for i := range in.occurrences {
			in.seen[identity(&in.occurrences[i])] = struct{}{}
		}
	}
	e.emit(in, o, false)
}

// replaces says whether o, a copy of a known signal, is to be inserted: it is the same
// copy at another step, or it counts instead of what is there, which it removes.
func (e *Engine) replaces(in *instance, o *flows.Occurrence) bool {
	isCopy := func(c flows.Occurrence) bool { return identity(&c) == identity(o) }
	have := in.occurrences[slices.IndexFunc(in.occurrences, isCopy)]
	if have.Start == o.Start && have.Hash == o.Hash {
		sameStep := func(c flows.Occurrence) bool { return isCopy(c) && c.Step == o.Step }
		if !slices.ContainsFunc(in.occurrences, sameStep) {
			return true
		}
		e.stats.Duplicates++
		if e.rework {
			e.emit(in, *o, false)
			e.out.instance(in)
		}
		return false
	}
	e.stats.Conflicts++
	if have.Start < o.Start || (have.Start == o.Start && have.Hash < o.Hash) {
		return false
	}
	e.touch(in)
	in.occurrences = slices.DeleteFunc(in.occurrences, func(c flows.Occurrence) bool {
		if isCopy(c) {
			e.emit(in, c, true)
			return true
		}
		return false
	})
	return true
}

// remove takes an occurrence out of an instance it no longer belongs to.
func (e *Engine) remove(in *instance, o *flows.Occurrence) {
	e.touch(in)
	in.occurrences = slices.DeleteFunc(in.occurrences, func(c flows.Occurrence) bool {
		return c.Step == o.Step && identity(&c) == identity(o)
	})
	if in.seen != nil && !slices.ContainsFunc(in.occurrences, func(c flows.Occurrence) bool { return identity(&c) == identity(o) }) {
		delete(in.seen, identity(o))
	}
	e.emit(in, *o, true)
}

// settle judges what was touched at now and counts it again.
func (e *Engine) settle(now flows.Time) {
	for _, in := range e.dirty {
		in.dirty = false
		if len(in.occurrences) == 0 {
			e.vanish(in)
			continue
		}
		in.judged = flows.Clock(in.occurrences, now)
		in.fs.flow.FoldInto(&e.folded, in.occurrences, in.judged)
		in.started = e.folded.StartedAt
		e.count(in, 1)
		in.fs.track(in, &e.folded)
		e.timers.set(in, e.dueAgain(in))
		if !e.quiet {
			e.out.instance(in)
		}
	}
	e.dirty = e.dirty[:0]
}

// dueAgain is when the instance is to be judged again: when its verdict changes, or when
// the window has come near to what is still ahead of it.
func (e *Engine) dueAgain(in *instance) flows.Time {
	due := e.folded.NextChange
	if imported(in) {
		due = flows.NoTime // its clock stands still
	}
	if slotOf(e.folded.LastAt) > in.until {
		near := e.folded.LastAt.Add(-aheadSlots / 2 * slotLength)
		if due == flows.NoTime || near < due {
			due = near
		}
	}
	return due
}

// vanish removes an instance whose signals all turned out to belong elsewhere.
func (e *Engine) vanish(in *instance) {
	in.fs.untrack(in)
	e.timers.remove(in)
	delete(in.fs.instances, in.key)
	e.out.instance(in)
}

// imported says that an instance is made of imported signals only.
func imported(in *instance) bool {
	return !slices.ContainsFunc(in.occurrences, func(o flows.Occurrence) bool { return o.AsOf == 0 })
}

// track keeps the lists of open and of stuck instances.
func (fs *flowState) track(in *instance, folded *flows.Instance) {
	fs.untrack(in)
	if folded.State.InFlight() {
		in.openAt = len(fs.open)
		fs.open = append(fs.open, in)
	}
	if folded.State == flows.Stuck && !imported(in) {
		fs.join(in, folded)
	}
}

func (fs *flowState) untrack(in *instance) {
	if in.openAt >= 0 {
		last := fs.open[len(fs.open)-1]
		fs.open[in.openAt], last.openAt = last, in.openAt
		fs.open = fs.open[:len(fs.open)-1]
		in.openAt = -1
	}
	if in.cohort != nil {
		fs.leave(in)
	}
}

// manyOpen is where looking at all that are open at each change costs too much.
const manyOpen = 1000

// age measures the ages of the open at now. It looks at each; where they are many, at most
// once a second of now.
func (fs *flowState) age(now flows.Time) {
	if len(fs.open) > manyOpen && fs.window.aged != flows.NoTime && now.Sub(fs.window.aged) < ageEvery {
		return
	}
	fs.window.aged = now
	fs.gauges.Age = flows.Sketch{}
	for _, in := range fs.open {
		clock := now
		if imported(in) {
			clock = in.judged
		}
		fs.gauges.Age.Add(max(0, clock.Sub(in.started)))
	}
}
