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

const recordChunk = 1 << 10

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
			if in := fs.instances.get(flows.InstanceKey(n.value, e.graph.classes[n.class].environment)); in != nil {
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
