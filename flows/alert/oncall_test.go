package alert

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// fired is a router with one alert that its receiver was told of.
func fired(t *testing.T) (r *Router, got <-chan message, again func() *Router) {
	t.Helper()
	url, got := webhook(t)
	dir := t.TempDir()
	file, state := filepath.Join(dir, "alertmanager.yml"), filepath.Join(dir, "alerts")
	writeConfig(t, file, url)
	r, stop := start(t, file, state)
	now := time.Now()
	r.Set([]flows.Cohort{invoices(214, now)}, now)
	expect(t, got, "firing")
	return r, got, func() *Router {
		stop()
		next, _ := start(t, file, state)
		return next
	}
}

func TestAcknowledgeIsKept(t *testing.T) {
	t.Parallel()
	r, got, again := fired(t)
	id := r.Alerts()[0].ID
	if err := r.Acknowledge(id, "Anna", "rolling back 02:38"); err != nil {
		t.Fatal(err)
	}
	before := r.Alerts()[0].Ack
	if before.By != "Anna" || before.Note != "rolling back 02:38" || time.Since(before.At.Std()) > time.Minute {
		t.Errorf("acknowledged as %+v", before)
	}
	// Members come and go: the word stays.
	now := time.Now()
	r.Set([]flows.Cohort{invoices(300, now)}, now)
	r = again()
	if ack := r.Alerts()[0].Ack; ack != before {
		t.Errorf("after a restart it is %+v, before it was %+v", ack, before)
	}
	if err := r.Unacknowledge(id, "Anna"); err != nil {
		t.Fatal(err)
	}
	r = again()
	if ack := r.Alerts()[0].Ack; ack.Given() {
		t.Errorf("taken back, but after a restart it is %+v", ack)
	}
	if err := r.Acknowledge(id, "Ben", ""); err != nil {
		t.Fatal(err)
	}
	r.Set(nil, time.Now())
	expect(t, got, "resolved")
	over := r.Alerts()[0]
	if over.ResolvedAt == flows.NoTime || over.Ack.By != "Ben" {
		t.Errorf("resolved, it is %+v", over)
	}
	if err := r.Acknowledge(id, "Ben", ""); !errors.Is(err, flows.ErrNotFound) {
		t.Errorf("what is over was acknowledged: %v", err)
	}
	// It comes back: a new incident, which nobody has.
	now = time.Now()
	r.Set([]flows.Cohort{invoices(3, now)}, now)
	expect(t, got, "firing")
	if ack := r.Alerts()[0].Ack; ack.Given() {
		t.Errorf("an incident that came back is acknowledged already: %+v", ack)
	}
	all := r.Alerts()
	if len(all) != 1 || len(all[0].Earlier) != 1 || all[0].Earlier[0] != (flows.Episode{StartsAt: over.StartsAt, ResolvedAt: over.ResolvedAt, Ack: over.Ack}) {
		t.Errorf("an incident that came back knows of the time before: %+v", all)
	}
}

func TestAcknowledgeRefuses(t *testing.T) {
	t.Parallel()
	r, _, _ := fired(t)
	id := r.Alerts()[0].ID
	for _, unknown := range []string{"", "nope", "0000000000000000"} {
		for name, do := range map[string]func() error{
			"acknowledge":   func() error { return r.Acknowledge(unknown, "Anna", "") },
			"unacknowledge": func() error { return r.Unacknowledge(unknown, "Anna") },
			"silence":       func() error { return r.Silence(unknown, "Anna", "why", time.Now().Add(time.Hour)) },
			"unsilence":     func() error { return r.Unsilence(unknown, "Anna") },
		} {
			if err := do(); !errors.Is(err, flows.ErrNotFound) {
				t.Errorf("%s %q: %v", name, unknown, err)
			}
		}
	}
	soon := time.Now().Add(time.Hour)
	for name, err := range map[string]error{
		"nobody":      r.Acknowledge(id, "", ""),
		"a long name": r.Acknowledge(id, strings.Repeat("x", maxName+1), ""),
		"a long note": r.Acknowledge(id, "Anna", strings.Repeat("x", maxNote+1)),
		"no reason":   r.Silence(id, "Anna", "", soon),
		"the past":    r.Silence(id, "Anna", "why", time.Now().Add(-time.Second)),
		"for ever":    r.Silence(id, "Anna", "why", time.Now().Add(maxSilence+time.Hour)),
	} {
		if _, ok := errors.AsType[*flows.InputError](err); !ok {
			t.Errorf("%s: %v, want an input error", name, err)
		}
	}
	if a := r.Alerts()[0]; a.Ack.Given() || a.Silenced {
		t.Errorf("what was refused left %+v", a)
	}
}

func TestSilenceIsAlertmanagers(t *testing.T) {
	t.Parallel()
	r, got, again := fired(t)
	id := r.Alerts()[0].ID
	until := time.Now().Add(time.Hour)
	for _, why := range []string{"first", "carrier is at it"} { // the second takes the first one's place
		if err := r.Silence(id, "Anna", why, until); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		a := r.Alerts()[0]
		if !a.Silenced || len(a.Silences) != 1 {
			t.Fatalf("%s: silenced %t by %+v", when, a.Silenced, a.Silences)
		}
		s := a.Silences[0]
		if s.By != "Anna" || s.Why != "carrier is at it" || !s.Own || !s.Until.Std().Equal(until.UTC()) {
			t.Errorf("%s: %+v", when, s)
		}
	}
	check("at once")
	r = again()
	check("after a restart")
	r.Set(nil, time.Now())
	expectNone(t, got, "silenced")
	now := time.Now()
	r.Set([]flows.Cohort{invoices(1, now)}, now)
	expectNone(t, got, "silenced, and back")
	if err := r.Unsilence(id, "Ben"); err != nil {
		t.Fatal(err)
	}
	if a := r.Alerts()[0]; a.Silenced || len(a.Silences) != 0 {
		t.Errorf("unsilenced, but %+v", a)
	}
	expectNone(t, got, "for the receiver it fires still")
	r.Set(nil, time.Now())
	expect(t, got, "resolved")
}

// Who was told, who said what, and when: kept over a restart and past the end.
func TestLog(t *testing.T) {
	t.Parallel()
	r, got, again := fired(t)
	id := r.Alerts()[0].ID
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	logged(t, r, 1) // the receiver has it before the notification log
	must(r.Acknowledge(id, "Anna", "rolling back"))
	must(r.Unacknowledge(id, "Anna"))
	must(r.Silence(id, "Ben", "planned", time.Now().Add(time.Hour)))
	must(r.Unsilence(id, "Ben"))
	must(r.Unsilence(id, "Ben")) // nothing is left to end
	r = again()
	r.Set(nil, time.Now())
	expect(t, got, "resolved")
	want := []string{"told hook", "acknowledged Anna", "taken back Anna", "silenced Ben", "silence ended Ben", "told that over hook"}
	logged(t, r, len(want))
	for i, e := range r.Alerts()[0].Log {
		if said := string(e.What) + " " + e.By; said != want[i] {
			t.Errorf("entry %d is %q, want %q", i, said, want[i])
		}
	}
	if e := r.Alerts()[0].Log[1]; e.Note != "rolling back" || e.Until != flows.NoTime {
		t.Errorf("the acknowledgement is kept as %+v", e)
	}
}

// logged waits until the first alert's log has n entries.
func logged(t *testing.T, r *Router, n int) {
	t.Helper()
	now, next, stop := r.Subscribe()
	defer stop()
	late := time.After(20 * time.Second)
	for len(now[0].Log) < n {
		select {
		case now = <-next:
		case <-late:
			t.Fatalf("the log stays %+v", now[0].Log)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	var in incident
	for i := range 3 * maxLog {
		in.enter(flows.LogEntry{At: flows.Time(i)})
	}
	if len(in.log) != maxLog || in.log[0].At != 0 || in.log[maxLog-1].At != 3*maxLog-1 || in.log[1].At != 2*maxLog+1 {
		t.Errorf("%d entries, from %d, %d to %d", len(in.log), in.log[0].At, in.log[1].At, in.log[len(in.log)-1].At)
	}
}
