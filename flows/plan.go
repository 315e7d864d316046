package flows

// plan is what the fold needs of a flow's shape, worked out once.
type plan struct {
	order      []int   // steps, predecessors before successors
	successors [][]int // per step, the steps whose After names it
	siblings   [][]int // per step, the other steps of its choice
	fellows    [][]int // per step, the other members of every Any list it is in
	hasStart   bool
}

func (f *Flow) plan() *plan {
	f.planOnce.Do(func() { f.planned = makePlan(f.Steps) })
	return &f.planned
}

func makePlan(steps []Step) plan {
	n := len(steps)
	p := plan{successors: make([][]int, n), siblings: make([][]int, n), fellows: make([][]int, n)}
	missing := make([]int, n)
	for s := range steps {
		p.hasStart = p.hasStart || steps[s].Start
		missing[s] = len(steps[s].After)
		for _, a := range steps[s].After {
			p.successors[a] = append(p.successors[a], s)
			for _, b := range steps[s].After {
				if steps[s].Any && a != b {
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
