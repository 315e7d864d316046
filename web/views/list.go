package views

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// inFlight are the states of what has not ended.
var inFlight = []flows.State{flows.Open, flows.Held, flows.Stuck, flows.Unknown}

var ended = []flows.State{flows.Completed, flows.Failed, flows.Cancelled, flows.Resolved, flows.Expired}

// listURL is the list of a flow's instances in these states, all for none, that wait for a step
// ("" for any) and gave a signal since ("" for ever).
func listURL(flow, step, since string, states ...flows.State) templ.SafeURL {
	return listLink(flow, flows.InstanceQuery{States: states, Step: step}, since, "", "")
}

func listLink(flow string, q flows.InstanceQuery, since, window, ending string) templ.SafeURL {
	ask := url.Values{}
	words := make([]string, len(q.States))
	for i, s := range q.States {
		words[i] = s.String()
	}
	for name, value := range map[string]string{"state": strings.Join(words, ","), "step": q.Step, "since": since, "cursor": q.Cursor, "counted": string(q.Counted), "path": strings.Join(q.Path, ",")} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	if q.Counted != "" && window != string(RangeHour) && window != "" {
		ask.Set("window", window)
	}
	if q.Sort != "" && q.Sort != flows.SortAge {
		ask.Set("sort", string(q.Sort))
	}
	if q.At != flows.NoTime && q.At != 0 {
		ask.Set("at", q.At.String())
	}
	path := flowURL(flow) + "/instances" + ending
	if len(ask) > 0 {
		path += "?" + strings.ReplaceAll(ask.Encode(), "%2C", ",")
	}
	return templ.SafeURL(path)
}

// with is the address of the list after a change; it begins at the first page.
func (v InstanceList) with(change func(*flows.InstanceQuery)) templ.SafeURL {
	q := v.Query
	q.Cursor = ""
	change(&q)
	return listLink(v.Now.Flow.Name, q, v.Since, v.Window, "")
}

func (v InstanceList) csv() templ.SafeURL {
	q := v.Query
	q.Cursor = ""
	return listLink(v.Now.Flow.Name, q, v.Since, v.Window, ".csv")
}

func (v InstanceList) next() templ.SafeURL {
	return v.with(func(q *flows.InstanceQuery) { q.Cursor = v.Page.Next })
}

func (v InstanceList) first() templ.SafeURL { return v.with(func(*flows.InstanceQuery) {}) }

// stateFilter is one filter by state.
type stateFilter struct {
	word string
	href templ.SafeURL
	on   bool
}

// states are the filters: groups first, then each state by itself.
func (v InstanceList) states() []stateFilter {
	f := func(word string, states []flows.State) stateFilter {
		return stateFilter{
			word: word, on: sameStates(states, v.Query.States),
			href: v.with(func(q *flows.InstanceQuery) { q.States = states }),
		}
	}
	list := []stateFilter{f("All", nil), f("In flight", inFlight)}
	for _, s := range inFlight {
		list = append(list, f(listWord(s), []flows.State{s}))
	}
	list = append(list, f("Ended", ended))
	for _, s := range ended {
		list = append(list, f(listWord(s), []flows.State{s}))
	}
	return list
}

func listWord(s flows.State) string {
	word := s.String()
	return strings.ToUpper(word[:1]) + word[1:]
}

func sameStates(a, b []flows.State) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// stateWords is the filter as the form sends it along.
func (v InstanceList) stateWords() string {
	words := make([]string, len(v.Query.States))
	for i, s := range v.Query.States {
		words[i] = s.String()
	}
	return strings.Join(words, ",")
}

// title says in words what is listed.
func (v InstanceList) title() string {
	what := plainNoun(v.Now.Flow.Key)
	words := strings.ToUpper(what[:1]) + what[1:]
	for _, s := range v.states() {
		if s.on && s.word != "All" {
			words = s.word + " " + what
		}
	}
	i := stepIndex(v.Now.Flow, v.Query.Step)
	if v.Query.Counted != "" {
		words += " " + v.countedWords(i)
	}
	if v.Query.Path != nil {
		words += ", on the path " + v.Now.path(v.Query.Path)
	}
	if v.Query.Counted != "" || v.Query.Path != nil {
		return words
	}
	if i >= 0 {
		words += " that wait for " + v.Now.Flow.Steps[i].Title
	}
	return words
}

// countedWords say which of a number's instances are listed: "that reached Packed, last 60 min".
func (v InstanceList) countedWords(step int) string {
	at := ""
	if step >= 0 {
		at = v.Now.Flow.Steps[step].Title
	}
	words := "that " + string(v.Query.Counted)
	switch v.Query.Counted {
	case flows.CountedReached:
		words = "that reached " + cmp.Or(at, "any step")
	case flows.CountedSkipped:
		words = "that skipped " + cmp.Or(at, "a step")
	case flows.CountedErrors:
		words = "with failed tries"
	case flows.CountedConforming:
		words = "that completed as the model says"
	case flows.CountedDeviating:
		words = "that completed, but not as the model says"
	case flows.CountedCancelled, flows.CountedResolved, flows.CountedExpired:
		words = "that were " + string(v.Query.Counted)
	}
	if at != "" && v.Query.Counted != flows.CountedReached && v.Query.Counted != flows.CountedSkipped {
		words += " at " + at
	}
	return words + ", " + v.windowWords()
}

// windowWords name the length of time over which Counted counts.
func (v InstanceList) windowWords() string {
	switch {
	case v.Query.Over == 0:
		return "all history"
	case v.Query.Over == time.Hour:
		return RangeHour.window()
	}
	return "last" + nb + span(v.Query.Over)
}

// withoutCounted is the list of all states.
func (v InstanceList) withoutCounted() templ.SafeURL {
	return v.with(func(q *flows.InstanceQuery) { q.Counted, q.Over, q.Step, q.Path = "", 0, "", nil })
}

// total is how many there are in all, where a live number says so.
func (v InstanceList) total() (int, bool) {
	if v.Since != "" || v.AtPast || v.Query.Counted != "" || v.Query.Path != nil {
		return 0, false
	}
	h := v.Now.Health
	if v.Query.Step != "" {
		for _, s := range h.Steps {
			if s.Step == v.Query.Step && sameStates(v.Query.States, inFlight) {
				return s.Waiting, true
			}
		}
		return 0, false
	}
	switch {
	case sameStates(v.Query.States, inFlight):
		return h.InFlight, true
	case sameStates(v.Query.States, []flows.State{flows.Stuck}):
		return h.Stuck, true
	case v.onlyUnknown():
		return h.Unknown, true
	case sameStates(v.Query.States, []flows.State{flows.Held}):
		return h.Held, true
	}
	return 0, false
}

func (v InstanceList) onlyUnknown() bool {
	return sameStates(v.Query.States, []flows.State{flows.Unknown})
}

// shown says how much of the list is on the page, and in which order.
func (v InstanceList) shown() string {
	if v.Page == nil {
		return ""
	}
	n := len(v.Page.Instances)
	if n == 0 && v.Query.Cursor == "" {
		return "none"
	}
	words := count(n)
	if total, ok := v.total(); ok && total > n {
		words += " of " + count(total)
	} else if v.Page.Next != "" {
		words += " and more"
	}
	if v.Query.Cursor != "" {
		words += ", a later page"
	}
	return words + ", " + v.order()
}

func (v InstanceList) order() string {
	switch v.Query.Sort {
	case flows.SortStarted:
		return "last started first"
	case flows.SortValue:
		return "highest value first"
	case flows.SortKey:
		return "by key"
	}
	return "longest wait first"
}

func (v InstanceList) sortedBy(s flows.Sort) bool {
	return v.Query.Sort == s || v.Query.Sort == "" && s == flows.SortAge
}

// sortedHow is the direction of a column that the list is sorted by.
func sortedHow(s flows.Sort) string {
	if s == flows.SortKey {
		return "ascending"
	}
	return "descending"
}

// sinces are the lengths of time that the form offers.
func (v InstanceList) sinces() []silencePreset {
	list := []silencePreset{{"", "ever"}}
	for _, r := range ranges {
		if r.span > 0 {
			list = append(list, silencePreset{string(r.name), r.words + " ago"})
		}
	}
	if v.Since != "" && !slices.ContainsFunc(list, func(p silencePreset) bool { return p.value == v.Since }) {
		list = append(list, silencePreset{v.Since, v.Since})
	}
	return list
}

// waitBegan is what the list is sorted by: since when it is stuck, else its last signal.
func waitBegan(in flows.InstanceRecord) flows.Time {
	if in.State == flows.Stuck && in.Reason != flows.ReasonIdle && known(in.StuckSince) {
		return in.StuckSince
	}
	return in.LastAt
}

func (v InstanceList) stepLabel() string {
	if v.Query.Counted != "" {
		return "At"
	}
	return "Waiting for"
}
