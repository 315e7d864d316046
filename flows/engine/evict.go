package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"throughline/flows"
)

// Components whose instances have all ended leave memory when nothing happened to them for
// leaveAfter. They are in the store then, and come back when a signal names one of their
// keys or traces. Of those that left a filter is kept, 2 bytes a key or trace, so that the
// store is asked for few others.

// leaveAfter is longer than what the live window covers, so that what comes back is not
// counted there twice.
const leaveAfter = Window + 10*time.Minute

// Evicted is a component that is to leave memory, or that came back.
type Evicted struct {
	State
	Hashes []uint64 // it is found by
	cell   uint32
}

// leaving is a cell that may leave memory, if it is still that then.
type leaving struct {
	cell uint32
	text cell
	at   flows.Time // when it came to rest, or its last instance ended
}

// Evict owes the rows of components that are to leave memory by now, looking at about so
// many, and says whether there may be more. They leave when Leave says that these rows are
// stored.
func (e *Engine) Evict(now flows.Time, most int) (more bool) {
	before := len(e.out.evicted)
	if e.spill(now, most); len(e.out.evicted)-before >= most {
		return true
	}
	for ; len(e.leaving) > 0 && most > 0 && !e.save.unfit; most-- {
		l := e.leaving[0]
		if now.Sub(l.at) < leaveAfter {
			return false
		}
		e.leaving[0], e.leaving = leaving{}, e.leaving[1:]
		e.evict(l, now)
	}
	return most == 0
}

// evict owes the row of a component that is to leave memory, if it still may.
func (e *Engine) evict(l leaving, now flows.Time) {
	p := &e.parcel
	if e.cells.list[l.cell] != l.text || e.names.read(e, string(l.text), p) != nil || len(p.signals) == 0 {
		return
	}
	id := p.rowID()
	_, under := e.evicting[id]
	switch fate := e.fateOf(p); {
	case fate == stays:
	case under, isStub(l.text) && e.owes(p): // under: again, before Leave was told of the last time
		e.leaveSoon(l.cell, now)
	case isStub(l.text): // the store has the whole, and nothing else in memory has a key of it
		e.leave(p, fate, l.cell)
	default:
		e.evicting[id] = struct{}{}
		e.out.evicted = append(e.out.evicted, e.evicted(p, l))
	}
}

func (e *Engine) atRest(p *parcel, want parcelInstance) *instance {
	k := &p.keys[want.key]
	return want.fs.instances.get(flows.InstanceKey(k.value, e.graph.classes[k.class].environment))
}

// gather makes one component of a parcel at rest and all in memory that has one of its keys;
// false where there is nothing. Two that each came to rest by itself may name one key, as
// those of two flows do. They leave, and come back, together: so where something of a key is
// in memory, all of it is, and the store need not be asked.
func (e *Engine) gather(p *parcel, number uint32) bool {
	var shared []parcelKey
	for _, k := range p.keys {
		if !k.common && e.inMemory(k.class, k.value, number) {
			shared = append(shared, k)
		}
	}
	for _, k := range shared { // p is no more: the node wakes all that has the key, and joins it
		e.touchPart(part{nodePart, uint32(e.node(k.class, k.value))})
	}
	return len(shared) > 0
}

// inMemory says whether something in memory has a key or a trace, but a component at rest. With
// 0 for that, stubs do not count: more of it is in the store.
func (e *Engine) inMemory(class uint32, value string, but uint32) bool {
	hash := e.graph.hash(class, value)
	if e.graph.lookup(hash, class, value) != 0 || e.traces.byID[groupID{class, value}] != nil {
		return true
	}
	id := flows.InstanceKey(value, e.graph.classes[class].environment)
	for _, fs := range e.flowsOf(class) {
		if in := fs.instances.get(id); in != nil && (in.cell == 0 || in.cell != but && (but != 0 || !isStub(e.cells.list[in.cell]))) {
			return true
		}
	}
	return e.atRestBut(hash, but)
}

// atRestBut says whether a component at rest, but one, has what a hash is of: a print alone
// may lead to another. With 0 for that one, stubs do not count.
func (e *Engine) atRestBut(hash uint64, but uint32) (found bool) {
	e.cells.prints.each(hash, func(number uint32) {
		if !found && number != but && (but != 0 || !isStub(e.cells.list[number])) && e.names.read(e, string(e.cells.list[number]), &e.other) == nil {
			e.eachPrint(&e.other, func(h uint64) { found = found || h == hash })
		}
	})
	return found
}

func (e *Engine) evicted(p *parcel, l leaving) Evicted {
	out := Evicted{State: State{ID: p.rowID(), Text: string(l.text)}, cell: l.cell}
	for i := range p.keys {
		if k := &p.keys[i]; !k.common {
			out.Hashes = append(out.Hashes, e.graph.hash(k.class, k.value))
		}
	}
	for i := range p.groups {
		out.Hashes = append(out.Hashes, e.graph.hash(p.groups[i].class, p.groups[i].id))
	}
	return out
}

// Leave takes out of memory what Take returned as evicted, now that it is stored. What came
// back to life meanwhile, or is joined to what did, stays.
func (e *Engine) Leave(stored []Evicted) {
	for i := range stored {
		out, p := &stored[i], &e.parcel
		if out.Deleted {
			continue
		}
		delete(e.evicting, out.ID)
		here := int(out.cell) < len(e.cells.list) && e.cells.list[out.cell] == cell(out.Text)
		if here && e.names.read(e, out.Text, p) == nil {
			if fate := e.fateOf(p); fate != stays && !e.owes(p) && !e.gather(p, out.cell) {
				e.leave(p, fate, out.cell)
				e.Left(out.Hashes)
				continue
			}
		}
		e.out.evicted = append(e.out.evicted, Evicted{State: State{ID: out.ID, Deleted: true}})
		if here && e.cells.list[out.cell] == cell(out.Text) {
			e.leaveSoon(out.cell, e.now)
		}
	}
}

// owes says whether rows of instances of a parcel are still owed.
func (e *Engine) owes(p *parcel) bool {
	return slices.ContainsFunc(p.instances, func(want parcelInstance) bool {
		if want.fs == nil {
			return false
		}
		in := e.atRest(p, want)
		owed := func(in *instance) bool { return in.row != 0 }
		return owed(in) || slices.ContainsFunc(in.fs.later[in], owed)
	})
}

// leave takes a component at rest out of memory, but for a stub where that is its fate.
func (e *Engine) leave(p *parcel, fate fate, number uint32) {
	var stub *parcel
	if fate == leavesIt {
		stub = e.stub(p)
	}
	for _, want := range p.instances {
		if want.fs == nil {
			continue
		}
		if in := e.atRest(p, want); !in.anyOpen() {
			e.leaveInstance(in, &p.keys[want.key])
		}
	}
	e.eachPrint(p, func(hash uint64) { e.cells.prints.remove(hash, number) })
	row := p.rowID()
	if stub == nil {
		e.cells.remove(number)
	} else {
		e.buffer = e.names.write(e.buffer[:0], e, stub)
		e.buffer[0] |= stubMark
		text := string(e.buffer)
		e.cells.list[number] = cell(text)
		e.eachPrint(stub, func(hash uint64) { e.cells.prints.add(hash, number) })
		e.out.states = append(e.out.states, State{ID: stub.rowID(), Text: text})
		if stub.rowID() == row {
			return
		}
	}
	e.out.states = append(e.out.states, State{ID: row, Deleted: true})
}

func (e *Engine) leaveInstance(in *instance, k *parcelKey) {
	for _, later := range in.fs.later[in] {
		delete(in.fs.firsts, later)
	}
	if in.kept {
		in.fs.kept.add(e.graph.hash(k.class, k.value))
	}
	delete(in.fs.later, in)
	in.fs.instances.remove(in)
	delete(e.rolling.base, in)
}

// Left notes by what the components are found that are in the store only.
func (e *Engine) Left(hashes []uint64) {
	for _, h := range hashes {
		e.left.add(h)
	}
}

// Missing returns the hashes of keys and traces of signals by which a component may be in
// the store only; the result is nil where none is.
func (e *Engine) Missing(signals []flows.Signal) (hashes []uint64) {
	if e.left.used == 0 {
		return nil
	}
	for i := range signals {
		s := &signals[i]
		for _, k := range s.Keys {
			hashes = e.missing(hashes, s.Environment, k.Type, k.Value)
		}
		if s.TraceID != "" {
			hashes = e.missing(hashes, s.Environment, traceClass, s.TraceID)
		}
		if id := textOf(s, "correlationid"); id != "" && s.Kind == flows.Event {
			hashes = e.missing(hashes, s.Environment, correlationClass, id)
		}
		for trace := range linkedTraces(s) {
			hashes = e.missing(hashes, s.Environment, traceClass, trace)
		}
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

func (e *Engine) missing(hashes []uint64, environment, typ, value string) []uint64 {
	class := e.graph.class(e.set, environment, typ)
	hash := e.graph.hash(class, value)
	if !e.left.has(hash) {
		return hashes
	}
	if _, apart := e.apart[hash]; !apart && e.inMemory(class, value, 0) {
		return hashes
	}
	return append(hashes, hash)
}

// Return takes back what left memory: as it was stored. An error says which of it this build
// cannot read: that is left out.
func (e *Engine) Return(states []State, now flows.Time) error {
	e.returning = true
	defer func() { e.returning = false }()
	states = slices.DeleteFunc(slices.Clone(states), func(s State) bool {
		_, here := e.evicting[s.ID]
		return here
	})
	latest, unread := e.latest(states)
	if err := e.Adopt(latest, now); err != nil {
		return err
	}
	for i := range states { // it is not among the saved states now
		e.wakeAt(states[i].ID)
		if seen := e.copies.seen.find(states[i].ID, nil); seen != nil {
			e.touchSeen(seen)
			e.save.returned = append(e.save.returned, states[i].ID)
		}
	}
	for _, row := range e.save.stubs { // they are among the saved states until what took their place is
		if seen := e.copies.seen.find(row, nil); seen != nil {
			seen.small |= isRow
		}
	}
	e.save.stubs = nil
	e.flush()
	e.settle(now)
	return unread
}

// latest leaves out states of which all signals are in memory, or in another one: where a
// process ended before it was told to leave what it had stored as evicted, that stays in the
// store, beside what the component became since.
func (e *Engine) latest(states []State) (latest []State, unread error) {
	signals := make([][]uint64, len(states))
	order, whole := make([]int, len(states)), make([]bool, len(states)) // of stubs that are awake
	for i := range states {
		order[i] = i
		if err := e.names.read(e, states[i].Text, &e.parcel); err != nil {
			unread = errors.Join(unread, fmt.Errorf("state %016x: %w", states[i].ID, err))
			continue
		}
		for j := range e.parcel.signals {
			signals[i] = append(signals[i], e.parcel.signals[j].sig)
		}
		e.eachPrint(&e.parcel, func(hash uint64) {
			if _, apart := e.apart[hash]; apart {
				delete(e.apart, hash)
				whole[i] = true
			}
		})
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(signals[b]), len(signals[a])) })
	known := map[uint64]bool{}
	for _, i := range order {
		if whole[i] || slices.ContainsFunc(signals[i], func(sig uint64) bool {
			return !known[sig] && !e.atRestBut(sig, 0) && e.copies.seen.find(sig, nil) == nil
		}) {
			latest = append(latest, states[i])
		}
		for _, sig := range signals[i] {
			known[sig] = true
		}
	}
	return latest, unread
}

// touchSeen notes that the component of a signal changed.
func (e *Engine) touchSeen(seen *entry) {
	if seen.ref&isRecord == 0 {
		e.touchPart(part{instancePart, seen.ref})
		return
	}
	e.touchEffects(nil, e.copies.effects(seen.ref))
}
