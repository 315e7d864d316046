package store

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"throughline/flows"
)

const sharedData = "../../../shared/data"

// expectation is what another program, from the same log, says of it.
type expectation struct {
	Flow      string
	Log       string
	Events    int
	Started   int
	Completed int
	InFlight  int `json:"in_flight"`
	Latency   struct {
		Count int
		Mean  float64 `json:"mean_seconds"`
		P50   float64 `json:"p50_seconds"`
		P90   float64 `json:"p90_seconds"`
		P99   float64 `json:"p99_seconds"`
		Max   float64 `json:"max_seconds"`
	}
	Steps           map[string]int
	Starts          map[string]int
	Ends            map[string]int
	DirectlyFollows []struct {
		From, To string
		Count    int
		Median   float64 `json:"median_seconds"`
	} `json:"directly_follows"`
	VariantsTotal int `json:"variants_total"`
	Variants      []struct {
		Steps []string
		Count int
	}
	AsOf []expectedCut `json:"as_of"`
}

type expectedCut struct {
	At        time.Time
	Idle      string
	Started   int
	Completed int
	InFlight  int `json:"in_flight"`
	Stuck     int
	Oldest    []string
}

// TestLogs holds the numbers of recorded event logs against those that another program
// worked out from the same logs.
func TestLogs(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(sharedData, "expected", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("no recorded logs here")
	}
	for _, path := range paths {
		var want expectation
		readJSON(t, path, &want)
		t.Run(want.Flow, func(t *testing.T) {
			if testing.Short() && want.Events > 10_000 {
				t.Skip("a long log")
			}
			testLog(t, want)
		})
	}
}

func testLog(t *testing.T, want expectation) {
	s := openStore(t)
	definition, err := os.ReadFile(filepath.Join(sharedData, "flows", want.Flow+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f := parseFlow(t, definition)
	signals := readLog(t, filepath.Join(sharedData, want.Log), f.Key)
	if len(signals) != want.Events {
		t.Fatalf("%d events in the log, want %d", len(signals), want.Events)
	}
	writeLog(t, s, f, signals)

	began := time.Now()
	checkHealth(t, s, f, want)
	checkPaths(t, s, f, want)
	for _, cut := range want.AsOf {
		checkCut(t, s, parseFlow(t, idlePattern.ReplaceAll(definition, []byte("idle: "+cut.Idle))), cut)
	}
	reads := 3 + 2*len(want.AsOf)
	took := time.Since(began)
	t.Logf("%d questions of %d occurrences each took %v: %.0f occurrences/s", reads, len(signals),
		took.Round(time.Millisecond), float64(reads*len(signals))/took.Seconds())
}

var idlePattern = regexp.MustCompile(`(?m)^idle: .*$`)

func checkHealth(t *testing.T, s *Store, f *flows.Flow, want expectation) {
	t.Helper()
	h, err := s.Health(t.Context(), f, flows.Window{From: flows.NoTime, To: wallClock()}, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "started", h.Started, want.Started)
	equal(t, "completed", h.Completed, want.Completed)
	equal(t, "in flight", h.InFlight, want.InFlight)
	equal(t, "latency count", h.Latency.Count, want.Latency.Count)
	near(t, "mean", h.Latency.Mean, want.Latency.Mean, 1e-6)
	near(t, "max", h.Latency.Max, want.Latency.Max, 1e-6)
	near(t, "p50", h.Latency.P50, want.Latency.P50, 0.01)
	near(t, "p90", h.Latency.P90, want.Latency.P90, 0.01)
	near(t, "p99", h.Latency.P99, want.Latency.P99, 0.01)
	for _, step := range h.Steps {
		equal(t, "reached "+step.Step, step.Reached, want.Steps[step.Step])
	}
}

func checkPaths(t *testing.T, s *Store, f *flows.Flow, want expectation) {
	t.Helper()
	df, err := s.DirectlyFollows(t.Context(), f, flows.NoTime, flows.NoTime)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "edges", len(df.Edges), len(want.DirectlyFollows))
	edges := make(map[[2]string]flows.Edge)
	for _, e := range df.Edges {
		edges[[2]string{e.From, e.To}] = e
	}
	for _, w := range want.DirectlyFollows {
		e := edges[[2]string{w.From, w.To}]
		equal(t, w.From+" to "+w.To, e.Count, w.Count)
		seconds := e.Median.Seconds()
		near(t, "median of "+w.From+" to "+w.To, &seconds, w.Median, 1e-9)
	}
	equalMaps(t, "starts", df.Starts, want.Starts)
	equalMaps(t, "ends", df.Ends, want.Ends)

	v, err := s.Variants(t.Context(), f, flows.NoTime, flows.NoTime, maxPage)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "variants", v.Total, want.VariantsTotal)
	for i, w := range want.Variants {
		if i >= len(v.Variants) || v.Variants[i].Count != w.Count || !slices.Equal(v.Variants[i].Steps, w.Steps) {
			t.Errorf("variant %d is %v, want %v", i, v.Variants[i], w)
		}
	}
}

func checkCut(t *testing.T, s *Store, f *flows.Flow, cut expectedCut) {
	t.Helper()
	at := flows.At(cut.At)
	h, err := s.Health(t.Context(), f, flows.Window{From: flows.NoTime, To: at, Hindsight: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	name := "at " + at.String() + " "
	equal(t, name+"started", h.Started, cut.Started)
	equal(t, name+"completed", h.Completed, cut.Completed)
	equal(t, name+"in flight", h.InFlight, cut.InFlight)
	equal(t, name+"stuck", h.Stuck, cut.Stuck)
	page, err := s.Instances(t.Context(), f, flows.InstanceQuery{
		States: []flows.State{flows.Stuck}, Since: flows.NoTime, At: at, Sort: flows.SortAge, Limit: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, r := range page.Instances {
		keys = append(keys, r.Key)
	}
	if !slices.Equal(keys, cut.Oldest) {
		t.Errorf("%soldest are %q, want %q", name, keys, cut.Oldest)
	}
	equal(t, name+"there is more", page.Next != "", cut.Stuck > 10)
}

// writeLog stores what the engine would: occurrences, and instances judged at the log's
// greatest time.
func writeLog(t *testing.T, s *Store, f *flows.Flow, signals []flows.Signal) {
	t.Helper()
	began := time.Now()
	steps := make(map[string]int)
	for i := range f.Steps {
		steps[f.Steps[i].Match.Name] = i
	}
	byKey := make(map[string][]flows.Occurrence)
	var rows []flows.OccurrenceRecord
	for i := range signals {
		step, ok := steps[signals[i].Name]
		if !ok {
			t.Fatalf("no step for %q", signals[i].Name)
		}
		o := occurrence(t, &signals[i], step)
		key := signals[i].Keys[0].Value
		byKey[key] = append(byKey[key], o)
		rows = append(rows, f.OccurrenceRecord(key, o))
	}
	var instances []flows.InstanceRecord
	for key, occurrences := range byKey {
		now := flows.Clock(occurrences, 0)
		in := f.Fold(occurrences, now)
		r := f.Record(key, &in, now)
		r.Imported = true
		instances = append(instances, r)
	}
	for chunk := range slices.Chunk(rows, 50_000) {
		if err := s.WriteOccurrences(t.Context(), 1, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WriteInstances(t.Context(), 1, instances); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d occurrences of %d instances written in %v", len(rows), len(instances), time.Since(began).Round(time.Millisecond))
}

func occurrence(t *testing.T, g *flows.Signal, step int) flows.Occurrence {
	t.Helper()
	id := g.Identity()
	return flows.Occurrence{
		Step: step, At: g.OccursAt(), Start: g.Time, Failed: g.Failed, Sampled: g.Sampled, Source: id.Source, ID: id.ID, Sequence: g.Sequence,
		System: g.System, AsOf: g.AsOf, Hash: g.ContentHash(),
	}
}

// readLog reads a log in its normal form: seq, case_id, activity, timestamp, ...
func readLog(t *testing.T, path, keyType string) []flows.Signal {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := csv.NewReader(unzipped)
	if _, err := lines.Read(); err != nil {
		t.Fatal(err)
	}
	var signals []flows.Signal
	var last flows.Time
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, line[3])
		if err != nil {
			t.Fatal(err)
		}
		signals = append(signals, flows.Signal{
			Source: "/logs/test", ID: "test-" + line[0], Name: line[2], System: "/logs/test", Time: flows.At(at), Sequence: line[0],
			Keys: []flows.Key{{Type: keyType, Value: line[1]}},
		})
		last = max(last, flows.At(at))
	}
	for i := range signals {
		signals[i].AsOf = last
	}
	return signals
}

func parseFlow(t *testing.T, definition []byte) *flows.Flow {
	t.Helper()
	f, faults := flows.Parse("test.yaml", definition)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return f
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip(err)
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func equal[V comparable](t *testing.T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func equalMaps(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	equal(t, what, len(got), len(want))
	for k, w := range want {
		equal(t, what+" "+k, got[k], w)
	}
}

// near allows a relative error.
func near(t *testing.T, what string, got *float64, want, within float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > within*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
