package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// desk takes a person's word as the alert router does, and shows it at once.
type desk struct {
	hub  *Hub
	err  error
	said []string
	end  time.Time
}

func (d *desk) change(id string, do func(*Alert)) error {
	if d.err != nil {
		return d.err
	}
	all := slices.Clone(d.hub.Alerts())
	i := slices.IndexFunc(all, func(a Alert) bool { return a.ID == id })
	if i < 0 {
		return flows.ErrNotFound
	}
	do(&all[i])
	return d.hub.PublishAlerts(all)
}

func (d *desk) Acknowledge(id, by, note string) error {
	d.said = append(d.said, "ack "+by+": "+note)
	return d.change(id, func(a *Alert) { a.Ack = flows.Ack{By: by, Note: note, At: noon} })
}

func (d *desk) Unacknowledge(id, by string) error {
	d.said = append(d.said, "unack "+by)
	return d.change(id, func(a *Alert) { a.Ack = flows.Ack{} })
}

func (d *desk) Silence(id, by, why string, until time.Time) error {
	d.said, d.end = append(d.said, "silence "+by+": "+why), until
	if why == "" {
		return &flows.InputError{Field: "why", Detail: "Say why."}
	}
	return d.change(id, func(a *Alert) {
		a.Silenced, a.Silences = true, []flows.Silence{{ID: "s1", By: by, Why: why, From: noon, Until: flows.At(until), Own: true}}
	})
}

func (d *desk) Unsilence(id, by string) error {
	d.said = append(d.said, "unsilence "+by)
	return d.change(id, func(a *Alert) { a.Silenced, a.Silences = false, nil })
}

// manned is a house with one alert, and a desk.
func manned(t *testing.T) (*house, *desk) {
	t.Helper()
	d := &desk{}
	h := newHouse(t, func(o *Options) { d.hub, o.OnCall = o.Hub, d })
	publish(t, h.Server.hub, orderHealth(12, 2))
	h.history.page = flows.InstancePage{Instances: []flows.InstanceRecord{stuckRecord()}, AsOf: noon}
	if err := d.hub.PublishAlerts([]Alert{stuckAlert()}); err != nil {
		t.Fatal(err)
	}
	return h, d
}

func (h *house) post(t *testing.T, target, form string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return h.do(r)
}

func TestAckOverTheAPI(t *testing.T) {
	h, d := manned(t)
	f := func(method, id, body string, status int, says string) {
		t.Helper()
		w := h.do(httptest.NewRequestWithContext(t.Context(), method, "/api/v1/alerts/"+id+"/ack", strings.NewReader(body)))
		if w.Code != status || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s %s %s: %d %s", method, id, body, w.Code, w.Body)
		}
	}
	f("POST", "a1", `{"by": " Anna ", "note": " rolling back "}`, 200, `"ack":{"by":"Anna","note":"rolling back","at":"2026-11-19T12:00:00Z"}`)
	f("POST", "a1", ``, 200, `"by":"`+someone+`"`)
	f("DELETE", "a1", ``, 200, `"ack":null`)
	f("POST", "nope", `{}`, 404, "/alerts lists what fires")
	f("DELETE", "nope", ``, 404, "/alerts lists what fires")
	f("POST", "a1", `[]`, 400, "no JSON object")
	f("POST", "a1", `{"by": "a\u0000b"}`, 400, "no text")
	f("POST", "a1", `{"by": "`+strings.Repeat("x", maxName+1)+`"}`, 400, "at most 100")
	f("POST", "a1", strings.Repeat(" ", maxForm+1), 413, "too large")
	f("PUT", "a1", ``, 405, "POST or DELETE")
	d.err = errors.New("disk full")
	f("POST", "a1", `{}`, 503, "not kept")
}

func TestAnswerOfAckIsDocumented(t *testing.T) {
	h, _ := manned(t)
	doc := readDocument(t, h)
	w := h.do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/alerts/a1/ack", nil))
	var answer any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"post", "delete"} {
		schema := doc.Paths["/api/v1/alerts/{id}/ack"][method].Responses["200"].Content["application/json"].Schema
		for _, fault := range doc.check(method, schema, answer) {
			t.Error(fault)
		}
	}
}

func TestFormsWorkWithoutJavaScript(t *testing.T) {
	h, d := manned(t)
	f := func(path, form, says string) string {
		t.Helper()
		w := h.post(t, "/alerts/a1/"+path, form, "Referer", "http://localhost:8080/?range=24h#x")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/?range=24h" {
			t.Fatalf("%s: %d to %s", path, w.Code, w.Header().Get("Location"))
		}
		for _, page := range []string{"/", "/alerts", "/alerts/a1"} {
			if body := h.get(t, page).Body.String(); !strings.Contains(strings.ReplaceAll(body, "\u00a0", " "), says) {
				t.Errorf("after %s, %s does not say %q", path, page, says)
			}
		}
		return w.Header().Get("Set-Cookie")
	}
	if cookie := f("ack", "", "<b>"+someone+"</b>"); cookie != "" {
		t.Errorf("nobody gave a name, but it is kept: %s", cookie)
	}
	cookie := f("ack", "by=J%C3%B6rg&note=on+it", "<b>Jörg</b>")
	for _, want := range []string{nameCookie + "=J%C3%B6rg", "HttpOnly", "SameSite=Strict", "Max-Age=31536000"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q has no %s", cookie, want)
		}
	}
	if body := h.get(t, "/alerts/a1").Body.String(); !strings.Contains(body, "on it") {
		t.Error("the alert's page does not show the note")
	}
	f("unack", "", `/ack" data-ack="a1"`)
	f("silence", "for=4h&why=planned", "Silenced until")
	if got := time.Until(d.end); got < 4*time.Hour-2*time.Second || got > 4*time.Hour {
		t.Errorf("four hours are %s", got)
	}
	f("unsilence", "", `data-silence`)
}

func TestNameIsRemembered(t *testing.T) {
	h, d := manned(t)
	h.post(t, "/alerts/a1/ack", "", "Cookie", nameCookie+"=J%C3%B6rg")
	h.post(t, "/alerts/a1/ack", "", "Cookie", nameCookie+"=%00")
	h.post(t, "/alerts/a1/ack", "", "Cookie", nameCookie+"=%zz")
	if want := []string{"ack Jörg: ", "ack " + someone + ": ", "ack " + someone + ": "}; !slices.Equal(d.said, want) {
		t.Errorf("said %q, want %q", d.said, want)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/alerts/a1", nil)
	r.Header.Set("Cookie", nameCookie+"=J%C3%B6rg")
	body := h.do(r).Body.String()
	if !strings.Contains(body, "You are Jörg") {
		t.Error("the page does not know its reader")
	}
	// What is pushed goes to everyone who looks at the page.
	l, err := h.load(t.Context(), target{view: viewAlert, id: "a1", at: flows.NoTime, reader: "Zoë"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.parts {
		html, err := renderPart(t.Context(), p.Body)
		if err != nil || strings.Contains(string(html), "Zoë") {
			t.Errorf("part %s tells the reader's name to others (%v)", p.ID, err)
		}
	}
	if w := h.post(t, "/name", "by=Anna"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/alerts" || !strings.Contains(w.Header().Get("Set-Cookie"), "Anna") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestFormsRefuse(t *testing.T) {
	h, d := manned(t)
	f := func(path, form string, status int, headers ...string) {
		t.Helper()
		d.said = nil
		w := h.post(t, path, form, headers...)
		if w.Code != status {
			t.Errorf("%s %s %v: %d, want %d", path, form, headers, w.Code, status)
		}
	}
	f("/alerts/a1/ack", "", 403, "Sec-Fetch-Site", "cross-site")
	f("/alerts/a1/ack", "", 403, "Origin", "https://evil.example")
	if d.said != nil {
		t.Errorf("another site said %q", d.said)
	}
	f("/alerts/nope/ack", "", 404)
	f("/alerts/a1/ack", "by="+strings.Repeat("x", maxName+1), 400)
	f("/alerts/a1/ack", "note="+strings.Repeat("x", maxForm), 400)
	f("/alerts/a1/silence", "for=1h&why=+", 400)
	for _, form := range []string{"why=x", "for=x&why=x", "for=-1h&why=x", "for=hours&why=x", "for=hours&hours=0&why=x", "for=hours&hours=NaN&why=x", "for=hours&hours=9999&why=x"} {
		f("/alerts/a1/silence", form, 400)
		if d.said != nil {
			t.Errorf("%s: said %q", form, d.said)
		}
	}
	f("/alerts/a1/silence", "for=hours&hours=1,5&why=x", 303)
	f("/alerts/nope/unsilence", "", 404)
	// Only our own pages are gone back to.
	for _, referer := range []string{"https://evil.example/x", "http://localhost:8080//evil.example", "::", ""} {
		if to := h.post(t, "/alerts/a1/ack", "", "Referer", referer).Header().Get("Location"); to != "/alerts/a1" {
			t.Errorf("%q: back to %s", referer, to)
		}
	}
	w := h.post(t, "/alerts/nope/ack", "", "Accept", "application/json")
	if w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	none := newHouse(t, nil)
	if w := none.post(t, "/alerts/a1/ack", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("without a desk: %d", w.Code)
	}
}

func TestMorning(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := views.Clock{Now: flows.At(time.Date(2026, 10, 24, 22, 30, 0, 0, time.UTC)), Zone: berlin} // the night the clocks change
	until, fault := silenceEnd(url.Values{"for": {views.SilenceMorning}}, c)
	if want := time.Date(2026, 10, 26, 8, 0, 0, 0, berlin); fault != nil || !until.Equal(want) {
		t.Errorf("%s, want %s (%v)", until, want, fault)
	}
}

func TestLiveTellsOfAcks(t *testing.T) {
	h, d := manned(t)
	conn := dial(t, h.serve(t), "/api/v1/live?flow=order-to-cash")
	next(t, conn) // health
	if first := next(t, conn); first["type"] != "alert" || first["ack"] != nil {
		t.Fatalf("%v", first)
	}
	if err := d.Acknowledge("a1", "Anna", "on it"); err != nil {
		t.Fatal(err)
	}
	got := next(t, conn)
	if ack, ok := got["ack"].(map[string]any); !ok || ack["by"] != "Anna" || ack["note"] != "on it" {
		t.Errorf("%v", got)
	}
}
