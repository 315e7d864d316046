package engine

import (
	"fmt"
	"slices"
	"strings"

	"throughline/flows"
)

// Frame is what stored states are read with.
type Frame struct {
	Key   [2]uint64 // of all hashes
	Names []string  // that are numbered, in the order in which they were taken
}

// Frame is what the states that Take returns are to be read with.
func (e *Engine) Frame() Frame {
	return Frame{[2]uint64{e.copies.hasher.k0, e.copies.hasher.k1}, e.names.texts}
}

// NewFramed is New for states of a frame, which Adopt then takes.
func NewFramed(set *flows.Set, f Frame) *Engine {
	e := newEngine(set, hasher{f.Key[0], f.Key[1]})
	if len(f.Names) > 0 {
		e.names = names{numbers: make(map[string]uint64, len(f.Names)), texts: slices.Clone(f.Names)}
		for i, text := range f.Names[1:] { // 0 is written out
			e.names.numbers[text] = uint64(i + 1)
		}
		e.out.taken = len(f.Names)
	}
	return e
}

// settleEvery bounds the instances that are open at a time while states are adopted.
const settleEvery = 1000

// Adopt takes stored states in, and judges their instances at now. It emits no rows of
// what is stored. An error says that a state is of other definitions, or of another build:
// the engine is to be thrown away then, and the signals applied to a new one.
func (e *Engine) Adopt(states []State, now flows.Time) error {
	e.now, e.quiet = now, true
	defer func() { e.quiet = false }()
	for i := range states {
		if err := e.adopt(&states[i], now); err != nil {
			return fmt.Errorf("state %016x: %w", states[i].ID, err)
		}
		if len(e.opened) >= settleEvery {
			e.settle(now)
		}
	}
	e.flush()
	e.settle(now)
	return nil
}

func (e *Engine) adopt(s *State, now flows.Time) error {
	p := &e.parcel
	if err := e.names.read(e, s.Text, p); err != nil {
		return err
	}
	if len(p.signals) == 0 {
		return nil // all of it was of flows that are no more
	}
	for i := range p.keys {
		if k := &p.keys[i]; k.common {
			e.commonNode(k)
		}
	}
	number, known := e.cells.add(s.Text), false // whether something of it is in memory already
	if e.returning {
		e.whole(p, number)
	}
	e.eachPrint(p, func(hash uint64) {
		known = e.cells.prints.add(hash, number) || known || e.graph.byKey.find(hash, nil) != nil || e.copies.seen.find(hash, nil) != nil
	})
	for i := range p.instances {
		e.adoptInstance(p, i, number)
	}
	e.recount(p)
	if !known && !p.waits() && !p.partial {
		return nil
	}
	e.settle(now) // since waking reads what is at rest
	e.wake(number)
	return nil
}

// waits says whether something of a parcel is to be looked at as time passes.
func (p *parcel) waits() bool {
	for i := range p.signals {
		for j := range p.signals[i].hits {
			if h := &p.signals[i].hits[j]; len(h.targets) == 0 || h.stale {
				return true
			}
		}
	}
	return false
}

func (e *Engine) adoptInstance(p *parcel, i int, number uint32) {
	fs, k := p.instances[i].fs, &p.keys[p.instances[i].key]
	if fs == nil {
		return
	}
	id := flows.InstanceKey(k.value, e.graph.classes[k.class].environment)
	if fs.instances.get(id) != nil {
		return // it is woken with what is there
	}
	in := newInstance(fs, strings.Clone(id))
	in.cell = number
	in.kept = e.returning && fs.kept.has(e.graph.hash(k.class, k.value))
	fs.instances.put(in)
	w := e.opens(in)
	w.occurrences, w.dirty = p.of(i, w.occurrences), true
}

// recount counts the signals of a parcel for Coverage. Those of instances that left memory
// are counted since they came.
func (e *Engine) recount(p *parcel) {
	for i := range p.signals {
		for j := range p.signals[i].hits {
			h := &p.signals[i].hits[j]
			c := e.newProducer(h.fs, &h.occurrence, h.fs.flow.SignalName(h.occurrence.Step))
			if e.returning && len(h.targets) > 0 {
				continue
			}
			if _, counted := e.waitsOnDisk(c, h.fs, h.occurrence.At, h.received); counted && len(h.targets) == 0 {
				continue
			}
			c.Signals++
			if !h.traced {
				c.Keyed++
			}
			if h.occurrence.Sampled {
				c.Sampled++
			}
			if len(h.targets) > 0 {
				c.Joined++
			}
		}
	}
}
