package engine

import (
	"slices"

	"throughline/flows"
)

// outbox are the rows owed to the store, coalesced: an instance that changed twice is
// owed once.
type outbox struct {
	instances   []*instance            // whose row is not 0, and some that were dropped since
	rows        []flows.InstanceRecord // of instances whose row is its place here, from 1
	void        int                    // of rows that do not count any more
	following   []*instance            // whose row follows; also some whose row is owed at once by now
	occurrences []flows.OccurrenceRecord
	states      []State
	evicted     []Evicted
	taken       int // texts of Engine.names that were
	named       flows.Named
	rolled      []Rolled
	early       []flows.InstanceRecord // of instances that keep the version that was in force
	whole       []InstanceID           // see Rows.Whole
	spare       Rows                   // empty ones, whose memory the next Take leaves for what comes then
}

// maxRows bounds the rows of instances that are made as these are judged, which saves
// folding them again. Those of others are made when they are taken.
const maxRows = 20_000

// followingRows bounds the rows that are made at once where time alone changed the verdict.
const followingRows = 1000

// What instance.row says where there is no row yet.
const (
	madeLater = -1 // Take makes it
	follows   = -2 // it is of a verdict that time alone changed: see follow
)

// instance owes the row of an instance, which Take makes.
func (o *outbox) instance(in *instance) {
	switch {
	case in.row == 0 || in.row == follows:
		o.instances = append(o.instances, in)
	case in.row > 0:
		o.drop(in)
	}
	in.row = madeLater
}

func (o *outbox) drop(in *instance) {
	if in.row > 0 {
		o.rows[in.row-1].Flow = ""
		o.void++
	}
	in.row = 0
}

// judged owes the row of an instance as it was folded just now.
func (o *outbox) judged(in *instance, folded *flows.Instance) {
	switch {
	case in.row == madeLater:
		return
	case in.row <= 0 && len(o.rows) >= maxRows, len(folded.Path) > manyOccurrences: // of the latter all but the last would be for nothing
		o.instance(in)
		return
	case in.row <= 0:
		if len(o.rows) < cap(o.rows) {
			o.rows = o.rows[:len(o.rows)+1] // with lists to be used again
		} else {
			o.rows = append(withRoom(o.rows), flows.InstanceRecord{})
		}
		in.row = int32(len(o.rows))
		o.instances = append(o.instances, in)
	}
	in.recordInto(&o.rows[in.row-1], folded)
}

// followed owes the row of an instance in flight that time alone gave another verdict. It may
// be written after the checkpoint of what is applied now: a restart, which judges all
// instances, finds the row that is lacking, since it compares those in flight (Reconcile).
func (e *Engine) followed(in *instance, folded *flows.Instance) {
	o := &e.out
	switch {
	case in.row == follows:
	case in.row != 0 || len(o.rows) < e.limits.following && len(o.following) == 0:
		o.judged(in, folded)
	default:
		in.row = follows
		o.following = append(o.following, in)
	}
}

// lacks owes the row of an instance that the store lacks. Where it is in flight, any restart
// would find that: so it follows.
func (o *outbox) lacks(in *instance) {
	if in.openAt < 0 || in.row != 0 {
		o.instance(in)
		return
	}
	in.row = follows
	o.following = append(o.following, in)
}

// Follow makes rows of verdicts that time gave for the next Take, so many at most.
func (e *Engine) Follow(most int) {
	o := &e.out
	for ; most > 0 && len(o.following) > 0 && len(o.rows) < maxRows; most-- {
		in := o.following[0]
		o.following[0], o.following = nil, o.following[1:]
		switch {
		case in.row != follows:
		case e.foldAgain(in):
			o.judged(in, &e.folded)
		default:
			o.instance(in)
		}
	}
	if len(o.following) == 0 {
		o.following = nil
	}
}

// Following is how many rows follow, of verdicts that time gave.
func (e *Engine) Following() int { return len(e.out.following) }

// Filling says whether Follow would make rows.
func (e *Engine) Filling() bool { return len(e.out.following) > 0 && len(e.out.rows) < maxRows }

// withRoom is a list with room for one more. Rows are large: lists of them grow fourfold as
// long as they are short, which copies little.
func withRoom[Row any](list []Row) []Row {
	if len(list) < cap(list) {
		return list
	}
	return slices.Grow(list, min(3*len(list)+64, maxRows))
}

func (o *outbox) add(in *instance, occurrence *flows.Occurrence) {
	key, environment := in.named()
	o.occurrences = withRoom(o.occurrences)
	o.occurrences = o.occurrences[:len(o.occurrences)+1]
	r := &o.occurrences[len(o.occurrences)-1]
	in.fs.flow.RecordOccurrence(r, key, occurrence, &o.named)
	r.Environment, r.Deleted = environment, false
}

func (o *outbox) remove(in *instance, occurrence *flows.Occurrence) {
	o.add(in, occurrence)
	o.occurrences[len(o.occurrences)-1].Deleted = true
}

func (e *Engine) emit(in *instance, o *flows.Occurrence, deleted bool) {
	switch {
	case e.quiet || in.kept && in.fs.fresh:
	case deleted:
		e.out.remove(in, o)
	default:
		e.out.add(in, o)
	}
}

// Rows are what changed, to be written so that all of it or any part of it can be
// written again.
type Rows struct {
	Instances   []flows.InstanceRecord
	Occurrences []flows.OccurrenceRecord
	States      []State
	Names       []string  // to be added to those taken before, and written before States
	Evicted     []Evicted // written before States, and then told to Leave
	Rolled      []Rolled  // kept with States, all or none of both, and then told to the roll-ups once

	// Late are instances that keep another version than that in force, and of which signals
	// are among Occurrences. They are to be folded by that version from what is stored.
	Late []InstanceID
	// Whole are instances of which Occurrences has all: others that are stored are no more.
	Whole []InstanceID
}

// Owed is how many rows are to be written; those that follow are among them.
func (e *Engine) Owed() int {
	return len(e.out.following) + len(e.out.instances) + len(e.out.occurrences) + len(e.out.states) + len(e.out.evicted) + len(e.out.early)
}

// Take returns the rows owed, and owes nothing more but those that follow, of which it
// returns some. They must be written, in the order of the Takes; there is no way to ask for
// them again.
func (e *Engine) Take() Rows {
	e.Follow(e.limits.following)
	rows := Rows{Occurrences: e.out.occurrences, Instances: e.out.rows, Whole: e.out.whole}
	if e.out.void > 0 {
		rows.Instances = slices.DeleteFunc(rows.Instances, func(r flows.InstanceRecord) bool { return r.Flow == "" })
	}
	rows.Instances = append(rows.Instances, e.out.early...)
	for _, in := range e.out.instances {
		switch {
		case in.row == follows:
			continue
		case in.row == madeLater && in.kept:
			rows.Late = append(rows.Late, in.id())
		case in.row == madeLater:
			rows.Instances = append(rows.Instances, e.record(in))
		}
		in.row = 0
	}
	clear(e.out.instances)
	e.out.instances, e.out.rows, e.out.void = e.out.instances[:0], e.out.spare.Instances, 0
	rows.Evicted = e.out.evicted
	if rows.States = e.out.states; len(rows.States)+len(rows.Evicted) > 0 {
		rows.Names = e.names.texts[e.out.taken:len(e.names.texts):len(e.names.texts)]
		e.out.taken = len(e.names.texts)
	}
	rows.Rolled, e.out.rolled = e.out.rolled, nil
	e.out.occurrences, e.out.spare = e.out.spare.Occurrences, Rows{}
	e.out.states, e.out.evicted, e.out.early, e.out.whole = nil, nil, nil, nil
	return rows
}

// roomy is how many times the memory that rows take may be kept for the next ones.
const roomy = 4

// Reuse gives back rows that Take returned, once nobody reads them any more: their memory
// is that of the next ones.
func (e *Engine) Reuse(rows Rows) {
	if cap(rows.Instances) <= max(2*maxRows, roomy*len(rows.Instances)) {
		giveBack(rows.Instances[:0], &e.out.rows, &e.out.spare.Instances)
	}
	if cap(rows.Occurrences) <= max(2*maxRows, roomy*len(rows.Occurrences)) {
		clear(rows.Occurrences)
		giveBack(rows.Occurrences[:0], &e.out.occurrences, &e.out.spare.Occurrences)
	}
}

// giveBack has empty memory take the place of less that nothing is in yet, or else be spare.
func giveBack[Row any](room []Row, used, spare *[]Row) {
	if len(*used) == 0 && cap(*used) < cap(room) {
		*used, room = room, *used
	}
	if cap(room) > cap(*spare) {
		*spare = room
	}
}

func (e *Engine) record(in *instance) (r flows.InstanceRecord) {
	if !e.foldAgain(in) {
		return in.fs.flow.NoRecord(in.key)
	}
	in.recordInto(&r, &e.folded)
	return r
}

// foldAgain folds an instance as it was judged last; false where it does not exist.
func (e *Engine) foldAgain(in *instance) bool {
	occurrences := e.occurrences(in)
	if !in.fs.flow.Exists(occurrences) {
		return false
	}
	in.fs.flow.FoldInto(&e.folded, in.part(occurrences), in.judged)
	return true
}

func (in *instance) recordInto(r *flows.InstanceRecord, folded *flows.Instance) {
	key, environment := in.named()
	in.fs.flow.RecordInto(r, key, folded, in.judged)
	r.Environment = environment
	r.Imported = in.imported
}

// Reconcile compares a stored row with the state, and owes the right one where they
// differ: the process that wrote it may have ended before it wrote more.
func (e *Engine) Reconcile(stored *flows.InstanceRecord, seen map[string]bool) {
	fs := e.flows[stored.Flow]
	if fs == nil {
		return
	}
	id := flows.InstanceKey(stored.Key, stored.Environment)
	seen[id] = true
	in := fs.find(id)
	if in == nil && stored.Version != fs.flow.Version && stored.State.InFlight() { // not of the version in force
		e.out.instance(newInstance(fs, id))
	}
	if in == nil || in.kept {
		return
	}
	r := e.record(in)
	same := r.State == stored.State && r.Reason == stored.Reason && r.ReasonStep == stored.ReasonStep &&
		r.Version == stored.Version && r.StartedAt == stored.StartedAt && r.LastAt == stored.LastAt &&
		r.EndedAt == stored.EndedAt && r.StuckSince == stored.StuckSince && r.HeldUntil == stored.HeldUntil && len(r.Path) == len(stored.Path)
	if !same {
		e.out.lacks(in)
	}
}

// OweAll owes all rows of a flow's instances that do not keep another version.
func (e *Engine) OweAll(flow string) {
	for in := range e.flows[flow].instances.each() {
		if !in.kept {
			e.oweWhole(in)
		}
	}
	for in := range e.flows[flow].firsts {
		e.out.instance(in)
	}
}

// OweUnseen owes the rows of a flow's instances that no stored row was seen of.
func (e *Engine) OweUnseen(flow string, seen map[string]bool) {
	if fs := e.flows[flow]; fs != nil {
		for in := range fs.instances.each() {
			if !seen[in.key] && !in.kept {
				e.out.lacks(in)
			}
		}
		for in := range fs.firsts {
			if !seen[in.key] && in.packed != "" {
				e.out.instance(in)
			}
		}
	}
}
