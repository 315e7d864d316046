package web

import (
	"net/http"
	"net/url"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// view names a kind of page that is live.
type view string

const (
	viewOverview  view = "overview"
	viewFlows     view = "flows"
	viewFlow      view = "flow"
	viewStep      view = "step"
	viewVariants  view = "variants"
	viewSystems   view = "systems"
	viewSystem    view = "system"
	viewAlerts    view = "alerts"
	viewAlert     view = "alert"
	viewInstance  view = "instance"
	viewInstances view = "instances"
)

// target is what a live page shows: all of it is in the page's address, and again in that of
// its socket, so that both are made by the same code.
type target struct {
	view   view
	flow   string
	step   string
	id     string // of an alert
	system string
	key    string // of an instance
	list   string // what a list of instances is asked, as params.listOf wrote it
	rng    views.Range
	from   flows.Time // first instant of the hour that a player plays; NoTime for none
	at     flows.Time // hindsight, which is not live; NoTime for now
	site   string     // scheme and host as the reader asked for them
	// reader is the name that the reader's browser kept. It is not in the socket's address:
	// live elements are the same for all who look at a page.
	reader string
	zone   *time.Location // in which the reader lives; nil is UTC
	locale views.Locale   // in which the reader writes numbers
}

// zoneCookie is where app.js keeps the name of the reader's zone.
const zoneCookie = "zone"

// keptZone is the zone in the reader's cookie; nil for none, or one that is not known here.
func keptZone(r *http.Request) *time.Location {
	cookie, err := r.Cookie(zoneCookie)
	if err != nil {
		return nil
	}
	name, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return nil
	}
	return zoneNamed(name)
}

// zoneNamed is a zone of the IANA's; nil for UTC and for what is none.
func zoneNamed(name string) *time.Location {
	const longest = 64 // more than any zone has
	if name == "" || name == "UTC" || name == "Local" || len(name) > longest {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

// localeOf is how the reader's browser likes numbers to be written.
func localeOf(r *http.Request) views.Locale {
	return views.LocaleOf(r.Header.Get("Accept-Language"))
}

// socket is the address of the target's websocket.
func (t target) socket() string {
	q := url.Values{"view": {string(t.view)}}
	for name, value := range map[string]string{"flow": t.flow, "step": t.step, "id": t.id, "key": t.key, "list": t.list, "system": t.system} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if t.zone != nil {
		q.Set("zone", t.zone.String())
	}
	if name := t.locale.Name(); name != "" {
		q.Set("numbers", name)
	}
	if t.rng != views.RangeHour {
		q.Set("range", string(t.rng))
	}
	return "/ws?" + q.Encode()
}

// pageTarget reads the address of a page.
func pageTarget(r *http.Request, v view) (target, *Problem) {
	p := pageQuery(r)
	t := target{
		view: v, flow: r.PathValue("flow"), step: r.PathValue("step"), id: r.PathValue("id"), key: r.PathValue("key"), system: r.PathValue("system"),
		at: p.time("at"), from: p.time("from"), site: site(r), reader: keptName(r), zone: keptZone(r), locale: localeOf(r),
	}
	t.rng = p.rangeOf()
	if v == viewInstance {
		t.key = flows.InstanceKey(t.key, p.text("environment"))
	}
	if v == viewInstances {
		t.list = p.listOf()
	}
	return t, p.fault
}

// socketTarget reads what target.socket wrote.
func socketTarget(r *http.Request) (target, *Problem) {
	p := query(r, "view", "flow", "step", "id", "key", "list", "range", "system", "zone", "numbers")
	t := target{
		view: view(p.text("view")), flow: p.text("flow"), step: p.text("step"), id: p.text("id"), key: p.text("key"), list: p.text("list"), system: p.text("system"),
		at: flows.NoTime, from: flows.NoTime, site: site(r), zone: zoneNamed(p.text("zone")), locale: views.LocaleNamed(p.text("numbers")),
	}
	t.rng = p.rangeOf()
	return t, p.fault
}

func (p *params) rangeOf() views.Range {
	rng, ok := views.ParseRange(p.text("range"))
	if !ok {
		p.fail("range=%s: choose %s.", shorten(p.text("range")), listed([]string{
			string(views.RangeQuarter), string(views.RangeHour), string(views.RangeDay), string(views.RangeWeek), string(views.RangeAll),
		}))
	}
	return rng
}

// site is where the reader finds this server.
func site(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// live says that the numbers of the page, or most of it, are there without history.
func (t target) live() bool {
	switch t.view {
	case viewOverview, viewFlows, viewFlow, viewStep, viewAlerts, viewAlert:
		return t.at == flows.NoTime && t.rng == views.RangeHour
	}
	return false
}

// pace is how often the target is rendered: what is live whenever its numbers are published, as
// far as screens.rest allows; what comes from history about as often as it may have changed.
func (t target) pace() (rest, poll time.Duration) {
	switch {
	case t.view == viewInstance, t.view == viewInstances, t.view == viewSystems, t.view == viewSystem:
		return time.Second, 2 * time.Second
	case t.rng != views.RangeHour:
		return 200 * time.Millisecond, 5 * time.Second
	case t.view == viewStep, t.view == viewVariants, t.view == viewAlert, t.view == viewFlow:
		return 0, 5 * time.Second
	}
	return 0, 10 * time.Second // notices change without a publication
}
