package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// listNames are what a list of instances can be asked, on the page as in the API.
var listNames = []string{"state", "step", "since", "sort", "limit", "cursor", "counted", "window", "path"}

// listOf keeps of a page's query what asks for a list, in one order.
func (p *params) listOf() string {
	asked := url.Values{}
	for _, name := range listNames {
		if v := p.text(name); v != "" {
			asked.Set(name, v)
		}
	}
	return asked.Encode()
}

// listQuery reads what listOf kept. since may be a length of time, too: 60m is so long ago,
// and links stay as they are while time goes on.
func listQuery(f *flows.Flow, list string, at flows.Time, now flows.Time) (flows.InstanceQuery, *Problem) {
	values, err := url.ParseQuery(list)
	p := &params{values: values}
	if err != nil {
		p.fail("The query cannot be read: %v.", err)
		return flows.InstanceQuery{}, p.fault
	}
	counted, over := p.counted()
	q := flows.InstanceQuery{Counted: counted, Over: over, States: p.states(), Step: p.step(f), At: at, Sort: p.sort(), Limit: p.limit(), Cursor: p.text("cursor"), Path: p.path()}
	if d, err := parseWindow(p.text("since")); err == nil && p.text("since") != "" {
		if at != flows.NoTime {
			now = at
		}
		q.Since = now.Add(-d)
	} else {
		q.Since = p.time("since")
	}
	return q, p.fault
}

func (s *Server) loadInstances(ctx context.Context, t target) (loaded, error) {
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return loaded{}, err
	}
	c := t.clock()
	q, fault := listQuery(f, t.list, t.at, c.Now)
	if fault != nil {
		return loaded{}, fault
	}
	asked, _ := url.ParseQuery(t.list)
	v := views.InstanceList{Clock: c, Now: s.flowNow(ctx, f, views.RangeHour), Query: q, Since: asked.Get("since"), Window: asked.Get("window"), AtPast: t.at != flows.NoTime}
	name := fmt.Sprintf("list %s@%s %s %s", f.Name, f.Version, t.list, t.at)
	page, ok, err := ask(ctx, s.past, name, func(ctx context.Context) (flows.InstancePage, error) {
		return s.history.Instances(ctx, f, q)
	})
	if err != nil {
		return loaded{}, err
	}
	if ok {
		v.Page = &page
	}
	shell := s.shell(c, views.PlaceFlows, "Instances · "+f.Title)
	if q.Cursor == "" && !v.AtPast { // a later page stands still: what moved is on the first
		shell.Socket = t.socket()
	}
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(f.Version, t.list), nil
}

var instanceColumns = []string{
	"flow", "key", "state", "reason", "waits_for", "system", "started_at", "last_at", "ended_at", "age_seconds", "stuck_since", "stuck_seconds",
	"value", "currency", "conforming", "deviations", "version",
}

// instanceTable is the list of instances as a file, and the cursor behind it. Where nobody limits it, it is read at once: history is then
// read once, not again for each page.
func (s *Server) instanceTable(ctx context.Context, f *flows.Flow, q flows.InstanceQuery, limited bool) (rows [][]string, next string, err error) {
	if !limited {
		q.Limit = flows.MaxListed
	}
	page, err := s.history.Instances(ctx, f, q)
	if err != nil {
		return nil, "", err
	}
	for i := range page.Instances {
		r := &page.Instances[i]
		rows = append(rows, instanceCells(r, judgedAt(r, page.AsOf, q.At)))
	}
	return rows, page.Next, nil
}

func instanceCells(r *flows.InstanceRecord, asOf flows.Time) []string {
	waits, system := r.ReasonStep, r.System
	if waits == "" && len(r.WaitingOn) > 0 {
		waits, system = r.WaitingOn[0].Step, r.WaitingOn[0].System
	}
	amount := ""
	if r.Amount.Valid {
		amount = flows.FormatAmount(r.Currency, r.Amount.Decimal())
	}
	deviations := make([]string, len(r.Deviations))
	for i, d := range r.Deviations {
		deviations[i] = string(d)
	}
	end := asOf
	if r.EndedAt != flows.NoTime {
		end = r.EndedAt
	}
	return []string{
		r.Flow, r.Key, r.State.String(), string(r.Reason), waits, system, timeCell(r.StartedAt), timeCell(r.LastAt), timeCell(r.EndedAt),
		secondsCell(time.Duration(secondsSince(r.StartedAt, end) * float64(time.Second))), timeCell(r.StuckSince), secondsCell(stuckFor(r, asOf)),
		amount, r.Currency, boolCell(r.Conforming), strings.Join(deviations, " "), r.Version,
	}
}
