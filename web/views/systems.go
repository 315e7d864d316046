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

// SystemState is a word of FLOWS.md section 7.
type SystemState string

// The states that can be told without a learned rhythm. SystemUnjudged is none of them: the
// numbers stand without a verdict.
const (
	SystemUnjudged SystemState = ""
	SystemUnread   SystemState = "unread"  // what it sent is not read from history yet, or cannot be
	SystemLive     SystemState = "live"    // speaks, or is silent for no longer than it was before in the last hour
	SystemStarved  SystemState = "starved" // silent for longer, and nothing is due from it
	SystemBlind    SystemState = "blind"   // named by a flow, never heard
)

// SystemNow is one system: what was heard from it in the last hour, and what waits for it now.
type SystemNow struct {
	Name    string
	Title   string // "" for its name
	Owner   string // "" where nobody is named
	State   SystemState
	Traffic flows.SystemTraffic
	Steps   []SystemStep // that name it, by flow
}

// SystemStep is a step that waits for a system.
type SystemStep struct {
	Flow                      *flows.Flow
	Step                      int // position in Flow.Steps
	Waiting, Overdue, Reached int
}

// Waiting is how many waits for it there are now, over all its steps.
func (n *SystemNow) Waiting() (sum int) {
	for _, s := range n.Steps {
		sum += s.Waiting
	}
	return sum
}

// Overdue is how many of them are past the limit.
func (n *SystemNow) Overdue() (sum int) {
	for _, s := range n.Steps {
		sum += s.Overdue
	}
	return sum
}

// Fed says that it acts only on what reaches it: each of its steps comes after another one.
func (n *SystemNow) Fed() bool {
	for _, s := range n.Steps {
		if len(s.Flow.Steps[s.Step].After) == 0 {
			return false
		}
	}
	return len(n.Steps) > 0
}

// SystemList is the page /systems.
type SystemList struct {
	Clock
	Systems []SystemNow // by name
	Known   bool        // false where history cannot be read: then there is nothing but what waits
	Bus     []Backlog   // of each stream; nil where the bus does not say
}

// Backlog is what of a stream of the bus is accepted and not stored yet.
type Backlog struct {
	Stream       string
	Messages     uint64        // batches that are not stored
	Oldest       time.Duration // age of the first of them
	Bytes, Limit uint64        // all that is on disk, with what is stored and not removed yet; at Limit signals are refused
}

// Body is the page without its frame.
func (v SystemList) Body() templ.Component { return systemListBody(v) }

// Parts are the live elements.
func (v SystemList) Parts() []Part {
	return []Part{{"systems-stats", SystemsStats(v)}, {"systems", SystemsPanel(v)}}
}

func systemURL(name string) string { return "/systems/" + url.PathEscape(name) }

func (n *SystemNow) title() string { return cmp.Or(n.Title, n.Name) }

// byTitle says that it is shown by another name than it sends.
func (n *SystemNow) byTitle() bool { return n.title() != n.Name }

// look is how the system's state is drawn. A silence that no word explains is amber where
// something is due, else plain.
func (n *SystemNow) look() look {
	switch n.State {
	case SystemLive:
		return lookOK.with("Live")
	case SystemStarved:
		return lookQuiet.with("Starved")
	case SystemBlind:
		return look{"blind", "blind", "Blind"}
	case SystemUnread:
		return lookQuiet.with("Not known yet")
	}
	if n.Overdue() > 0 {
		return lookLate.with("Silent")
	}
	return lookQuiet.with("Silent")
}

// why says what the state rests on.
func (n *SystemNow) why() string {
	switch t := &n.Traffic; {
	case n.State == SystemUnread:
		return "not read from history yet"
	case n.State == SystemBlind:
		return "named by a flow, never heard"
	case n.State == SystemStarved:
		return "nothing is due from it"
	case n.State == SystemLive && t.LongestGap > 0:
		return "longest gap " + span(t.LongestGap)
	case n.State == SystemLive:
		return "no gap over " + span(t.Resolution)
	case t.Buckets == nil:
		return "nothing in the last hour"
	default:
		return "longer than its longest gap, " + span(max(t.LongestGap, t.Resolution))
	}
}

// neverWord stands for when it was heard last, where nothing is known of that.
func (n *SystemNow) neverWord() string {
	if n.State == SystemUnread {
		return "–"
	}
	return "never"
}

func (n *SystemNow) rateWord() string {
	if n.State == SystemUnread {
		return "–"
	}
	return rate(n.perMinute())
}

func (n *SystemNow) perMinute() float64 { return float64(n.Traffic.Signals) / 60 }

// minutes are the receptions of each of the last sixty minutes.
func (n *SystemNow) minutes() []float64 { return regrouped(n.Traffic.Buckets, 60) }

// regrouped adds neighbours up until n are left.
func regrouped(buckets []int, n int) []float64 {
	if len(buckets) == 0 {
		return nil
	}
	list := make([]float64, n)
	for i, v := range buckets {
		list[i*n/len(buckets)] += float64(v)
	}
	return list
}

// flows names the flows that wait for it.
func (n *SystemNow) flows() []*flows.Flow {
	var list []*flows.Flow
	for _, s := range n.Steps {
		if !slices.Contains(list, s.Flow) {
			list = append(list, s.Flow)
		}
	}
	return list
}

// clockWords says how its clock stands to ours, as far as arrivals tell.
func (n *SystemNow) clockWords() string {
	t := &n.Traffic
	switch {
	case t.Judged == 0:
		return "–"
	case t.Least < -time.Second:
		return span(-t.Least) + " ahead"
	}
	return "not ahead"
}

func (n *SystemNow) delayWords() string {
	if n.Traffic.Judged == 0 {
		return "–"
	}
	return span(max(n.Traffic.P50, 0)) + " · " + span(max(n.Traffic.P99, 0))
}

func (v SystemList) stats() []stat {
	var live, silent, blind, waiting, overdue, skewed int
	perMinute := 0.0
	var late []string
	for i := range v.Systems {
		n := &v.Systems[i]
		waiting, overdue, skewed, perMinute = waiting+n.Waiting(), overdue+n.Overdue(), skewed+n.Traffic.Skewed, perMinute+n.perMinute()
		switch n.State {
		case SystemLive:
			live++
		case SystemBlind:
			blind++
		case SystemUnread:
		default:
			silent++
			late = append(late, n.Name)
		}
	}
	here := safe("#systems")
	silence := stat{means: "systems-silent", label: "Unusually silent", value: count(silent), note: "no rhythm learned: no verdict", href: here}
	if len(late) > 0 {
		silence.note = strings.Join(late[:min(len(late), 3)], ", ")
	}
	due := stat{means: "systems-waiting", label: "Waits for a system", value: count(waiting), note: "none past its limit", href: here}
	if overdue > 0 {
		due.class, due.note = "stuck", count(overdue)+" past the limit"
	}
	list := []stat{
		{means: "systems-live", label: "Speaking", value: count(live), unit: " of " + count(len(v.Systems)), note: "systems, last hour", href: here},
		silence,
		{means: "systems-blind", label: "Never heard", value: count(blind), note: "named by a flow", href: here},
		{means: "systems-rate", label: "Signals", value: rate(perMinute), unit: "/min", note: "wanted or not, last 60" + nb + "min", href: here},
		due,
		{means: "systems-skew", label: "Far off in time", value: count(skewed), note: "1 h early or 1 y late", href: here},
	}
	if !v.Known {
		for _, i := range []int{0, 1, 2, 3, 5} { // all but what waits
			list[i].value, list[i].unit, list[i].note = "–", "", "not read from history yet"
		}
	}
	list = sourced(list, "")
	if v.Bus != nil {
		list = append(list, v.backlog())
	}
	return list
}

// backlog is what is accepted and not stored yet, the oldest of all streams. What is stored within a second is none.
func (v SystemList) backlog() stat {
	s := stat{
		means: "bus-backlog", label: "Waits to be stored", value: "none", note: "stored within a second", href: safe("/metrics"), fresh: "Asked of the bus whenever the page is rendered.",
		source: safe("/metrics"), covers: "The streams of signals and of spans.", unasked: unasked["bus-backlog"],
	}
	var oldest time.Duration
	var owed []string
	full := 0.0
	for _, b := range v.Bus {
		if b.Limit > 0 {
			full = max(full, float64(b.Bytes)/float64(b.Limit))
		}
		if b.Oldest < time.Second {
			continue
		}
		oldest = max(oldest, b.Oldest)
		owed = append(owed, strings.ToLower(b.Stream)+" "+plural(int(b.Messages), "batch", "batches"))
	}
	if oldest > 0 {
		s.value, s.note = waited(oldest), strings.Join(owed, " · ")
	}
	if full > 0.5 {
		s.note += ", the bus is " + percent(full) + " full"
	}
	if full > 0.5 || oldest > 30*time.Second {
		s.class = "late"
	}
	return s
}

// order puts what is waited for past the limit first, then what is silent, then the rest, by name.
func (v SystemList) order() []int {
	list := make([]int, len(v.Systems))
	for i := range list {
		list[i] = i
	}
	rank := func(n *SystemNow) int {
		switch {
		case n.Overdue() > 0:
			return 0
		case n.State == SystemUnjudged:
			return 1
		case n.State == SystemBlind:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(rank(&v.Systems[a]), rank(&v.Systems[b])) })
	return list
}

// commaAfter is what stands behind the i-th of n words.
func commaAfter(i, n int) string {
	if i < n-1 {
		return ", "
	}
	return ""
}
