package views

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// Clock says at which instant, in which zone and with which numbers a page is written.
type Clock struct {
	Now    flows.Time
	Zone   *time.Location // nil is UTC
	Locale Locale
}

// Place is an entry of the main navigation.
type Place string

// The places. PlaceNone marks no entry as current.
const (
	PlaceNone     Place = ""
	PlaceOverview Place = "overview"
	PlaceFlows    Place = "flows"
	PlaceAlerts   Place = "alerts"
	PlaceSystems  Place = "systems"
	PlaceSearch   Place = "search"
)

// Shell is what surrounds every page.
type Shell struct {
	Clock
	Title      string // of the page; the product's name is added
	Scope      string // name of the deployment beside the product's; "" for none
	Place      Place
	Query      string     // text in the search box
	Socket     string     // path and query of the websocket; "" for a page that is not live
	Unread     bool       // some of the page is not read from history yet
	Bare       bool       // nothing of it is: it asks again by itself
	AsOf       flows.Time // instant of the newest numbers; NoTime or 0 for none
	OpenAlerts int
	Notices    Notices
	Assets     Assets
	// Kind names what the page is made of: its parts by id and whatever else cannot be morphed
	// in place. When a later rendering has another Kind, open pages load themselves anew.
	// KindOf makes it.
	Kind string
}

// Assets are the URLs of what every page loads.
type Assets struct {
	CSS, JS, Icon string
}

// Notices are what a person must know before believing the numbers.
type Notices struct {
	Restoring   bool          // the engine has not caught up: no verdicts yet
	Faults      []flows.Fault // of the flow files that were refused
	HistoryAway flows.Time    // since when history cannot be read; NoTime or 0 while it can
	Bounds      []Bound       // that were reached since the process began
}

// Bound is one that was reached, and what that touched.
type Bound struct {
	Count         int
	One, Many     string // what is counted
	Means, Advice string // sentences
	Links         []Link // to some of them; may be empty
}

// shownLinks is how many of what a bound touched are named.
const shownLinks = 5

func (b Bound) shown() []Link { return b.Links[:min(len(b.Links), shownLinks)] }

// Part is one live element: what Body renders is one element with this id.
type Part struct {
	ID   string
	Body templ.Component
}

// Parts are the live elements outside the page's own.
func (s Shell) Parts() []Part {
	return []Part{
		{"page-version", pageVersion(s)},
		{"asof", asOf(s)},
		{"notices", notices(s.Clock, s.Notices)},
		{"nav-alerts", navCount("nav-alerts", s.OpenAlerts)},
		{"tab-alerts", navCount("tab-alerts", s.OpenAlerts)},
	}
}

// KindOf is a short name for a page whose parts are these; more tells apart pages that have
// the same parts.
func KindOf(parts []Part, more ...string) string {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p.ID))
		h.Write([]byte{0})
	}
	for _, m := range more {
		h.Write([]byte{1})
		h.Write([]byte(m))
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

func (s Shell) documentTitle() string {
	if s.Title == "" {
		return "Throughline"
	}
	return s.Title + " · Throughline"
}

// known says whether t was set: views take the zero Time for "not known", too.
func known(t flows.Time) bool { return t != flows.NoTime && t != 0 }

// domID makes a name usable as an id and in the selector "#id" without escaping. Flow names
// are such names already.
func domID(prefix, name string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, r := range name {
		if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			b.WriteRune(r)
			continue
		}
		b.WriteByte('_')
		b.WriteString(strconv.FormatInt(int64(r), 16))
	}
	return b.String()
}

// historyWord is how history is, for the diagnostics.
func historyWord(n Notices) string {
	if known(n.HistoryAway) {
		return "cannot be read"
	}
	return "is read"
}

func (n Notices) any() bool {
	return n.Restoring || known(n.HistoryAway) || len(n.Faults) > 0 || len(n.Bounds) > 0
}

// shownFaults is how many faults a notice lists; the rest is counted.
const shownFaults = 5

func (n Notices) shown() []flows.Fault { return n.Faults[:min(len(n.Faults), shownFaults)] }

func (n Notices) files() int {
	names := make(map[string]struct{}, len(n.Faults))
	for _, f := range n.Faults {
		names[f.File] = struct{}{}
	}
	return len(names)
}

func (b Bound) words() string { return plural(b.Count, b.One, b.Many) }

// moreWords is ", and 2 more".
func moreWords(n int) string {
	if n == 0 {
		return ""
	}
	return ", and " + count(n) + nb + "more"
}
