package web

import (
	"net/http"
	"strconv"
	"strings"

	"throughline/flows"
)

// stepsFile are the numbers of a flow's steps, over the range and at the instant of its page.
func (s *Server) stepsFile(r *http.Request) (csvFile, error) {
	t, fault := pageTarget(r, viewFlow)
	if fault != nil {
		return csvFile{}, fault
	}
	f, err := s.flowNamed(t.flow)
	if err != nil {
		return csvFile{}, err
	}
	now, err := s.flowFor(r.Context(), f, t)
	if err != nil {
		return csvFile{}, err
	}
	file := csvFile{name: f.Name + "-steps", columns: []string{
		"flow", "step", "title", "system", "as_of", "window_seconds", "reached", "waiting", "overdue", "skipped", "errors", "p50_seconds", "p90_seconds", "p99_seconds", "limit_seconds",
	}}
	for _, h := range now.Health.Steps {
		step, ok := stepNamed(f, h.Step)
		if !ok {
			continue
		}
		file.rows = append(file.rows, []string{
			f.Name, h.Step, step.Title, step.System, timeCell(now.Health.AsOf), numberCell(now.Health.WindowSeconds), strconv.Itoa(h.Reached), strconv.Itoa(h.Waiting),
			strconv.Itoa(h.Overdue), strconv.Itoa(h.Skipped), strconv.Itoa(h.Errors), numberCell(h.Latency.P50), numberCell(h.Latency.P90), numberCell(h.Latency.P99),
			secondsCell(step.Within),
		})
	}
	return file, nil
}

func stepNamed(f *flows.Flow, id string) (flows.Step, bool) {
	for _, s := range f.Steps {
		if s.ID == id {
			return s, true
		}
	}
	return flows.Step{}, false
}

// variantsFile are the most frequent paths over the range of a flow's page, a thousand at most.
func (s *Server) variantsFile(r *http.Request) (csvFile, error) {
	p := pageQuery(r)
	rng := p.rangeOf()
	if p.fault != nil {
		return csvFile{}, p.fault
	}
	f, err := s.flow(r)
	if err != nil {
		return csvFile{}, err
	}
	found, err := s.history.Variants(r.Context(), f, windowUntil(flows.NoTime, rng.Span()).From, flows.NoTime, maxLimit)
	if err != nil {
		return csvFile{}, err
	}
	file := csvFile{name: f.Name + "-variants", columns: []string{"flow", "steps", "count", "share", "median_seconds", "conforming"}}
	for _, v := range found.Variants {
		file.rows = append(file.rows, []string{
			f.Name, strings.Join(v.Steps, " "), strconv.Itoa(v.Count), numberCell(&v.Share), secondsCell(v.Median), boolCell(v.Conforming),
		})
	}
	return file, nil
}
