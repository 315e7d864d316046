package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
	"throughline/web/assets"
	"throughline/web/views"
)

var livePages = map[string]view{
	"GET /{$}":                       viewOverview,
	"GET /flows":                     viewFlows,
	"GET /flows/{flow}":              viewFlow,
	"GET /flows/{flow}/steps/{step}": viewStep,
	"GET /flows/{flow}/variants":     viewVariants,
	"GET /flows/{flow}/instances":    viewInstances,
	"GET /systems":                   viewSystems,
	"GET /systems/{system}":          viewSystem,
	"GET /alerts":                    viewAlerts,
	"GET /alerts/{id}":               viewAlert,
	"GET /instances/{flow}/{key}":    viewInstance,
}

// pageRoutes lays out the pages. Each is complete without JavaScript.
func (s *Server) pageRoutes() {
	s.mux.Handle("GET "+assets.Prefix, assets.Handler())
	s.mux.HandleFunc("GET /ws", s.serveWS)
	for pattern, v := range livePages {
		page := s.livePage(v)
		switch v {
		case viewFlows:
			page = asFile(page, s.file(s.flowsFile))
		case viewSystems:
			page = asFile(page, s.file(s.systemsFile))
		case viewAlerts:
			page = asFile(page, s.file(s.alertsFile))
		case viewInstances:
			page = asFile(page, s.file(s.instancesFile))
		}
		s.mux.HandleFunc(pattern, page)
	}
	s.mux.HandleFunc("GET /flows/{flow}/playback", s.getPlayback)
	s.mux.HandleFunc("GET /flows/{flow}/frame", s.getFrame)
	s.csvRoutes()
	s.mux.HandleFunc("POST /flows/{flow}/model/check", s.postCheck)
	for pattern, f := range map[string]func(*Server, *http.Request) (loaded, error){
		"GET /flows/{flow}/model":      (*Server).loadModel,
		"GET /search":                  (*Server).loadSearch,
		"GET /entities/{type}/{value}": (*Server).loadEntity,
		"GET /_/components":            (*Server).loadComponents,
		"/":                            (*Server).noPage,
	} {
		s.mux.HandleFunc(pattern, s.stillPage(f))
	}
}

func (s *Server) livePage(v view) http.HandlerFunc {
	return s.stillPage(func(s *Server, r *http.Request) (loaded, error) {
		t, fault := pageTarget(r, v)
		if fault != nil {
			return loaded{}, fault
		}
		if t.live() {
			s.past.until = time.Now().Add(waitFirst)
		}
		return s.load(r.Context(), t)
	})
}

// asking is the server as the makers of a page see it that asks history in a way of its own.
func (s *Server) asking(p *past) *Server {
	seen := *s
	seen.past = p
	return &seen
}

// stillPage renders to a buffer first: a fault never becomes half a page with status 200. What history does
// not say in time is not waited for: the page says so, and its socket or, without one, the browser brings it.
func (s *Server) stillPage(load func(*Server, *http.Request) (loaded, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := s.asking(s.past.within(waitWhole, nil))
		status := http.StatusOK
		l, err := load(s, r)
		if errors.Is(err, errUnread) {
			w.Header().Set("Retry-After", "1")
			status, l, err = http.StatusServiceUnavailable, s.readingPage(clockFor(r)), nil
			l.shell.Bare = true
		}
		if err != nil {
			p := asProblem(r.Context(), s.log, err)
			status, l = p.Status, s.problemPage(clockFor(r), p)
		}
		l.shell.Unread = s.past.unread.Load()
		var page bytes.Buffer
		if err := views.Document(l.shell, l.body).Render(r.Context(), &page); err != nil {
			s.log.ErrorContext(r.Context(), "page cannot be rendered", "path", r.URL.Path, "error", err)
			http.Error(w, "This page cannot be written. The server's log says why.", http.StatusInternalServerError)
			return
		}
		writeHTML(w, status, page.Bytes())
	}
}

// writeHTML sends what is made for this reader now.
func writeHTML(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the reader is gone, nobody is left to tell
}

// problemPage says what is wrong and leads to what there is.
func (s *Server) problemPage(c views.Clock, p *Problem) loaded {
	v := views.Problem{Status: p.Status, Title: pageTitle(p), Text: cmp.Or(p.page, p.Detail), There: p.there}
	for _, l := range slices.Concat(s.flowLinks(), []views.Link{{Text: "Overview", Href: "/"}, {Text: "Alerts", Href: "/alerts"}, {Text: "Systems", Href: "/systems"}, {Text: "Search", Href: "/search"}}) {
		if !slices.ContainsFunc(v.There, func(led views.Link) bool { return led.Href == l.Href }) {
			v.There = append(v.There, l)
		}
	}
	return loaded{shell: s.shell(c, views.PlaceNone, p.Title), body: v.Body()}
}

// pageTitle is what the status means to a person.
func pageTitle(p *Problem) string {
	switch p.Status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusBadRequest:
		return "This address asks for what cannot be"
	case http.StatusServiceUnavailable:
		return "Not now"
	}
	return p.Title
}

// mostFlowLinks is to how many flows a page leads that is about none of them.
const mostFlowLinks = 8

func (s *Server) flowLinks() []views.Link {
	all, titles := s.rules.Set().Flows(), s.capabilityTitles()
	var links []views.Link
	for _, f := range all[:min(len(all), mostFlowLinks)] {
		links = append(links, views.FlowNow{Flow: f, Capability: titles[f.Name]}.Link())
	}
	if len(all) > mostFlowLinks {
		links = append(links, views.Link{Text: fmt.Sprintf("All %d flows", len(all)), Href: "/flows"})
	}
	return links
}

// searchLink leads to what holds a text.
func searchLink(text string) views.Link {
	if text == "" {
		return views.Link{Text: "Search", Href: "/search"}
	}
	return views.Link{Text: "Search for " + shorten(text), Href: "/search?q=" + url.QueryEscape(text)}
}

func (s *Server) noPage(r *http.Request) (loaded, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return loaded{}, problem(http.StatusMethodNotAllowed, "%s takes no %s here. Signals go to /api/v1/events.", shorten(r.URL.Path), r.Method)
	}
	return loaded{}, problem(http.StatusNotFound, "There is no page %s.", shorten(r.URL.Path))
}

func (s *Server) loadSearch(r *http.Request) (loaded, error) {
	p := pageQuery(r)
	text, limit := strings.TrimSpace(p.text("q")), p.limit()
	if p.fault != nil {
		return loaded{}, p.fault
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	c, all, began := clockFor(r), s.rules.Set().Flows(), time.Now()
	v := views.SearchResults{Clock: c, Query: text, Known: all}
	if text != "" {
		found, ok, err := ask(ctx, s.past, fmt.Sprintf("search %d %q", limit, text), func(ctx context.Context) (flows.Found, error) {
			return s.history.Search(ctx, all, text, limit)
		})
		if err != nil {
			return loaded{}, err
		}
		if !ok && s.past.unread.Load() {
			return loaded{}, errUnread
		}
		v.Found = found
		for _, f := range all {
			if holds(f, text) {
				v.Flows = append(v.Flows, s.flowsNow(ctx, []*flows.Flow{f}, views.RangeHour)...)
			}
		}
		v.Took = time.Since(began)
	}
	shell := s.shell(c, views.PlaceSearch, "Search")
	shell.Query = text
	return loaded{shell: shell, body: v.Body()}, nil
}

func (s *Server) loadEntity(r *http.Request) (loaded, error) {
	p := pageQuery(r)
	limit, cursor := p.limit(), p.text("cursor")
	key := flows.Key{Type: r.PathValue("type"), Value: r.PathValue("value")}
	if p.fault != nil {
		return loaded{}, p.fault
	}
	c, set := clockFor(r), s.rules.Set()
	v := views.EntityTimeline{Clock: c, Key: key, Known: set.Flows()}
	ctx, cancel := context.WithTimeout(r.Context(), historyWithin)
	defer cancel()
	var err error
	v.Signals, v.Next, err = s.history.Timeline(ctx, set.Flows(), key, limit, cursor)
	if errors.Is(err, flows.ErrNotFound) || err == nil && len(v.Signals) == 0 && cursor == "" {
		err = noKey(set, key)
	}
	if err != nil {
		return loaded{}, err
	}
	return loaded{shell: s.shell(c, views.PlaceSearch, key.String()), body: v.Body()}, nil
}

func (s *Server) loadComponents(r *http.Request) (loaded, error) {
	c := clockFor(r)
	return loaded{shell: s.shell(c, views.PlaceNone, "Components"), body: views.Components{Clock: c}.Body()}, nil
}

// serveWS is GET /ws: the live elements of one page, all of them first, then those that
// change.
func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {
	t, fault := socketTarget(r)
	if fault == nil {
		if _, err := s.asking(s.past.within(waitFirst, nil)).load(r.Context(), t); err != nil && !errors.Is(err, errUnread) {
			fault = asProblem(r.Context(), s.log, err)
		}
	}
	if fault != nil {
		WriteProblem(w, r, *fault)
		return
	}
	rest, poll := t.pace()
	sc := screen{name: t.site + t.socket(), flow: t.flow, rest: rest, poll: poll, render: func(ctx context.Context, again chan struct{}) ([]part, error) {
		wait := time.Duration(0)
		if t.live() {
			wait = waitFirst
		}
		return s.asking(s.past.within(wait, again)).render(ctx, t)
	}}
	s.sockets.serve(w, r, func() feed {
		watcher, eyes := s.screens.join(sc), &eyes{seen: s.seenLatency}
		return feed{wake: watcher.wake, pull: watcher.pull, close: watcher.leave, hear: eyes.hear, beat: func() ([]byte, error) {
			return json.Marshal(pageBeat{heartbeat{"heartbeat", watcher.asOf(s.hub.asOf())}, s.hub.restoring(), eyes.beat(time.Now()), eyes.roundTrip()})
		}}
	})
}

// render makes the live elements of a page. Of a page that is no longer there, as when its
// flow's file is taken away, they are those of another kind: it loads itself anew.
func (s *Server) render(ctx context.Context, t target) ([]part, error) {
	l, err := s.load(ctx, t)
	if p, ok := errors.AsType[*Problem](err); ok && p.Status == http.StatusNotFound {
		l = s.problemPage(t.clock(), p).finish("gone")
	} else if err != nil {
		return nil, err
	}
	all := slices.Concat(l.shell.Parts(), l.parts)
	parts := make([]part, len(all))
	for i, p := range all {
		html, err := renderPart(ctx, views.Written(p.Body, t.locale))
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", p.ID, err)
		}
		parts[i] = part{p.ID, html}
	}
	return parts, nil
}

func renderPart(ctx context.Context, body templ.Component) ([]byte, error) {
	var b bytes.Buffer
	err := body.Render(ctx, &b)
	return b.Bytes(), err
}
