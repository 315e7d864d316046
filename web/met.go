package web

import (
	"net/url"

	"throughline/flows"
	"throughline/web/views"
)

// Met is what the engine met since the process began: how many of each flow's signals found
// their instance, and which bounds were reached.
type Met struct {
	Coverage   map[string]views.Coverage // by flow
	CommonKeys []CommonKey               // the first ones
	Full       []FullInstance            // the first ones

	Common          int // keys whose links are void
	CommonTraces    int // traces with too many signals, which give no keys
	TracesForgotten int // traces that made room for others
	Overfull        int // signals that full instances did not take
	GivenUp         int // signals that waited for too long, or among too many
	Far             int // times that links led beyond their bounds
	Missed          int // changes of keys with too many others around
	// Unfit says that a primary key is among the common ones: the state is not saved any more.
	Unfit bool
}

// CommonKey is a key with so many partners that its links are void.
type CommonKey struct {
	flows.Key
	Environment string
}

// FullInstance is one with so many signals that it takes no more.
type FullInstance struct {
	Flow string
	flows.Key
	Environment string
}

// coverage is that of one flow; nil where it is not known.
func (m Met) coverage(flow string) *views.Coverage {
	if c, ok := m.Coverage[flow]; ok {
		return &c
	}
	return nil
}

// bounds say which bounds were reached, what that touched, and what to do.
func (m Met) bounds() []views.Bound {
	var list []views.Bound
	add := func(n int, one, many, means, advice string, links ...views.Link) {
		if n > 0 {
			list = append(list, views.Bound{Count: n, One: one, Many: many, Means: means, Advice: advice, Links: links})
		}
	}
	add(m.Common, "key is linked to too many others", "keys are linked to too many others", "Their links are void: signals with nothing else find no instance.",
		"Raise partners of the type in keys.yaml, or take the type out of links.", m.commonLinks()...)
	if m.Unfit {
		list = append(list, views.Bound{
			Count: 1, One: "flow's own key is among them", Many: "flows' own keys are among them", Means: "The state is not saved any more: a restart reads the stored signals, which takes as long as importing them.",
			Advice: "See what sends that key: a value such as null is no key, and pattern in keys.yaml refuses it.",
		})
	}
	add(m.Overfull, "signal came to an instance that is full", "signals came to instances that are full", "They are stored, and count nowhere: an instance takes 20,000.",
		"See what sends that key: a value such as null is no key, and pattern in keys.yaml refuses it.", m.fullLinks()...)
	add(m.GivenUp, "signal waited in vain for a link to an instance", "signals waited in vain for a link to an instance", "They waited for too long, or among 500,000 others; they are stored, and count nowhere.",
		"throughline_engine_producer_given_up on /metrics names who sends them: they lack a key of the flow.")
	add(m.CommonTraces, "trace has too many signals", "traces have too many signals", "It gives no key to signals that carry none.", "See which program never ends its trace.")
	add(m.TracesForgotten, "trace made room for others", "traces made room for others", "Signals that carry nothing but such a trace find no instance.", "Have their sender put a key on them.")
	add(m.Far, "time a link led too far", "times links led too far", "What is beyond belongs to other instances.", "Take out of links what does not tell what belongs together.")
	add(m.Missed, "change of a key had too many signals around it", "changes of keys had too many signals around them", "Some of them stay where they were.", "Take out of links what does not tell what belongs together.")
	return list
}

func (m Met) commonLinks() []views.Link {
	var links []views.Link
	for _, k := range m.CommonKeys {
		links = append(links, views.Link{Text: k.String(), Href: "/entities/" + url.PathEscape(k.Type) + "/" + url.PathEscape(k.Value)})
	}
	return links
}

func (m Met) fullLinks() []views.Link {
	var links []views.Link
	for _, in := range m.Full {
		links = append(links, views.Link{Text: in.String(), Href: instancePath(in.Flow, in.Value, in.Environment)})
	}
	return links
}
