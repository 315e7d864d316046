package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// historyWithin bounds one question to History.
const historyWithin = 30 * time.Second

// answer is one API call: it reads the request and returns what becomes the JSON body. An
// error that is not a *Problem becomes one in asProblem.
type answer func(r *http.Request) (any, error)

func (s *Server) api(f answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), historyWithin)
		defer cancel()
		body, err := f(r.WithContext(ctx))
		if err != nil {
			WriteProblem(w, r, *asProblem(r.Context(), s.log, err))
			return
		}
		s.writeJSON(w, r, http.StatusOK, body)
	}
}

func (s *Server) writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		s.log.ErrorContext(r.Context(), "answer cannot be written as JSON", "path", r.URL.Path, "error", err)
		WriteProblem(w, r, *problem(http.StatusInternalServerError, "This answer cannot be written. The server's log says why."))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(append(b, '\n')) //nolint:errcheck // the client is gone, nobody is left to tell
	}
}

// flow is the flow that the path names.
func (s *Server) flow(r *http.Request) (*flows.Flow, error) {
	return s.flowNamed(r.PathValue("flow"))
}

func (s *Server) getFlows(r *http.Request) (any, error) {
	if p := query(r); p.fault != nil {
		return nil, p.fault
	}
	all := s.rules.Set().Flows()
	list := make([]flowJSON, len(all))
	for i, f := range all {
		list[i] = s.flowAnswer(r, f)
	}
	return map[string]any{"flows": list}, nil
}

// liveHealth is what the hub last heard of f, so that the API, the sockets and the pages
// agree; before it heard anything, the stored numbers of the same window.
func (s *Server) liveHealth(ctx context.Context, f *flows.Flow) (flows.Health, error) {
	if h, ok := s.hub.Health(f.Name); ok {
		return h, nil
	}
	now := flows.At(time.Now())
	h, err := s.history.Health(ctx, f, flows.Window{From: now.Add(-liveWindow), To: now}, "")
	h.Restoring = true
	return tidyHealth(h), err
}

// restoring says whether verdicts about a flow wait for the engine to be whole.
func (s *Server) restoring(flow string) bool {
	h, ok := s.hub.Health(flow)
	return !ok || h.Restoring
}

func (s *Server) getHealth(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "window", "at", "segment")
	length, at, segment := p.window(), p.time("at"), p.segment(f)
	if p.fault != nil {
		return nil, p.fault
	}
	if at == flows.NoTime && segment == "" && length == liveWindow {
		h, err := s.liveHealth(r.Context(), f)
		return tidyHealth(h), err
	}
	h, err := s.history.Health(r.Context(), f, windowUntil(at, length), segment)
	h.Restoring = s.restoring(f.Name)
	return tidyHealth(h), err
}

// windowUntil ends at an instant in hindsight, or now where at is NoTime. Length 0 is all.
func windowUntil(at flows.Time, length time.Duration) flows.Window {
	w := flows.Window{From: flows.NoTime, To: at, Hindsight: at != flows.NoTime}
	if !w.Hindsight {
		w.To = flows.At(time.Now())
	}
	if length > 0 {
		w.From = w.To.Add(-length)
	}
	return w
}

// tidyHealth writes empty lists as [], whoever made h.
func tidyHealth(h flows.Health) flows.Health {
	h.Steps, h.Edges = nonNil(h.Steps), nonNil(h.Edges)
	return h
}

func (s *Server) getInstances(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "state", "step", "since", "at", "sort", "limit", "cursor", "counted", "window", "path")
	counted, over := p.counted()
	q := flows.InstanceQuery{
		Counted: counted, Over: over,
		States: p.states(), Step: p.step(f), Since: p.time("since"), At: p.time("at"),
		Sort: p.sort(), Limit: p.limit(), Cursor: p.text("cursor"), Path: p.path(),
	}
	if p.fault != nil {
		return nil, p.fault
	}
	page, err := s.history.Instances(r.Context(), f, q)
	if err != nil {
		return nil, err
	}
	list := make([]instanceJSON, len(page.Instances))
	for i := range page.Instances {
		list[i] = instanceToJSON(&page.Instances[i], judgedAt(&page.Instances[i], page.AsOf, q.At))
	}
	return map[string]any{"instances": list, "next": page.Next, "as_of": page.AsOf}, nil
}

func (s *Server) getInstance(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "at", "environment")
	at, key := p.time("at"), flows.InstanceKey(r.PathValue("key"), p.text("environment"))
	if p.fault != nil {
		return nil, p.fault
	}
	detail, err := s.history.Instance(r.Context(), f, key, at)
	if err != nil {
		return nil, notFoundAs(err, noInstance(f, key))
	}
	asOf := at
	if at == flows.NoTime {
		asOf = flows.At(time.Now())
	}
	return instanceDetailToJSON(&detail, judgedAt(&detail.InstanceRecord, asOf, at)), nil
}

func noInstance(f *flows.Flow, stored string) *Problem {
	key, environment := flows.SplitInstanceKey(stored)
	if environment != "" {
		return problem(http.StatusNotFound, "Flow %s has no instance %q in the environment %q; without that parameter the default one is asked.",
			f.Name, shorten(key), shorten(environment))
	}
	return problem(http.StatusNotFound, "Flow %s has no instance %q. Its key is %s; /api/v1/flows/%s/instances lists what there is.",
		f.Name, shorten(key), f.Key, f.Name).
		onPage(fmt.Sprintf("%s has no instance with the %s %q.", f.Title, f.Key, shorten(key)), searchLink(key),
			views.Link{Text: "All instances of " + f.Title, Href: "/flows/" + url.PathEscape(f.Name) + "/instances"})
}

// notFoundAs puts a sentence that names what was asked in the place of flows.ErrNotFound.
func notFoundAs(err error, p *Problem) error {
	if errors.Is(err, flows.ErrNotFound) {
		return p
	}
	return err
}

func (s *Server) getVariants(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "from", "to", "limit")
	from, to, limit := p.time("from"), p.time("to"), p.limit()
	p.ordered(from, to)
	if p.fault != nil {
		return nil, p.fault
	}
	found, err := s.history.Variants(r.Context(), f, from, to, limit)
	if err != nil {
		return nil, err
	}
	list := make([]variantJSON, len(found.Variants))
	for i, v := range found.Variants {
		list[i] = variantJSON{nonNil(v.Steps), v.Count, v.Share, v.Median.Seconds(), v.Conforming}
	}
	return map[string]any{"variants": list, "total": found.Total}, nil
}

func (s *Server) getDirectlyFollows(r *http.Request) (any, error) {
	f, err := s.flow(r)
	if err != nil {
		return nil, err
	}
	p := query(r, "from", "to")
	from, to := p.time("from"), p.time("to")
	p.ordered(from, to)
	if p.fault != nil {
		return nil, p.fault
	}
	found, err := s.history.DirectlyFollows(r.Context(), f, from, to)
	if err != nil {
		return nil, err
	}
	list := make([]edgeJSON, len(found.Edges))
	for i, e := range found.Edges {
		list[i] = edgeJSON{e.From, e.To, e.Count, e.Median.Seconds()}
	}
	return directlyFollowsJSON{list, counts(found.Starts), counts(found.Ends)}, nil
}

func (s *Server) getTimeline(r *http.Request) (any, error) {
	p := query(r, "key", "limit", "cursor")
	key, limit, cursor := p.key(), p.limit(), p.text("cursor")
	if p.fault != nil {
		return nil, p.fault
	}
	signals, next, err := s.history.Timeline(r.Context(), s.rules.Set().Flows(), key, limit, cursor)
	if err == nil && len(signals) == 0 && cursor == "" {
		err = flows.ErrNotFound
	}
	if err != nil {
		return nil, notFoundAs(err, noKey(s.rules.Set(), key))
	}
	return map[string]any{"key": key.String(), "signals": signalsToJSON(signals), "next": next}, nil
}

func noKey(set *flows.Set, key flows.Key) *Problem {
	return problem(http.StatusNotFound, "No signal carries the key %s. Key types in use: %s; /api/v1/search?q= finds keys.",
		shorten(key.String()), listed(set.KeyTypes())).
		onPage(fmt.Sprintf("No signal carries the key %s. Key types in use: %s.", shorten(key.String()), listed(set.KeyTypes())), searchLink(key.Value))
}

func (s *Server) getSearch(r *http.Request) (any, error) {
	p := query(r, "q", "limit")
	text, limit := strings.TrimSpace(p.text("q")), p.limit()
	if text == "" {
		p.fail("Say what to search for: ?q=, for example a key's value or a flow's name.")
	}
	if p.fault != nil {
		return nil, p.fault
	}
	found, err := s.search(r.Context(), text, limit)
	if err != nil {
		return nil, err
	}
	return foundToJSON(found), nil
}

// search adds the flows whose name or title holds text to what history finds.
func (s *Server) search(ctx context.Context, text string, limit int) (flows.Found, error) {
	found, err := s.history.Search(ctx, s.rules.Set().Flows(), text, limit)
	for _, f := range s.rules.Set().Flows() {
		if holds(f, text) {
			found.Flows = append(found.Flows, f.Name)
		}
	}
	slices.Sort(found.Flows)
	found.Flows = slices.Compact(found.Flows)
	if len(found.Flows) > limit {
		found.Flows = found.Flows[:limit]
	}
	return found, err
}

// holds says whether a search for text means f.
func holds(f *flows.Flow, text string) bool {
	lower := strings.ToLower(text)
	return strings.Contains(f.Name, lower) || strings.Contains(strings.ToLower(f.Title), lower)
}
