package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"throughline/flows"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	liveWindow   = time.Hour // the window of the hub's numbers
	maxText      = 1 << 10   // bytes of a search or a cursor: no key is longer
)

// params reads the query of a request. The first fault stays; an empty value is an absent one.
type params struct {
	values url.Values
	fault  *Problem
}

// query refuses parameters that are not among allowed: a misspelt one would silently
// answer another question.
func query(r *http.Request, allowed ...string) *params {
	p := pageQuery(r)
	for name := range p.values {
		if !slices.Contains(allowed, name) {
			p.fail("There is no parameter %q here. Allowed: %s.", shorten(name), listed(allowed))
		}
	}
	return p
}

// pageQuery takes any parameter: people come to pages with links that others made longer.
func pageQuery(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.fail("The query cannot be read: %v. Escape it as in ?key=order_id%%3A4711.", err)
		return p
	}
	for name, all := range values {
		switch {
		case len(all) > 1:
			p.fail("%s is given %d times; give it once, lists with commas.", name, len(all))
		case !utf8.ValidString(all[0]):
			p.fail("%s is not valid UTF-8.", name)
		}
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.fault == nil {
		p.fault = problem(http.StatusBadRequest, format, args...)
	}
}

func (p *params) text(name string) string {
	v := p.values.Get(name)
	if len(v) > maxText {
		p.fail("%s is %d bytes long; at most %d are taken.", name, len(v), maxText)
		return ""
	}
	return v
}

// time reads RFC 3339; a plain date is its midnight in UTC. Absent is NoTime.
func (p *params) time(name string) flows.Time {
	v := p.text(name)
	if v == "" {
		return flows.NoTime
	}
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(v, " ", "+", 1)) // an unescaped + arrives as a space
	if err != nil {
		if t, err = time.Parse(time.DateOnly, v); err != nil {
			p.fail("%s=%s is not a time. Write it as RFC 3339, for example 2026-11-19T03:14:07Z, or as a date.", name, shorten(v))
			return flows.NoTime
		}
	}
	if err := flows.CheckRange(t); err != nil {
		p.fail("%s: %v.", name, err)
		return flows.NoTime
	}
	return flows.At(t)
}

// ordered refuses a span of time that holds nothing.
func (p *params) ordered(from, to flows.Time) {
	if from != flows.NoTime && to != flows.NoTime && from >= to {
		p.fail("from=%s is not before to=%s.", from, to)
	}
}

func (p *params) limit() int {
	v := p.text("limit")
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		p.fail("limit=%s: give a whole number from 1 to %d.", shorten(v), maxLimit)
		return defaultLimit
	}
	return n
}

// window reads a length of time; 0 is all history. Absent is the live window.
func (p *params) window() time.Duration {
	v := p.text("window")
	switch v {
	case "":
		return liveWindow
	case "all":
		return 0
	}
	d, err := parseWindow(v)
	if err != nil {
		p.fail("window: %v. Give a length such as 15m, 1h, 24h, 7d, or all.", err)
		return liveWindow
	}
	return d
}

// parseWindow reads a length of time that is longer than nothing.
func parseWindow(s string) (time.Duration, error) {
	d, err := flows.ParseDuration(s)
	if err == nil && d == 0 {
		err = errors.New("a window of no length holds nothing")
	}
	return d, err
}

// segment reads "region:EU"; the name must be one of the flow's segments.
func (p *params) segment(f *flows.Flow) string {
	v := p.text("segment")
	if v == "" {
		return ""
	}
	name, value, ok := strings.Cut(v, ":")
	if !ok || value == "" {
		p.fail("segment=%s: write it as name:value, for example region:EU.", shorten(v))
		return ""
	}
	if !slices.Contains(f.Segments, name) {
		p.fail("Flow %s has no segment %q. Segments: %s.", f.Name, shorten(name), listed(f.Segments))
		return ""
	}
	return v
}

func (p *params) states() []flows.State {
	v := p.text("state")
	if v == "" {
		return nil
	}
	var states []flows.State
	for word := range strings.SplitSeq(v, ",") {
		state, ok := flows.ParseState(strings.TrimSpace(word))
		if !ok {
			p.fail("state=%s: %q is no state. States: %s.", shorten(v), shorten(word), strings.Join(flows.StateNames(), ", "))
			return nil
		}
		if !slices.Contains(states, state) {
			states = append(states, state)
		}
	}
	return states
}

func (p *params) step(f *flows.Flow) string {
	v := p.text("step")
	if v == "" {
		return ""
	}
	ids := stepIDs(f)
	if !slices.Contains(ids, v) {
		p.fail("Flow %s has no step %q. Steps: %s.", f.Name, shorten(v), listed(ids))
		return ""
	}
	return v
}

// path reads the ids of steps in their order. They may be of steps that other versions of a flow have.
func (p *params) path() []string {
	v := p.text("path")
	if v == "" {
		return nil
	}
	ids := strings.Split(v, ",")
	if slices.Contains(ids, "") {
		p.fail("path=%s: write the ids of steps in their order, for example placed,paid,shipped.", shorten(v))
		return nil
	}
	return ids
}

func stepIDs(f *flows.Flow) []string {
	ids := make([]string, len(f.Steps))
	for i := range f.Steps {
		ids[i] = f.Steps[i].ID
	}
	return ids
}

func (p *params) sort() flows.Sort {
	v := flows.Sort(p.text("sort"))
	switch v {
	case "":
		return flows.SortAge
	case flows.SortAge, flows.SortStarted, flows.SortValue, flows.SortKey:
		return v
	}
	p.fail("sort=%s: sort by age, started, value or key.", shorten(string(v)))
	return flows.SortAge
}

// counted reads which number's instances are asked for, and over what length of time; both
// are nothing where counted is absent.
func (p *params) counted() (flows.Counted, time.Duration) {
	v := flows.Counted(p.text("counted"))
	switch {
	case v == "" && p.text("window") != "":
		p.fail("window says over what time counted counts; give both, as in ?counted=started&window=1h.")
		return "", 0
	case v == "":
		return "", 0
	case !slices.Contains(flows.AllCounted, v):
		names := make([]string, len(flows.AllCounted))
		for i, c := range flows.AllCounted {
			names[i] = string(c)
		}
		p.fail("counted=%s: choose %s.", shorten(string(v)), listed(names))
		return "", 0
	}
	return v, p.window()
}

func (p *params) key() flows.Key {
	v := p.values.Get("key")
	key, err := flows.ParseKey(v)
	switch {
	case v == "":
		p.fail("Say whose timeline: ?key=type:value, for example key=order_id:4711.")
	case len(v) > 2*flows.MaxKeyBytes:
		p.fail("key is %d bytes long; no key is longer than %d.", len(v), flows.MaxKeyBytes)
	case err != nil:
		p.fail("key=%s: write it as type:value, for example order_id:4711.", shorten(v))
	}
	return key
}
