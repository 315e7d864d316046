package alert

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

var t0 = time.Date(2026, 11, 22, 5, 41, 0, 0, time.UTC)

func one(c flows.Cohort) []flows.Cohort { return []flows.Cohort{c} }

func wantPuts(t *testing.T, puts []*amalert.Alert, count int, resolved bool, clock time.Time) {
	t.Helper()
	if len(puts) != count {
		t.Fatalf("%d alerts are handed over, want %d", len(puts), count)
	}
	for _, a := range puts {
		if err := a.Validate(); err != nil {
			t.Error(err)
		}
		if a.ResolvedAt(clock) != resolved {
			t.Errorf("alert from %s to %s at %s: want resolved %t", a.StartsAt, a.EndsAt, clock, resolved)
		}
		if !resolved && a.EndsAt.Before(clock.Add(2*renewEvery)) {
			t.Errorf("alert ends at %s by itself, before it is renewed", a.EndsAt)
		}
	}
}

func TestBookSettles(t *testing.T) {
	b := newBook("")
	clock := t0
	at := func(after time.Duration) time.Time { clock = t0.Add(after); return clock }
	b.set(one(invoices(1, t0)), flows.At(t0), clock)
	h := b.due(clock)
	wantPuts(t, h.puts, 0, false, clock)
	if want := t0.Add(settle); h.next != want {
		t.Errorf("asks again at %s, want %s", h.next, want)
	}
	// It grows all the time: handed over after settleMax all the same.
	for after := settle / 2; after < settleMax; after += settle / 2 {
		b.set(one(invoices(int(after), t0)), flows.At(at(after)), clock)
		wantPuts(t, b.due(clock).puts, 0, false, clock)
	}
	wantPuts(t, b.due(at(settleMax)).puts, 1, false, clock)

	// Numbers move: not more than once a second, and a still cohort not at all.
	b.set(one(invoices(5, t0)), flows.At(clock), clock)
	wantPuts(t, b.due(clock).puts, 0, false, clock)
	h = b.due(at(settleMax + moveEvery))
	wantPuts(t, h.puts, 1, false, clock)
	if want := clock.Add(renewEvery); h.next != want {
		t.Errorf("asks again at %s, want %s", h.next, want)
	}
	wantPuts(t, b.due(at(settleMax+2*moveEvery)).puts, 0, false, clock)
	wantPuts(t, b.due(at(settleMax+moveEvery+renewEvery)).puts, 1, false, clock)

	// Drained, once. The engine's judgement may be a moment ahead.
	if !b.set(nil, flows.At(clock.Add(time.Second)), clock) {
		t.Error("the end is a change")
	}
	wantPuts(t, b.due(clock).puts, 1, true, clock)
	wantPuts(t, b.due(clock.Add(time.Minute)).puts, 0, true, clock)
}

func TestBookForgetsWhatNobodyHeard(t *testing.T) {
	b := newBook("")
	b.set(one(invoices(1, t0)), flows.At(t0), t0)
	b.set(nil, flows.At(t0), t0)
	if h := b.due(t0.Add(time.Hour)); len(h.puts) != 0 || len(b.list(func(*incident) (bool, []flows.Silence) { return false, nil })) != 0 {
		t.Errorf("got %+v", h)
	}
}

func TestBookComesBack(t *testing.T) {
	b := newBook("")
	b.set(one(invoices(1, t0)), flows.At(t0), t0)
	clock := t0.Add(settle)
	b.due(clock)
	b.set(nil, flows.At(clock), clock)
	b.set(one(invoices(1, t0)), flows.At(clock), clock)
	wantPuts(t, b.due(clock).puts, 0, false, clock) // in between nobody looked: no end, no new page
	list := b.list(func(*incident) (bool, []flows.Silence) { return true, nil })
	if len(list) != 1 || list[0].ResolvedAt != flows.NoTime || !list[0].Silenced {
		t.Errorf("got %+v", list)
	}
}

func TestBookKeeps(t *testing.T) {
	b := newBook("")
	other := invoices(1, t0)
	other.Step = "cash"
	b.set([]flows.Cohort{invoices(1, t0), other}, flows.At(t0), t0)
	clock := t0.Add(settle)
	wantPuts(t, b.due(clock).puts, 2, false, clock)
	b.set(one(other), flows.At(clock), clock)
	wantPuts(t, b.due(clock).puts, 1, true, clock)

	reopened := func() book {
		data, err := b.save()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "book")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		again := newBook("")
		if err := again.load(file, clock); err != nil {
			t.Fatal(err)
		}
		return again
	}
	again := reopened()
	if h := again.due(clock); len(h.puts) != 2 {
		t.Errorf("%d alerts after a restart; want the one that fires, and the end that may not have been told", len(h.puts))
	}
	if got := again.list(func(*incident) (bool, []flows.Silence) { return false, nil }); len(got) != 2 || got[0].Step != "cash" || got[1].ResolvedAt != flows.At(clock) {
		t.Errorf("got %+v", got)
	}
	// The engine needs a moment to judge again what it had judged before.
	again.set(nil, flows.At(clock), clock)
	wantPuts(t, again.due(clock.Add(rejoin-1)).puts, 0, false, clock)
	again.set(one(other), flows.At(clock), clock)
	wantPuts(t, again.due(clock.Add(rejoin)).puts, 0, false, clock)
	again = reopened()
	again.due(clock)
	again.set(nil, flows.At(clock), clock)
	wantPuts(t, again.due(clock.Add(rejoin)).puts, 1, true, clock.Add(rejoin))

	clock = clock.Add(tellResolved + time.Second)
	if !b.due(clock).save {
		t.Error("that the end was told must be saved")
	}
	again = reopened()
	if h := again.due(clock); len(h.puts) != 1 {
		t.Errorf("%d alerts after a restart, want the one that fires", len(h.puts))
	}
	again.due(clock.Add(keepResolved))
	if got := again.list(func(*incident) (bool, []flows.Silence) { return false, nil }); len(got) != 1 {
		t.Errorf("after a day %d are listed, want the one that fires", len(got))
	}
}

func TestSummary(t *testing.T) {
	f := func(change func(*flows.Cohort), want string) {
		t.Helper()
		c := invoices(1993, t0)
		change(&c)
		if got := summary(c, flows.At(t0)); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	f(func(*flows.Cohort) {}, "Order to cash: 1,993 stuck at Invoice posted (erp) since 04:41 UTC, oldest 3 h, EUR 31,888.00 at risk")
	f(func(c *flows.Cohort) { c.Reason = flows.ReasonIdle; c.AtRisk = nil },
		"Order to cash: 1,993 idle before Invoice posted (erp) since 04:41 UTC, oldest 3 h")
	f(func(c *flows.Cohort) {
		c.Reason, c.Step, c.StepTitle, c.System, c.Title = flows.ReasonIdle, "", "", "", ""
		c.Since, c.Oldest = flows.At(t0.Add(-30*time.Hour)), flows.At(t0.Add(-72*time.Hour))
		c.AtRisk = flows.Money{"JPY": decimal.NewFromInt(1234567), "EUR": decimal.RequireFromString("999.9")}
	}, "order-to-cash: 1,993 idle since 2026-11-20 23:41 UTC, oldest 3 d, EUR 999.90, JPY 1,234,567 at risk")
	f(func(c *flows.Cohort) { c.Since, c.Oldest, c.StepTitle, c.Count = flows.NoTime, flows.NoTime, "", 1 },
		"Order to cash: 1 stuck at invoiced (erp), EUR 31,888.00 at risk")
}

func TestThousands(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := thousands(in); got != want {
			t.Errorf("thousands(%q) is %q, want %q", in, got, want)
		}
	}
	f("0", "0")
	f("999", "999")
	f("1000", "1,000")
	f("-1234567.891", "-1,234,567.891")
	f("-100", "-100")
}

func TestLabelsOfBadText(t *testing.T) {
	c := invoices(1, t0)
	c.System = "e\xffrp"
	b := newBook("")
	b.set(one(c), flows.At(t0), t0)
	clock := t0.Add(settle)
	wantPuts(t, b.due(clock).puts, 1, false, clock)
}
