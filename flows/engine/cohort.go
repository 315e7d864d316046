package engine

import (
	"cmp"
	"slices"

	"throughline/flows"
)

// cohortID names what the stuck of a flow have in common; step -1 is none.
type cohortID struct {
	step   int
	reason flows.Reason
}

// cohort are the instances stuck at one step for one reason.
type cohort struct {
	id      cohortID
	members map[*instance]struct{}
	atRisk  flows.Money
	shown   *flows.Cohort // nil when it changed
}

// maxSamples is how many keys of a cohort are named.
const maxSamples = 10

func (fs *flowState) join(in *instance, folded *flows.Instance) {
	id := cohortID{folded.ReasonStep, folded.Reason}
	c := fs.cohorts[id]
	if c == nil {
		c = &cohort{id: id, members: map[*instance]struct{}{}, atRisk: flows.Money{}}
		fs.cohorts[id] = c
	}
	c.members[in], c.shown = struct{}{}, nil
	in.cohort, in.stuckSince = c, folded.StuckSince
	in.amount, in.currency = folded.Amount.Decimal, folded.Currency
	c.atRisk.Add(in.currency, in.amount)
}

func (fs *flowState) leave(in *instance) {
	c := in.cohort
	c.atRisk.Add(in.currency, in.amount.Neg())
	delete(c.members, in)
	c.shown, in.cohort = nil, nil
	if len(c.members) == 0 {
		delete(fs.cohorts, c.id)
	}
}

// Cohorts are the groups of stuck instances of all flows now, by flow, step and reason.
func (e *Engine) Cohorts() []flows.Cohort {
	var all []flows.Cohort
	for _, f := range e.set.Flows() {
		fs := e.flows[f.Name]
		own := make([]*cohort, 0, len(fs.cohorts))
		for _, c := range fs.cohorts {
			own = append(own, c)
		}
		slices.SortFunc(own, func(a, b *cohort) int {
			return cmp.Or(cmp.Compare(a.id.step, b.id.step), cmp.Compare(a.id.reason, b.id.reason))
		})
		for _, c := range own {
			if c.shown == nil {
				c.shown = fs.show(c)
			}
			all = append(all, *c.shown)
		}
	}
	return all
}

func (fs *flowState) show(c *cohort) *flows.Cohort {
	f := fs.flow
	shown := flows.Cohort{
		Flow: f.Name, Title: f.Title, Capability: f.Capability, Owner: f.Owner, Runbook: f.Runbook,
		Reason: c.id.reason, Count: len(c.members), Since: flows.NoTime, Oldest: flows.NoTime, AtRisk: c.atRisk.Clone(),
	}
	if c.id.step >= 0 {
		step := &f.Steps[c.id.step]
		shown.Step, shown.StepTitle, shown.System = step.ID, step.Title, step.System
	}
	longest := make([]*instance, 0, maxSamples+1)
	for in := range c.members {
		if shown.Since == flows.NoTime || in.stuckSince < shown.Since {
			shown.Since = in.stuckSince
		}
		if shown.Oldest == flows.NoTime || in.started < shown.Oldest {
			shown.Oldest = in.started
		}
		at, _ := slices.BinarySearchFunc(longest, in, longerStuck)
		if at < maxSamples {
			longest = slices.Insert(longest, at, in)
			longest = longest[:min(len(longest), maxSamples)]
		}
	}
	for _, in := range longest {
		shown.Keys = append(shown.Keys, in.key)
	}
	return &shown
}

func longerStuck(a, b *instance) int {
	return cmp.Or(cmp.Compare(a.stuckSince, b.stuckSince), cmp.Compare(a.key, b.key))
}
