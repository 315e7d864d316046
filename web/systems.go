package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// systemWindow is what the numbers of systems cover.
const systemWindow = time.Hour

// systemsNow are all systems by name: those that flows wait for, and those that were heard in
// the last hour. ok is false where history cannot answer.
func (s *Server) systemsNow(ctx context.Context) (list []views.SystemNow, ok bool, err error) {
	list = s.declaredSystems()
	asked := make([]string, len(list))
	for i := range list {
		asked[i] = list[i].Name
	}
	// The instant goes along: a silence is judged when it was seen, not when the page is made.
	type heard struct {
		at      flows.Time
		traffic []flows.SystemTraffic
	}
	answer, ok, err := lately(ctx, s.past, "systems "+strings.Join(asked, "\n"), func(ctx context.Context) (heard, error) {
		now := flows.At(time.Now())
		traffic, err := s.history.Systems(ctx, asked, now.Add(-systemWindow), now)
		return heard{now, traffic}, err
	})
	if err != nil || !ok {
		for i := range list {
			list[i].State = views.SystemUnread
		}
		s.describe(list)
		return list, false, err
	}
	for _, t := range answer.traffic {
		at, found := slices.BinarySearchFunc(list[:len(asked)], t.System, func(n views.SystemNow, name string) int { return strings.Compare(n.Name, name) })
		if found {
			t.Last = max(t.Last, list[at].Traffic.Last)
			list[at].Traffic = t
		} else {
			list = append(list, views.SystemNow{Name: t.System, Traffic: t})
		}
	}
	for i := range list {
		list[i].State = systemState(&list[i], answer.at)
	}
	s.describe(list)
	slices.SortFunc(list, func(a, b views.SystemNow) int { return strings.Compare(a.Name, b.Name) })
	return list, true, nil
}

// describe adds what systems.yaml says.
func (s *Server) describe(list []views.SystemNow) {
	for i := range list {
		if said := s.rules.System(list[i].Name); said != nil {
			list[i].Title, list[i].Owner = said.Title, said.Owner
		}
	}
}

// declaredSystems are those that steps name, with what waits for them now.
func (s *Server) declaredSystems() []views.SystemNow {
	var list []views.SystemNow
	for _, f := range s.rules.Set().Flows() {
		h, _ := s.hub.Health(f.Name)
		for i := range f.Steps {
			step := views.SystemStep{Flow: f, Step: i}
			if f.Steps[i].System == "" {
				continue
			}
			for _, n := range h.Steps {
				if n.Step == f.Steps[i].ID {
					step.Waiting, step.Overdue, step.Reached = n.Waiting, n.Stuck, n.Reached
				}
			}
			at := slices.IndexFunc(list, func(n views.SystemNow) bool { return n.Name == f.Steps[i].System })
			if at < 0 {
				at = len(list)
				list = append(list, views.SystemNow{Name: f.Steps[i].System, Traffic: flows.SystemTraffic{System: f.Steps[i].System, Last: flows.NoTime}})
			}
			list[at].Traffic.Last = max(list[at].Traffic.Last, s.hub.heardAt(f.Name, f.Steps[i].ID))
			list[at].Steps = append(list[at].Steps, step)
		}
	}
	slices.SortFunc(list, func(a, b views.SystemNow) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// systemState is the word of FLOWS.md section 7 that can be told without a learned rhythm;
// views.SystemUnjudged for the rest, which is no verdict. Live: it is silent for no longer than
// it was before in this hour. Starved: silent for longer, and nothing is due from it.
func systemState(n *views.SystemNow, now flows.Time) views.SystemState {
	t := &n.Traffic
	switch silent := now.Sub(t.Last); {
	case t.Last == flows.NoTime:
		return views.SystemBlind
	case t.Buckets != nil && silent <= max(t.LongestGap, t.Resolution):
		return views.SystemLive
	case n.Fed() && n.Waiting() == 0:
		return views.SystemStarved
	}
	return views.SystemUnjudged
}

// systemJSON is a system's outside form.
type systemJSON struct {
	System     string           `json:"system"`
	Title      string           `json:"title"`      // as systems.yaml says; the system's name where it does not
	Owner      string           `json:"owner"`      // likewise; "" for none
	State      *string          `json:"state"`      // null where no word holds
	LastHeard  flows.Time       `json:"last_heard"` // null for never
	Silent     *float64         `json:"silent_seconds"`
	LongestGap float64          `json:"longest_gap_seconds"`
	Signals    int              `json:"signals"`
	PerMinute  float64          `json:"rate_per_minute"`
	Delay      *systemDelayJSON `json:"delay"` // null where nothing was heard
	Skewed     int              `json:"skewed"`
	Waiting    int              `json:"waiting"`
	Overdue    int              `json:"overdue"`
	Steps      []systemStepJSON `json:"steps"`
}

type systemDelayJSON struct {
	Least float64 `json:"least_seconds"`
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
}

type systemStepJSON struct {
	Flow    string `json:"flow"`
	Step    string `json:"step"`
	Waiting int    `json:"waiting"`
	Overdue int    `json:"overdue"`
}

func (s *Server) getSystems(r *http.Request) (any, error) {
	if p := query(r); p.fault != nil {
		return nil, p.fault
	}
	all, ok, err := s.systemsNow(r.Context())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem(http.StatusServiceUnavailable, "Stored history, which knows what arrived from each system, cannot be read now. Ask again in a moment.")
	}
	now := clock().Now
	list := make([]systemJSON, len(all))
	for i := range all {
		list[i] = systemToJSON(&all[i], now)
	}
	return map[string]any{"as_of": now, "window_seconds": systemWindow.Seconds(), "systems": list}, nil
}

func systemToJSON(n *views.SystemNow, now flows.Time) systemJSON {
	t := &n.Traffic
	j := systemJSON{
		System: n.Name, Title: cmp.Or(n.Title, n.Name), Owner: n.Owner, LastHeard: t.Last, LongestGap: t.LongestGap.Seconds(), Signals: t.Signals, PerMinute: float64(t.Signals) / systemWindow.Minutes(),
		Skewed: t.Skewed, Waiting: n.Waiting(), Overdue: n.Overdue(), Steps: make([]systemStepJSON, len(n.Steps)),
	}
	if n.State != views.SystemUnjudged {
		j.State = new(string(n.State))
	}
	if t.Last != flows.NoTime {
		j.Silent = new(max(now.Sub(t.Last), 0).Seconds())
	}
	if t.Judged > 0 {
		j.Delay = &systemDelayJSON{t.Least.Seconds(), t.P50.Seconds(), t.P99.Seconds()}
	}
	for i, step := range n.Steps {
		j.Steps[i] = systemStepJSON{step.Flow.Name, step.Flow.Steps[step.Step].ID, step.Waiting, step.Overdue}
	}
	return j
}

func (s *Server) loadSystems(ctx context.Context, t target) (loaded, error) {
	list, ok, err := s.systemsNow(ctx)
	if err != nil {
		return loaded{}, err
	}
	v := views.SystemList{Clock: t.clock(), Systems: list, Known: ok}
	if s.Backlog != nil {
		v.Bus = s.Backlog(ctx)
	}
	shell := s.shell(v.Clock, views.PlaceSystems, "Systems")
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(), nil
}

func (s *Server) loadSystem(ctx context.Context, t target) (loaded, error) {
	var (
		list            []views.SystemNow
		seen            []flows.SeenSignal
		ok, named       bool
		err, namesFault error
	)
	atOnce(
		func() { list, ok, err = s.systemsNow(ctx) },
		func() {
			seen, named, namesFault = ask(ctx, s.past, fmt.Sprintf("system %q", t.system), func(ctx context.Context) ([]flows.SeenSignal, error) {
				return s.history.SystemNames(ctx, t.system, clock().Now.Add(-systemWindow), listLength)
			})
		},
	)
	if err != nil {
		return loaded{}, err
	}
	at := slices.IndexFunc(list, func(n views.SystemNow) bool { return n.Name == t.system })
	if at < 0 && !ok && s.past.unread.Load() {
		return loaded{}, errUnread
	}
	if at < 0 {
		names := make([]string, len(list))
		for i := range list {
			names[i] = list[i].Name
		}
		return loaded{}, problem(http.StatusNotFound, "No system %q was heard in the last hour, and no flow waits for one. Systems: %s.", shorten(t.system), listed(names)).
			onPage("", views.Link{Text: "Systems", Href: "/systems", Note: "all that are known"})
	}
	v := views.SystemDetail{Clock: t.clock(), Now: list[at], Known: ok, Alerts: s.openAlerts("", "")}
	v.Alerts = slices.DeleteFunc(v.Alerts, func(a views.Alert) bool { return a.System != t.system })
	if named && namesFault == nil {
		v.Names, v.Wanted = seen, s.wantedNames(t.system)
	}
	shell := s.shell(v.Clock, views.PlaceSystems, t.system)
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(), nil
}

// wantedNames are the names of signals that the steps of a system match.
func (s *Server) wantedNames(system string) []views.WantedName {
	var names []views.WantedName
	for _, f := range s.rules.Set().Flows() {
		for i := range f.Steps {
			if m := f.Steps[i].Match; f.Steps[i].System == system {
				names = append(names, views.WantedName{Kind: m.Kind, Name: m.Name, Flow: f, Step: i})
			}
		}
	}
	return names
}

func (s *Server) systemsFile(r *http.Request) (csvFile, error) {
	list, ok, err := s.systemsNow(r.Context())
	if err != nil {
		return csvFile{}, err
	}
	if !ok {
		return csvFile{}, problem(http.StatusServiceUnavailable, "Stored history cannot be read now. Ask again in a moment.")
	}
	now := clock().Now
	file := csvFile{name: "systems", columns: []string{
		"system", "state", "last_heard", "silent_seconds", "longest_gap_seconds", "signals", "rate_per_minute", "delay_least_seconds", "delay_p50_seconds",
		"delay_p99_seconds", "skewed", "waiting", "overdue", "steps",
	}}
	for i := range list {
		j := systemToJSON(&list[i], now)
		delay := cmp.Or(j.Delay, &systemDelayJSON{})
		steps := make([]string, len(j.Steps))
		for n, step := range j.Steps {
			steps[n] = step.Flow + "/" + url.PathEscape(step.Step)
		}
		file.rows = append(file.rows, []string{
			j.System, string(list[i].State), timeCell(j.LastHeard), numberCell(j.Silent), numberCell(&j.LongestGap), fmt.Sprint(j.Signals), numberCell(&j.PerMinute),
			numberCell(&delay.Least), numberCell(&delay.P50), numberCell(&delay.P99), fmt.Sprint(j.Skewed), fmt.Sprint(j.Waiting), fmt.Sprint(j.Overdue), strings.Join(steps, " "),
		})
	}
	return file, nil
}
