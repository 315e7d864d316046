package engine

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

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
	members map[*instance]member
	atRisk  flows.Money
	shown   *flows.Cohort // nil when it changed
}

// member is what a cohort holds of one instance.
type member struct {
	since    flows.Time      // stuck since
	amount   decimal.Decimal // at risk; 0 for none
	currency string
}

// maxSamples is how many keys of a cohort are named.
const maxSamples = 10

func (fs *flowState) join(in *instance, folded *flows.Instance) {
	id := cohortID{folded.ReasonStep, folded.Reason}
	c := fs.cohorts[id]
	if c == nil {
		c = &cohort{id: id, members: map[*instance]member{}, atRisk: flows.Money{}}
		fs.cohorts[id] = c
	}
	c.members[in] = member{folded.StuckSince, folded.Amount.Decimal, folded.Currency}
	c.shown, in.cohort = nil, c
	c.atRisk.Add(folded.Currency, folded.Amount.Decimal)
}

func (fs *flowState) leave(in *instance) {
	c := in.cohort
	c.atRisk.Add(c.members[in].currency, c.members[in].amount.Neg())
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
	longer := func(a, b *instance) int {
		return cmp.Or(cmp.Compare(c.members[a].since, c.members[b].since), cmp.Compare(a.key, b.key))
	}
	for in, m := range c.members {
		if shown.Since == flows.NoTime || m.since < shown.Since {
			shown.Since = m.since
		}
		if shown.Oldest == flows.NoTime || in.started < shown.Oldest {
			shown.Oldest = in.started
		}
		if at, _ := slices.BinarySearchFunc(longest, in, longer); at < maxSamples {
			longest = slices.Insert(longest, at, in)
			longest = longest[:min(len(longest), maxSamples)]
		}
	}
	for _, in := range longest {
		key, environment := flows.SplitInstanceKey(in.key)
		if environment != "" {
			key += " (" + environment + ")"
		}
		shown.Keys = append(shown.Keys, key)
	}
	return &shown
}
