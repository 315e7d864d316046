package flows

import (
	"strings"
	"testing"
	"time"
)

func TestSampledSpans(t *testing.T) {
	f := func(state string, rate any, want bool) {
		t.Helper()
		s := SpanRecord{TraceID: "t", SpanID: "s", TraceState: state}
		if rate != nil {
			a := Attribute{Name: SampleRate}
			a.Set(rate)
			s.Attributes = []Attribute{a}
		}
		if signal := s.Signal(); signal.Sampled != want {
			t.Errorf("tracestate %q, rate %v: sampled is %v", state, rate, signal.Sampled)
		}
	}
	f("ot=th:8", nil, true) // 1 in 2
	f("ot=th:e6666666666668;rv:ffffffffffffff", nil, true)
	f("vendor=x:1, ot=rv:1234567890abcd;th:c , other=y", nil, true)
	f("ot=p:3;r:5", nil, true) // 1 in 8, as it was written before
	f("", int64(10), true)
	f("", "20", true)
	f("", 1.5, true)
	f("ot=th:0", nil, false) // all of them
	f("ot=th:0", int64(4), true)
	f("ot=p:0;r:9", nil, false)
	f("", nil, false)
	f("ot=rv:8", nil, false) // says only how one would choose
	f("", int64(1), false)
	f("", "often", false)
	f("", true, false)
	f("", []any{int64(10)}, false)
	for _, malformed := range []string{"ot", "ot=", "ot=th", "ot=th:", "ot=th:8g", "ot=th:F", "ot=th:123456789abcdef", "ot=p:100", "ot=p:-1", "ot=p:x", "xot=th:8", "vendor=ot=th:8", "ot=xth:8", ",;,;:=", "th:8"} {
		f(malformed, nil, false)
	}
}

// A malformed tracestate is like none; reading it ends, whatever it holds.
func FuzzSampledState(f *testing.F) {
	for _, seed := range []string{"ot=th:8", "a=b,ot=p:1;r:2", ",ot=;;,", "ot=th:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		if sampledState(state) != sampledState("a=1,"+state+",b=2") {
			t.Errorf("%q means another thing among others", state)
		}
	})
}

// sampledFlow has two steps that are spans and one that is an event.
const sampledFlow = `flow: sampled
key: order
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, system: payments, match: {span: pay}, after: placed, within: 10m}
  - {id: packed, match: {event: packed}, after: placed, within: 20m}
  - {id: sent, match: {span: send}, after: [paid, packed], within: 10m, end: completed}
`

func chosen(o Occurrence) Occurrence {
	o.Sampled = true
	return o
}

func TestUnheard(t *testing.T) {
	strict := mustParse(t, sampledFlow)
	trusting := mustParse(t, "sampling: ok\n"+sampledFlow)
	idle := mustParse(t, "idle: 30m\nflow: bare\nkey: order\nsteps:\n- {id: a, match: {span: a}}\n- {id: b, match: {span: b}}\n- {id: c, optional: true, match: {event: c}}\n")
	heard := mustParse(t, "idle: 30m\nflow: bare\nkey: order\nsteps:\n- {id: a, match: {span: a}}\n- {id: b, match: {span: b}}\n- {id: c, match: {event: c}}\n")
	f := func(flow *Flow, now Time, state State, reason Reason, step int, since Time, occurrences ...Occurrence) {
		t.Helper()
		in := flow.Fold(occurrences, now*minute)
		if since != NoTime {
			since *= minute
		}
		if in.State != state || in.Reason != reason || in.ReasonStep != step || in.StuckSince != since {
			t.Errorf("%v %q, step %d since %v; want %v %q, step %d since %v",
				in.State, in.Reason, in.ReasonStep, in.StuckSince, state, reason, step, since)
		}
	}
	begun := chosen(at(0, 0))
	f(strict, 15, Stuck, ReasonDeadline, 1, 10, at(0, 0)) // nobody samples
	f(strict, 10, Open, ReasonNone, -1, NoTime, begun)
	f(strict, 15, Unknown, ReasonSampled, 1, 10, begun)
	f(trusting, 15, Stuck, ReasonDeadline, 1, 10, begun)
	f(strict, 25, Stuck, ReasonDeadline, 2, 20, begun) // an event would have come
	f(strict, 25, Unknown, ReasonSampled, 1, 10, begun, at(2, 12))
	f(strict, 25, Stuck, ReasonDeadline, 2, 20, at(0, 0), chosen(at(1, 3)))
	f(strict, 40, Unknown, ReasonSampled, 3, 22, at(0, 0), chosen(at(1, 3)), at(2, 12))
	f(strict, 40, Completed, ReasonNone, -1, NoTime, begun, at(1, 3), at(2, 12), at(3, 39))

	f(idle, 31, Stuck, ReasonIdle, -1, 30, at(0, 0))
	f(idle, 31, Unknown, ReasonSampled, -1, 30, chosen(at(0, 0)))
	f(idle, 61, Stuck, ReasonIdle, -1, 60, chosen(at(0, 0)), at(1, 30)) // nothing is to come
	f(heard, 31, Stuck, ReasonIdle, -1, 30, chosen(at(0, 0)))
	f(heard, 61, Unknown, ReasonSampled, -1, 60, chosen(at(0, 0)), at(2, 30))
}

// Of a system that is said to sample no span that is lacking proves anything, whatever else of
// the instance came; its events do. A version keeps that.
func TestSampledSystem(t *testing.T) {
	systems, faults := ParseSystems("systems.yaml", []byte("payments: {sampled: true}\nwarehouse: {sampled: false}\n"), nil)
	if faults != nil {
		t.Fatal(faults)
	}
	parse := func(text string) *Flow {
		t.Helper()
		f, faults := Refs{Systems: systems}.Parse("sampled.yaml", []byte(text))
		if faults != nil {
			t.Fatal(faults)
		}
		return f
	}
	strict, trusting := parse(sampledFlow), parse("sampling: ok\n"+sampledFlow)
	events := parse(strings.Replace(sampledFlow, "span: pay", "event: pay", 1))
	again, err := ParseVersion(strict.Version, sampledFlow, strict.Referred())
	if err != nil {
		t.Fatal(err)
	}
	f := func(flow *Flow, now Time, state State, stuck time.Duration, occurrences ...Occurrence) {
		t.Helper()
		if in := flow.Fold(occurrences, now*minute); in.State != state || in.StuckFor != stuck*time.Minute {
			t.Errorf("%v for %v, want %v for %d min", in.State, in.StuckFor, state, stuck)
		}
	}
	for _, flow := range []*Flow{strict, again} {
		f(flow, 15, Unknown, 0, at(0, 0))
		f(flow, 25, Stuck, 5, at(0, 0)) // the event of `packed` would have come
		f(flow, 25, Unknown, 0, at(0, 0), at(2, 12))
		f(flow, 40, Stuck, 18, at(0, 0), at(1, 3), at(2, 12)) // `sent` is of no such system
		f(flow, 16, Open, 0, at(0, 0), at(1, 14))             // not recovered: it was not stuck
	}
	f(trusting, 15, Stuck, 5, at(0, 0))
	f(events, 15, Stuck, 5, at(0, 0))
	if plain := mustParse(t, sampledFlow); plain.Version == strict.Version || events.Referred() != "" {
		t.Errorf("version %s of both, %q", plain.Version, events.Referred())
	}
}

// What was unknown was not stuck: it adds nothing to the time of that, and is no recovery.
func TestUnknownIsNoTimeStuck(t *testing.T) {
	flow := mustParse(t, sampledFlow)
	f := func(now Time, stuck time.Duration, recovered bool, occurrences ...Occurrence) {
		t.Helper()
		if in := flow.Fold(occurrences, now*minute); in.StuckFor != stuck*time.Minute || in.Recovered != recovered {
			t.Errorf("stuck for %v, recovered %v; want %d min, %v", in.StuckFor, in.Recovered, stuck, recovered)
		}
	}
	f(15, 0, false, chosen(at(0, 0)))
	f(18, 0, false, chosen(at(0, 0)), at(1, 17))
	f(18, 7, true, at(0, 0), at(1, 17))
	f(18, 7, true, at(0, 0), chosen(at(1, 17))) // it was stuck until then
	f(19, 4, false, at(0, 0), Occurrence{Step: 1, At: 14 * minute, Start: 14 * minute, ID: "failed", Failed: true, Sampled: true})
	f(15, 5, false, at(0, 0))
}
