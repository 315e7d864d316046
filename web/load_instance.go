package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"throughline/flows"
	"throughline/web/views"
)

func (s *Server) loadInstance(ctx context.Context, t target) (loaded, error) {
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return loaded{}, err
	}
	name := fmt.Sprintf("instance %s@%s %q %s", f.Name, f.Version, t.key, t.at)
	detail, ok, err := ask(ctx, s.past, name, func(ctx context.Context) (flows.InstanceDetail, error) {
		return s.history.Instance(ctx, f, t.key, t.at)
	})
	switch {
	case errors.Is(err, flows.ErrNotFound):
		return loaded{}, noInstance(f, t.key)
	case err != nil:
		return loaded{}, err
	case !ok:
		return loaded{}, s.past.unreadOr(problem(http.StatusServiceUnavailable, "Stored history cannot be read now. What is live goes on; this page shows the instance as soon as history is back."))
	}
	c := t.clock()
	usual := s.flowNow(ctx, f, views.RangeHour)
	v := views.InstanceTimeline{
		Clock: c, Flow: f, Detail: detail, AtPast: t.at != flows.NoTime, Usual: &usual, Said: s.saidBy(ctx, &detail), Common: s.commonOf(&detail),
		Resolves: s.Resolve != nil, Reader: t.reader,
	}
	if detail.ReasonStep != "" && detail.State == flows.Stuck { // the others are in no alert
		v.Alerts = s.openAlerts(f.Name, detail.ReasonStep)
		v.Before, v.After = s.neighbours(ctx, f, &detail.InstanceRecord)
	}
	shell := s.shell(c, views.PlaceFlows, detail.Key+" · "+f.Title)
	if v.AtPast {
		v.Now = t.at
	} else {
		shell.Socket = t.socket()
	}
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(f.Version), nil
}

// saidBy is what the failed spans of an instance said, as far as stored spans tell.
func (s *Server) saidBy(ctx context.Context, d *flows.InstanceDetail) map[string]string {
	var traces []string
	for _, g := range d.Signals {
		if g.Failed && g.TraceID != "" {
			traces = append(traces, g.TraceID)
		}
	}
	if len(traces) == 0 {
		return nil
	}
	slices.Sort(traces)
	traces = slices.Compact(traces)
	said, _, _ := ask(ctx, s.past, "said "+strings.Join(traces, " "), func(ctx context.Context) (map[string]string, error) {
		return s.history.Failures(ctx, traces)
	})
	return said
}

// commonOf are those of its keys whose links are void because they have too many.
func (s *Server) commonOf(d *flows.InstanceDetail) []flows.Key {
	all := s.Met().CommonKeys
	if len(all) == 0 {
		return nil
	}
	var list []flows.Key
	for _, g := range d.Signals {
		for _, k := range g.Keys {
			if slices.Contains(all, CommonKey{Key: k, Environment: d.Environment}) && !slices.Contains(list, k) {
				list = append(list, k)
			}
		}
	}
	return list
}

// neighbours are the keys of the instances that wait a little longer and shorter for the same
// step, in the same environment, among the longest waits.
func (s *Server) neighbours(ctx context.Context, f *flows.Flow, r *flows.InstanceRecord) (before, after string) {
	if r.State != flows.Stuck {
		return "", ""
	}
	page := s.instances(ctx, f, r.ReasonStep, listLength, flows.Stuck)
	if page == nil {
		return "", ""
	}
	all := slices.DeleteFunc(slices.Clone(page.Instances), func(o flows.InstanceRecord) bool { return o.Environment != r.Environment })
	at := slices.IndexFunc(all, func(o flows.InstanceRecord) bool { return o.Key == r.Key })
	if at > 0 {
		before = all[at-1].Key
	}
	if at >= 0 && at+1 < len(all) {
		after = all[at+1].Key
	}
	return before, after
}

// formResolve is POST /instances/{flow}/{key}/resolve: the call of that name, from a page.
func (s *Server) formResolve(w http.ResponseWriter, r *http.Request) (Alert, error) {
	f, err := s.flow(r)
	if err != nil {
		return Alert{}, err
	}
	by, err := signed(w, r)
	if err != nil {
		return Alert{}, err
	}
	note, fault := checkNote(r.PostForm.Get("note"))
	if fault != nil {
		return Alert{}, fault
	}
	if by != someone {
		note = by + ": " + note
	}
	environment := r.PostForm.Get("environment")
	if err := s.resolve(r.Context(), f, flows.InstanceKey(r.PathValue("key"), environment), note); err != nil {
		return Alert{}, err
	}
	return Alert{}, nil
}

// instancePath is the page of an instance.
func instancePath(flow, key, environment string) string {
	path := "/instances/" + url.PathEscape(flow) + "/" + url.PathEscape(key)
	if environment != "" {
		path += "?environment=" + url.QueryEscape(environment)
	}
	return path
}
