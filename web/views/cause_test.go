package views

import (
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

func said(phrases []phrase) string {
	var b strings.Builder
	for _, p := range phrases {
		b.WriteString(p.text)
	}
	return strings.ReplaceAll(b.String(), nb, " ")
}

// The cause is said from what was heard, and nothing is said that was not.
func TestCause(t *testing.T) {
	v := sampleAlertDetail(t)
	v.Changes = nil
	f := func(want string, tries ...flows.Tries) {
		t.Helper()
		v.Tries = tries
		if got := said(v.cause()); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	due := v.dueSince() // 02:41:20
	ok := flows.Tries{Count: 3, First: due.Add(-time.Hour), Last: due.Add(-time.Minute)}
	bad := flows.Tries{After: true, Failed: true, Message: "no code", Count: 4, First: due, Last: due.Add(time.Minute)}
	other := flows.Tries{After: true, Failed: true, Message: "timeout", Count: 1, First: due, Last: due}
	well := flows.Tries{After: true, Count: 5, First: due, Last: due}
	f("")
	f(" No try was heard since then; the last one was at 02:40:20.", ok)
	f(" Every try since then failed with no code.", ok, bad)
	f(" Every try since then failed, most with no code.", bad, other)
	f(" 4 of 9 tries since then failed with no code.", bad, well)
	f(" The tries since then ended well, so they were of other orders, or miss the key.", ok, well)
	silent := bad
	silent.Message = ""
	f(" Every try since then failed.", silent)
	release := func(service string, at flows.Time) Change {
		return Change{At: at, Kind: ChangeReleased, Release: flows.Release{ReleaseSeen: flows.ReleaseSeen{Service: service, Version: "2", At: at}, Before: "1"}}
	}
	v.Changes = []Change{release("shop", due.Add(-time.Second)), release("ERP", due.Add(-3*time.Minute)), release("ERP", due.Add(-time.Hour))}
	f(" Every try since then failed with no code. That began 3 m 0 s after ERP 2 was first seen.", ok, bad)
	if v.likely(v.Changes[0]) || !v.likely(v.Changes[1]) || v.likely(v.Changes[2]) {
		t.Error("another change stands out than the one that the sentence names")
	}
	v.Changes = []Change{release("ERP", due.Add(9*time.Second))}
	f(" Every try since then failed with no code. That began 9 s before ERP 2 was first seen.", ok, bad)
}

// Tries are read at other times than what a system sent: the later of the two says when it was heard.
func TestHeardByItsTries(t *testing.T) {
	v := sampleAlertDetail(t)
	last := v.outcome().last
	if last <= v.System.Traffic.Last {
		t.Fatal("the sample's last try is no later than what else was heard")
	}
	if page := render(t, AlertSystem(v)); strings.Count(page, sinceMark(last)) != 2 || strings.Contains(page, sinceMark(v.System.Traffic.Last)) {
		t.Errorf("a system that just failed a try was heard at another time:\n%s", page)
	}
}

func TestGrowth(t *testing.T) {
	v := AlertDetail{Waits: Waits{Every: 10 * time.Second}}
	f := func(want float64, overdue ...float64) {
		t.Helper()
		v.Waits.Overdue = overdue
		if got, _ := v.growth(); got != want {
			t.Errorf("%v grow by %v a minute, want %v", overdue, got, want)
		}
	}
	f(0)
	f(0, 1, 9) // too short to tell
	f(3, 0, 1, 1, 2, 2, 3, 3)
	f(0, 5, 5, 5, 5, 5, 5, 5)
	long := make([]float64, 100)
	long[99] = 10
	f(2, long...) // of the last five minutes
}

func TestLogLines(t *testing.T) {
	v := sampleAlertDetail(t)
	v.Alert.ResolvedAt = sampleNow
	var got []string
	for _, l := range v.logLines() {
		got = append(got, strings.ReplaceAll(strings.TrimSpace(l.who+" "+l.words), nb, " "))
	}
	want := []string{
		"resolved: nothing waits past its limit", "Ben ended the silence", "Ben silenced until 03:46:22", "Anna Weiss took it back: nobody has it",
		"Anna Weiss acknowledged", "on-call was told, by webhook", "opened: the first passed its limit of 5 min", "was open before, for 12 m 0 s; Ben had it",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	v.Alert.Earlier = make([]flows.Episode, 9)
	if lines := v.timesBefore(); len(lines) != 4 || lines[3].words != "and 6"+nb+"times more up to then" {
		t.Errorf("of nine times before it says %+v", lines)
	}
	if receivers, first := v.Alert.told(); len(receivers) != 1 || first != v.Alert.Log[0].At {
		t.Errorf("told %v at %v", receivers, first)
	}
}

func sinceMark(at flows.Time) string { return `data-since="` + millis(at) + `"` }
