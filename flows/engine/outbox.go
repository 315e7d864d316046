package engine

import "throughline/flows"

// outbox are the rows owed to the store, coalesced: an instance that changed twice is
// owed once.
type outbox struct {
	instances   []*instance // whose owed is set, and some that were dropped again
	taken       int         // occurrences of the last Take
	occurrences []flows.OccurrenceRecord
	states      []State
	evicted     []Evicted
	named       int // texts of Engine.names that were taken
}

func (o *outbox) instance(in *instance) {
	if !in.owed {
		in.owed = true
		o.instances = append(o.instances, in)
	}
}

func (o *outbox) drop(in *instance) { in.owed = false }

func (o *outbox) add(in *instance, occurrence *flows.Occurrence) {
	if o.occurrences == nil { // about as many as last time: growing would copy all of them
		o.occurrences = make([]flows.OccurrenceRecord, 0, o.taken)
	}
	key, environment := flows.SplitInstanceKey(in.key)
	o.occurrences = append(o.occurrences, flows.OccurrenceRecord{})
	r := &o.occurrences[len(o.occurrences)-1]
	in.fs.flow.RecordOccurrence(r, key, occurrence)
	r.Environment = environment
}

func (o *outbox) remove(in *instance, occurrence *flows.Occurrence) {
	o.add(in, occurrence)
	o.occurrences[len(o.occurrences)-1].Deleted = true
}

func (e *Engine) emit(in *instance, o *flows.Occurrence, deleted bool) {
	switch {
	case e.quiet:
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
}

// Owed is how many rows Take would return.
func (e *Engine) Owed() int {
	return len(e.out.instances) + len(e.out.occurrences) + len(e.out.states) + len(e.out.evicted)
}

// Take returns the rows owed, and owes nothing more. They must be written, in the order
// of the Takes; there is no way to ask for them again.
func (e *Engine) Take() Rows {
	rows := Rows{Occurrences: e.out.occurrences, Instances: make([]flows.InstanceRecord, 0, len(e.out.instances))}
	for _, in := range e.out.instances {
		if in.owed {
			in.owed = false
			rows.Instances = append(rows.Instances, e.record(in))
		}
	}
	clear(e.out.instances)
	e.out.instances, e.out.taken = e.out.instances[:0], len(e.out.occurrences)
	rows.Evicted = e.out.evicted
	if rows.States = e.out.states; len(rows.States)+len(rows.Evicted) > 0 {
		rows.Names = e.names.texts[e.out.named:len(e.names.texts):len(e.names.texts)]
		e.out.named = len(e.names.texts)
	}
	e.out.occurrences, e.out.states, e.out.evicted = nil, nil, nil
	return rows
}

func (e *Engine) record(in *instance) flows.InstanceRecord {
	f := in.fs.flow
	key, environment := flows.SplitInstanceKey(in.key)
	occurrences := e.occurrences(in)
	if !f.Exists(occurrences) {
		return flows.InstanceRecord{
			Flow: f.Name, Version: f.Version, Key: key, Environment: environment, Deleted: true,
			StartedAt: flows.NoTime, LastAt: flows.NoTime, EndedAt: flows.NoTime, StuckSince: flows.NoTime,
			HeldSince: flows.NoTime, HeldUntil: flows.NoTime,
		}
	}
	f.FoldInto(&e.folded, in.part(occurrences), in.judged)
	r := f.Record(key, &e.folded, in.judged)
	r.Environment = environment
	r.Imported = in.imported
	return r
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
	if in == nil {
		return
	}
	r := e.record(in)
	same := r.State == stored.State && r.Reason == stored.Reason && r.ReasonStep == stored.ReasonStep &&
		r.Version == stored.Version && r.StartedAt == stored.StartedAt && r.LastAt == stored.LastAt &&
		r.EndedAt == stored.EndedAt && r.StuckSince == stored.StuckSince && r.HeldUntil == stored.HeldUntil && len(r.Path) == len(stored.Path)
	if !same {
		e.out.instance(in)
	}
}

// OweAll owes all rows of a flow.
func (e *Engine) OweAll(flow string) {
	for _, in := range e.flows[flow].instances {
		e.out.instance(in)
		for _, o := range e.occurrences(in) {
			e.out.add(in, &o)
		}
	}
	for in := range e.flows[flow].firsts {
		e.out.instance(in)
	}
}

// OweUnseen owes the rows of a flow's instances that no stored row was seen of.
func (e *Engine) OweUnseen(flow string, seen map[string]bool) {
	if fs := e.flows[flow]; fs != nil {
		for key, in := range fs.instances {
			if !seen[key] {
				e.out.instance(in)
			}
		}
		for in := range fs.firsts {
			if !seen[in.key] && in.packed != "" {
				e.out.instance(in)
			}
		}
	}
}
