package views

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := Written(c, Locale{}).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	tagEnd   = regexp.MustCompile(`>\s*<`)
	longTag  = regexp.MustCompile(`<symbol .*?</symbol>`)
	emptyRun = regexp.MustCompile(`\n\s*\n`)
)

// lines breaks HTML at tags, so that a difference is one line; the icons are left out.
func lines(html string) string {
	html = longTag.ReplaceAllString(html, "")
	html = tagEnd.ReplaceAllString(html, ">\n<")
	return emptyRun.ReplaceAllString(html, "\n") + "\n"
}

func golden(t *testing.T, name, html string) {
	t.Helper()
	path := filepath.Join("testdata", name+".html")
	got := lines(html)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with go test ./web/views -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); look at it, then go test ./web/views -update\n%s", path, diff)
	}
}

func TestGolden(t *testing.T) {
	golden(t, "shell", render(t, Document(sampleShell(PlaceOverview, "Sample"), templ.NopComponent)))
	golden(t, "notices", render(t, notices(sampleClock(), Notices{
		Restoring: true, HistoryAway: sampleNow.Add(-60e9), Faults: []flows.Fault{{File: "flows/orders.yaml", Line: 12, Col: 5, Message: `unknown field "befor"`}},
		Bounds: []Bound{{Count: 3, One: "key is linked to too many others", Many: "keys are linked to too many others", Means: "Their links are void.", Advice: "Raise partners of the type in keys.yaml.", Links: []Link{{Text: "customer_id:null", Href: "/entities/customer_id/null"}}}},
	})))
	for _, page := range samplePages(t) {
		if page.name == "components" {
			continue // every component is in another file
		}
		t.Run(page.name, func(t *testing.T) { golden(t, page.name, render(t, page.body)) })
	}
}

// TestParts holds that a live element is one element with the id that the socket targets,
// and that the page shows it byte for byte as the socket pushes it.
func TestParts(t *testing.T) {
	for _, page := range samplePages(t) {
		whole := render(t, Document(page.shell, page.body))
		for _, part := range append(page.shell.Parts(), page.parts...) {
			html := strings.TrimSpace(render(t, part.Body))
			opening, _, _ := strings.Cut(html, ">")
			if !strings.Contains(opening, ` id="`+part.ID+`"`) {
				t.Errorf("%s: part %s begins with %s>", page.name, part.ID, opening)
			}
			if n := strings.Count(whole, ` id="`+part.ID+`"`); n != 1 {
				t.Errorf("%s: id %s stands %d times", page.name, part.ID, n)
			}
			if !strings.Contains(whole, html) {
				t.Errorf("%s: part %s is not on the page as it is pushed", page.name, part.ID)
			}
			if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`).MatchString(part.ID) {
				t.Errorf("%s: #%s is no selector", page.name, part.ID)
			}
		}
	}
}

// TestDeterministic holds what the diff of renderings rests on: no clock, no map order.
func TestDeterministic(t *testing.T) {
	first, second := samplePages(t), samplePages(t)
	for i, page := range first {
		if render(t, page.body) != render(t, second[i].body) {
			t.Errorf("%s: the same values give other bytes", page.name)
		}
	}
}

var forbidden = map[string]*regexp.Regexp{
	"a style attribute": regexp.MustCompile(`<[^>]*\sstyle\s*=`),
	"a style element":   regexp.MustCompile(`<style`),
	"an event handler":  regexp.MustCompile(`<[^>]*\son[a-z]+\s*=`),
	"an inline script":  regexp.MustCompile(`<script(>|\s[^>]*[^c]>)[^<]`),
	"a foreign origin":  regexp.MustCompile(`(src|action)="(https?:)?//`),
	"htmx code":         regexp.MustCompile(`hx-(on|vals|vars)`),
}

var (
	idAttribute = regexp.MustCompile(`\sid="([^"]*)"`)
	scriptTag   = regexp.MustCompile(`(?s)<script[^>]*>(.*?)</script>`)
)

// TestPolicy holds what the content security policy forbids.
func TestPolicy(t *testing.T) {
	for _, page := range samplePages(t) {
		html := render(t, Document(page.shell, page.body))
		for what, pattern := range forbidden {
			if found := pattern.FindString(html); found != "" {
				t.Errorf("%s has %s: %s", page.name, what, found)
			}
		}
		for _, script := range scriptTag.FindAllStringSubmatch(html, -1) {
			if script[1] != "" {
				t.Errorf("%s has an inline script: %s", page.name, script[1])
			}
		}
		seen := map[string]bool{}
		for _, id := range idAttribute.FindAllStringSubmatch(html, -1) {
			if seen[id[1]] {
				t.Errorf("%s: id %q stands twice", page.name, id[1])
			}
			seen[id[1]] = true
		}
		if n := strings.Count(html, "<h1"); n != 1 {
			t.Errorf("%s has %d headings of the first level", page.name, n)
		}
	}
}

// TestEscape gives every text that comes from outside a hostile value.
func TestEscape(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror='alert(2)'>`
	v := sampleTimeline(t)
	v.Detail.Key = evil
	v.Detail.Segments = map[string]string{evil: evil}
	for i := range v.Detail.Signals {
		s := &v.Detail.Signals[i]
		s.Name, s.System, s.Source, s.ID, s.TraceID = evil, evil, evil, evil, evil
		s.Keys = []flows.Key{{Type: evil, Value: evil}}
		s.Attributes = map[string]any{evil: evil}
	}
	f := v.Flow // parsed for this test alone
	f.Title, f.Runbook, f.Owner, f.Capability, f.Key = evil, "javascript:alert(3)", evil, evil, evil
	f.Steps[0].Title, f.Steps[0].System = evil, evil
	now := orders(t)
	now.Flow = f
	alert := sampleAlerts()[0]
	alert.Title, alert.Owner, alert.System, alert.StepTitle, alert.ID, alert.Runbook, alert.Key = evil, evil, evil, evil, evil, "javascript:alert(3)", evil
	alert.Ack, alert.Acts = flows.Ack{By: evil, Note: evil}, true
	alert.Silenced, alert.Silences = true, []flows.Silence{{ID: evil, By: evil, Why: evil, Own: true}}
	for name, c := range map[string]templ.Component{
		"instance": v.Body(),
		"flow":     FlowDetail{Clock: v.Clock, Now: now, Alerts: []Alert{alert}}.Body(),
		"overview": Overview{Clock: v.Clock, Flows: []FlowNow{now}, Alerts: []Alert{alert}}.Body(),
		"alert":    AlertDetail{Clock: v.Clock, Alert: alert, Now: &now, Reader: evil}.Body(),
		"search":   SearchResults{Clock: v.Clock, Query: evil, Found: flows.Found{Instances: []flows.FoundInstance{{Flow: evil, Key: evil}}, Keys: []flows.Key{{Type: evil, Value: evil}}}}.Body(),
		"entity":   EntityTimeline{Clock: v.Clock, Key: flows.Key{Type: evil, Value: evil}, Signals: v.Detail.Signals, Known: []*flows.Flow{f}}.Body(),
		"model": FlowModel{
			Clock: v.Clock, Name: evil, Flow: f, File: evil, Text: "x", Draft: evil, Faults: []flows.Fault{{File: evil, Line: 1, Message: evil}},
			Versions: []flows.FlowText{{Version: evil, Text: evil}}, Trial: &FlowTrial{Text: evil, Base: "y", Faults: []flows.Fault{{Message: evil}}},
		}.Body(),
		"problem": Problem{Status: 404, Title: evil, Text: evil, There: []Link{{Text: evil, Href: "/flows/x", Note: evil}}}.Body(),
		"systems": SystemList{Clock: v.Clock, Systems: []SystemNow{{Name: evil, Steps: []SystemStep{{Flow: f}}}}, Known: true}.Body(),
		"system":  SystemDetail{Clock: v.Clock, Now: SystemNow{Name: evil, Steps: []SystemStep{{Flow: f}}}, Known: true, Names: []flows.SeenSignal{{Name: evil}}, Wanted: []WantedName{{Name: evil, Flow: f}}, Alerts: []Alert{alert}}.Body(),
		"first":   FirstRun{Clock: v.Clock, EventsURL: evil, ConfigDir: evil, OTLPHTTP: evil, Seen: []flows.SeenSignal{{Name: evil, Source: evil, Attributes: []string{evil}}}}.Body(),
	} {
		shell := sampleShell(PlaceSearch, evil)
		shell.Query, shell.Scope, shell.Notices.Faults = evil, evil, []flows.Fault{{File: evil, Message: evil}}
		html := render(t, Document(shell, c))
		for _, bad := range []string{"<script>alert", "<img", "javascript:"} {
			if strings.Contains(html, bad) {
				t.Errorf("%s lets %s through", name, bad)
			}
		}
	}
}

// english is a text with its numbers as English writes them.
func english(text string) string { return string(Locale{}.Write([]byte(text))) }
