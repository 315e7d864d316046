package views

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"throughline/flows"
)

// Of so many open alerts there are cards on their page, and beside the flows, which must stay in sight: on a wall in one
// row.
const mostCards, mostCardsBeside, mostCardsWall = 60, 6, 3

// gravest are so many alerts, in their order: those that nobody has before those that somebody has, then those that hold most.
func gravest(alerts []Alert, most int) []Alert {
	if len(alerts) <= most {
		return alerts
	}
	by := slices.Clone(alerts)
	slices.SortStableFunc(by, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Quietness(), b.Quietness()), cmp.Compare(b.Count, a.Count))
	})
	by = by[:most]
	return slices.DeleteFunc(slices.Clone(alerts), func(a Alert) bool { return !holdsAlert(by, a) })
}

func holdsAlert(list []Alert, a Alert) bool {
	return slices.ContainsFunc(list, func(b Alert) bool { return b.ID == a.ID })
}

// mostLinks is to how many alerts the head of a panel or page leads.
const mostLinks = 3

func (a Alert) open() bool { return !known(a.ResolvedAt) }

func (a Alert) flowTitle() string {
	if a.Title != "" {
		return a.Title
	}
	return a.Flow
}

func (a Alert) stepTitle() string {
	if a.StepTitle != "" {
		return a.StepTitle
	}
	return a.Step
}

// where names the step, or the flow where it is the whole of it.
func (a Alert) where() string {
	if a.Step == "" {
		return a.flowTitle()
	}
	return a.stepTitle()
}

// waitWords are the middle of "214 orders wait in ERP, past the limit since 02:46:20".
func (a Alert) waitWords() string {
	words := verb(a.Count, "waits", "wait")
	if a.System != "" {
		words += " in " + a.System
	}
	return words + ", past the limit since"
}

// headword is the title of the alert's page.
func (a Alert) headword() string {
	if !a.open() {
		return a.where() + " was stuck"
	}
	return a.where() + " is stuck"
}

func (a Alert) headline() string {
	if a.Step == "" {
		return a.flowTitle() + " stands still"
	}
	return a.flowTitle() + " stuck at " + a.stepTitle()
}

// why says which limit was passed.
func (a Alert) why() string {
	limit := limitWords(a.Limit)
	switch {
	case a.Reason == flows.ReasonIdle && limit != "":
		return "No signal came for longer than the " + limit + " that the flow allows."
	case a.Reason == flows.ReasonIdle:
		return "No signal came for longer than the flow allows."
	case limit != "":
		return "The step allows " + limit + " from its predecessor on. A late signal clears it."
	}
	return "They wait longer than the step allows. A late signal clears it."
}

// capability is the title of what the flow belongs to; by the alert alone where the flow is gone.
func (v AlertDetail) capability() string {
	if v.Now != nil {
		return v.Now.capability()
	}
	return capability(v.Alert.Capability)
}

func (v AlertDetail) stats() []stat {
	if !v.Alert.open() {
		return v.lastStats()
	}
	a, members := v.Alert, safe("#alert-instances")
	waiting := stat{means: "waiting", label: "Waiting for the step", value: "–", note: "not known"}
	if v.Now != nil {
		for _, s := range v.Now.steps() {
			if s.ID == a.Step {
				waiting.value = count(s.Waiting)
				waiting.note = count(max(s.Waiting-s.Overdue, 0)) + " still within the limit"
				waiting.href = safe(stepURL(a.Flow, a.Step))
			}
		}
	}
	list := []stat{
		{class: "stuck", means: "cohort", label: "Stuck " + plainNoun(a.Key), value: count(a.Count), note: v.growthWords(), href: members},
		{class: "stuck", means: "at-risk", label: "Value at risk", value: valueWords(a.AtRisk, "", "–"), worth: a.AtRisk, note: "of those that carry a value", href: members},
		{means: "since", label: "Stuck since", value: v.at(a.StartsAt), note: "open for " + waited(v.Clock.Now.Sub(a.StartsAt))},
		waiting,
	}
	if s, ok := v.step(); ok {
		list = append(list, stat{means: "reached", label: "Passed the step", value: count(s.Reached), note: v.Now.window(), href: v.Now.counted(flows.CountedReached, s.ID), usual: v.Now.usually(v.Now.reachedUsually(s.ID))})
	}
	if known(a.Oldest) {
		list = append(list, stat{means: "oldest", label: "Oldest", value: waited(v.Clock.Now.Sub(a.Oldest)), note: "started " + v.at(a.Oldest)})
	}
	return v.withLimit(list)
}

// counts are how many of the open alerts nobody has, somebody has, and nobody is told of.
func (v AlertList) counts() (nobody, acked, silenced int) {
	for _, a := range v.Open {
		switch {
		case a.Ack.Given():
			acked++
		case a.Silenced:
			silenced++
		default:
			nobody++
		}
	}
	return nobody, acked, silenced
}

// lastStats are the figures of an alert that is over: what it was, not what is.
func (v AlertDetail) lastStats() []stat {
	a := v.Alert
	return v.withLimit([]stat{
		{means: "cohort", label: "Stuck at the end", value: count(a.Count), note: "when last counted"},
		{means: "at-risk", label: "Value at risk", value: valueWords(a.AtRisk, "", "–"), worth: a.AtRisk, note: "when last counted"},
		{label: "Opened", value: v.at(a.StartsAt), note: "when the first became stuck"},
		{label: "Resolved", value: v.at(a.ResolvedAt), note: "lasted " + waited(a.ResolvedAt.Sub(a.StartsAt))},
	})
}

func (v AlertDetail) withLimit(list []stat) []stat {
	if v.Alert.Limit > 0 {
		note := "from the step before"
		if v.Alert.Reason == flows.ReasonIdle {
			note = "without any signal"
		}
		list = append(list, stat{means: "limit", label: "Limit", value: limitWords(v.Alert.Limit), note: note})
	}
	now := FlowNow{Range: RangeHour}
	if v.Now != nil {
		now = *v.Now
	}
	return now.explainedFor(question{flow: v.Alert.Flow, step: v.Alert.Step, reason: v.Alert.Reason}, list)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// plainNoun is the plural without a number: "orders".
func plainNoun(key string) string { return strings.TrimPrefix(noun(key, 2), "2"+nb) }

// shownOf says how much of a list is shown.
func shownOf(page *flows.InstancePage, all int) string {
	if page == nil || len(page.Instances) == 0 {
		return ""
	}
	if n := len(page.Instances); n < all {
		return count(n) + " of " + count(all) + ", longest wait first"
	}
	return "longest wait first"
}

// byWait has the instances of a page in the order of the wait that is shown of them, the longest first: an order of all
// states, of which some wait by their deadline and others by their last signal, is another one.
func byWait(page *flows.InstancePage) *flows.InstancePage {
	if page == nil {
		return nil
	}
	own := *page
	own.Instances = slices.Clone(page.Instances)
	slices.SortStableFunc(own.Instances, func(a, b flows.InstanceRecord) int { return cmp.Compare(waitingSince(a), waitingSince(b)) })
	return &own
}

// waitingSince is when the wait of an instance began to count: stuck since, else due since,
// else its last signal.
func waitingSince(in flows.InstanceRecord) flows.Time {
	if in.State == flows.Stuck && in.Reason == flows.ReasonDeadline {
		for _, w := range in.WaitingOn {
			if w.Step == in.ReasonStep {
				return w.DueAt
			}
		}
	}
	if len(in.WaitingOn) > 0 && in.Reason != flows.ReasonIdle {
		return in.WaitingOn[0].DueAt
	}
	return in.LastAt
}

// waitsFor names the step that an instance waits for, the reason's first. f may be nil.
func waitsFor(f *flows.Flow, in flows.InstanceRecord) string {
	step, system := in.ReasonStep, in.System
	if step == "" && len(in.WaitingOn) > 0 {
		step, system = in.WaitingOn[0].Step, in.WaitingOn[0].System
	}
	if f != nil {
		if i := stepIndex(f, step); i >= 0 {
			step = f.Steps[i].Title
		}
	}
	switch {
	case step == "" && in.State.InFlight():
		return "any signal"
	case step == "":
		return ""
	case system == "":
		return step
	}
	return step + " in " + system
}

// value is an instance's amount, exact.
func value(in flows.InstanceRecord) string {
	if !in.Amount.Valid {
		return ""
	}
	return withCurrency(in.Currency, thousands(flows.FormatAmount(in.Currency, in.Amount.Decimal())))
}

// growthWords say whether it becomes worse.
func (v AlertDetail) growthWords() string {
	if perMinute, ok := v.growth(); ok {
		more := rate(perMinute)
		if perMinute >= 10 {
			more = count(int(math.Round(perMinute)))
		}
		return "past the limit, " + more + " more a minute"
	}
	return "past the limit now"
}

// membersBy is the list of the alert's instances, or the file of it.
func (v AlertDetail) membersBy(order flows.Sort, ending string) templ.SafeURL {
	return listLink(v.Alert.Flow, flows.InstanceQuery{States: []flows.State{flows.Stuck}, Step: v.Alert.Step, Sort: order}, "", "", ending)
}

// segmentWords are an instance's segments without their names.
func segmentWords(in flows.InstanceRecord) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(in.Segments)) {
		words = append(words, in.Segments[name])
	}
	return strings.Join(words, ", ")
}
