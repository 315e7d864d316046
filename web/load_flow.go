package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// instances asks for a list as it is now; nil where history cannot say.
func (s *Server) instances(ctx context.Context, f *flows.Flow, step string, limit int, states ...flows.State) *flows.InstancePage {
	return s.instancesAt(ctx, f, step, flows.NoTime, limit, states...)
}

func (s *Server) instancesAt(ctx context.Context, f *flows.Flow, step string, at flows.Time, limit int, states ...flows.State) *flows.InstancePage {
	name := fmt.Sprintf("instances %s@%s %s %s %d %v", f.Name, f.Version, step, at, limit, states)
	page, ok, err := ask(ctx, s.past, name, func(ctx context.Context) (flows.InstancePage, error) {
		return s.history.Instances(ctx, f, flows.InstanceQuery{
			States: states, Step: step, Since: flows.NoTime, At: at, Sort: flows.SortAge, Limit: limit,
		})
	})
	if err != nil || !ok {
		return nil
	}
	return &page
}

// flowAt are the numbers of f for a range in hindsight: what the API answers for at.
func (s *Server) flowAt(ctx context.Context, f *flows.Flow, rng views.Range, at flows.Time) (views.FlowNow, error) {
	name := fmt.Sprintf("health %s@%s %s %s", f.Name, f.Version, rng, at)
	h, ok, err := ask(ctx, s.past, name, func(ctx context.Context) (flows.Health, error) {
		return s.history.Health(ctx, f, windowUntil(at, rng.Span()), "")
	})
	if err == nil && !ok {
		err = s.past.unreadOr(problem(http.StatusServiceUnavailable, "Stored history cannot be read now, and the past comes from it. What is live goes on; load this page again in a moment."))
	}
	return views.FlowNow{Flow: f, Health: h, Range: rng, At: at, Capability: s.capabilityTitles()[f.Name]}, err
}

// flowFor are the numbers that a page about f shows: now, or at the instant it asks for.
func (s *Server) flowFor(ctx context.Context, f *flows.Flow, t target) (views.FlowNow, error) {
	if t.at != flows.NoTime {
		return s.flowAt(ctx, f, t.rng, t.at)
	}
	now, err := s.flowsFor(ctx, []*flows.Flow{f}, t.rng)
	if err != nil {
		return views.FlowNow{}, err
	}
	return now[0], nil
}

func (s *Server) loadFlow(ctx context.Context, t target) (loaded, error) {
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return loaded{}, err
	}
	v := views.FlowDetail{Clock: t.clock()}
	live, player := t.at == flows.NoTime, views.Player{}
	if !live {
		var fault *Problem
		if player, fault = play(t, v.Clock.Now); fault != nil {
			return loaded{}, fault
		}
	}
	beside, known := s.beside()
	if !live {
		beside = s // nothing would bring it
	}
	atOnce(
		func() { v.Now, err = s.flowFor(ctx, f, t); known() },
		func() { v.Stuck = beside.instancesAt(ctx, f, "", t.at, shortLength, flows.Stuck) },
		func() { v.Series = beside.series(ctx, f, t.rng, t.at) },
		func() {
			if live {
				v.Variants = beside.variants(ctx, f, t.rng, shortLength)
			} else {
				v.Hour = s.series(ctx, f, views.RangeHour, player.To)
			}
		},
	)
	if err != nil {
		return loaded{}, err
	}
	v.Now = s.withUsual([]views.FlowNow{v.Now}, v.Clock)[0]
	v.Graph = s.graphs.of(f, v.Now.Health.Edges)
	more := []string{f.Version}
	shell := s.shell(v.Clock, views.PlaceFlows, f.Title)
	from, to := v.Clock.Now.Add(-t.rng.Span()), v.Clock.Now
	if !live {
		from, to = min(player.From, t.at.Add(-t.rng.Span())), max(player.To, t.at)
	}
	v.Releases = s.releasesOf(ctx, f, from, to)
	if live {
		v.Alerts = s.openAlerts(f.Name, "")
		shell.Socket = t.socket()
	} else {
		v.Player = &player
		v.Clock.Now, v.Alerts = t.at, s.alertsAt(f.Name, t.at)
		v.Opened = s.opened(f.Name, player.From, player.To)
		shell.AsOf = t.at
		more = append(more, "played")
	}
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(more...), nil
}

func (s *Server) variants(ctx context.Context, f *flows.Flow, rng views.Range, limit int) *flows.Variants {
	found, ok, err := lately(ctx, s.past, fmt.Sprintf("variants %s@%s %s %d", f.Name, f.Version, rng, limit), func(ctx context.Context) (flows.Variants, error) {
		w := windowUntil(flows.NoTime, rng.Span())
		return s.history.Variants(ctx, f, w.From, flows.NoTime, limit)
	})
	if err != nil || !ok {
		return nil
	}
	return &found
}

// series are what started and ended over the range; nil where history cannot say, or the range is all.
func (s *Server) series(ctx context.Context, f *flows.Flow, rng views.Range, at flows.Time) *flows.Series {
	bucket := rng.Bucket()
	if bucket == 0 {
		return nil
	}
	found, ok, err := lately(ctx, s.past, fmt.Sprintf("series %s@%s %s %s", f.Name, f.Version, rng, at), func(ctx context.Context) (flows.Series, error) {
		w := windowUntil(at, rng.Span())
		return s.history.Series(ctx, f, w.From, w.To, bucket)
	})
	if err != nil || !ok {
		return nil
	}
	return &found
}

// alertsAt are the alerts of a flow that were open at an instant, as far as they are kept.
// What they count is not: it is only known for now.
func (s *Server) alertsAt(flow string, at flows.Time) []views.Alert {
	var open []views.Alert
	for _, v := range s.episodes() {
		if v.Flow != flow || v.StartsAt > at || v.ResolvedAt != flows.NoTime && v.ResolvedAt <= at {
			continue
		}
		v.Count, v.AtRisk, v.Since, v.Keys = 0, nil, v.StartsAt, nil
		if v.Ack.At > at {
			v.Ack = flows.Ack{}
		}
		open = append(open, v)
	}
	return open
}

// opened are the alerts of a flow that opened between two instants, the latest first.
func (s *Server) opened(flow string, from, to flows.Time) []views.Alert {
	return slices.DeleteFunc(s.episodes(), func(a views.Alert) bool { return a.Flow != flow || a.StartsAt < from || a.StartsAt > to })
}

// playedFor is how long a player plays.
const playedFor = time.Hour

// play is the hour around what a page shows.
func play(t target, now flows.Time) (views.Player, *Problem) {
	if t.at > now {
		return views.Player{}, problem(http.StatusBadRequest, "at=%s is not past yet: it is %s. Leave at out for what is live.", t.at, now)
	}
	p := views.Player{From: t.from}
	if t.from == flows.NoTime {
		p.From = min(t.at.Add(-playedFor/2), now.Add(-playedFor))
	}
	p.To = min(p.From.Add(playedFor), now)
	if t.at < p.From || t.at > p.To {
		return views.Player{}, problem(http.StatusBadRequest, "at=%s is not in the hour from %s on. Leave from out, or give an instant up to an hour before at.", t.at, p.From)
	}
	return p, nil
}

// getPlayback leads to the last hour of a flow, at its first instant.
func (s *Server) getPlayback(w http.ResponseWriter, r *http.Request) {
	from := clock().Now.Add(-playedFor)
	ask := url.Values{"at": {from.String()}, "from": {from.String()}}
	http.Redirect(w, r, "/flows/"+url.PathEscape(r.PathValue("flow"))+"?"+ask.Encode(), http.StatusSeeOther)
}

// getFrame is a page about a past instant as the parts that a player puts in place of those
// of the frame before, in the words of the sockets.
func (s *Server) getFrame(w http.ResponseWriter, r *http.Request) {
	t, fault := pageTarget(r, viewFlow)
	if fault == nil && t.at == flows.NoTime {
		fault = problem(http.StatusBadRequest, "Say of which instant: ?at=2026-11-19T03:14:07Z.")
	}
	if fault != nil {
		WriteProblem(w, r, *fault)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), historyWithin)
	defer cancel()
	parts, err := s.render(ctx, t)
	if err != nil {
		WriteProblem(w, r, *asProblem(r.Context(), s.log, err))
		return
	}
	writeHTML(w, http.StatusOK, partsHTML(parts))
}

// loadVariants is the page of the paths that instances took.
func (s *Server) loadVariants(ctx context.Context, t target) (loaded, error) {
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return loaded{}, err
	}
	v := views.VariantList{Clock: t.clock()}
	atOnce(
		func() { v.Now, err = s.flowFor(ctx, f, target{rng: t.rng, at: flows.NoTime}) },
		func() { v.Variants = s.variants(ctx, f, t.rng, variantsLength) },
	)
	if err != nil {
		return loaded{}, err
	}
	shell := s.shell(v.Clock, views.PlaceFlows, "Variants · "+f.Title)
	shell.Socket = t.socket()
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(f.Version), nil
}

func (s *Server) loadStep(ctx context.Context, t target) (loaded, error) {
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return loaded{}, err
	}
	step := slices.Index(stepIDs(f), t.step)
	if step < 0 {
		return loaded{}, problem(http.StatusNotFound, "Flow %s has no step %q. Steps: %s.", f.Name, shorten(t.step), listed(stepIDs(f))).
			onPage("", views.Link{Text: f.Title, Href: "/flows/" + url.PathEscape(f.Name), Note: "its steps"})
	}
	v := views.StepDetail{Clock: t.clock(), Step: step}
	beside, known := s.beside()
	if t.at != flows.NoTime {
		beside = s // nothing would bring it
	}
	atOnce(
		func() { v.Now, err = s.flowFor(ctx, f, t); known() },
		func() {
			v.Instances = beside.instancesAt(ctx, f, t.step, t.at, listLength, flows.Stuck, flows.Unknown, flows.Held, flows.Open)
		},
	)
	if err != nil {
		return loaded{}, err
	}
	v.Now = s.withUsual([]views.FlowNow{v.Now}, v.Clock)[0]
	shell := s.shell(v.Clock, views.PlaceFlows, f.Steps[step].Title+" · "+f.Title)
	if t.at == flows.NoTime {
		v.Alerts = s.openAlerts(f.Name, t.step)
		shell.Socket = t.socket()
	} else {
		v.Clock.Now, shell.AsOf = t.at, t.at
	}
	return loaded{shell: shell, body: v.Body(), parts: v.Parts()}.finish(f.Version), nil
}
