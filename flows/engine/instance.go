package engine

import (
	"slices"
	"sort"

	"throughline/flows"
)

// instance is one business case: its occurrences, and when they were judged. Everything
// else is folded from these when it is needed. Millions are at rest at a time.
type instance struct {
	fs       *flowState
	key      string
	packed   packed     // occurrences; while work is not nil those of before
	work     *work      // nil at rest
	cohort   *cohort    // nil unless stuck
	judged   flows.Time // the now of the verdict that is counted
	started  flows.Time
	timer    int32  // position in timers, -1 for none
	openAt   int32  // position in fs.open, -1 for none
	until    int32  // last slot that the window took when it was counted
	index    uint32 // in copies.instances, while not at rest
	cell     uint32 // at rest there, with all that is linked; 0 for not
	mark     uint32 // round of the last look at its component
	touched  uint32 // save round of the last change of its signals
	counted  bool   // gauges, window and cohorts hold it
	imported bool   // made of imported signals only
	full     bool   // takes no more signals
	kept     bool   // ended under another version, which it keeps: see keep
	memberAt int32  // position in cohort.members
	row      int32  // owed, see outbox; 0 for none
}

// newInstance is one without occurrences, which is in no list.
func newInstance(fs *flowState, key string) *instance {
	_, environment := flows.SplitInstanceKey(key)
	fs.elsewhere = fs.elsewhere || environment != ""
	return &instance{fs: fs, key: key, timer: -1, openAt: -1}
}

// named is the value of its key, and the environment.
func (in *instance) named() (value, environment string) {
	if !in.fs.elsewhere {
		return in.key, ""
	}
	return flows.SplitInstanceKey(in.key)
}

// work are the occurrences of an instance that is looked at or changed, until the next
// settle.
type work struct {
	occurrences []flows.Occurrence
	seen        map[flows.Identity]struct{} // of all, where they are many
	dirty       bool
	counted     flows.Instance // what the numbers hold of an instance that is counted and dirty
	folding     folding        // of counted, where it is known before that
	kept        int            // how many of the first occurrences are all that in.packed holds; 0 for none
}

// manyOccurrences is where looking through the list for a duplicate costs more than a map.
const manyOccurrences = 256

// open unpacks an instance.
func (e *Engine) open(in *instance) *work {
	if in.work != nil {
		return in.work
	}
	if w := e.openLarge(in); w != nil {
		w.kept = len(w.occurrences)
		return w
	}
	w := e.opens(in)
	w.occurrences = e.unpacked(in, w.occurrences)
	w.kept = len(w.occurrences)
	return w
}

// opens gives an instance an empty list of occurrences.
func (e *Engine) opens(in *instance) *work {
	if last := len(e.spare) - 1; last >= 0 {
		in.work = e.spare[last]
		e.spare, e.spareRoom = e.spare[:last], e.spareRoom-cap(in.work.occurrences)
	} else {
		in.work = &work{}
	}
	e.opened = append(e.opened, in)
	return in.work
}

// maxSpare bounds the memory kept for instances to be opened, in occurrences: 14 MB.
const maxSpare = 1 << 16

// rest packs what changed.
func (e *Engine) rest(in *instance) {
	w := in.work
	if w.dirty && in.cell == 0 {
		before := flows.Time(0)
		if e.buffer = e.buffer[:0]; w.kept > 0 {
			e.buffer, before = append(e.buffer, in.packed...), w.occurrences[w.kept-1].At
		}
		e.buffer = e.names.packAfter(e.buffer, w.occurrences[w.kept:], before)
		in.packed = packed(e.buffer)
	}
	in.work = nil
	if e.keepLarge(in, w) {
		return
	}
	if room := cap(w.occurrences); room <= manyOccurrences && e.spareRoom+room <= maxSpare {
		e.spareRoom += room
		clear(w.occurrences)
		w.occurrences, w.seen, w.dirty, w.kept, w.folding = w.occurrences[:0], nil, false, 0, folding{}
		e.spare = append(e.spare, w)
	}
}

// occurrences are those of an instance now; read-only, until the next call.
func (e *Engine) occurrences(in *instance) []flows.Occurrence {
	if in.work != nil {
		return in.work.occurrences
	}
	e.read = e.unpacked(in, e.read[:0])
	return e.read
}

// unpacked appends the occurrences that an instance had at the last settle.
func (e *Engine) unpacked(in *instance, into []flows.Occurrence) []flows.Occurrence {
	if in.cell == 0 {
		return e.names.unpack(in.packed, into)
	}
	p := &e.parcel
	if err := e.names.look(e, string(e.cells.list[in.cell]), p); err != nil {
		return into // not reached: it was read or written by this process
	}
	if len(p.instances) == 1 && p.instances[0].fs == in.fs {
		return p.of(0, into)
	}
	value, environment := flows.SplitInstanceKey(in.key)
	for i, other := range p.instances {
		k := &p.keys[other.key]
		if other.fs == in.fs && k.value == value && e.graph.classes[k.class].environment == environment {
			return p.of(i, into)
		}
	}
	return into
}

// known says whether there is an occurrence of that identity.
func (w *work) known(id flows.Identity) bool {
	if len(w.occurrences) <= manyOccurrences {
		return slices.ContainsFunc(w.occurrences, func(o flows.Occurrence) bool { return identity(&o) == id })
	}
	if w.seen == nil {
		w.seen = make(map[flows.Identity]struct{}, 2*len(w.occurrences))
		for i := range w.occurrences {
			w.seen[identity(&w.occurrences[i])] = struct{}{}
		}
	}
	_, ok := w.seen[id]
	return ok
}

func identity(o *flows.Occurrence) flows.Identity { return flows.Identity{Source: o.Source, ID: o.ID} }

// touch takes an instance out of the gauges before it changes, and notes what else the
// numbers hold of it.
func (e *Engine) touch(in *instance) *work {
	w := e.open(in)
	if w.dirty {
		return w
	}
	w.dirty = true
	if in.counted {
		if w.folding != (folding{in.fs.flow, in.judged}) {
			in.fs.flow.FoldCounted(&w.counted, in.part(w.occurrences), in.judged)
		}
		in.fs.gauges.Count(&w.counted, in.judged, -1)
	}
	w.folding = folding{}
	return w
}

// count has the numbers hold one state of an instance, as it was judged at in.judged,
// instead of another that they held; nil is none.
func (e *Engine) count(in *instance, before, after *flows.Instance) {
	fs := in.fs
	w := fs.window
	fs.changed, in.counted = true, after != nil
	w.of(in)
	switch {
	case before == nil:
	case after == nil || len(before.Steps) != len(after.Steps):
		flows.CountInstance(before, -1, w.wasAt)
		flows.CountInstance(before, -1, w.wasTotal)
		before = nil
	default:
		agreed := w.agreed()
		flows.CountChange(before, after, agreed, w.wasAt, w.isAt)
		flows.CountChange(before, after, agreed, w.wasTotal, w.isTotal)
	}
	if after != nil {
		in.until = int32(w.until[1]) // fits until 2650
		fs.gauges.Count(after, in.judged, 1)
		if before == nil {
			flows.CountInstance(after, 1, w.isAt)
			flows.CountInstance(after, 1, w.isTotal)
		}
	}
}

// maxOccurrences bounds the signals of one instance: each is looked at whenever one more
// comes. It is far more than a business case has.
const maxOccurrences = 20_000

// overfull notes that an instance takes no more signals.
func (e *Engine) overfull(in *instance) {
	if e.stats.Overfull++; !in.full && len(e.full) < maxCommonShown {
		value, environment := flows.SplitInstanceKey(in.key)
		e.full = append(e.full, FullInstance{in.fs.flow.Name, flows.Key{Type: in.fs.flow.Key, Value: value}, environment, e.limits.occurrences})
	}
	in.full = true
}

// insert adds an occurrence to an instance, and says whether it lacked it.
func (e *Engine) insert(in *instance, o *flows.Occurrence) bool {
	w := e.open(in)
	if w.known(identity(o)) && !e.isNew(in, o) {
		return false
	}
	if len(w.occurrences) >= e.limits.occurrences {
		e.overfull(in)
		return false
	}
	e.touch(in)
	e.touchPart(part{instancePart, in.index})
	at := len(w.occurrences)
	if at > 0 && flows.CompareOccurrences(&w.occurrences[at-1], o) > 0 { // most come in order
		at = sort.Search(at, func(i int) bool { return flows.CompareOccurrences(&w.occurrences[i], o) >= 0 })
	}
	if at < w.kept {
		w.kept = 0
	}
	w.occurrences = slices.Insert(w.occurrences, at, *o)
	e.stats.Inserted++
	if w.seen != nil {
		w.seen[identity(o)] = struct{}{}
	}
	e.emit(in, o, false)
	return true
}

// isNew says whether o, of a known signal, is to be inserted: at another step, or in place
// of a copy from another import, which it removes. (Copies that differ are told apart
// before, by copies.)
func (e *Engine) isNew(in *instance, o *flows.Occurrence) bool {
	w := in.work
	same := func(c flows.Occurrence) bool { return identity(&c) == identity(o) && c.Step == o.Step }
	at := slices.IndexFunc(w.occurrences, same)
	if at < 0 {
		return true
	}
	if have := w.occurrences[at].AsOf; have != clockOf(have, o.AsOf) {
		e.touch(in)
		w.delete(same, func(flows.Occurrence) {})
		return true
	}
	e.stats.Duplicates++
	if e.rework {
		e.emit(in, o, false)
		e.out.instance(in)
	}
	return false
}

// clockOf is the clock of a signal that came with two: the live one, else the later.
func clockOf(a, b flows.Time) flows.Time {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// delete takes out the occurrences that match.
func (w *work) delete(matches func(flows.Occurrence) bool, gone func(flows.Occurrence)) {
	w.occurrences = slices.DeleteFunc(w.occurrences, func(c flows.Occurrence) bool {
		if matches(c) {
			gone(c)
			return true
		}
		return false
	})
	w.seen, w.kept = nil, 0
}

// remove takes an occurrence out of an instance it no longer belongs to.
func (e *Engine) remove(in *instance, o *flows.Occurrence) {
	e.touchPart(part{instancePart, in.index})
	e.touch(in).delete(func(c flows.Occurrence) bool {
		return c.Step == o.Step && identity(&c) == identity(o)
	}, func(c flows.Occurrence) { e.emit(in, &c, true) })
}

// settle judges what was touched at now, counts it again, and puts all to rest.
func (e *Engine) settle(now flows.Time) {
	for _, in := range e.opened {
		if in.work.dirty {
			e.judge(in, now)
		}
		e.rest(in)
	}
	clear(e.opened)
	e.opened = e.opened[:0]
}

func (e *Engine) judge(in *instance, now flows.Time) {
	if in.kept {
		if !e.quiet && !in.fs.fresh {
			e.out.instance(in)
		}
		return
	}
	var before *flows.Instance
	if in.counted {
		before = &in.work.counted
	}
	if occurrences := in.work.occurrences; in.fs.flow.Exists(occurrences) {
		e.judgeOne(in, in.part(occurrences), now, before)
	} else {
		e.vanish(in, before)
	}
	e.judgeLater(in, now)
}

// judgeOne judges an instance by the occurrences that it is made of, and counts it instead
// of what the numbers hold of it.
func (e *Engine) judgeOne(in *instance, occurrences []flows.Occurrence, now flows.Time, before *flows.Instance) {
	in.imported = !slices.ContainsFunc(occurrences, func(o flows.Occurrence) bool { return o.AsOf == 0 })
	in.judged = flows.Clock(occurrences, now)
	in.fs.flow.FoldInto(&e.folded, occurrences, in.judged)
	in.started = e.folded.StartedAt
	e.count(in, before, &e.folded)
	e.stand(in, before, now)
	if !e.quiet {
		e.out.judged(in, &e.folded)
	}
	e.keepFold(in, occurrences)
}

// stand puts an instance where it stands as it was folded just now, after it stood as before.
func (e *Engine) stand(in *instance, before *flows.Instance, now flows.Time) {
	in.fs.track(in, before, &e.folded)
	e.timers.set(in, e.dueAgain(in))
	if in.cell != 0 && in.openAt < 0 {
		e.leaveSoon(in.cell, now)
	}
}

// dueAgain is when the instance is to be judged again: when its verdict changes, or when
// the window has come near to what is still ahead of it.
func (e *Engine) dueAgain(in *instance) flows.Time {
	due := e.folded.NextChange
	if in.imported {
		due = flows.NoTime // its clock stands still
	}
	if slotOf(e.folded.LastAt) > int64(in.until) {
		near := e.folded.LastAt.Add(-aheadSlots / 2 * slotLength)
		if due == flows.NoTime || near < due {
			due = near
		}
	}
	return due
}

// vanish removes an instance whose signals all turned out to belong elsewhere.
func (e *Engine) vanish(in *instance, before *flows.Instance) {
	e.count(in, before, nil)
	in.fs.untrack(in, before)
	e.timers.remove(in)
	if len(in.work.occurrences) == 0 { // else it waits for a step, as a resolution before its time does
		in.fs.instances.remove(in)
		e.rollVanished(in)
		e.copies.leave(in)
		if id := e.nodeOf(in); id != 0 { // what is linked to it is saved without it
			e.touchPart(part{nodePart, uint32(id)})
		}
	}
	e.out.instance(in)
}
