package flows

import (
	"math"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// children tells the distinct children of the steps with Each apart.
type children struct {
	flow  *Flow
	few   []*Occurrence // looked through while they are few
	known map[child]struct{}
	most  int // there may be, for the map's size
}

type child struct {
	step int
	name string
}

// fewChildren is where looking through the list costs more than a map.
const fewChildren = 12

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
	if c.known == nil {
		for _, k := range c.few {
			if k.Step == o.Step && k.Child == o.Child {
				return false
			}
		}
		if c.few = append(c.few, o); len(c.few) > fewChildren {
			c.known = make(map[child]struct{}, max(c.most, 4*fewChildren))
			for _, k := range c.few {
				c.known[child{k.Step, k.Child}] = struct{}{}
			}
		}
		return true
	}
	name := child{o.Step, o.Child}
	if _, ok := c.known[name]; ok {
		return false
	}
	c.known[name] = struct{}{}
	return true
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
	return &children{flow: d.flow, most: len(d.occurrences)}
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
