package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"throughline/flows"
	"throughline/web/views"
)

// OnCall takes a person's word about a firing alert, by its id. A word that was taken is
// durable, and reaches the Hub soon after. Its errors: flows.ErrNotFound, *flows.InputError,
// and everything else for "cannot take it now".
type OnCall interface {
	Acknowledge(id, by, note string) error
	Unacknowledge(id, by string) error
	Silence(id, by, why string, until time.Time) error
	Unsilence(id, by string) error
}

const (
	// Someone is who acts on a machine where nobody has to sign in, and gave no name.
	someone    = "someone on this machine"
	nameCookie = "throughline_name"
	nameFor    = 365 * 24 * time.Hour
	maxName    = 100      // bytes
	maxForm    = 16 << 10 // bytes
	// A word that was taken is on the pages within this time, or the answer does not wait for it.
	shownWithin = 2 * time.Second
)

// onCallRoutes are the forms of the alert pages; they work without JavaScript. A script that
// asks for JSON gets the alert in the place of a redirect.
func (s *Server) onCallRoutes() {
	s.mux.HandleFunc("POST /alerts/{id}/ack", s.form(s.formAck))
	s.mux.HandleFunc("POST /alerts/{id}/unack", s.form(s.formUnack))
	s.mux.HandleFunc("POST /alerts/{id}/silence", s.form(s.formSilence))
	s.mux.HandleFunc("POST /alerts/{id}/unsilence", s.form(s.formUnsilence))
	s.mux.HandleFunc("POST /name", s.form(s.formName))
}

// postAck is POST /api/v1/alerts/{id}/ack; the answer is the alert as it is now.
func (s *Server) postAck(r *http.Request) (any, error) {
	body, fault := readAck(r)
	if fault != nil {
		return nil, fault
	}
	by, fault := nameOf(r, body.By)
	if fault != nil {
		return nil, fault
	}
	a, err := s.acknowledge(r.Context(), r.PathValue("id"), by, strings.TrimSpace(body.Note))
	return alertToJSON(a), err
}

// deleteAck is DELETE /api/v1/alerts/{id}/ack.
func (s *Server) deleteAck(r *http.Request) (any, error) {
	by, fault := nameOf(r, "")
	if fault != nil {
		return nil, fault
	}
	a, err := s.unacknowledge(r.Context(), r.PathValue("id"), by)
	return alertToJSON(a), err
}

type ackBody struct {
	By   string `json:"by"`
	Note string `json:"note"`
}

// readAck takes an empty body for an empty object: one press needs no words.
func readAck(r *http.Request) (ackBody, *Problem) {
	var body ackBody
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxForm))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return body, problem(http.StatusRequestEntityTooLarge, "The body is too large; a note has at most %d bytes.", maxNote)
	}
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &body)
	}
	if err != nil || !utf8.Valid(b) {
		return body, problem(http.StatusBadRequest, `The body is no JSON object; write {"by": "Anna", "note": "rolling back"}, or nothing.`)
	}
	return body, nil
}

func (s *Server) acknowledge(ctx context.Context, id, by, note string) (Alert, error) {
	if err := s.OnCall.Acknowledge(id, by, note); err != nil {
		return Alert{}, s.refused(ctx, id, err)
	}
	return s.awaitAlert(ctx, id, func(a Alert) bool { return a.Ack.By == by && a.Ack.Note == note }), nil
}

func (s *Server) unacknowledge(ctx context.Context, id, by string) (Alert, error) {
	if err := s.OnCall.Unacknowledge(id, by); err != nil {
		return Alert{}, s.refused(ctx, id, err)
	}
	return s.awaitAlert(ctx, id, func(a Alert) bool { return !a.Ack.Given() }), nil
}

// refused says what a person can do about err.
func (s *Server) refused(ctx context.Context, id string, err error) error {
	if input, ok := errors.AsType[*flows.InputError](err); ok {
		return problem(http.StatusBadRequest, "%s", input.Detail)
	}
	if errors.Is(err, flows.ErrNotFound) {
		return problem(http.StatusNotFound, "No alert %q is firing: it is over, or never was. /alerts lists what fires.", shorten(id))
	}
	s.log.ErrorContext(ctx, "a person's word about an alert", "alert", id, "error", err)
	return problem(http.StatusServiceUnavailable, "This was not kept. Try again in a moment; the server's log says what is wrong.")
}

// awaitAlert is the alert once the pages show what was said of it: whoever pressed sees it
// on the next page. It gives up soon, with the alert as the pages show it.
func (s *Server) awaitAlert(ctx context.Context, id string, shown func(Alert) bool) Alert {
	sub := s.hub.watch("")
	defer sub.close()
	late := time.NewTimer(shownWithin)
	defer late.Stop()
	for {
		a, _ := s.alert(id)
		if shown(a) {
			return a
		}
		select {
		case <-sub.wake:
		case <-late.C:
			return a
		case <-ctx.Done():
			return a
		}
	}
}

func (s *Server) alert(id string) (Alert, bool) {
	all := s.hub.Alerts()
	if i := slices.IndexFunc(all, func(a Alert) bool { return a.ID == id }); i >= 0 {
		return all[i], true
	}
	return Alert{ID: id, Cohort: flows.Cohort{Since: flows.NoTime, Oldest: flows.NoTime}, StartsAt: flows.NoTime, ResolvedAt: flows.NoTime}, false
}

// form does what a form asks. do returns the alert as it is now, or the zero Alert.
func (s *Server) form(do func(http.ResponseWriter, *http.Request) (Alert, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		wantsJSON := strings.HasPrefix(r.Header.Get("Accept"), "application/json")
		var a Alert
		err := r.ParseForm()
		if err != nil {
			err = problem(http.StatusBadRequest, "The form cannot be read: %v.", err)
		} else {
			a, err = do(w, r)
		}
		switch {
		case err != nil && wantsJSON:
			WriteProblem(w, r, *asProblem(r.Context(), s.log, err))
		case err != nil:
			s.stillPage(func(*Server, *http.Request) (loaded, error) { return loaded{}, err })(w, r)
		case wantsJSON:
			s.writeJSON(w, r, http.StatusOK, alertToJSON(a))
		default:
			http.Redirect(w, r, back(r), http.StatusSeeOther)
		}
	}
}

// back is the page that the form was on, if the browser tells, and it is ours.
func back(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err == nil && from.Host == r.Host && strings.HasPrefix(from.Path, "/") && !strings.HasPrefix(from.Path, "//") {
		return (&url.URL{Path: from.Path, RawQuery: from.RawQuery}).String()
	}
	if key := r.PathValue("key"); key != "" {
		return instancePath(r.PathValue("flow"), key, r.PostForm.Get("environment"))
	}
	if id := r.PathValue("id"); id != "" {
		return "/alerts/" + url.PathEscape(id)
	}
	return "/alerts"
}

func (s *Server) formAck(w http.ResponseWriter, r *http.Request) (Alert, error) {
	by, err := signed(w, r)
	if err != nil {
		return Alert{}, err
	}
	return s.acknowledge(r.Context(), r.PathValue("id"), by, strings.TrimSpace(r.PostForm.Get("note")))
}

func (s *Server) formUnack(w http.ResponseWriter, r *http.Request) (Alert, error) {
	by, err := signed(w, r)
	if err != nil {
		return Alert{}, err
	}
	return s.unacknowledge(r.Context(), r.PathValue("id"), by)
}

func (s *Server) formSilence(w http.ResponseWriter, r *http.Request) (Alert, error) {
	until, fault := silenceEnd(r.PostForm, clockFor(r))
	if fault != nil {
		return Alert{}, fault
	}
	by, err := signed(w, r)
	if err != nil {
		return Alert{}, err
	}
	id := r.PathValue("id")
	if err := s.OnCall.Silence(id, by, strings.TrimSpace(r.PostForm.Get("why")), until); err != nil {
		return Alert{}, s.refused(r.Context(), id, err)
	}
	return s.awaitAlert(r.Context(), id, func(a Alert) bool {
		return slices.ContainsFunc(a.Silences, func(one flows.Silence) bool { return one.Until == flows.At(until) })
	}), nil
}

// silenceEnd reads how long: a preset, or hours.
func silenceEnd(form url.Values, c views.Clock) (time.Time, *Problem) {
	length := form.Get("for")
	if length == views.SilenceMorning {
		return c.Morning(), nil
	}
	if length == views.SilenceHours {
		hours, err := strconv.ParseFloat(strings.Replace(form.Get("hours"), ",", ".", 1), 64)
		if err != nil || !(hours > 0 && hours <= views.SilenceMostHours) {
			return time.Time{}, problem(http.StatusBadRequest, "Say for how many hours: a number above 0, and at most %d.", views.SilenceMostHours)
		}
		return c.Now.Std().Add(time.Duration(hours * float64(time.Hour))), nil
	}
	d, err := flows.ParseDuration(length)
	if err != nil || d <= 0 {
		return time.Time{}, problem(http.StatusBadRequest, "for=%s: choose 1h, 4h, %s or %s.", shorten(length), views.SilenceMorning, views.SilenceHours)
	}
	return c.Now.Std().Add(d), nil
}

func (s *Server) formUnsilence(w http.ResponseWriter, r *http.Request) (Alert, error) {
	by, err := signed(w, r)
	if err != nil {
		return Alert{}, err
	}
	id := r.PathValue("id")
	if err := s.OnCall.Unsilence(id, by); err != nil {
		return Alert{}, s.refused(r.Context(), id, err)
	}
	return s.awaitAlert(r.Context(), id, func(a Alert) bool {
		return !slices.ContainsFunc(a.Silences, func(one flows.Silence) bool { return one.Own })
	}), nil
}

// formName keeps the reader's name in their browser.
func (s *Server) formName(w http.ResponseWriter, r *http.Request) (Alert, error) {
	_, err := signed(w, r)
	return Alert{}, err
}

// signed is who sends the form: the name in it, which the browser keeps from then on.
func signed(w http.ResponseWriter, r *http.Request) (string, error) {
	by, fault := nameOf(r, r.PostForm.Get("by"))
	if fault != nil {
		return "", fault
	}
	if r.PostForm.Has("by") && by != someone {
		http.SetCookie(w, &http.Cookie{
			Name: nameCookie, Value: url.QueryEscape(by), Path: "/", MaxAge: int(nameFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
			Secure: strings.HasPrefix(site(r), "https:"),
		})
	}
	return by, nil
}

// nameOf is the name that was given, else the one that the browser kept, else someone.
func nameOf(r *http.Request, given string) (string, *Problem) {
	given = strings.TrimSpace(given)
	switch {
	case given == "":
		if kept := keptName(r); kept != "" {
			return kept, nil
		}
		return someone, nil
	case len(given) > maxName:
		return "", problem(http.StatusBadRequest, "The name has %d bytes; at most %d are taken.", len(given), maxName)
	case !utf8.ValidString(given) || strings.ContainsFunc(given, unicode.IsControl):
		return "", problem(http.StatusBadRequest, "The name holds what is no text.")
	}
	return given, nil
}

// keptName is the name in the reader's cookie; "" for none.
func keptName(r *http.Request) string {
	cookie, err := r.Cookie(nameCookie)
	if err != nil {
		return ""
	}
	name, err := url.QueryUnescape(cookie.Value)
	if err != nil || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return ""
	}
	return name
}
