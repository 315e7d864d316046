package flows

import (
	"strings"
	"testing"
)

// What is not followed yet is checked all the same, and said aloud once a file.
func TestParseNotesWhatIsNotInUse(t *testing.T) {
	flow := mustParse(t, `flow: f
key: k
steps:
  - {id: a, match: {event: a}}
  - {id: b, match: {event: b}, after: a, within: learned}
  - {id: c, match: {event: c}, after: b, within: learned, end: completed}
objectives:
  - {measure: end_to_end, percentile: 95, below: 3d, over: 30d}
  - {measure: compliance, above: 99.9%, over: 30d}
`)
	var got []string
	for _, note := range flow.Notes {
		place, _, _ := strings.Cut(note.String(), " is taken")
		place, _, _ = strings.Cut(place, " are taken")
		got = append(got, place)
	}
	want := "f.yaml:8:3: `objectives`, f.yaml:5:50: `learned`"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if flow.Steps[1].Within != 0 {
		t.Error("a learned step has a deadline")
	}
	if f := mustParse(t, minimal("{id: a, match: {event: a}}")); len(f.Notes) > 0 {
		t.Errorf("notes on a plain flow: %v", f.Notes)
	}
}

func TestParseObjectivesFaults(t *testing.T) {
	f := func(objectives string, want ...string) {
		t.Helper()
		text := "flow: f\nkey: k\nsteps: [{id: a, match: {event: a}}]\nobjectives: " + objectives + "\n"
		flow, faults := Parse("f.yaml", []byte(text))
		checkFaults(t, text, flow == nil, faults, want)
	}
	f("[{measure: compliance, above: 99.9, over: 1w}]")
	f("[]", "4:13 `objectives` must be a list")
	f("[x]", "4:14 an objective must be a mapping")
	f("[{over: 1w}]", "4:14 has no `measure`")
	f("[{measure: complience, over: 1w}]", "4:24 did you mean `compliance`?")
	f("[{measure: end_to_end, percentil: 95, below: 1d, over: 1w}]", "4:14 lacks `percentile`", "4:36 did you mean `percentile`?")
	f("[{measure: end_to_end, percentile: 100, below: 1d, over: 1w}]", "4:48 between 0 and 100")
	f("[{measure: end_to_end, percentile: NaN, below: 1d, over: 1w}]", "4:48 between 0 and 100")
	f("[{measure: compliance, above: 99.9%, below: 1d, over: 1w}]", "4:57 `below` says nothing of measure `compliance`")
	f("[{measure: compliance, above: most, over: later}]", "4:43 `above` cannot be `most`", "4:55 `over`: duration `later`")
	text := "flow: f\nkey: k\nsampling: yes\nsteps: [{id: a, match: {event: a}}]\n"
	_, faults := Parse("f.yaml", []byte(text))
	checkFaults(t, text, true, faults, []string{"3:11 `sampling` cannot be `yes`; write `ok`"})
}

// The services and sources that a system matches report under its name.
func TestSystemsNameWhoReports(t *testing.T) {
	systems, faults := ParseSystems("systems.yaml", []byte(
		"carrier: {heartbeat: 10m, match: {service: [dhl-poller, ups-poller]}}\nerp: {match: {source: [/sap, /sap/2]}}\n"), nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if n := systems["carrier"].Notes; len(n) != 1 || n[0].Col != 22 || !strings.HasPrefix(n[0].Message, "`heartbeat` is taken, but") || len(systems["erp"].Notes) > 0 {
		t.Errorf("notes %v", n)
	}
	flow := mustParse(t, minimal("{id: a, match: {event: a, service: dhl-poller}}", "{id: b, match: {event: b, source: /sap}}", "{id: c, match: {span: c, service: ups-poller}}"))
	plain := mustSet(t, flow)
	s := plain.Named(NewNaming(systems))
	f := func(sig Signal, want string) {
		t.Helper()
		sig.System = sig.Source
		before := plain.Match(&sig, nil)
		for range 2 { // at ingest, and again when it comes back from the store
			if err := s.AssignKeys(&sig); err != nil || sig.System != want {
				t.Errorf("system %q, want %q; %v", sig.System, want, err)
			}
		}
		if after := s.Match(&sig, nil); len(before) != 1 || len(after) != 1 || before[0] != after[0] {
			t.Errorf("a name that is only a label changed what matches: %v, then %v", before, after)
		}
	}
	f(Signal{Name: "a", Source: "dhl-poller"}, "carrier")
	f(Signal{Name: "a", Source: "/x", Attributes: map[string]any{"service.name": "dhl-poller"}}, "carrier")
	f(Signal{Name: "b", Source: "/sap"}, "erp")
	f(Signal{Name: "b", Source: "/sap", Attributes: map[string]any{"service.name": "other"}}, "erp")
	f(Signal{Kind: Span, Name: "c", Source: "ups-poller"}, "carrier")
	other := Signal{Kind: Span, Name: "c", Source: "/sap", System: "/sap"} // a span has no source of a CloudEvent
	if err := s.AssignKeys(&other); err != nil || other.System != "/sap" {
		t.Errorf("system %q, %v", other.System, err)
	}
}
