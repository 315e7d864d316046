package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"throughline/flows"
)

// csvFile is a list as a table.
type csvFile struct {
	name    string // of the file, without its ending
	columns []string
	rows    [][]string
	next    string // address of the rows behind these; "" at the end
}

// csvRoutes are the lists as files. The pages give them too, for ?format=csv.
func (s *Server) csvRoutes() {
	s.mux.HandleFunc("GET /flows.csv", s.file(s.flowsFile))
	s.mux.HandleFunc("GET /flows/{flow}/steps.csv", s.file(s.stepsFile))
	s.mux.HandleFunc("GET /flows/{flow}/variants.csv", s.file(s.variantsFile))
	s.mux.HandleFunc("GET /systems.csv", s.file(s.systemsFile))
	s.mux.HandleFunc("GET /alerts.csv", s.file(s.alertsFile))
	s.mux.HandleFunc("GET /flows/{flow}/instances.csv", s.file(s.instancesFile))
}

// asFile answers with file where ?format=csv asks for it, else with page.
func asFile(page, file http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "csv" {
			file(w, r)
			return
		}
		page(w, r)
	}
}

// file writes the whole table or none: half a file looks like all of it.
func (s *Server) file(load func(*http.Request) (csvFile, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), historyWithin)
		defer cancel()
		f, err := load(r.WithContext(ctx))
		if err != nil {
			WriteProblem(w, r, *asProblem(r.Context(), s.log, err))
			return
		}
		var b bytes.Buffer
		out := csv.NewWriter(&b)
		out.Write(f.columns) //nolint:errcheck // a buffer takes everything
		for _, row := range f.rows {
			for i := range row {
				row[i] = inert(row[i])
			}
			out.Write(row) //nolint:errcheck // a buffer takes everything
		}
		out.Flush()
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", `attachment; filename="`+f.name+`.csv"`)
		h.Set("Cache-Control", "no-store")
		if f.next != "" {
			h.Set("Link", "<"+f.next+`>; rel="next"`)
		}
		w.Write(b.Bytes()) //nolint:errcheck // the client is gone, nobody is left to tell
	}
}

// inert keeps a spreadsheet from running what a client sent as a formula. Numbers stay.
func inert(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}

func timeCell(t flows.Time) string {
	if t == flows.NoTime {
		return ""
	}
	return t.String()
}

func secondsCell(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
func boolCell(b bool) string             { return strconv.FormatBool(b) }

func moneyCell(m flows.Money) string {
	var parts []string
	for currency, amount := range m {
		parts = append(parts, currency+" "+flows.FormatAmount(currency, amount))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func numberCell(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

func (s *Server) instancesFile(r *http.Request) (csvFile, error) {
	f, err := s.flow(r)
	if err != nil {
		return csvFile{}, err
	}
	p := pageQuery(r)
	at := p.time("at")
	list := p.listOf()
	if p.fault != nil {
		return csvFile{}, p.fault
	}
	q, fault := listQuery(f, list, at, flows.At(time.Now()))
	if fault != nil {
		return csvFile{}, fault
	}
	rows, next, err := s.instanceTable(r.Context(), f, q, p.text("limit") != "")
	if err != nil {
		return csvFile{}, err
	}
	if next != "" {
		more, _ := url.ParseQuery(list)
		more.Set("cursor", next)
		if at != flows.NoTime {
			more.Set("at", at.String())
		}
		next = "/flows/" + url.PathEscape(f.Name) + "/instances.csv?" + more.Encode()
	}
	return csvFile{f.Name + "-instances", instanceColumns, rows, next}, nil
}

func (s *Server) flowsFile(r *http.Request) (csvFile, error) {
	p := pageQuery(r)
	rng := p.rangeOf()
	if p.fault != nil {
		return csvFile{}, p.fault
	}
	file := csvFile{name: "flows", columns: []string{
		"flow", "title", "capability", "version", "health", "as_of", "window_seconds", "started", "completed", "failed", "cancelled", "resolved", "expired",
		"in_flight", "held", "stuck", "unknown", "value_in_flight", "value_at_risk", "latency_p50_seconds", "latency_p90_seconds", "latency_p99_seconds", "compliance_rate",
	}}
	for _, now := range s.flowsNow(r.Context(), s.rules.Set().Flows(), rng) {
		f, h := now.Flow, now.Health
		row := []string{f.Name, f.Title, f.Capability, f.Version, string(h.Health), timeCell(h.AsOf), numberCell(h.WindowSeconds)}
		for _, n := range []int{h.Started, h.Completed, h.Failed, h.Cancelled, h.Resolved, h.Expired, h.InFlight, h.Held, h.Stuck, h.Unknown} {
			row = append(row, strconv.Itoa(n))
		}
		file.rows = append(file.rows, append(row, moneyCell(h.ValueInFlight), moneyCell(h.ValueAtRisk),
			numberCell(h.Latency.P50), numberCell(h.Latency.P90), numberCell(h.Latency.P99), numberCell(h.ComplianceRate)))
	}
	return file, nil
}

func (s *Server) alertsFile(*http.Request) (csvFile, error) {
	file := csvFile{name: "alerts", columns: []string{
		"id", "state", "flow", "step", "system", "reason", "count", "started_at", "resolved_at", "value_at_risk", "acknowledged_by", "acknowledged_at", "note",
		"silenced", "silenced_until", "owner",
	}}
	for _, a := range s.hub.Alerts() {
		state, until, ackAt := "firing", flows.NoTime, flows.NoTime
		if a.ResolvedAt != flows.NoTime {
			state = "resolved"
		}
		if len(a.Silences) > 0 {
			until = a.Silences[0].Until
		}
		if a.Ack.Given() {
			ackAt = a.Ack.At
		}
		file.rows = append(file.rows, []string{
			a.ID, state, a.Flow, a.Step, a.System, string(a.Reason), strconv.Itoa(a.Count), timeCell(a.StartsAt), timeCell(a.ResolvedAt), moneyCell(a.AtRisk),
			a.Ack.By, timeCell(ackAt), a.Ack.Note, boolCell(a.Silenced), timeCell(until), a.Owner,
		})
	}
	return file, nil
}
