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

// cohort are the instances stuck at one step for one reason. A million may be, and join or
// leave one by one: so what is shown of it is kept up, and looked for among all of them only
// when too much of that has left.
type cohort struct {
	id      cohortID
	members []member // in no order; each knows its place
	atRisk  flows.Sums
	longest []member   // those stuck longest, in order: all, or keptLongest at most
	oldest  flows.Time // earliest start
	oldests int        // how many started then; 0 for not known
	shown   *flows.Cohort
}

// member is what a cohort holds of one instance.
type member struct {
	in    *instance
	since flows.Time // stuck since
}

const (
	maxSamples  = 10 // keys of a cohort that are named
	keptLongest = 64
)

func (fs *flowState) join(in *instance, folded *flows.Instance) {
	id := cohortID{folded.ReasonStep, folded.Reason}
	c := fs.cohorts[id]
	if c == nil {
		c = &cohort{id: id, atRisk: flows.Sums{}, oldest: folded.StartedAt}
		fs.cohorts[id] = c
	}
	m := member{in, folded.StuckSince}
	all := len(c.longest) == len(c.members)
	c.shown, in.cohort, in.memberAt = nil, c, int32(len(c.members))
	c.members = append(c.members, m)
	c.atRisk.Add(folded.Currency, folded.Amount, 1)
	if last := len(c.longest) - 1; all || last >= 0 && longer(m, c.longest[last]) < 0 {
		c.lists(m)
	}
	switch first := len(c.members) == 1; {
	case first || c.oldests > 0 && folded.StartedAt < c.oldest:
		c.oldest, c.oldests = folded.StartedAt, 1
	case c.oldests > 0 && folded.StartedAt == c.oldest:
		c.oldests++
	}
}

// leave takes an instance out of its cohort; before is as it was folded when it joined.
func (fs *flowState) leave(in *instance, before *flows.Instance) {
	c := in.cohort
	gone, last := &c.members[in.memberAt], len(c.members)-1
	c.atRisk.Add(before.Currency, before.Amount, -1)
	if at, ok := slices.BinarySearchFunc(c.longest, *gone, longer); ok {
		c.longest = slices.Delete(c.longest, at, at+1)
	}
	if before.StartedAt == c.oldest && c.oldests > 0 {
		c.oldests--
	}
	*gone = c.members[last]
	gone.in.memberAt = in.memberAt
	c.members[last] = member{}
	c.members = c.members[:last]
	c.shown, in.cohort = nil, nil
	if len(c.members) == 0 {
		delete(fs.cohorts, c.id)
	}
}

// longer orders by how long they are stuck, then by key.
func longer(a, b member) int {
	return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.in.key, b.in.key))
}

// lists puts a member among the longest.
func (c *cohort) lists(m member) {
	at, _ := slices.BinarySearchFunc(c.longest, m, longer)
	if at == keptLongest {
		return
	}
	if len(c.longest) == keptLongest {
		c.longest = slices.Delete(c.longest, keptLongest-1, keptLongest)
	}
	c.longest = slices.Insert(c.longest, at, m)
}

// search finds what is shown of it among all.
func (c *cohort) search() {
	if len(c.longest) < min(maxSamples, len(c.members)) {
		c.longest = c.longest[:0]
		for _, m := range c.members {
			c.lists(m)
		}
	}
	if c.oldests > 0 {
		return
	}
	for _, m := range c.members {
		switch {
		case c.oldests == 0 || m.in.started < c.oldest:
			c.oldest, c.oldests = m.in.started, 1
		case m.in.started == c.oldest:
			c.oldests++
		}
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
	c.search()
	shown := flows.Cohort{
		Flow: f.Name, Title: f.Title, Capability: f.Capability, Owner: f.Owner, Runbook: f.Runbook,
		Reason: c.id.reason, Count: len(c.members), Since: c.longest[0].since, Oldest: c.oldest, AtRisk: c.atRisk.Money(),
	}
	if c.id.step >= 0 {
		step := &f.Steps[c.id.step]
		shown.Step, shown.StepTitle, shown.System = step.ID, step.Title, step.System
	}
	for _, m := range c.longest[:min(maxSamples, len(c.longest))] {
		key, environment := flows.SplitInstanceKey(m.in.key)
		if environment != "" {
			key += " (" + environment + ")"
		}
		shown.Keys = append(shown.Keys, key)
	}
	return &shown
}
