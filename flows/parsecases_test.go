package flows

import (
	"slices"
	"testing"
	"time"
)

func TestParseCases(t *testing.T) {
	f := mustParse(t, `
flow: f
key: k
steps: [{id: a, match: {event: a}}, {id: b, match: {span: b}, after: a, within: 1h}]
cases:
  - name: one
    signals:
      - {event: a, data: {k: 1, nested: {total: 2.5, list: [x, null]}}, sequence: 7, source: /shop}
      - {span: b, service: pay, at: +90m, duration: 5s, outcome: error, attributes: {k: "1"}, arrives: +2h}
    expect:
      - {at: +1h, state: open, waiting_on: [b]}
      - {key: "1", state: stuck, reason: deadline, step: b, deviations: [], path: [a], conforming: false}
`)
	c := f.Cases[0]
	a, b := c.Signals[0], c.Signals[1]
	if a.Signal.Time != caseStart || a.Arrives != caseStart || a.Signal.Source != "/shop" || a.Signal.System != "/shop" || a.Signal.Data["k"] != int64(1) || a.Signal.Sequence != "7" {
		t.Errorf("got %+v", a)
	}
	if b.Signal.Time != caseStart.Add(90*time.Minute) || b.Arrives != caseStart.Add(2*time.Hour) || !b.Signal.Failed || b.Signal.Duration != 5*time.Second ||
		b.Signal.Kind != Span || b.Signal.Source != "pay" || b.Signal.ID == a.Signal.ID {
		t.Errorf("got %+v", b)
	}
	x, y := c.Expect[0], c.Expect[1]
	if x.At != caseStart.Add(time.Hour) || *x.State != Open || !slices.Equal(*x.WaitingOn, []string{"b"}) || x.Reason != nil || x.Deviations != nil {
		t.Errorf("got %+v", x)
	}
	if y.At != NoTime || y.Key != "1" || *y.Step != "b" || len(*y.Deviations) != 0 || *y.Conforming {
		t.Errorf("got %+v", y)
	}
}

func TestParseCasesFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		text = "flow: f\nkey: k\nsteps: [{id: a, match: {event: a}}]\ncases:\n- " + text
		flow, faults := Parse("f.yaml", []byte(text))
		checkFaults(t, text, flow == nil, faults, want)
	}
	const signals, expect = "signals: [{event: a}]", "expect: [{state: open}]"
	f("{name: n, " + signals + ", " + expect + "}")
	f("x", "5:3 a case must be a mapping")
	f("{name: n, "+signals+"}", "5:3 the case has no `expect`")
	f("{name: n, "+expect+"}", "5:3 the case has no `signals`")
	f("{name: n, "+signals+", "+expect+"}\n- {name: n, "+signals+", "+expect+"}", "6:3 case `n` stands twice, first in line 5")
	f("{name: n, signals: [], "+expect+"}", "5:22 `signals` must be a list")
	f("{name: n, signals: [{event: a, sampled: true}], "+expect+"}", "5:43 an event is never sampled")
	f("{name: n, signals: [{at: +1h}], "+expect+"}", "5:23 a signal is one event or one span")
	f("{name: n, signals: [{event: a, at: 15m}], "+expect+"}", "5:38 `at` cannot be `15m`; write `+15m`")
	f("{name: n, signals: [{event: a, at: +soon}], "+expect+"}", "5:38 `at`: duration `soon`")
	f("{name: n, signals: [{event: a, data: x}], "+expect+"}", "5:40 `data` must be a mapping")
	f("{name: n, signals: [{event: a, data: {n: .nan}}], "+expect+"}", "5:40 `data` cannot be read as a signal's: json: unsupported value: NaN")
	f("{name: n, signals: [{event: a, data: {a: &a [x, x, x, x], b: &b [*a, *a, *a, *a], c: [*b, *b, *b, *b, *b, *b]}}], " + expect + "}")
	f("{name: n, signals: [{event: a, outcome: bad}], "+expect+"}", "5:43 `outcome` cannot be `bad`")
	f("{name: n, "+signals+", expect: [{at: +1h}]}", "5:45 nothing is expected")
	f("{name: n, "+signals+", expect: [{state: stuk}]}", "5:53 `state` cannot be `stuk`; did you mean `stuck`?")
	f("{name: n, "+signals+", expect: [{step: b}]}", "5:52 `step` cannot be `b`; write one of `a`")
	f("{name: n, "+signals+", expect: [{deviations: [late]}]}", "5:59 `deviations` cannot be `late`")
	f("{name: n, "+signals+", expect: [{path: a}]}", "5:52 `path` must be a list")
	f("{name: n, start: today, "+signals+", "+expect+"}", "5:20 `start` cannot be `today`")
}
