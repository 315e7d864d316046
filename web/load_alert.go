package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// openAlerts are the firing alerts of a flow and step, "" for any: first those that nobody
// has, last those that nobody is told of.
func (s *Server) openAlerts(flow, step string) []views.Alert {
	var open []views.Alert
	for _, a := range s.hub.Alerts() {
		if a.ResolvedAt != flows.NoTime || flow != "" && a.Flow != flow || step != "" && a.Step != step {
			continue
		}
		open = append(open, s.viewAlert(a))
	}
	slices.SortStableFunc(open, func(a, b views.Alert) int {
		return cmp.Compare(a.Quietness(), b.Quietness())
	})
	return open
}

// had are the steps of a flow whose open alerts all have somebody, or tell nobody.
func (s *Server) had(flow string) map[string]bool {
	var had map[string]bool
	for _, a := range s.hub.Alerts() {
		if a.Flow != flow || a.ResolvedAt != flows.NoTime {
			continue
		}
		if had == nil {
			had = map[string]bool{}
		}
		calm, other := had[a.Step]
		had[a.Step] = (calm || !other) && (a.Ack.Given() || a.Silenced)
	}
	return had
}

// episodes are all alerts that are kept, those that came back once for each time that they were open.
func (s *Server) episodes() []views.Alert {
	var list []views.Alert
	for _, a := range s.hub.Alerts() {
		v := s.viewAlert(a)
		list = append(list, v)
		for _, e := range a.Earlier {
			v.StartsAt, v.ResolvedAt, v.Ack = e.StartsAt, e.ResolvedAt, e.Ack
			v.Silenced, v.Silences, v.Log, v.Earlier = false, nil, nil, nil
			list = append(list, v)
		}
	}
	return list
}

// viewAlert adds what the flow knows: the limit that was passed, and whose key names the instances.
func (s *Server) viewAlert(a Alert) views.Alert {
	v := views.Alert{Cohort: a.Cohort, ID: a.ID, StartsAt: a.StartsAt, ResolvedAt: a.ResolvedAt, Silenced: a.Silenced, Ack: a.Ack, Silences: a.Silences, Log: a.Log, Earlier: a.Earlier, Acts: s.OnCall != nil}
	f, ok := s.rules.Set().Flow(a.Flow)
	if !ok {
		return v
	}
	v.Key = f.Key
	if a.Reason == flows.ReasonIdle {
		v.Limit = f.Idle
	} else if i := slices.Index(stepIDs(f), a.Step); i >= 0 {
		v.Limit = f.Steps[i].Within
	}
	return v
}

func (s *Server) loadAlerts(t target) (loaded, error) {
	c := t.clock()
	v := views.AlertList{Clock: c, Open: s.openAlerts("", "")}
	for _, a := range s.hub.Alerts() {
		if a.ResolvedAt != flows.NoTime {
			v.Resolved = append(v.Resolved, s.viewAlert(a))
		}
	}
	shell := s.shell(c, views.PlaceAlerts, "Alerts")
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(), nil
}

func (s *Server) loadAlert(ctx context.Context, t target) (loaded, error) {
	a, ok := s.alert(t.id)
	if !ok {
		return loaded{}, problem(http.StatusNotFound, "There is no alert %q, or it was resolved more than a day ago.", shorten(t.id)).
			onPage("", views.Link{Text: "Alerts", Href: "/alerts", Note: "open, and resolved in the last day"})
	}
	c := t.clock()
	v := views.AlertDetail{Clock: c, Alert: s.viewAlert(a), Reader: t.reader}
	f, ok := s.rules.Set().Flow(a.Flow)
	if ok {
		now := s.withUsual(s.flowsNow(ctx, []*flows.Flow{f}, views.RangeHour), c)[0]
		v.Now = &now
		if a.ResolvedAt == flows.NoTime {
			v.Instances = s.members(ctx, f, a)
		}
		s.evidence(ctx, f, a, &v)
	}
	shell := s.shell(c, views.PlaceAlerts, a.Title)
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(), nil
}

// members are the instances of an alert: the stuck of its step and reason.
func (s *Server) members(ctx context.Context, f *flows.Flow, a Alert) *flows.InstancePage {
	page := s.instances(ctx, f, a.Step, shortLength, flows.Stuck)
	if page == nil {
		return nil
	}
	own := *page
	own.Instances = slices.DeleteFunc(slices.Clone(page.Instances), func(r flows.InstanceRecord) bool { return r.Reason != a.Reason || r.ReasonStep != a.Step })
	return &own
}

// evidence adds what is known of why: how the tries went, what the stuck share, how many
// waited when. Of an alert that is over it is what changed before it.
func (s *Server) evidence(ctx context.Context, f *flows.Flow, a Alert, v *views.AlertDetail) {
	v.System = s.systemOf(ctx, a)
	v.Changes = s.changesAround(ctx, f, a, a.StartsAt.Add(-v.Alert.Limit))
	at := slices.Index(stepIDs(f), a.Step)
	if at < 0 || a.ResolvedAt != flows.NoTime {
		return
	}
	v.Waits = views.Waits(s.hub.StepTrend(f.Name, at, v.Clock.Now))
	due := a.StartsAt.Add(-f.Steps[at].Within)
	before := due.Add(-time.Hour)
	v.Tries, _, _ = ask(ctx, s.past, fmt.Sprintf("tries %s@%s %s %s", f.Name, f.Version, a.Step, due), func(ctx context.Context) ([]flows.Tries, error) {
		return s.history.Tries(ctx, f.Steps[at].Match, before, a.StartsAt)
	})
	if len(f.Segments) > 0 {
		v.Shared, _, _ = ask(ctx, s.past, fmt.Sprintf("shared %s@%s %s %s", f.Name, f.Version, a.Step, due), func(ctx context.Context) ([]flows.SharedValue, error) {
			return s.history.Shared(ctx, f, a.Step, before)
		})
	}
}

// systemOf is the alert's system as it is heard and waited for; nil where it names none.
func (s *Server) systemOf(ctx context.Context, a Alert) *views.SystemNow {
	list, _, err := s.systemsNow(ctx)
	if err != nil {
		return nil
	}
	if i := slices.IndexFunc(list, func(n views.SystemNow) bool { return n.Name == a.System }); i >= 0 {
		return &list[i]
	}
	return nil
}
