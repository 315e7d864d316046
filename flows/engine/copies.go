package engine

import (
	"slices"

	"throughline/flows"
)

// copies knows of every signal which of its copies counts, and what that copy did, so
// that all of it can be taken back when a smaller copy comes: of copies that differ the
// one with the smallest (time, hash of its content) counts, whatever the others match or
// carry.
//
// Most signals did one thing, to be in one instance: of these it knows the instance (23
// bytes each). Of all others it has a record (32 bytes more). Of those that did nothing it
// knows the last maxIdle: a copy that comes after more of them counts although a smaller
// one was there before.
type copies struct {
	seen      table // hash of identity -> what counts
	hasher    hasher
	records   [][]record // in chunks
	last      uint32
	free      []uint32
	long      map[uint32][]effect // of the records with more than few effects
	instances []*instance         // by instance.index
	vacant    []uint32
	idle      []uint64 // ring of the signals that did nothing
	idleNext  int
}

// maxIdle is a quarter of an hour at 300 such signals a second, in 16 MB.
const maxIdle = 1 << 18

// isRecord tells in entry.ref a record from an instance.
const isRecord = 1 << 31

// isRow tells in entry.small that the store has a row by the hash of this signal.
const isRow = 1 << 31

// smallOf is a part of the hash of a content that suffices to tell copies apart.
func smallOf(hash uint64) uint32 { return uint32(hash) &^ isRow }

// partOf is the part that an effect is at.
func partOf(f effect) part {
	if f&isGroup != 0 {
		return part{groupPart, uint32(f &^ isGroup)}
	}
	return part{nodePart, uint32(f)}
}

// record is a signal that did not do just one thing.
type record struct {
	start   flows.Time
	hash    uint64
	effects [4]effect // 0 is none; for more see copies.long
}

// effect is a key that a signal carries, as a nodeID, or a group it is a member of, as its
// index with isGroup.
type effect uint32

const isGroup = 1 << 31

const recordChunk = 1 << 12

func newCopies(h hasher) copies {
	return copies{hasher: h, long: map[uint32][]effect{}, records: [][]record{make([]record, recordChunk)}}
}

// hash of an identity, taken for the identity itself.
func (c *copies) hash(id flows.Identity) uint64 {
	return c.hasher.text(c.hasher.text(1, id.Source), id.ID)
}

func (c *copies) record(ref uint32) *record {
	i := ref &^ isRecord
	return &c.records[i/recordChunk][i%recordChunk]
}

// add makes a record, and returns its reference.
func (c *copies) add(r record, effects []effect) uint32 {
	var i uint32
	if last := len(c.free) - 1; last >= 0 {
		i, c.free = c.free[last], c.free[:last]
	} else {
		c.last++
		if i = c.last; int(i/recordChunk) == len(c.records) {
			c.records = append(c.records, make([]record, recordChunk))
		}
	}
	if len(effects) > len(r.effects) {
		c.long[i] = slices.Clone(effects)
	} else {
		copy(r.effects[:], effects)
	}
	c.records[i/recordChunk][i%recordChunk] = r
	return i | isRecord
}

// addRecord is copies.add, and notes with each key that the record names it.
func (e *Engine) addRecord(r record, effects []effect) uint32 {
	for _, f := range effects {
		if f&isGroup == 0 {
			e.graph.at(nodeID(f)).refs++
		}
	}
	return e.copies.add(r, effects)
}

func (e *Engine) dropRecord(ref uint32) {
	if ref&isRecord == 0 {
		return
	}
	for _, f := range e.copies.effects(ref) {
		if f&isGroup == 0 {
			e.graph.at(nodeID(f)).refs--
		}
	}
	e.copies.drop(ref)
}

// effects of a record.
func (c *copies) effects(ref uint32) []effect {
	if all, ok := c.long[ref&^isRecord]; ok {
		return all
	}
	r := c.record(ref)
	n := 0
	for n < len(r.effects) && r.effects[n] != 0 {
		n++
	}
	return r.effects[:n]
}

// drop frees a record.
func (c *copies) drop(ref uint32) {
	if ref&isRecord == 0 {
		return
	}
	delete(c.long, ref&^isRecord)
	*c.record(ref) = record{}
	c.free = append(c.free, ref&^isRecord)
}

// enter numbers an instance.
func (c *copies) enter(in *instance) {
	if last := len(c.vacant) - 1; last >= 0 {
		in.index, c.vacant = c.vacant[last], c.vacant[:last]
		c.instances[in.index] = in
		return
	}
	in.index = uint32(len(c.instances))
	c.instances = append(c.instances, in)
}

// leave takes its number from an instance that holds nothing any more.
func (c *copies) leave(in *instance) {
	c.instances[in.index] = nil
	c.vacant = append(c.vacant, in.index)
}

// rememberIdle keeps an entry that did nothing, and forgets the one longest kept.
func (e *Engine) rememberIdle(hash uint64) {
	c := &e.copies
	if seen := c.seen.find(hash, nil); seen != nil && seen.small&isRow != 0 {
		seen.small &^= isRow
		e.save.orphans = append(e.save.orphans, hash)
	}
	if len(c.idle) < maxIdle {
		c.idle = append(c.idle, hash)
		return
	}
	if old := c.seen.find(c.idle[c.idleNext], nil); old != nil && old.ref&isRecord != 0 && len(c.effects(old.ref)) == 0 {
		c.drop(old.ref)
		c.seen.remove(old)
	}
	c.idle[c.idleNext] = hash
	c.idleNext = (c.idleNext + 1) % maxIdle
}

// arrival is one copy of one signal on its way into the state, and what it did there.
type arrival struct {
	signal   *flows.Signal
	sig      uint64 // copies.hash of its identity
	hash     uint64 // of its content
	classes  []uint32
	keys     []nodeID // as far as they were needed; 0 else
	scratch  []nodeID
	lineage  *lineage
	in       *instance // the first that took it
	complex  bool      // did more than to be in that one
	held     bool      // hangs on keys or a trace
	placed   bool      // in an instance, or for one, by its own keys
	repeated bool      // a second copy of what counts
	linked   bool      // and its keys are linked already
}

// key is the node of one of the signal's keys.
func (a *arrival) key(e *Engine, i int) nodeID {
	if a.keys[i] == 0 {
		a.keys[i] = e.node(a.classes[i], a.signal.Keys[i].Value)
	}
	return a.keys[i]
}

// note that an instance took the signal.
func (a *arrival) note(in *instance) {
	if a.in == nil {
		a.in = in
	}
	a.complex = a.complex || a.in != in
}

// meet prepares for a signal.
func (e *Engine) meet(s *flows.Signal) *arrival {
	a := &e.arrival
	*a = arrival{
		signal: s, sig: e.copies.hash(s.Identity()), hash: s.ContentHash(), classes: a.classes[:0], keys: a.keys[:0], scratch: a.scratch,
	}
	for _, k := range s.Keys {
		a.classes = append(a.classes, e.graph.class(e.set, s.Environment, k.Type))
		a.keys = append(a.keys, 0)
	}
	return a
}

// admit says whether a copy is to be applied: it is the first, counts instead of the one
// before, which it takes back, or is asked for again.
func (e *Engine) admit(a *arrival) bool {
	seen := e.copies.seen.find(a.sig, nil)
	if seen == nil && e.wakeAt(a.sig) {
		seen = e.copies.seen.find(a.sig, nil)
	}
	if seen == nil {
		return true
	}
	if seen.small&^isRow == smallOf(a.hash) {
		a.repeated = true
		if !e.rework && !e.again && !e.importing {
			e.stats.Duplicates++
			return false
		}
		if seen.ref&isRecord == 0 {
			return true
		}
		if a.linked = e.sameKeys(a, seen.ref); !a.linked { // other key types are in use now
			e.retract(a, seen.ref)
			a.repeated = false
		}
		return true
	}
	start, hash, known := e.counts(a, seen.ref)
	if !known { // of a flow that is folded anew
		return true
	}
	e.stats.Conflicts++
	if start < a.signal.Time || (start == a.signal.Time && hash <= a.hash) {
		return false
	}
	e.retract(a, seen.ref)
	return true
}

// counts is the copy that counts so far.
func (e *Engine) counts(a *arrival, ref uint32) (start flows.Time, hash uint64, known bool) {
	if ref&isRecord != 0 {
		r := e.copies.record(ref)
		return r.start, r.hash, true
	}
	in := e.copies.instances[ref]
	if in == nil {
		return 0, 0, false
	}
	id := a.signal.Identity()
	for _, o := range e.open(in).occurrences {
		if identity(&o) == id {
			return o.Start, o.Hash, true
		}
	}
	return 0, 0, false
}

func (e *Engine) sameKeys(a *arrival, ref uint32) bool {
	have := e.copies.effects(ref)
	if len(have) == 0 && len(a.keys) < 2 {
		return true // did nothing, and has nothing to link
	}
	if have = have[:countKeys(have)]; len(have) != len(a.keys) {
		return false
	}
	for i := range a.keys {
		if !slices.Contains(have, effect(a.key(e, i))) {
			return false
		}
	}
	return true
}

// countKeys is how many effects are keys; these come first.
func countKeys(effects []effect) int {
	for i, f := range effects {
		if f&isGroup != 0 {
			return i
		}
	}
	return len(effects)
}

// connect links the signal's keys, and lets its trace know of them.
func (e *Engine) connect(a *arrival) {
	if len(e.save.left) > 0 && len(a.keys) > 1 && !a.linked && e.mayVoid(a) {
		e.beforeSplit()
	}
	if a.lineage = e.trace(a.signal); a.lineage != nil {
		a.complex = true
		e.traces.join(e, a)
	}
	if len(a.keys) < 2 {
		return
	}
	a.complex = true
	if a.linked {
		return
	}
	keys := a.scratch[:0]
	for i := range a.keys {
		keys = append(keys, a.key(e, i))
	}
	slices.Sort(keys)
	e.graph.link(e, keys)
	a.scratch = keys
}

// mayVoid says whether a key of a signal may become common by it.
func (e *Engine) mayVoid(a *arrival) bool {
	for i := range a.keys {
		id := a.key(e, i)
		if n := e.graph.at(id); !n.common && len(e.graph.partners(id, n))+len(a.keys)-1 > e.graph.classes[n.class].limit {
			return true
		}
	}
	return false
}

// retract takes back all that a copy did.
func (e *Engine) retract(a *arrival, ref uint32) {
	id := a.signal.Identity()
	e.expelled = e.expelled[:0]
	e.beforeSplit()
	if ref&isRecord == 0 {
		e.expel(e.copies.instances[ref], id)
		return
	}
	effects := e.copies.effects(ref)
	keys := make([]nodeID, 0, len(effects))
	for _, f := range effects {
		e.touchPart(partOf(f)) // they may be apart now
		if f&isGroup != 0 {
			e.traces.leave(e, uint32(f&^isGroup), a.sig)
			continue
		}
		keys = append(keys, nodeID(f))
		e.withdrawAt(nodeID(f), a.sig, id)
	}
	slices.Sort(keys)
	e.graph.unlink(keys)
	e.dropRecord(ref)
	e.copies.seen.find(a.sig, nil).ref = isRecord // the empty record
}

// withdrawAt takes a signal out of the instances of a key, and off the key.
func (e *Engine) withdrawAt(key nodeID, sig uint64, id flows.Identity) {
	n := e.graph.at(key)
	var mine []*held
	e.graph.hanging(key, func(h *held) {
		if h.sig == sig {
			mine = append(mine, h)
		}
	})
	for _, h := range mine {
		e.retractHeld(h)
	}
	for _, fs := range e.flows {
		if fs.role(&e.graph, n.class) == rolePrimary {
			if in := fs.instances[flows.InstanceKey(n.value, e.graph.classes[n.class].environment)]; in != nil {
				e.expel(in, id)
			}
		}
	}
}

// expel takes all occurrences of a signal out of an instance.
func (e *Engine) expel(in *instance, id flows.Identity) {
	if !e.open(in).known(id) {
		return
	}
	e.touchPart(part{instancePart, in.index})
	e.touch(in).delete(func(c flows.Occurrence) bool { return identity(&c) == id }, func(c flows.Occurrence) {
		if p := e.producer(in.fs, &c); !slices.Contains(e.expelled, p) { // once, however many instances it was in
			p.Signals, p.Keyed, p.Joined = p.Signals-1, p.Keyed-1, p.Joined-1
			e.expelled = append(e.expelled, p)
		}
		e.emit(in, &c, true)
	})
}

// remember keeps what the copy that counts did.
func (e *Engine) remember(a *arrival) {
	ref := uint32(0)
	if a.in != nil && !a.complex {
		ref = a.in.index
		e.touchPart(part{instancePart, ref})
	} else {
		effects := e.effects[:0]
		if a.complex {
			for i := range a.keys {
				effects = append(effects, effect(a.key(e, i)))
			}
		}
		if a.lineage != nil && (a.held || len(a.keys) > 0 || a.lineage.names()) {
			effects = a.lineage.effects(effects)
		}
		e.effects = effects
		ref = e.addRecord(record{start: a.signal.Time, hash: a.hash}, effects)
		if len(effects) == 0 {
			e.rememberIdle(a.sig)
		}
		e.touchEffects(a.in, effects)
		if a.complex && !a.placed && len(a.keys) > 0 {
			e.hangLink(a.sig, a.keys)
		}
	}
	if seen := e.copies.seen.find(a.sig, nil); seen != nil {
		if seen.ref != isRecord {
			e.dropRecord(seen.ref)
		}
		seen.small, seen.ref = seen.small&isRow|smallOf(a.hash), ref
		return
	}
	e.copies.seen.add(entry{hash: a.sig, small: smallOf(a.hash), ref: ref})
}
