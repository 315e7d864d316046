package web

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"throughline/flows"
	"throughline/web/views"
)

const (
	// maxTrial bounds a text that is checked here; throughline check takes longer ones.
	maxTrial = 256 << 10
	// maxTrials are checked at a time, and one waits for so long: pages that people look at
	// must not suffer from what people type.
	maxTrials   = 2
	trialWithin = 5 * time.Second
	versionsMax = 50
	fragment    = "text/fragment+html" // what the page's script asks for
)

// loadModel is the page of a flow's file, of a version of it, or of a file that never ran.
func (s *Server) loadModel(r *http.Request) (loaded, error) {
	p := pageQuery(r)
	from, to, version := p.text("from"), p.text("to"), p.text("version")
	if p.fault != nil {
		return loaded{}, p.fault
	}
	v, err := s.model(r, r.PathValue("flow"))
	if err != nil {
		return loaded{}, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(v.Versions, func(t flows.FlowText) bool { return t.Version == name })
	}
	for _, asked := range []string{from, to, version} {
		if asked != "" && v.Versions != nil && !has(asked) {
			return loaded{}, problem(http.StatusNotFound, "Flow %s has no version %q. /flows/%s/model lists those that ran.", v.Name, shorten(asked), v.Name)
		}
	}
	v.From, v.To, v.Shown = from, to, version
	return loaded{shell: s.shell(v.Clock, views.PlaceFlows, v.Name+" · model"), body: v.Body()}, nil
}

// model is what is known of a flow's file.
func (s *Server) model(r *http.Request, name string) (views.FlowModel, error) {
	v := views.FlowModel{Clock: clockFor(r), Name: name, File: s.rules.File(name), Text: s.rules.Source(name)}
	file, draft := s.rules.Draft(name)
	f, runs := s.rules.Set().Flow(name)
	switch {
	case runs:
		v.Flow = f
	case draft == "":
		return v, s.noFlow(name)
	default:
		v.Text = draft
	}
	if draft != "" {
		v.File, v.Draft = file, draft
		for _, fault := range s.rules.Faults() {
			if fault.File == file {
				v.Faults = append(v.Faults, fault)
			}
		}
	}
	s.past.until = time.Time{} // as long as it takes: the page is not loaded anew over what somebody types
	texts, ok, err := ask(r.Context(), s.past, "versions "+name, func(ctx context.Context) ([]flows.FlowText, error) {
		return s.history.FlowTexts(ctx, name, versionsMax)
	})
	if err == nil && ok {
		v.Versions = append([]flows.FlowText{}, texts...)
	}
	return v, nil
}

// postCheck says what is wrong with a text, and saves nothing. The page's script gets the
// part that shows it, a form without a script the whole page.
func (s *Server) postCheck(w http.ResponseWriter, r *http.Request) {
	trial, err := s.check(w, r)
	if r.Header.Get("Accept") != fragment {
		s.stillPage(func(s *Server, r *http.Request) (loaded, error) {
			if err != nil {
				return loaded{}, err
			}
			v, err := s.model(r, r.PathValue("flow"))
			v.Trial = &trial
			return loaded{shell: s.shell(v.Clock, views.PlaceFlows, v.Name+" · model"), body: v.Body()}, err
		})(w, r)
		return
	}
	if err != nil {
		WriteProblem(w, r, *asProblem(r.Context(), s.log, err))
		return
	}
	var b bytes.Buffer
	if err := views.Written(views.TrialPart(trial), localeOf(r)).Render(r.Context(), &b); err != nil {
		s.log.ErrorContext(r.Context(), "a check cannot be rendered", "error", err)
		http.Error(w, "This cannot be written. The server's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b.Bytes()) //nolint:errcheck // the reader is gone, nobody is left to tell
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) (views.FlowTrial, error) {
	trial := views.FlowTrial{Name: r.PathValue("flow"), Base: s.rules.Source(r.PathValue("flow"))}
	r.Body = http.MaxBytesReader(w, r.Body, 3*maxTrial+1024) // a byte may be written as three
	if err := r.ParseForm(); err != nil {
		return trial, problem(http.StatusRequestEntityTooLarge, "The text cannot be read: %v. At most %d bytes are checked here; throughline check takes longer files.", err, maxTrial)
	}
	trial.Text = strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n") // as forms send it
	if len(trial.Text) > maxTrial || !utf8.ValidString(trial.Text) {
		return trial, problem(http.StatusRequestEntityTooLarge, "At most %d bytes of UTF-8 are checked here; throughline check takes longer files.", maxTrial)
	}
	late := time.NewTimer(trialWithin)
	defer late.Stop()
	select {
	case s.trials <- struct{}{}:
		defer func() { <-s.trials }()
	case <-late.C:
		return trial, problem(http.StatusServiceUnavailable, "Many texts are being checked. Try again in a moment.")
	case <-r.Context().Done():
		return trial, r.Context().Err()
	}
	file := s.rules.File(trial.Name)
	if file == "" {
		file = "flows/" + trial.Name + ".yaml"
	}
	trial.Faults = s.rules.Check(file, []byte(trial.Text))
	return trial, nil
}
