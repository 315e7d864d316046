package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"throughline/flows"
	"throughline/flows/mining"
	"throughline/flows/store/chdb"
	"throughline/ingest/bus"
)

const (
	importBatch  = 2000    // signals a publish
	maxImport    = 4 << 30 // bytes of a file that a server takes
	maxRowFaults = 20      // named; the rest is counted
	importPath   = "/api/v1/flows/{flow}/import"
)

// importSummary is what an import did.
type importSummary struct {
	Flow     string     `json:"flow"`
	Rows     int        `json:"rows"` // that became signals
	Faulty   int        `json:"faulty"`
	Faults   []string   `json:"faults"`
	Cases    int        `json:"cases"`
	AsOf     flows.Time `json:"as_of"` // greatest time: the clock of what was imported
	New      int        `json:"new"`   // signals that were not there before
	Started  int        `json:"started"`
	InFlight int        `json:"in_flight"`
	Stuck    int        `json:"stuck"`
}

// importLog reads an event log, or OTLP, twice: for its greatest time, then to publish it.
// It returns when the engine has applied them and the result is stored.
func (a *app) importLog(ctx context.Context, flowName, path, format string, o mining.Options, progress func(rows, of int)) (importSummary, error) {
	s := importSummary{Flow: flowName, AsOf: flows.NoTime, Faults: []string{}}
	flow, ok := a.rules.Set().Flow(flowName)
	if !ok {
		return s, fmt.Errorf("no flow %q in %s; write %s first", flowName, a.config.ConfigDir, filepath.Join(a.config.ConfigDir, "flows", flowName+".yaml"))
	}
	spans, err := isOTLP(path, format, o)
	if err != nil {
		return s, err
	}
	all := 0
	onward := func(rows int) { progress(rows, all) }
	scan, publish := func() error { return scanLog(path, format, o, &s) }, func() error {
		return a.publishLog(ctx, flow, path, format, o, &s, onward)
	}
	if spans {
		scan, publish = func() error { return a.scanOTLP(flow, path, &s) }, func() error { return a.publishOTLP(ctx, path, &s, onward) }
	}
	if err := scan(); err != nil {
		return s, err
	}
	all = s.Rows
	before, err := a.applied(ctx)
	if err != nil {
		return s, err
	}
	if err := publish(); err != nil {
		return s, err
	}
	last, err := a.bus.LastSeq(ctx, bus.Signals)
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	if err := a.runner.Settled(ctx, last); err != nil {
		return s, err
	}
	after, err := a.applied(ctx)
	if err != nil {
		return s, err
	}
	if s.New = after - before; s.AsOf == flows.NoTime { // spans of which no flow wants any
		return s, nil
	}
	h, err := a.store.Health(ctx, flow, flows.Window{From: flows.NoTime, To: s.AsOf, Hindsight: true}, "")
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	s.Started, s.InFlight, s.Stuck = h.Started, h.InFlight, h.Stuck
	return s, nil
}

// scanLog finds the clock of a log and how many cases it has.
func scanLog(path, format string, o mining.Options, s *importSummary) error {
	cases := map[string]struct{}{}
	err := readLog(path, format, o, s, func(r *mining.Row) error {
		s.AsOf = max(s.AsOf, r.Time)
		cases[r.Case] = struct{}{}
		return nil
	})
	s.Cases = len(cases)
	return err
}

// applied is how many occurrences the engine has taken in so far.
func (a *app) applied(ctx context.Context) (n int, err error) {
	err = a.runner.Ask(ctx, func(r *runner) { n = r.engine.Stats().Inserted })
	return n, err
}

// readLog calls row for each row that can be used, and notes the others.
func readLog(path, format string, o mining.Options, s *importSummary, row func(*mining.Row) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	s.Rows, s.Faulty, s.Faults = 0, 0, s.Faults[:0]
	for r, err := range mining.Read(file, format, o) {
		var fault *mining.RowError
		switch {
		case errors.As(err, &fault):
			if s.Faulty++; len(s.Faults) < maxRowFaults {
				s.Faults = append(s.Faults, fault.Error())
			}
		case err != nil:
			return fmt.Errorf("import %s: %w", filepath.Base(path), err)
		default:
			s.Rows++
			if err := row(&r); err != nil {
				return err
			}
		}
	}
	if s.Rows == 0 {
		return fmt.Errorf("import %s: no row can be used%s", filepath.Base(path), firstFault(s.Faults))
	}
	return nil
}

func firstFault(faults []string) string {
	if len(faults) == 0 {
		return ""
	}
	return "; the first: " + faults[0]
}

func (a *app) publishLog(ctx context.Context, flow *flows.Flow, path, format string, o mining.Options, s *importSummary, progress func(int)) error {
	var counter mining.Counter
	set, received := a.rules.Set(), flows.At(time.Now())
	var batch []flows.Signal
	publish := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := a.publishPatiently(ctx, flows.Batch{Signals: batch}); err != nil {
			return err
		}
		batch = batch[:0]
		progress(s.Rows)
		return nil
	}
	err := readLog(path, format, o, s, func(r *mining.Row) error {
		signal := mining.ToSignal(flow, r, counter.Next(r))
		signal.AsOf, signal.Received = s.AsOf, received
		if err := set.AssignKeys(&signal); err != nil {
			return fmt.Errorf("import: line %d: %w", r.Line, err)
		}
		if batch = append(batch, signal); len(batch) < importBatch {
			return nil
		}
		return publish()
	})
	if err != nil {
		return err
	}
	return publish()
}

// serveImport is POST /api/v1/flows/{flow}/import: the body is the file; format, case,
// activity, time and sequence are parameters.
func (a *app) serveImport(w http.ResponseWriter, r *http.Request) {
	s, err := a.spoolImport(w, r)
	if err != nil {
		status := http.StatusBadRequest
		if a.ctx.Err() != nil || r.Context().Err() != nil {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		problem := map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": err.Error()}
		if err := json.NewEncoder(w).Encode(problem); err != nil {
			a.log.DebugContext(r.Context(), "answer import", "error", err)
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(s); err != nil {
		a.log.DebugContext(r.Context(), "answer import", "error", err)
	}
}

// spoolImport keeps the body in a file meanwhile, because it is read twice.
func (a *app) spoolImport(w http.ResponseWriter, r *http.Request) (s importSummary, err error) {
	control := http.NewResponseController(w)
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	file, err := os.CreateTemp(a.config.DataDir, "import-*")
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = io.Copy(file, http.MaxBytesReader(w, r.Body, maxImport))
	if err = errors.Join(err, file.Close()); err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	q := r.URL.Query()
	o := mining.Options{Case: q.Get("case"), Activity: q.Get("activity"), Time: q.Get("time"), Sequence: q.Get("sequence")}
	return a.importLog(r.Context(), r.PathValue("flow"), file.Name(), q.Get("format"), o, func(int, int) {})
}

type importCmd struct {
	settingsFlags
	Flow     string `required:"" help:"Flow whose history this is."`
	File     string `arg:"" help:"Event log, or traces and logs in OTLP/JSON." type:"existingfile"`
	Case     string `help:"Column of the case, the flow's key."`
	Activity string `help:"Column of the activity, the event's name."`
	Time     string `help:"Column of the time."`
	Sequence string `help:"Column that orders rows of equal time."`
	Format   string `help:"csv, xes or otlp; told by the content where not given." enum:",csv,xes,otlp" default:""`
	Server   string `help:"URL of a running Throughline; without it the data folder is opened here."`
}

// Help is shown below the flags.
func (importCmd) Help() string {
	return "Examples:\n  throughline import --flow receipt receipt.csv.gz --server http://127.0.0.1:8080\n" +
		"  throughline import --flow receipt --case case_id --activity activity --time timestamp receipt.csv\n" +
		"  throughline import --flow checkout traces.ndjson.gz"
}

// Run is the command.
func (i *importCmd) Run(w *world) error {
	began := time.Now()
	var s importSummary
	var err error
	if i.Server != "" {
		s, err = i.send(w)
	} else {
		s, err = i.here(w)
	}
	if err != nil {
		return err
	}
	if s.AsOf == flows.NoTime {
		fmt.Fprintf(w.stdout, "%d spans and log records in %s are stored; no flow wants any of them as a step, and none carries a key\n",
			s.Rows, time.Since(began).Round(10*time.Millisecond))
	} else {
		fmt.Fprintf(w.stdout, "%s: %d rows of %d cases in %s, %d new; as of %s: %d started, %d in flight, %d stuck\n",
			s.Flow, s.Rows, s.Cases, time.Since(began).Round(10*time.Millisecond), s.New, s.AsOf, s.Started, s.InFlight, s.Stuck)
	}
	for _, fault := range s.Faults {
		fmt.Fprintln(w.stderr, fault)
	}
	if s.Faulty > 0 {
		return fmt.Errorf("%d rows could not be used", s.Faulty)
	}
	return nil
}

func (i *importCmd) options() mining.Options {
	return mining.Options{Case: i.Case, Activity: i.Activity, Time: i.Time, Sequence: i.Sequence}
}

// here opens the data folder for the time of the import.
func (i *importCmd) here(w *world) (s importSummary, err error) {
	c, err := i.load(w)
	if err != nil {
		return s, err
	}
	a, err := open(w.ctx, c, w.getenv, w.log(level(false)+4))
	if errors.Is(err, chdb.ErrInUse) {
		return s, fmt.Errorf("%w; or give the file to the one that runs: --server URL", err)
	}
	if err != nil {
		return s, unreachable("%w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	bar := newBar(w.stderr, "importing "+filepath.Base(i.File), 0)
	defer func() {
		if bar.done > 0 {
			bar.end()
		}
	}()
	return a.importLog(w.ctx, i.Flow, i.File, i.Format, i.options(), func(done, of int) {
		bar.total = int64(of)
		bar.set(int64(done))
	})
}

// send gives the file to a running server.
func (i *importCmd) send(w *world) (s importSummary, err error) {
	file, err := os.Open(i.File)
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	q := url.Values{}
	for key, value := range map[string]string{
		"case": i.Case, "activity": i.Activity, "time": i.Time, "sequence": i.Sequence, "format": i.Format,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	server, err := url.Parse(i.Server)
	if err != nil || server.Host == "" {
		return s, usage("--server %q: write it like http://127.0.0.1:8080", i.Server)
	}
	target := server.JoinPath("api/v1/flows", i.Flow, "import")
	target.RawQuery = q.Encode()
	bar := newBar(w.stderr, "sending "+filepath.Base(i.File), info.Size())
	defer bar.end()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, target.String(), bar.reader(file))
	if err != nil {
		return s, fmt.Errorf("import: %w", err)
	}
	request.ContentLength = info.Size()
	request.Header.Set("Content-Type", "application/octet-stream")
	w.authorize(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, unreachable("import: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // its end was read
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
			return s, fmt.Errorf("import: the server answered %s", response.Status)
		}
		return s, errors.New(problem.Detail)
	}
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("import: read the answer: %w", err)
	}
	return s, nil
}
