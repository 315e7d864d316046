package flows

import "slices"

// plan is what the fold needs of a flow's shape, worked out once.
type plan struct {
	order      []int      // steps, predecessors before successors
	successors [][]int    // per step, the steps whose After names it
	siblings   [][]int    // per step, the other steps of its choice
	fellows    [][]int    // per step, the other members of every Any list it is in
	blank      []StepFold // of no occurrence
	expects    []string
	expect     []int // per step, the position of its Expect in expects; -1 for none
	hasStart   bool
	each       bool // some step has Each
	eachEnd    bool // an end step has Each: ends can be withdrawn
	downtime   bool // some step has Downtime
	sampled    bool // some step is of a system that samples
}

func (f *Flow) plan() *plan {
	f.planOnce.Do(func() { f.planned = makePlan(f.Steps) })
	return &f.planned
}

// Expects are the attributes that say how many children are due, each once. The slice is
// the flow's own.
func (f *Flow) Expects() []string { return f.plan().expects }

func makePlan(steps []Step) plan {
	n := len(steps)
	p := plan{successors: make([][]int, n), siblings: make([][]int, n), fellows: make([][]int, n), expect: make([]int, n)}
	missing := make([]int, n)
	var fellow []bool // n for each step: without it the lists of a file of a megabyte would fill a gigabyte
	for s := range steps {
		p.blank = append(p.blank, StepFold{At: NoTime, DueAt: NoTime, Deadline: NoTime, Passed: NoTime, Expected: 1})
		p.hasStart = p.hasStart || steps[s].Start
		p.each = p.each || steps[s].Each != ""
		p.eachEnd = p.eachEnd || steps[s].Each != "" && steps[s].End != Open
		p.sampled = p.sampled || steps[s].samples()
		p.downtime = p.downtime || len(steps[s].Downtime) > 0
		p.expect[s] = -1
		if steps[s].Each != "" {
			p.expect[s] = p.expectation(steps[s].Expect)
		}
		missing[s] = len(steps[s].After)
		for _, a := range steps[s].After {
			p.successors[a] = append(p.successors[a], s)
			if !steps[s].Any {
				continue
			}
			if fellow == nil {
				fellow = make([]bool, n*n)
			}
			for _, b := range steps[s].After {
				if a != b && !fellow[a*n+b] {
					fellow[a*n+b] = true
					p.fellows[a] = append(p.fellows[a], b)
				}
			}
		}
		for o := range steps {
			if o != s && steps[s].Choice != "" && steps[s].Choice == steps[o].Choice {
				p.siblings[s] = append(p.siblings[s], o)
			}
		}
		if missing[s] == 0 {
			p.order = append(p.order, s)
		}
	}
	for i := 0; i < len(p.order); i++ { // a checked flow has no cycle, so this reaches all
		for _, next := range p.successors[p.order[i]] {
			if missing[next]--; missing[next] == 0 {
				p.order = append(p.order, next)
			}
		}
	}
	return p
}

// expectation is the position of an attribute in expects.
func (p *plan) expectation(attribute string) int {
	if attribute == "" {
		return -1
	}
	if i := slices.Index(p.expects, attribute); i >= 0 {
		return i
	}
	p.expects = append(p.expects, attribute)
	return len(p.expects) - 1
}
