package main

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// expected is what an independent computation found in a log.
type expected struct {
	Flow            string
	Log             string
	Events          int
	Started         int
	Completed       int
	InFlight        int `json:"in_flight"`
	Latency         flows.Distribution
	Steps           map[string]int
	Starts, Ends    map[string]int
	DirectlyFollows []edgeAnswer `json:"directly_follows"`
	VariantsTotal   int          `json:"variants_total"`
	Variants        []variantAnswer
	AsOf            []struct {
		At, Idle           string
		Started, Completed int
		InFlight           int `json:"in_flight"`
		Stuck              int
		Oldest             []string
	} `json:"as_of"`
}

type edgeAnswer struct {
	From, To string
	Count    int
	Median   float64 `json:"median_seconds"`
}

type variantAnswer struct {
	Steps []string
	Count int
}

func expectations(t *testing.T) map[string]expected {
	t.Helper()
	needShared(t)
	files, err := filepath.Glob(shared + "/expected/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no expected results: %v", err)
	}
	all := map[string]expected{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e expected
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[e.Flow] = e
	}
	return all
}

func sharedFlow(t *testing.T, flow string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared, "flows", flow+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// near says that two numbers agree within a share of the second.
func near(got *float64, want, within float64) bool {
	return got != nil && math.Abs(*got-want) <= within*math.Abs(want)+1e-6
}

// TestLogsGiveTheExpectedNumbers imports every log and asks the API for all its numbers.
// In the cuts each log has another idle time, so each cut is a flow of its own.
func TestLogsGiveTheExpectedNumbers(t *testing.T) {
	all := expectations(t)
	files := map[string]string{}
	for flow, e := range all {
		if testing.Short() && e.Events > 10_000 {
			delete(all, flow)
			continue
		}
		files[flow] = sharedFlow(t, flow)
	}
	h := start(t, files)
	for _, flow := range slices.Sorted(maps.Keys(all)) {
		e := all[flow]
		t.Run(flow, func(t *testing.T) {
			h := &house{t: t, dir: h.dir, addr: h.addr}
			began := time.Now()
			args := []string{
				"import", "--flow", flow, "--case", "case_id", "--activity", "activity", "--time", "timestamp", "--sequence", "seq",
				"--server", "http://" + h.addr.HTTP, filepath.Join(shared, e.Log),
			}
			for range 2 { // the second time changes nothing
				if err := run(t.Context(), args, func(string) string { return "" }, t.Output(), io.Discard); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d events imported twice in %v", e.Events, time.Since(began))
			h.checkNumbers(e)
			h.checkPaths(e)
			h.checkCuts(e)
		})
	}
}

func (h *house) checkNumbers(e expected) {
	h.t.Helper()
	var got flows.Health
	h.get("/api/v1/flows/"+e.Flow+"/health?window=all", &got)
	if got.Started != e.Started || got.Completed != e.Completed || got.InFlight != e.InFlight {
		h.t.Errorf("started %d completed %d in flight %d, want %d %d %d", got.Started, got.Completed, got.InFlight, e.Started, e.Completed, e.InFlight)
	}
	l := got.Latency
	if l.Count != e.Latency.Count || !near(l.Mean, *e.Latency.Mean, 1e-9) || !near(l.Max, *e.Latency.Max, 1e-9) ||
		!near(l.P50, *e.Latency.P50, 0.01) || !near(l.P90, *e.Latency.P90, 0.01) || !near(l.P99, *e.Latency.P99, 0.01) {
		h.t.Errorf("latency %s, want %s", inJSON(l), inJSON(e.Latency))
	}
	for _, step := range got.Steps {
		if step.Reached != e.Steps[step.Step] {
			h.t.Errorf("%s reached %d, want %d", step.Step, step.Reached, e.Steps[step.Step])
		}
	}
}

func inJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (h *house) checkPaths(e expected) {
	h.t.Helper()
	var follows struct {
		Edges        []edgeAnswer
		Starts, Ends map[string]int
	}
	h.get("/api/v1/flows/"+e.Flow+"/directly-follows", &follows)
	edges := map[[2]string]edgeAnswer{}
	for _, edge := range follows.Edges {
		edges[[2]string{edge.From, edge.To}] = edge
	}
	for _, want := range e.DirectlyFollows {
		if got := edges[[2]string{want.From, want.To}]; got.Count != want.Count || !near(&got.Median, want.Median, 1e-6) {
			h.t.Errorf("edge %+v, want %+v", got, want)
		}
	}
	if len(edges) != len(e.DirectlyFollows) || !maps.Equal(follows.Starts, e.Starts) || !maps.Equal(follows.Ends, e.Ends) {
		h.t.Errorf("%d edges, starts %v, ends %v; want %d, %v, %v", len(edges), follows.Starts, follows.Ends, len(e.DirectlyFollows), e.Starts, e.Ends)
	}
	var variants struct {
		Variants []variantAnswer
		Total    int
	}
	h.get(fmt.Sprintf("/api/v1/flows/%s/variants?limit=%d", e.Flow, len(e.Variants)), &variants)
	if variants.Total != e.VariantsTotal || len(variants.Variants) != len(e.Variants) {
		h.t.Fatalf("%d of %d variants, want %d of %d", len(variants.Variants), variants.Total, len(e.Variants), e.VariantsTotal)
	}
	for i, want := range e.Variants {
		if got := variants.Variants[i]; got.Count != want.Count {
			h.t.Errorf("variant %d: %d, want %d", i, got.Count, want.Count)
		}
	}
}

// checkCuts changes the flow's idle time to that of each cut, and asks in hindsight.
func (h *house) checkCuts(e expected) {
	h.t.Helper()
	original := sharedFlow(h.t, e.Flow)
	_, idle, _ := strings.Cut(original, "\nidle: ")
	idle, _, _ = strings.Cut(idle, "\n")
	for _, cut := range e.AsOf {
		text := strings.Replace(original, "\nidle: "+idle+"\n", "\nidle: "+cut.Idle+"\n", 1)
		writeFlow(h.t, h.dir, e.Flow, text)
		f, faults := flows.Parse(e.Flow, []byte(text))
		if len(faults) > 0 {
			h.t.Fatal(faults)
		}
		h.eventually("idle "+cut.Idle+" in force", slow*time.Minute, func() bool {
			var now flows.Health
			h.get("/api/v1/flows/"+e.Flow+"/health", &now)
			return now.Version == f.Version
		})
		at := url.QueryEscape(cut.At)
		var health flows.Health
		h.get("/api/v1/flows/"+e.Flow+"/health?window=all&at="+at, &health)
		if health.Started != cut.Started || health.Completed != cut.Completed || health.InFlight != cut.InFlight || health.Stuck != cut.Stuck {
			h.t.Errorf("at %s: started %d completed %d in flight %d stuck %d, want %+v", cut.At, health.Started, health.Completed, health.InFlight, health.Stuck, cut)
		}
		var stuck struct{ Instances []struct{ Key string } }
		h.get("/api/v1/flows/"+e.Flow+"/instances?state=stuck&sort=age&limit=10&at="+at, &stuck)
		var keys []string
		for _, in := range stuck.Instances {
			keys = append(keys, in.Key)
		}
		if !slices.Equal(keys, cut.Oldest) {
			h.t.Errorf("at %s: oldest %v, want %v", cut.At, keys, cut.Oldest)
		}
	}
}

// TestLogAsEventsGivesTheSameNumbers sends a log as CloudEvents in random order, some
// twice, and finds what the import finds, but for what depends on the clock.
func TestLogAsEventsGivesTheSameNumbers(t *testing.T) {
	all := expectations(t)
	logs := []string{"receipt", "running-example", "interval-event-log"}
	if !testing.Short() {
		logs = append(logs, "helpdesk")
	}
	files := map[string]string{}
	for _, flow := range logs {
		files[flow] = sharedFlow(t, flow)
	}
	h := start(t, files)
	for _, flow := range logs {
		t.Run(flow, func(t *testing.T) {
			h, e := &house{t: t, dir: h.dir, addr: h.addr}, all[flow]
			events := logEvents(t, e)
			rng := rand.New(rand.NewPCG(7, 8))
			for range len(events) / 20 {
				events = append(events, events[rng.IntN(len(events))])
			}
			rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for batch := range slices.Chunk(events, 500) {
				h.send(batch...)
			}
			h.eventually("all events counted", 20*time.Second, func() bool {
				var got flows.Health
				h.get("/api/v1/flows/"+flow+"/health?window=all", &got)
				return got.Started == e.Started && got.Completed == e.Completed && reached(got) == sum(e.Steps)
			})
			h.checkNumbers(e)
			h.checkPaths(e)
		})
	}
}

func reached(h flows.Health) (n int) {
	for _, step := range h.Steps {
		n += step.Reached
	}
	return n
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// logEvents are the rows of a log as CloudEvents (data/README.md says how).
func logEvents(t *testing.T, e expected) []cloudEvent {
	t.Helper()
	file, err := os.Open(filepath.Join(shared, e.Log))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(unzipped).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	var events []cloudEvent
	for _, row := range rows[1:] {
		seq := row[at["seq"]]
		events = append(events, cloudEvent{
			ID: e.Flow + "-" + seq, Source: "/logs/" + e.Flow, Type: row[at["activity"]], Time: row[at["timestamp"]], Sequence: seq,
			Data: map[string]any{"case_id": row[at["case_id"]]},
		})
	}
	return events
}
