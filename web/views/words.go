package views

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// look is a state as pages draw it: its class, icon and word.
type look struct{ class, icon, word string }

var (
	lookOK    = look{"ok", "ok", "On track"}
	lookLate  = look{"late", "late", "Late"}
	lookStuck = look{"stuck", "stuck", "Stuck"}
	// Unknown is what waits behind systems that cannot be heard, or for spans that sampling may
	// have left out: a dashed outline, never a colour of good or bad.
	lookUnknown = look{"deaf", "deaf", "Unknown"}
	lookQuiet   = look{"quiet", "quiet", "Quiet"}
	lookRestore = look{"quiet", "restore", "Restoring"}
)

func (l look) with(word string) look {
	l.word = word
	return l
}

// calm is the look in a list of many: the filled shape is for the one that needs a person.
func (l look) calm() look {
	if l.class == "stuck" {
		l.class = "stuck acked"
	}
	return l
}

// look is the flow's state. Steps whose slowest took longer than their limit make a flow late
// that is well otherwise: a line with a warning on it is not "On track".
func (f FlowNow) look() look {
	if f.Health.Restoring {
		return lookRestore
	}
	switch f.Health.Health {
	case flows.HealthStuck:
		return f.stuckLook()
	case flows.HealthUnknown:
		return lookUnknown
	case flows.HealthLate:
		return lookLate
	case flows.HealthOK:
		if slices.ContainsFunc(f.steps(), func(s stepNow) bool { return s.state == lookLate }) {
			return lookLate
		}
		return lookOK
	}
	return lookQuiet
}

// stuckLook is filled unless somebody has every step that is stuck.
func (f FlowNow) stuckLook() look {
	had, any := f.Had[""]
	if any && !had {
		return lookStuck
	}
	for _, s := range f.steps() {
		if s.state != lookStuck {
			continue
		}
		if !s.had {
			return lookStuck
		}
		any = true
	}
	if !any { // past a limit, and no alert yet
		return lookStuck
	}
	return lookStuck.calm()
}

// needsCare is the badness from which on a flow needs attention.
const needsCare = 3

// badness orders flows: worst first.
func (f FlowNow) badness() int {
	switch f.look() {
	case lookStuck, lookStuck.calm():
		return 5
	case lookUnknown:
		return 4
	case lookLate:
		return needsCare
	case lookRestore:
		return 2
	case lookOK:
		return 1
	}
	return 0
}

func stateLook(s flows.State) look {
	switch s {
	case flows.Stuck:
		return lookStuck
	case flows.Unknown:
		return lookUnknown
	case flows.Completed:
		return lookOK.with("Completed")
	case flows.Resolved:
		return lookOK.with("Resolved")
	case flows.Failed:
		return look{"ended", "ended", "Failed"}
	case flows.Cancelled:
		return look{"ended", "ended", "Cancelled"}
	case flows.Expired:
		return lookLate.with("Expired")
	case flows.Held:
		return lookQuiet.with("Held")
	}
	return lookOK.with("In flight")
}

// rowClass marks the left edge of a table row.
func rowClass(l look) string {
	switch l.class {
	case "stuck", "late", "deaf":
		return "is-" + l.class
	case "stuck acked":
		return "is-stuck"
	}
	return ""
}

// stepNow is one step with its numbers.
type stepNow struct {
	flows.Step
	flows.StepHealth
	pos   int
	exit  bool
	state look
	had   bool // somebody has what is stuck here: drawn calm
	// Where nothing reached it, usual is how many instances do in such a window, nil for not known. It is starved where that is
	// not by chance, and nothing waits for it: what is wrong is before it.
	usual   *float64
	starved bool
}

// look is the state as it is drawn.
func (s stepNow) look() look {
	if s.had {
		return s.state.calm()
	}
	return s.state
}

// steps pairs the flow's steps with their numbers; a step without numbers has none.
func (f FlowNow) steps() []stepNow {
	health := make(map[string]flows.StepHealth, len(f.Health.Steps))
	for _, h := range f.Health.Steps {
		health[h.Step] = h
	}
	list := make([]stepNow, len(f.Flow.Steps))
	for i, step := range f.Flow.Steps {
		h := health[step.ID]
		list[i] = stepNow{
			Step: step, StepHealth: h, pos: i, state: stepLook(step, h),
			exit: step.End == flows.Failed || step.End == flows.Cancelled, had: f.Had[step.ID],
		}
		if h.Reached == 0 && f.Compared() {
			list[i].starve(f)
		}
	}
	return list
}

func stepLook(s flows.Step, h flows.StepHealth) look {
	switch {
	case h.Stuck > 0:
		return lookStuck
	case h.Unknown > 0:
		return lookUnknown
	case slow(s, h):
		return lookLate
	case h.Reached == 0 && h.Waiting == 0:
		return lookQuiet
	}
	return lookOK
}

// slow says that the slowest of those that passed took longer than the step allows.
func slow(s flows.Step, h flows.StepHealth) bool {
	return s.Within > 0 && h.Latency.P99 != nil && seconds(*h.Latency.P99) > s.Within
}

// summary is the line below a flow's name.
func (f FlowNow) summary() string {
	if f.Health.Restoring {
		return "reading back what it knew"
	}
	var stuck, late []string
	for _, s := range f.steps() {
		switch s.state.class {
		case "stuck":
			stuck = append(stuck, s.Title)
		case "late":
			late = append(late, s.Title)
		}
	}
	switch {
	case len(stuck) > 0:
		return listed(stuck) + " stuck"
	case f.Health.Stuck > 0:
		return "idle for longer than " + span(f.Flow.Idle)
	case f.Health.Unknown > 0:
		return count(f.Health.Unknown) + " cannot be judged"
	case len(late) > 0:
		return listed(late) + " slower than its limit"
	case f.Health.Health == flows.HealthQuiet:
		return "nothing in flight"
	}
	return "all steps on time"
}

// listed names at most two.
func listed(names []string) string {
	switch len(names) {
	case 1:
		return names[0]
	case 2:
		return names[0] + ", " + names[1]
	}
	return names[0] + " and " + plural(len(names)-1, "other step", "other steps")
}

// errorCount are the failed tries of all steps.
func (f FlowNow) errorCount() int {
	n := 0
	for _, s := range f.Health.Steps {
		n += s.Errors
	}
	return n
}

// window names what the numbers cover: "last 60 min", "all history".
func (f FlowNow) window() string { return f.Range.window() }

func (r Range) window() string {
	for _, known := range ranges {
		if known.name == r && known.span > 0 {
			return "last" + nb + strings.ReplaceAll(known.words, " ", nb)
		}
	}
	if r == RangeAll {
		return "all history"
	}
	return "last" + nb + "60" + nb + "min"
}

// perMinute is the rate of starts over the window; false where the window has no length.
func (f FlowNow) perMinute() (float64, bool) {
	if f.Health.WindowSeconds == nil || *f.Health.WindowSeconds <= 0 {
		return 0, false
	}
	return float64(f.Health.Started) / *f.Health.WindowSeconds * 60, true
}

// noun is what instances with this key are called: order_id is an order. many is the plural.
func noun(key string, n int) string {
	one := strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(key, "_id"), "_no"), ".id"), "_", " ")
	if one == "" || strings.ContainsAny(one, ":.") {
		one = "instance"
	}
	if len(one) <= 3 {
		one = strings.ToUpper(one) // an abbreviation: po_id is a PO
	}
	many := one + "s"
	if stem, ok := strings.CutSuffix(one, "y"); ok && !strings.HasSuffix(stem, "a") && !strings.HasSuffix(stem, "e") && !strings.HasSuffix(stem, "o") {
		many = stem + "ies"
	}
	return plural(n, one, many)
}

// called is the noun with a capital and without a number: "Order".
func called(key string) string {
	text := strings.TrimPrefix(noun(key, 1), "1"+nb)
	return strings.ToUpper(text[:1]) + text[1:]
}

// limitWords is a step's limit: "5 min", or "" for none.
func limitWords(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strings.Replace(span(d), markPoint+"0"+nb, nb, 1)
}

func flowURL(flow string) string       { return "/flows/" + url.PathEscape(flow) }
func stepURL(flow, step string) string { return flowURL(flow) + "/steps/" + url.PathEscape(step) }
func modelURL(flow string) string      { return flowURL(flow) + "/model" }
func alertURL(id string) string        { return "/alerts/" + url.PathEscape(id) }

// instanceIn is the page of an instance in an environment; "" is the default one.
func instanceIn(flow, key, environment string) string {
	if environment == "" {
		return instanceURL(flow, key)
	}
	return instanceURL(flow, key) + "?environment=" + url.QueryEscape(environment)
}

func recordURL(r flows.InstanceRecord) string { return instanceIn(r.Flow, r.Key, r.Environment) }

func instanceURL(flow, key string) string {
	return "/instances/" + url.PathEscape(flow) + "/" + url.PathEscape(key)
}

func entityURL(k flows.Key) string {
	return "/entities/" + url.PathEscape(k.Type) + "/" + url.PathEscape(k.Value)
}

// safe makes a link of a path that we made ourselves.
func safe(path string) templ.SafeURL { return templ.SafeURL(path) }

// withRange keeps the page's range along a link, where it is not the default.
func withRange(path string, r Range) templ.SafeURL {
	if r == RangeHour || r == "" {
		return templ.SafeURL(path)
	}
	path, anchor, _ := strings.Cut(path, "#")
	path += "?range=" + url.QueryEscape(string(r))
	if anchor != "" {
		path += "#" + anchor
	}
	return templ.SafeURL(path)
}

// outside says whether a link that a user wrote may be followed: http and https only.
func outside(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
