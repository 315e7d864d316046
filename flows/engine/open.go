package engine

import "throughline/flows"

// track keeps the lists of open and of stuck instances. before is nil for one in neither.
func (fs *flowState) track(in *instance, before, folded *flows.Instance) {
	if !folded.State.InFlight() {
		fs.untrack(in, before)
		return
	}
	if in.cohort != nil {
		fs.leave(in, before)
	}
	if in.openAt < 0 {
		in.openAt = int32(len(fs.open))
		fs.open = append(fs.open, in)
	}
	if folded.State == flows.Stuck && !in.imported {
		fs.join(in, folded)
	}
}

func (fs *flowState) untrack(in *instance, before *flows.Instance) {
	if in.openAt >= 0 {
		last := fs.open[len(fs.open)-1]
		fs.open[in.openAt], last.openAt = last, in.openAt
		fs.open = fs.open[:len(fs.open)-1]
		in.openAt = -1
	}
	if in.cohort != nil {
		fs.leave(in, before)
	}
}

// manyOpen is where looking at all that are open at each change costs too much.
const manyOpen = 1000

// age measures the ages of the open at now. It looks at each; where they are many, at most
// once a second of now.
func (fs *flowState) age(now flows.Time) {
	if len(fs.open) > manyOpen && fs.window.aged != flows.NoTime && now.Sub(fs.window.aged) < ageEvery {
		return
	}
	fs.window.aged = now
	fs.gauges.Age = flows.Sketch{}
	for _, in := range fs.open {
		clock := now
		if in.imported {
			clock = in.judged
		}
		fs.gauges.Age.Add(max(0, clock.Sub(in.started)))
	}
}
