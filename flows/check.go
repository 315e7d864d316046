package flows

import (
	"fmt"
	"slices"
	"strings"
)

// check finds what is wrong between the steps of a flow, and turns the ids of `after`
// into positions.
func (p *parser) check(steps []draft) {
	p.ids(steps)
	p.twins(steps)
	for i := range steps {
		if d := &steps[i]; d.within != nil && d.afterAll == nil {
			p.fault(d.within, "step `%s` has `within` but no `after`: it is never due, so never overdue; "+
				"write `after: STEP`, or leave `within` out", d.ID)
		}
	}
	if order, ok := p.order(steps); ok {
		p.reach(steps, order)
	}
}

// ids resolves every id in `after`.
func (p *parser) ids(steps []draft) {
	position := make(map[string]int, len(steps))
	known := make([]string, 0, len(steps))
	for i := range steps {
		d := &steps[i]
		if d.ID == "" {
			continue
		}
		if first, ok := position[d.ID]; ok {
			p.fault(d.idNode, "id `%s` stands twice, first in line %d; give this step another", d.ID, steps[first].idNode.Line)
			continue
		}
		position[d.ID] = i
		known = append(known, d.ID)
	}
	for i := range steps {
		d := &steps[i]
		for j := range d.after {
			r := &d.after[j]
			at, ok := position[r.id]
			if !ok {
				p.fault(r.node, "no step has the id `%s`%s; there are %s",
					shortened(r.id), didYouMean(r.id, known), someOf(known))
				continue
			}
			r.step = at
			d.After = append(d.After, at)
		}
	}
}

// someOf lists ids in a message without filling the screen.
func someOf(ids []string) string {
	const most = 12
	if len(ids) <= most {
		return quoted(ids)
	}
	return quoted(ids[:most]) + " and others"
}

// matched is what a match means, to be compared.
type matched struct {
	kind                         Kind
	name, service, source, where string
}

func (m *Match) signal() matched {
	s := matched{kind: m.Kind, name: m.Name, service: m.Service, source: m.Source}
	if m.Where != nil {
		s.where = m.Where.String()
	}
	return s
}

// twins finds steps that match the same signal.
func (p *parser) twins(steps []draft) {
	first := make(map[matched]*draft, len(steps))
	for i := range steps {
		d := &steps[i]
		m := d.Match.signal()
		if m.name == "" {
			continue
		}
		other, ok := first[m]
		if !ok {
			first[m] = d
			continue
		}
		p.fault(d.match, "steps `%s` and `%s` match the same signal with nothing to tell them apart; "+
			"add `where`, `service` or `source` to one of them", other.ID, d.ID)
	}
}

// order is every step after its predecessors; false where `after` goes round in circles,
// each of which is a fault.
func (p *parser) order(steps []draft) ([]int, bool) {
	const (
		unseen = iota
		open   // on the path that is being walked
		done
	)
	state := make([]uint8, len(steps))
	order := make([]int, 0, len(steps))
	drawn := make([]bool, len(steps)) // already in a circle that was told
	whole := true
	var path []int
	var walk func(int)
	walk = func(i int) {
		state[i] = open
		path = append(path, i)
		for _, r := range steps[i].after {
			switch {
			case r.step < 0:
			case state[r.step] == unseen:
				walk(r.step)
			case state[r.step] == open:
				whole = false
				p.circle(steps, path, r, drawn)
			}
		}
		path = path[:len(path)-1]
		state[i] = done
		order = append(order, i)
	}
	for i := range steps {
		if state[i] == unseen {
			walk(i)
		}
	}
	return order, whole
}

// circle draws the circle that r closes, in the direction of the flow, once.
func (p *parser) circle(steps []draft, path []int, r ref, drawn []bool) {
	from := len(path) - 1
	for path[from] != r.step {
		from--
	}
	known := false
	var round []*draft // in the direction of the flow, from what r names
	for i := len(path) - 1; i >= from; i-- {
		known = known || drawn[path[i]]
		drawn[path[i]] = true
		round = append(round, &steps[path[i]])
	}
	if known {
		return
	}
	round = slices.Insert(round[:len(round)-1], 0, round[len(round)-1])
	names := make([]string, 0, len(round)+1)
	for _, d := range append(round, round[0]) {
		names = append(names, d.ID)
	}
	p.fault(r.node, "`after` goes round in a circle: %s; take one `after` of it away",
		someOfPath(names))
	p.faults[len(p.faults)-1].Picture = picture(round)
}

func someOfPath(names []string) string {
	const most = 12
	if len(names) > most {
		names = append(append(names[:most/2:most/2], "…"), names[len(names)-most/2:]...)
	}
	return strings.Join(names, " -> ")
}

// picture draws a circle of steps, each after the one above it and the first after the
// last, with the lines that say so.
func picture(round []*draft) string {
	const most = 12 // what is in the middle of more is not drawn
	width := 0
	for _, d := range round {
		width = max(width, len(d.ID))
	}
	var b strings.Builder
	for i, d := range round {
		if len(round) > most && i >= most/2 && i < len(round)-most/2 {
			if i == most/2 {
				fmt.Fprintf(&b, "    |   ... %d more\n", len(round)-most)
			}
			continue
		}
		side := "|  "
		switch {
		case len(round) == 1:
			side = "+->"
		case i == 0:
			side = "+->"
		case i == len(round)-1:
			side = "+--"
		}
		before := round[(i+len(round)-1)%len(round)]
		fmt.Fprintf(&b, "    %s %-*s  line %d: after %s", side, width, d.ID, d.idNode.Line, before.ID)
		if len(round) == 1 {
			b.WriteString(", itself")
		}
		if i < len(round)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// reach finds steps that can never be due: behind an end, or behind two alternatives of
// one choice. What only lies behind such a step is not told again.
func (p *parser) reach(steps []draft, order []int) {
	choices := map[string]int{}
	for i := range steps {
		if c := steps[i].Choice; c != "" {
			if _, ok := choices[c]; !ok {
				choices[c] = len(choices)
			}
		}
	}
	r := &reach{parser: p, steps: steps, dead: make([]bool, len(steps)), needs: make([][]int, len(steps))}
	for _, i := range order {
		needs := make([]int, len(choices))
		for c := range needs {
			needs[c] = -1
		}
		r.needs[i] = needs
		d := &steps[i]
		if len(d.after) > 0 && len(d.After) == len(d.after) {
			if d.Any {
				r.any(i)
			} else {
				r.all(i)
			}
		}
		if d.Choice == "" || r.dead[i] {
			continue
		}
		own := choices[d.Choice]
		if other := needs[own]; other >= 0 && other != i {
			r.unreachable(i, "it comes after `%s`, its alternative in choice `%s`; take it out of `after`, or out of the choice",
				steps[other].ID, d.Choice)
		}
		needs[own] = i
	}
}

// reach holds, for each step, which alternative of each choice must have occurred before
// it (-1 for none), and which steps were found unreachable.
type reach struct {
	*parser
	steps []draft
	needs [][]int
	dead  []bool
}

func (r *reach) unreachable(i int, format string, args ...any) {
	d := &r.steps[i]
	r.fault(d.afterAll, "step `%s` is unreachable: "+format, append([]any{d.ID}, args...)...)
	r.dead[i] = true
}

// all joins what the predecessors of an `after` list need. Optional ones count only if
// they occurred, so they need nothing.
func (r *reach) all(i int) {
	d, needs := &r.steps[i], r.needs[i]
	if r.siblings(i) {
		return
	}
	for _, before := range d.after {
		b := &r.steps[before.step]
		if b.Optional {
			continue
		}
		if b.End != Open {
			r.unreachable(i, "`%s` ends the instance, so nothing is due after it; take it out of `after`", b.ID)
			return
		}
		if r.dead[before.step] {
			r.dead[i] = true
			return
		}
		for c, other := range r.needs[before.step] {
			switch {
			case other < 0 || needs[c] == other:
			case needs[c] >= 0:
				r.unreachable(i, "it needs both `%s` and `%s`, alternatives of choice `%s`; write {any: [...]}",
					r.steps[needs[c]].ID, r.steps[other].ID, r.steps[other].Choice)
				return
			default:
				needs[c] = other
			}
		}
	}
}

// siblings finds two alternatives of one choice in one `after` list.
func (r *reach) siblings(i int) bool {
	d := &r.steps[i]
	first := map[string]string{}
	for _, before := range d.after {
		b := &r.steps[before.step]
		if b.Choice == "" {
			continue
		}
		if other, ok := first[b.Choice]; ok {
			r.fault(before.node, "`after` of step `%s` waits for both `%s` and `%s`, alternatives of choice `%s`; "+
				"write {any: [%s, %s]}", d.ID, other, b.ID, b.Choice, other, b.ID)
			r.dead[i] = true
			return true
		}
		first[b.Choice] = b.ID
	}
	return false
}

// any keeps what every way to the step needs.
func (r *reach) any(i int) {
	d, needs := &r.steps[i], r.needs[i]
	ways, ended := 0, ""
	for _, before := range d.after {
		b := &r.steps[before.step]
		if b.End != Open {
			ended = b.ID
			continue
		}
		if r.dead[before.step] {
			continue
		}
		for c, other := range r.needs[before.step] {
			if ways == 0 {
				needs[c] = other
			} else if needs[c] != other {
				needs[c] = -1
			}
		}
		ways++
	}
	switch {
	case ways > 0:
	case ended != "":
		r.unreachable(i, "`%s` ends the instance, so nothing is due after it; take it out of `after`", ended)
	default:
		r.dead[i] = true
	}
}
