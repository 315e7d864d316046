package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throughline/flows"
)

// flowText is a good flow file; each step makes another version of it.
func flowText(name string, steps ...string) string {
	text := "flow: " + name + "\nkey: order_id\nsteps:\n"
	for _, s := range steps {
		text += fmt.Sprintf("- {id: %s, match: {event: %s}}\n", s, s)
	}
	return text
}

// folder is a config_dir with flow files that a test writes.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) path(name string) string { return filepath.Join(f.dir, flowsFolder, name) }

func (f folder) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Join(f.dir, flowsFolder), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) calendar(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Join(f.dir, calendarsFolder), 0o755); err != nil {
		f.t.Fatal(err)
	}
	f.write("../"+calendarsFolder+"/"+name+".yaml", text)
}

func (f folder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) load() *rules {
	f.t.Helper()
	r, err := loadRules(f.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// running is the set in words: each flow with its steps.
func running(set *flows.Set) string {
	var words []string
	for _, f := range set.Flows() {
		ids := make([]string, len(f.Steps))
		for i, s := range f.Steps {
			ids[i] = s.ID
		}
		words = append(words, f.Name+"("+strings.Join(ids, " ")+")")
	}
	return strings.Join(words, " ")
}

// expect looks until nothing waits, then compares what runs and what is at fault.
func expect(t *testing.T, r *rules, want string, faults ...string) {
	t.Helper()
	for range 5 {
		if open, _ := r.refresh(); !open {
			break
		}
	}
	var got []string
	for _, f := range r.Faults() {
		got = append(got, f.String())
	}
	same := slices.EqualFunc(got, faults, strings.HasPrefix)
	if running(r.Set()) != want || !same {
		t.Errorf("running %s, want %s\nfaults %q\n  want %q", running(r.Set()), want, got, faults)
	}
}

func TestRules(t *testing.T) {
	f := newFolder(t)
	r := f.load() // without a folder
	expect(t, r, "")
	f.write("a.yaml", flowText("a", "x"))
	f.write(".hidden.yaml", "rubbish")
	f.write("notes.txt", "rubbish")
	expect(t, r, "a(x)")
	f.write("a.yaml", flowText("a", "x", "y"))
	f.write("b.yml", flowText("b", "z"))
	expect(t, r, "a(x y) b(z)")

	f.write("a.yaml", "flow: a\nkye: k\n")
	expect(t, r, "a(x y) b(z)", "flows/a.yaml:1:1: `key` is missing", "flows/a.yaml:1:1: `steps` is missing", "flows/a.yaml:2:1: unknown field `kye`")
	if r.Source("a") != flowText("a", "x", "y") || r.Source("b") != flowText("b", "z") || r.Source("c") != "" {
		t.Error("the sources are not those of what runs")
	}
	f.write("a.yaml", flowText("a", "x"))
	expect(t, r, "a(x) b(z)")
	f.remove("b.yml")
	expect(t, r, "a(x)")
	f.write("c.yaml", "rubbish: [")
	expect(t, r, "a(x)", "flows/c.yaml:2:1: not YAML")
	f.remove("c.yaml")
	expect(t, r, "a(x)")
	if err := os.RemoveAll(filepath.Join(f.dir, flowsFolder)); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "")
}

func TestRulesKeysFile(t *testing.T) {
	f := newFolder(t)
	f.write("a.yaml", flowText("a", "x"))
	f.write("../keys.yaml", "order_id: {from: [orderNumber]}")
	r := f.load()
	order := func() string {
		sig := &flows.Signal{Attributes: map[string]any{"orderNumber": "1", "order.id": "2", "order_id": "3"}}
		if err := r.Set().AssignKeys(sig); err != nil || len(sig.Keys) != 1 {
			t.Fatal(sig.Keys, err)
		}
		return sig.Keys[0].Value
	}
	holds := func(want string, faults ...string) {
		t.Helper()
		expect(t, r, "a(x)", faults...)
		if got := order(); got != want {
			t.Errorf("the key is %s, want %s", got, want)
		}
	}
	holds("1")
	before := r.Set()
	f.write("../keys.yaml", "order_id: {from: [orderNumber]} # said")
	holds("1")
	f.write("../keys.yaml", "order_id: {from: orderNumber}")
	holds("1", "keys.yaml:1:18: `from` must be a list")
	f.write("../keys.yaml", "order_id: {from: [order.id]}")
	holds("2")
	flow, _ := r.Set().Flow("a")
	if before.KeyRules(flow) == r.Set().KeyRules(flow) {
		t.Error("the set does not show that its keys are others")
	}
	f.remove("../keys.yaml")
	holds("3")
	f.write("../keys.yaml", "")
	holds("3")
}

func TestRulesReferredFiles(t *testing.T) {
	f := newFolder(t)
	f.write("a.yaml", "flow: a\nkey: k\nsteps: [{id: x, match: {event: x}}, {id: y, system: erp, match: {event: y}, after: x, within: {business: 8h, calendar: office}}]\n")
	f.write("b.yaml", flowText("b", "z"))
	r := f.load()
	const missing = "flows/a.yaml:3:120: no calendar is named `office`"
	expect(t, r, "b(z)", missing)
	if err := os.Mkdir(filepath.Join(f.dir, calendarsFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	const hours = "zone: Europe/Berlin\nhours: {mon-fri: [\"08:00-17:00\"]}\n"
	f.write("../calendars/office.yaml", hours)
	expect(t, r, "a(x y) b(z)")
	version := func() string {
		flow, _ := r.Set().Flow("a")
		return flow.Version
	}
	before := version()
	f.write("../calendars/office.yaml", "zone: nowhere\n"+hours)
	expect(t, r, "a(x y) b(z)", "calendars/office.yaml:1:7: no zone is named", "calendars/office.yaml:2:1: field `zone` stands twice")
	if version() != before {
		t.Error("a bad calendar replaced a good one")
	}
	f.write("../calendars/office.yaml", hours+"holidays: [de-by]\n")
	expect(t, r, "a(x y) b(z)")
	if version() == before {
		t.Error("another calendar makes no other version")
	}
	before = version()
	f.write("../systems.yaml", "erp: {calendar: office, downtime: [{from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}]}\n")
	expect(t, r, "a(x y) b(z)")
	if flow, _ := r.Set().Flow("a"); version() == before || len(flow.Steps[1].Downtime) != 1 {
		t.Error("planned downtime is not in force")
	}
	named := func() string {
		sig := flows.Signal{Name: "y", Source: "/sap", System: "/sap"}
		if err := r.Set().AssignKeys(&sig); err != nil {
			t.Fatal(err)
		}
		return sig.System
	}
	down := version()
	if named() != "/sap" {
		t.Error("a system is named that no file names")
	}
	f.write("../systems.yaml", "erp: {match: {source: [/sap]}, downtime: [{from: 2026-12-01T22:00:00Z, until: 2026-12-02T04:00:00Z}]}\n")
	expect(t, r, "a(x y) b(z)")
	if named() != "erp" || version() != down {
		t.Errorf("the source reports as %s; version %s, was %s", named(), version(), down)
	}
	f.write("../systems.yaml", "erp: x\n")
	expect(t, r, "a(x y) b(z)", "systems.yaml:1:6: system `erp` must be a mapping")
	f.remove("../systems.yaml")
	expect(t, r, "a(x y) b(z)")
	if version() != before {
		t.Error("without systems the version is not what it was")
	}
	f.remove("../calendars/office.yaml")
	expect(t, r, "a(x y) b(z)", missing) // the last good version runs on
	if version() != before {
		t.Error("a calendar that is gone changed what runs")
	}
}

func TestRulesOneName(t *testing.T) {
	f := newFolder(t)
	f.write("b.yaml", flowText("x", "one"))
	r := f.load()
	expect(t, r, "x(one)")
	f.write("a.yaml", "# a\n"+flowText("x", "two"))
	expect(t, r, "x(one)", "flows/a.yaml:2:1: flow `x` stands in flows/b.yaml already")
	f.write("b.yaml", flowText("x", "one", "more"))
	expect(t, r, "x(one more)", "flows/a.yaml:2:1: flow `x`")
	f.write("b.yaml", "bad")
	expect(t, r, "x(one more)", "flows/a.yaml:2:1: flow `x`", "flows/b.yaml:1:1: ")
	f.write("b.yaml", flowText("y", "three")) // renamed: x is free
	expect(t, r, "x(two) y(three)")
	f.write("b.yaml", flowText("x", "four")) // y keeps running: x is a's now
	expect(t, r, "x(two) y(three)", "flows/b.yaml:1:1: flow `x` stands in flows/a.yaml already")
	f.remove("a.yaml")
	expect(t, r, "x(four)")

	// At the start the first in order has the name.
	f.write("a.yaml", flowText("x", "five"))
	expect(t, f.load(), "x(five)", "flows/b.yaml:1:1: flow `x` stands in flows/a.yaml already")
}

func TestRulesHalfWritten(t *testing.T) {
	f := newFolder(t)
	f.write("a.yaml", flowText("a", "x", "y"))
	r := f.load()
	f.write("a.yaml", flowText("a", "x")) // the writer is not done
	if open, changed := r.refresh(); !open || changed || running(r.Set()) != "a(x y)" {
		t.Error("a change was taken at first sight")
	}
	f.write("a.yaml", flowText("a", "x", "z"))
	if open, changed := r.refresh(); !open || changed {
		t.Error("a change that goes on was taken")
	}
	if open, changed := r.refresh(); open || !changed || running(r.Set()) != "a(x z)" {
		t.Error("a settled change was not taken")
	}
	f.remove("a.yaml") // as editors do that write another file in its place
	if open, changed := r.refresh(); !open || changed {
		t.Error("a file that is away for a moment is gone at once")
	}
	f.write("a.yaml", flowText("a", "x", "z"))
	expect(t, r, "a(x z)")
	for i := range settleAtEnd {
		f.write("a.yaml", flowText("a", fmt.Sprintf("x%d", i)))
		r.refresh()
	}
	if running(r.Set()) == "a(x z)" {
		t.Error("a file that changes all the time is never taken")
	}
}

func TestRulesUnreadable(t *testing.T) {
	f := newFolder(t)
	f.write("a.yaml", flowText("a", "x"))
	r := f.load()
	f.remove("a.yaml")
	if err := os.Symlink("a.yaml", f.path("a.yaml")); err != nil { // points to itself
		t.Fatal(err)
	}
	expect(t, r, "a(x)", "flows/a.yaml:1:1: cannot be read: ")
	f.remove("a.yaml")
	f.write("a.yaml", strings.Repeat("#", flows.MaxFlowBytes+10))
	expect(t, r, "a(x)", "flows/a.yaml:1:1: the file has ")
}

// TestRulesWatch changes files as people and tools do, and waits for each to take effect.
func TestRulesWatch(t *testing.T) {
	f := newFolder(t)
	r := f.load()
	ctx, cancel := context.WithCancel(t.Context())
	sets := make(chan *flows.Set)
	var watching sync.WaitGroup
	watching.Go(func() {
		r.Watch(ctx, func(s *flows.Set) {
			select {
			case sets <- s:
			case <-ctx.Done():
			}
		})
	})
	defer watching.Wait()
	defer cancel()
	within := func(want string) {
		t.Helper()
		late := time.After(10 * time.Second) // far more than the second it should take: the machine may be busy
		began := time.Now()
		for got := ""; ; {
			select {
			case set := <-sets:
				if got = running(set); got == want {
					if took := time.Since(began); took > time.Second {
						t.Logf("%s took %v", want, took)
					}
					return
				}
			case <-late:
				t.Fatalf("running %s, want %s", got, want)
			}
		}
	}
	f.write("a.yaml", flowText("a", "x")) // makes the folder
	within("a(x)")
	f.write("a.yaml", flowText("a", "y"))
	within("a(y)")
	f.write("new", flowText("a", "z"))
	if err := os.Rename(f.path("new"), f.path("a.yaml")); err != nil {
		t.Fatal(err)
	}
	within("a(z)")
	f.write("a.yaml", "bad")
	f.write("b.yaml", flowText("b", "x"))
	within("a(z) b(x)")
	f.write("a.yaml", flowText("a", "good"))
	within("a(good) b(x)")
	f.remove("b.yaml")
	within("a(good)")
	if err := os.RemoveAll(filepath.Join(f.dir, flowsFolder)); err != nil {
		t.Fatal(err)
	}
	within("")
	f.write("a.yaml", flowText("a", "again"))
	within("a(again)")
}

// Capabilities are those of the file and those that flows name; a bad file leaves the last
// good one in force.
func TestRulesCapabilities(t *testing.T) {
	f := newFolder(t)
	f.write("a.yaml", flowText("returns", "one")+"capability: care\n")
	f.write("b.yaml", flowText("orders", "two"))
	f.write("../capabilities.yaml", "sales: {title: Sales, owner: shop, systems: [webshop], flows: [orders]}\n")
	r := f.load()
	say := func() string {
		var lines []string
		for _, c := range r.Capabilities() {
			lines = append(lines, fmt.Sprintf("%s %s %s %v %v", c.Name, c.Title, c.Owner, c.Systems, c.Flows))
		}
		return strings.Join(lines, ", ")
	}
	const want = "care care  [] [returns], sales Sales shop [webshop] [orders]"
	if got := say(); got != want || len(r.Faults()) > 0 {
		t.Errorf("%s; %v", got, r.Faults())
	}
	f.write("../capabilities.yaml", "sales: {title: Sales, flows: [ordres]}\n")
	r.refresh()
	r.refresh()
	if faults := r.Faults(); len(faults) != 1 || !strings.Contains(faults[0].String(), "capabilities.yaml:1:31: no flow is named `ordres`; did you mean `orders`?") {
		t.Errorf("%v", faults)
	}
	f.write("../capabilities.yaml", "sales: 1\n")
	r.refresh()
	r.refresh()
	if got := say(); got != "care care  [] [returns], sales Sales  [] [ordres]" || len(r.Faults()) != 1 {
		t.Errorf("after a bad file: %s; %v", got, r.Faults())
	}
	if err := os.Remove(f.path("../capabilities.yaml")); err != nil {
		t.Fatal(err)
	}
	r.refresh()
	r.refresh()
	if got := say(); got != "care care  [] [returns]" || len(r.Faults()) > 0 {
		t.Errorf("without the file: %s; %v", got, r.Faults())
	}
}

func TestCheck(t *testing.T) {
	f := newFolder(t)
	try := func(path string, want ...string) {
		t.Helper()
		var out strings.Builder
		n, err := check([]string{path}, &out)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if out.Len() == 0 {
			got = nil
		}
		if err != nil || n != len(want) || !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s: %d faults, %v\n%s\nwant %q", path, n, err, out.String(), want)
		}
	}
	if err := os.WriteFile(filepath.Join(f.dir, "alertmanager.yml"), []byte("route: {receiver: x}"), 0o644); err != nil {
		t.Fatal(err)
	}
	try(f.dir)
	f.write("a.yaml", flowText("x", "one"))
	try(f.dir)
	f.write("../capabilities.yaml", "sales: {flows: [x, y]}\n")
	try(f.dir, filepath.Join(f.dir, capabilitiesName)+":1:20: no flow is named `y`")
	try(f.path("a.yaml"))
	f.remove("../capabilities.yaml")
	f.write("b.yaml", flowText("x", "two"))
	f.write("c.yaml", "flow: C\nkey: k\nsteps: [{id: a, mach: {event: a}}]\n")
	faults := []string{
		f.path("b.yaml") + ":1:1: flow `x` stands in " + f.path("a.yaml") + " already",
		f.path("c.yaml") + ":1:7: `flow` cannot be `C`",
		f.path("c.yaml") + ":3:9: step `a` has no `match`",
		f.path("c.yaml") + ":3:17: unknown field `mach`; did you mean `match`?",
	}
	try(f.dir, faults...)
	try(filepath.Join(f.dir, flowsFolder), faults...)
	try(f.path("c.yaml"), faults[1:]...)
	try(f.path("b.yaml"))

	f.write("b.yaml", "flow: y\nkey: k\nsteps: [{id: a, match: {event: a}}, {id: b, match: {event: b}, after: a, within: {business: 8h, calendar: office}}]\n")
	f.remove("c.yaml")
	if err := os.Mkdir(filepath.Join(f.dir, calendarsFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	try(f.dir, f.path("b.yaml")+":3:107: no calendar is named `office`; write calendars/office.yaml")
	f.write("../calendars/office.yaml", "zone: Berlin\nhours: {mon: [\"08:00-17:00\"]}\n")
	f.write("../systems.yaml", "erp: {titel: ERP}\n")
	office, systems := filepath.Join(f.dir, calendarsFolder, "office.yaml"), filepath.Join(f.dir, systemsName)
	faults = []string{
		office + ":1:7: no zone is named `Berlin`",
		f.path("b.yaml") + ":3:107: no calendar is named `office`",
		systems + ":1:7: unknown field `titel`; did you mean `title`?",
	}
	try(f.dir, faults...)
	try(office, faults[:1]...)
	try(f.path("b.yaml"), faults[1:2]...)
	try(systems, faults[2:]...)
	f.write("../calendars/office.yaml", "zone: Europe/Berlin\nhours: {mon: [\"08:00-17:00\"]}\n")
	try(f.path("b.yaml"))
	f.write("../systems.yaml", "erp: {heartbeat: 5m, title: ERP}\ncrm: {title: CRM}\n")
	f.write("../capabilities.yaml", "sales: {flows: [nowhere]}\n")
	capabilities := filepath.Join(f.dir, capabilitiesName)
	try(capabilities, capabilities+":1:17: no flow is named `nowhere`")
	f.write("../capabilities.yaml", "sales: {titel: Sales}\n")
	try(capabilities, capabilities+":1:9: unknown field `titel`; did you mean `title`?")
	f.write("../capabilities.yaml", "sales: {title: Sales}\n")
	var out strings.Builder
	n, err := check([]string{f.dir}, &out)
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	notes := []string{
		systems + ":1:18: note: `heartbeat` is taken, but",
	}
	if n != 0 || err != nil || !slices.EqualFunc(got, notes, strings.HasPrefix) {
		t.Errorf("%d faults, %v\n%s\nwant %q", n, err, out.String(), notes)
	}
	if _, err := check([]string{f.path("none.yaml")}, &strings.Builder{}); err == nil {
		t.Error("a path that does not exist is no error")
	}
}
