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
	members []member // in no order; each knows its place
	atRisk  flows.Sums
	shown   *flows.Cohort // nil when it changed
}

// member is what a cohort holds of one instance.
type member struct {
	in       *instance
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
		c = &cohort{id: id, atRisk: flows.Sums{}}
		fs.cohorts[id] = c
	}
	c.shown, in.cohort, in.memberAt = nil, c, int32(len(c.members))
	c.members = append(c.members, member{in, folded.StuckSince, folded.Amount.Decimal, folded.Currency})
	c.atRisk.Add(folded.Currency, folded.Amount.Decimal, 1)
}

func (fs *flowState) leave(in *instance) {
	c := in.cohort
	gone, last := &c.members[in.memberAt], len(c.members)-1
	c.atRisk.Add(gone.currency, gone.amount, -1)
	*gone = c.members[last]
	gone.in.memberAt = in.memberAt
	c.members[last] = member{}
	c.members = c.members[:last]
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
		Reason: c.id.reason, Count: len(c.members), Since: flows.NoTime, Oldest: flows.NoTime, AtRisk: c.atRisk.Money(),
	}
	if c.id.step >= 0 {
		step := &f.Steps[c.id.step]
		shown.Step, shown.StepTitle, shown.System = step.ID, step.Title, step.System
	}
	longest := make([]*member, 0, maxSamples+1)
	longer := func(a, b *member) int {
		if n := cmp.Compare(a.since, b.since); n != 0 {
			return n
		}
		return cmp.Compare(a.in.key, b.in.key)
	}
	for i := range c.members {
		m := &c.members[i]
		if shown.Since == flows.NoTime || m.since < shown.Since {
			shown.Since = m.since
		}
		if shown.Oldest == flows.NoTime || m.in.started < shown.Oldest {
			shown.Oldest = m.in.started
		}
		if len(longest) == maxSamples && longer(m, longest[maxSamples-1]) > 0 {
			continue
		}
		if at, _ := slices.BinarySearchFunc(longest, m, longer); at < maxSamples {
			longest = slices.Insert(longest, at, m)
			longest = longest[:min(len(longest), maxSamples)]
		}
	}
	for _, m := range longest {
		key, environment := flows.SplitInstanceKey(m.in.key)
		if environment != "" {
			key += " (" + environment + ")"
		}
		shown.Keys = append(shown.Keys, key)
	}
	return &shown
}
