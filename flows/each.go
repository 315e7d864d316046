package flows

import (
	"hash/maphash"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
)

// children tells the distinct children of the steps with Each apart.
type children struct {
	flow  *Flow
	list  []*Occurrence // the first of each
	slots []childSlot   // by hash, a power of two; none while they are few
	most  int           // there may be, for the first room
}

// childSlot is where a child stands in the list, from 1; 0 is free.
type childSlot struct{ hash, at uint32 }

// fewChildren is where looking through the list costs more than a hash.
const fewChildren = 12

var childSeed = maphash.MakeSeed()

// of says whether a step has children.
func (c *children) of(step int) bool { return c.flow.Steps[step].Each != "" }

// add says whether an occurrence is a new child of its step.
func (c *children) add(o *Occurrence) bool {
	if !c.of(o.Step) {
		return false
	}
	if o.Child == "" { // without the attribute a signal is a child of its own
		return true
	}
	if len(c.slots) == 0 {
		for _, k := range c.list {
			if k.Step == o.Step && k.Child == o.Child {
				return false
			}
		}
		if c.list = append(c.list, o); len(c.list) > fewChildren {
			c.grow(max(c.most, 4*fewChildren))
		}
		return true
	}
	hash := childHash(o)
	at := hash & uint32(len(c.slots)-1)
	for ; c.slots[at].at != 0; at = (at + 1) & uint32(len(c.slots)-1) {
		if known := c.slots[at]; known.hash == hash && c.list[known.at-1].Step == o.Step && c.list[known.at-1].Child == o.Child {
			return false
		}
	}
	c.list = append(c.list, o)
	c.slots[at] = childSlot{hash, uint32(len(c.list))}
	if len(c.list) > len(c.slots)/2 {
		c.grow(len(c.list))
	}
	return true
}

// grow makes room for twice as many children as n, at least.
func (c *children) grow(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(c.slots) < size {
		c.slots = make([]childSlot, size)
	}
	c.slots = c.slots[:size]
	clear(c.slots)
	for i, o := range c.list {
		hash := childHash(o)
		at := hash & uint32(size-1)
		for c.slots[at].at != 0 {
			at = (at + 1) & uint32(size-1)
		}
		c.slots[at] = childSlot{hash, uint32(i + 1)}
	}
}

func childHash(o *Occurrence) uint32 {
	return uint32(maphash.String(childSeed, o.Child)) ^ uint32(o.Step)*0x9e3779b1
}

// usedChildren are those of folds that are done, whose room the next ones take.
var usedChildren = sync.Pool{New: func() any { return new(children) }}

// release gives the room back. Of nothing in it may be asked any more.
func (c *children) release() {
	clear(c.list)
	*c = children{list: c.list[:0], slots: c.slots[:0]}
	usedChildren.Put(c)
}

// expectations sets how many children of each step are due: the last value in order, one
// where it is not known. It notes too whether an end was withdrawn.
func (d *folder) expectations() *children {
	for i := range d.occurrences {
		for e, text := range d.occurrences[i].Expect {
			n, err := strconv.Atoi(text)
			if err != nil {
				continue
			}
			for s := range d.flow.Steps {
				if d.plan.expect[s] == e {
					d.in.Steps[s].Expected = n
				}
			}
		}
	}
	if d.plan.eachEnd {
		ends := newEndings(d.flow)
		ended := false
		for i := range d.occurrences {
			if d.occurrences[i].Step == d.flow.resolvedPosition() {
				continue
			}
			now := ends.after(&d.occurrences[i])
			d.in.Reopened = d.in.Reopened || ended && !now
			ended = now
		}
	}
	kids := usedChildren.Get().(*children)
	kids.flow, kids.most = d.flow, len(d.occurrences)
	return kids
}

// endings follow whether an instance has ended, signal by signal.
type endings struct {
	flow     *Flow
	plan     *plan
	kids     children
	expected []int // per step, as known so far
	seen     []int
	forever  bool // a step that ends it needs no count, or a person resolved it
}

func newEndings(f *Flow) *endings {
	e := &endings{flow: f, plan: f.plan(), kids: children{flow: f}}
	if e.plan.eachEnd {
		e.expected, e.seen = make([]int, len(f.Steps)), make([]int, len(f.Steps))
		for s := range e.expected {
			e.expected[s] = 1
		}
	}
	return e
}

// after says whether the instance has ended once one more signal, in order, is there.
func (e *endings) after(o *Occurrence) bool {
	if e.plan.eachEnd {
		e.expect(o)
	}
	switch {
	case e.forever || o.Failed:
	case o.Step >= len(e.flow.Steps):
		e.forever = o.Step == e.flow.resolvedPosition()
	case e.flow.Steps[o.Step].End == Open:
	case !e.kids.of(o.Step):
		e.forever = true
	case e.kids.add(o):
		e.seen[o.Step]++
	}
	if e.forever || !e.plan.eachEnd {
		return e.forever
	}
	for s := range e.seen {
		if e.seen[s] > 0 && e.seen[s] >= e.expected[s] {
			return true
		}
	}
	return false
}

func (e *endings) expect(o *Occurrence) {
	for at, text := range o.Expect {
		n, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		for s := range e.expected {
			if e.plan.expect[s] == at {
				e.expected[s] = n
			}
		}
	}
}

// childOf is the child that a signal is of a step: the value of its key where `each` names
// a key type that it carries once, else the attribute. "" where it has none.
func (f *Flow) childOf(sig *Signal, step int) string {
	if step >= len(f.Steps) || f.Steps[step].Each == "" {
		return ""
	}
	name, keys, value := f.Steps[step].Each, 0, ""
	for _, k := range sig.Keys {
		if k.Type == name {
			keys++
			value = k.Value
		}
	}
	if keys == 1 {
		return value
	}
	v, _ := sig.Lookup(name)
	text, ok := Text(v)
	if text = strings.TrimSpace(text); !ok || len(text) > MaxKeyBytes {
		return ""
	}
	return text
}

// expectOf are the numbers of children that a signal says are due; nil for none.
func (f *Flow) expectOf(sig *Signal) (numbers []string) {
	for i, name := range f.Expects() {
		v, ok := sig.Lookup(name)
		if !ok {
			continue
		}
		n, ok := wholeNumber(v)
		if !ok {
			continue
		}
		if numbers == nil {
			numbers = make([]string, len(f.Expects()))
		}
		numbers[i] = n
	}
	return numbers
}

// wholeNumber is a number of children in plain digits; false for what is none.
func wholeNumber(v any) (string, bool) {
	n, ok := ParseAmount(v)
	if !ok || !n.IsInteger() || n.IsNegative() || n.GreaterThan(decimal.NewFromInt(math.MaxInt32)) {
		return "", false
	}
	return strconv.FormatInt(n.IntPart(), 10), true
}
