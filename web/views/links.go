package views

import (
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"throughline/flows"
)

// played says that the numbers are of a past instant.
func (f FlowNow) played() bool { return known(f.At) }

// link keeps the page's range and instant along a link.
func (f FlowNow) link(path string) templ.SafeURL {
	if !f.played() {
		return withRange(path, f.Range)
	}
	path, anchor, anchored := strings.Cut(path, "#")
	ask := url.Values{"at": {f.At.String()}}
	if f.Range != RangeHour && f.Range != "" {
		ask.Set("range", string(f.Range))
	}
	path += "?" + ask.Encode()
	if anchored {
		path += "#" + anchor
	}
	return templ.SafeURL(path)
}

func (f FlowNow) query() flows.InstanceQuery {
	q := flows.InstanceQuery{At: flows.NoTime}
	if f.played() {
		q.At = f.At
	}
	return q
}

// list is the list of instances in these states that wait for a step, "" for any.
func (f FlowNow) list(step string, states ...flows.State) templ.SafeURL {
	q := f.query()
	q.Step, q.States = step, states
	return listLink(f.Flow.Name, q, "", "", "")
}

// counted is the list of the instances that a number counts in the page's range.
func (f FlowNow) counted(what flows.Counted, step string) templ.SafeURL {
	q := f.query()
	q.Counted, q.Step = what, step
	return listLink(f.Flow.Name, q, "", f.Range.listWindow(), "")
}

// longestPath bounds, in bytes, what an address says of a path: servers in between take no more.
const longestPath = 4096

// onPath is the list of the instances that took a path; "" where the path is too long for an address.
func (f FlowNow) onPath(steps []string) templ.SafeURL {
	q := f.query()
	q.Counted, q.Path = flows.CountedStarted, steps
	if link := listLink(f.Flow.Name, q, "", f.Range.listWindow(), ""); len(link) <= longestPath {
		return link
	}
	return ""
}

// listWindow is the range as the list's window.
func (r Range) listWindow() string {
	if r == "" {
		return string(RangeHour)
	}
	return string(r)
}

// when names the instant of what is in flight.
func (f FlowNow) when() string {
	if f.played() {
		return "then"
	}
	return "now"
}
