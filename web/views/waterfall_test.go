package views

import (
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// The waterfall shows silence, tries, holds and what comes late, each as its own row.
func TestWaterfallRows(t *testing.T) {
	v := sampleTimeline(t)
	row := func(v InstanceTimeline, title string) wfRow {
		t.Helper()
		var titles []string
		for _, r := range v.waterfall().rows {
			if r.title == title {
				return r
			}
			titles = append(titles, r.title)
		}
		t.Errorf("there is no row %q among %q", title, titles)
		return wfRow{}
	}
	gap := row(v, "waiting for Packed")
	if gap.class != "gap" || gap.took != exact(22*time.Minute+49*time.Second+90*time.Millisecond) || !strings.Contains(gap.label, "usual 32") {
		t.Errorf("the silence before Packed is %+v", gap)
	}
	if tries := row(v, "POST /invoices, tries 1 to 2"); len(tries.tries) != 0 || !strings.Contains(tries.label, "TaxCodeNotFound: STD") {
		t.Errorf("the tries are %+v", tries)
	}
	if waiting := row(v, "Invoice posted"); len(waiting.tries) != 2 || waiting.limit <= waiting.x {
		t.Errorf("the wait is %+v", waiting)
	}
	if held := row(v, "on hold: credit-check"); held.took != "4"+nb+"m"+nb+"0"+nb+"s" || held.w <= 0 {
		t.Errorf("the hold is %+v", held)
	}
	for _, r := range v.waterfall().rows {
		if r.about == "" {
			t.Errorf("%s says nothing to a screen reader", r.title)
		}
	}

	late := sampleTimeline(t)
	for i := range late.Detail.Steps {
		if s := &late.Detail.Steps[i]; s.Step == "shipped" {
			s.DueAt, s.Deadline = late.Detail.StartedAt, s.At.Add(-time.Minute)
		}
	}
	if r := row(late, "Shipped"); r.limit == 0 || !strings.HasPrefix(r.label, "1"+nb+"m"+nb+"0"+nb+"s after its limit") {
		t.Errorf("what came after its limit is %+v", r)
	}
}

func TestLastFailureAndAgainst(t *testing.T) {
	v := sampleTimeline(t)
	f, ok := v.lastFailure()
	if !ok || f.said != "TaxCodeNotFound: STD" || f.version != "4.12.0" || !strings.HasSuffix(f.title, "try 2") {
		t.Errorf("the last failure is %+v", f)
	}
	v.Said, v.Detail.Signals[6].Attributes = nil, nil
	if f, _ := v.lastFailure(); f.said != "failed, and did not say why" {
		t.Errorf("a silent failure says %q", f.said)
	}
	rows := v.against()
	if last := rows[len(rows)-1]; last.step != "At Invoice posted" || !last.slow || english(last.usual) != "2.1"+nb+"s" {
		t.Errorf("the wait against the usual is %+v", last)
	}
	v.Detail.WaitingOn = nil
	if _, ok := v.lastFailure(); ok {
		t.Error("a failure of a step that is not waited for is shown")
	}
	if got := instanceIn("f", "a/b", "pre prod"); got != "/instances/f/a%2Fb?environment=pre+prod" {
		t.Errorf("the address is %s", got)
	}
	if v.Resolves = true; !v.resolvable() {
		t.Error("an instance in flight cannot be resolved")
	}
	if v.Detail.State = flows.Completed; v.resolvable() {
		t.Error("a completed instance can be resolved")
	}
}

// What is said beside a mark stands where it has room, and is cut where it has none.
func TestLabelPlace(t *testing.T) {
	f := func(x, w float64, label, want string, wantLeft bool) {
		t.Helper()
		if got, left := (wfRow{x: x, w: w, label: label}).labelled(); got != want || left != wantLeft {
			t.Errorf("%q at %v to %v: %q, left %v; want %q, %v", label, x, x+w, got, left, want, wantLeft)
		}
	}
	said := strings.Repeat("x", 40) // 0.75 of the width
	f(0.1, 0, said, said, false)
	f(0.8, 0.1, said, said, true)
	f(0.1, 0.65, said, strings.Repeat("x", 11)+"…", false)
	f(0.4, 0.5, said, strings.Repeat("x", 19)+"…", true)
	f(0.1, 0, "", "", false)
	f(0.01, 0.98, said, "", false)
	f(0.05, 0.82, "failed 9 times, for this and for that", "", false) // not "failed…"
	tries := wfRow{x: 0.05, w: 0.66, label: "failed 9 times, TaxCodeNotFound: STD", short: "failed 9 times"}
	if got, _ := tries.labelled(); got != "failed 9 times" {
		t.Errorf("many tries say %q", got)
	}
	if tries.w = 0.9; true {
		if got, _ := tries.labelled(); got != "" {
			t.Errorf("where nothing fits stands %q", got)
		}
	}
}
