package views

import (
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// What is held is never said to be on its way or overdue, and says what holds it and until when.
func TestHeld(t *testing.T) {
	words := func(v InstanceTimeline) string {
		var b strings.Builder
		for _, said := range v.verdict() {
			b.WriteString(said.text)
		}
		return plain(b.String())
	}
	v := sampleTimeline(t)
	v.Detail.State, v.Detail.Reason, v.Detail.Hold = flows.Held, flows.ReasonHeld, "credit-check"
	v.Detail.WaitingOn = v.Detail.WaitingOn[:1]
	w := &v.Detail.WaitingOn[0]
	v.Detail.HeldSince, v.Detail.HeldUntil = w.Deadline.Add(time.Minute), v.now().Add(time.Minute)
	if got := words(v); !strings.HasPrefix(got, "Held by credit-check since "+v.at(v.Detail.HeldSince)+", at the latest until "+v.at(v.Detail.HeldUntil)) ||
		!strings.Contains(got, " passed before, at "+v.at(w.Deadline)+": it is stuck as soon as the hold ends.") {
		t.Errorf("held after its limit: %q", got)
	}
	for _, r := range v.waterfall().rows {
		if r.tone == "stuck" {
			t.Errorf("held, and drawn as stuck: %+v", r)
		}
	}
	for _, s := range v.Detail.Steps {
		if look := v.stepState(s); s.Step == w.Step && look.word != "Overdue, held" || look.class == "stuck" {
			t.Errorf("%s is %+v", s.Step, look)
		}
	}

	i := stepIndex(v.Flow, w.Step)
	v.Detail.Hold, v.Detail.System, v.Detail.HeldSince = holdDowntime, "ERP", w.DueAt
	down := flows.Interval{From: w.DueAt.Add(-time.Hour), To: v.Detail.HeldUntil}
	own := &flows.Flow{Name: v.Flow.Name, Title: v.Flow.Title, Key: v.Flow.Key, Steps: slices.Clone(v.Flow.Steps)}
	own.Steps[i].Downtime = []flows.Interval{{From: 0, To: 1}, down}
	v.Flow, w.Deadline = own, down.To.Add(5*time.Minute)
	if got := words(v); !strings.HasPrefix(got, "Held: ERP is in planned downtime since ") || !strings.HasSuffix(got, "at the latest until "+plain(v.at(w.Deadline))+".") {
		t.Errorf("held by a downtime: %q", got)
	}
	if list := v.downtimes(); len(list) != 1 || list[0].From != w.DueAt || list[0].To != down.To {
		t.Errorf("downtimes: %+v", list)
	}
	n := SystemNow{Name: "ERP", Steps: []SystemStep{{Flow: own, Step: i}}}
	say := func(c Clock) string {
		var b strings.Builder
		for _, said := range n.downtimeWords(c) {
			b.WriteString(said.text)
		}
		return b.String()
	}
	if got := say(v.Clock); !strings.HasPrefix(got, "In planned downtime until") {
		t.Errorf("the system says %q", got)
	}
	if got := say(Clock{Now: down.From.Add(-time.Minute)}); !strings.HasPrefix(got, "Its next planned downtime is from") {
		t.Errorf("before: %q", got)
	}
	if got := say(Clock{Now: down.To}); got != "" {
		t.Errorf("after: %q", got)
	}
}

// Of many alerts the flows stay in sight beside some, and all are on their own page.
func TestManyAlerts(t *testing.T) {
	one := sampleAlerts()[0]
	var all []Alert
	for i := range mostCards + 7 {
		a := one
		a.ID, a.Count = "many"+count(i), i
		all = append(all, a)
	}
	beside := render(t, AlertCards(sampleClock(), all, mostCardsBeside))
	if n := strings.Count(beside, "<article"); n != mostCardsBeside || !strings.Contains(beside, "61\u00a0more alerts are") {
		t.Errorf("%d cards beside the flows: %s", n, beside[len(beside)-300:])
	}
	if !strings.Contains(beside, `"/alerts/`+all[len(all)-1].ID+`"`) || strings.Count(beside, "off-wall") != mostCardsBeside-mostCardsWall+1 {
		t.Error("what holds most is not among those beside the flows")
	}
	page := render(t, AlertList{Clock: sampleClock(), Open: all}.Body())
	for _, a := range all {
		if !strings.Contains(page, `"/alerts/`+a.ID+`"`) {
			t.Errorf("alert %s is not on the page of alerts", a.ID)
		}
	}
	if n := strings.Count(page, "<article"); n != mostCards {
		t.Errorf("%d cards", n)
	}
}
