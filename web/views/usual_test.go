package views

import (
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

func statOf(t *testing.T, list []stat, label string) stat {
	t.Helper()
	i := slices.IndexFunc(list, func(s stat) bool { return s.label == label })
	if i < 0 {
		t.Fatalf("there is no tile %q", label)
	}
	return list[i]
}

func saidUsually(t *testing.T, list []stat, label string) string {
	t.Helper()
	s := statOf(t, list, label)
	if s.usual == nil {
		return "no line"
	}
	return english(s.usual.of + s.usual.words)
}

// TestUsualBesideNumbers holds which numbers stand beside a usual one, and in which words.
func TestUsualBesideNumbers(t *testing.T) {
	now := orders(t) // 462 to 465 started, 462 down to 459 completed
	quarter, day, played := now, now, now
	quarter.Range, day.Range, played.At = RangeQuarter, RangeDay, sampleNow.Add(-time.Minute)
	reading, unknown := now, now
	reading.Usual, unknown.Usual = nil, &Usual{Clock: sampleClock(), Usual: flows.UsualHoursAt(sampleNow, time.UTC).Usual(sampleNow.Add(-time.Hour), sampleNow)}
	f := func(list []stat, label, want string) {
		t.Helper()
		if got := saidUsually(t, list, label); got != want {
			t.Errorf("%s stands beside %q, want %q", label, got, want)
		}
	}
	f(now.stats(), "Started", "7.7")
	f(now.stats(), "Completed", "461")
	f(now.stats(), "End to end p50", "35"+nb+"min")
	f(now.stats(), "Stuck", "no line") // it has its limit
	f(quarter.stats(), "Started", "7.7")
	f(quarter.stats(), "Completed", "115")
	f(day.stats(), "Started", "no line")
	f(played.stats(), "Started", "no line")
	f(reading.stats(), "Started", "")
	f(unknown.stats(), "End to end p50", "")
	f(StepDetail{Clock: sampleClock(), Now: now, Step: 6}.stats(), "Reached", "459")
	f(StepDetail{Clock: sampleClock(), Now: now, Step: 6}.stats(), "p50", "2.2"+nb+"s")
	f(StepDetail{Clock: sampleClock(), Now: now, Step: 6}.stats(), "p99", "no line")
	f(sampleAlertDetail(t).stats(), "Passed the step", "459")
	all := Overview{Clock: sampleClock(), Flows: []FlowNow{now, now}}
	f(all.stats(), "Started, all flows", "for Thu"+nb+"03:00:15.4")
	f(all.stats(), "Completed", "for Thu"+nb+"03:00:921")
	all.Flows[1] = unknown // what is known of the others
	f(all.stats(), "Started, all flows", "for Thu"+nb+"03:00:7.7")
	all.Flows[1] = reading // a part is not the whole
	f(all.stats(), "Started, all flows", "")
}

// TestUsualSaysWhatItIsMadeOf holds that a usual number can be traced to its hours, and an unknown one says when it will be known.
func TestUsualSaysWhatItIsMadeOf(t *testing.T) {
	now := orders(t)
	rows := func(f FlowNow, label string) string {
		var said []string
		for _, row := range statOf(t, f.stats(), label).about() {
			if strings.HasPrefix(row.value, "Usual") || row.value == "Made of" {
				said = append(said, row.value+": "+row.words)
			}
		}
		return strings.ReplaceAll(english(strings.Join(said, "\n")), nb, " ")
	}
	f := func(got string, want ...string) {
		t.Helper()
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%q is not in\n%s", part, got)
			}
		}
	}
	f(rows(now, "Started"), "7.7: the median of the hour from 03:00 to 04:00 CET of 4 Thursdays of the last 4 weeks", "Made of: 12 Nov: 7.7; 5 Nov: 7.7; 29 Oct: 7.7; 22 Oct: 7.8", "counts as 0. Divided by the 60 minutes of each hour.", "Read at 03:14:07, once an hour for all readers")
	if s := statOf(t, now.stats(), "Started"); !strings.Contains(s.usual.query, "start IN ('2026-11-12 02:00:00', '2026-11-05 02:00:00'") || strings.Contains(rows(now, "Started"), "Hours before") {
		t.Errorf("asked %s", s.usual.query)
	}
	f(rows(now, "End to end p50"), "has no median, and is left out")
	hours := flows.UsualHoursAt(sampleNow, sampleClock().Zone)
	short := now
	u := Usual{Clock: sampleClock(), Usual: hours.Usual(hours.Days[2].Add(time.Minute), sampleNow)}
	short.Usual = &u
	f(rows(short, "Started"), "0: the median of the hour from 03:00 to 04:00 CET of 2 days of the last 7, since no such hour of a Thursday is known yet", "Hours before 16 Nov 03:01:00")
	f(rows(short, "End to end p50"), "Not known: nothing of the kind was in the hour", "18 Nov: –; 17 Nov: –")
	if s := statOf(t, short.stats(), "End to end p50"); s.usual.words != "" || s.usual.query != "" {
		t.Errorf("of nothing %q is usual", s.usual.words)
	}
	u.Usual = hours.Usual(hours.Before[0], sampleNow)
	f(rows(short, "Started"), "the last complete hour, since no such hour of an earlier day is known yet", "Made of: 02:00: 0")
	u.Usual = hours.Usual(hours.Before[0].Add(1), sampleNow)
	f(rows(short, "Started"), "Not known yet: it takes one complete hour of history. It will be from 04:02:00 on.")
	u.Usual = hours.Usual(flows.NoTime, sampleNow)
	f(rows(short, "Started"), "Not known: it takes one complete hour of history.")
	u.Torn = true
	f(rows(short, "Started"), "Not known: a part of this flow's history is in no hourly sum")
	short.Usual = nil
	f(rows(short, "Started"), "Being read; it comes by itself.")
	half := now
	half.Usual = &Usual{Clock: Clock{Now: sampleNow, Zone: time.FixedZone("IST", 19800)}}
	half.Usual.Usual = flows.UsualHoursAt(sampleNow, half.Usual.Clock.Zone).Usual(at("2026-09-01T00:00:00Z"), sampleNow)
	if s := statOf(t, half.stats(), "Started"); !strings.Contains(s.usual.query, "toStartOfHour(start - INTERVAL 30 MINUTE) + INTERVAL 30 MINUTE AS hour") || !strings.Contains(s.usual.query, "span = 60") {
		t.Errorf("asked %s", s.usual.query)
	}
}

// TestStarved holds that a step to which usually much comes, and now nothing, says so; one that is stuck itself stays stuck.
func TestStarved(t *testing.T) {
	draw := func(change func(*FlowNow)) string {
		v := sampleFlowDetail(t)
		v.Now.Health.Steps = slices.Clone(v.Now.Health.Steps)
		v.Now.Health.Steps[8].Reached, v.Now.Health.Steps[8].Latency = 0, flows.Distribution{}
		if change != nil {
			change(&v.Now)
		}
		return strings.ReplaceAll(english(render(t, FlowGraph(v))), nb, " ")
	}
	if html := draw(nil); strings.Count(html, `class="node starved"`) != 1 || !strings.Contains(html, "0 in, usual 459") || !strings.Contains(html, ">usual 459</text>") {
		t.Errorf("not starved: %s", html)
	}
	for name, change := range map[string]func(*FlowNow){
		"by chance": func(f *FlowNow) { f.Usual = sampleUsual(f.Flow, 11) }, "not read": func(f *FlowNow) { f.Usual = nil },
		"over a day": func(f *FlowNow) { f.Range = RangeDay }, "something waits": func(f *FlowNow) { f.Health.Steps[8].Waiting = 1 },
		"stuck": func(f *FlowNow) { f.Health.Steps[8].Waiting, f.Health.Steps[8].Stuck = 3, 3 },
	} {
		if html := draw(change); strings.Contains(html, `class="node starved"`) {
			t.Errorf("%s: starved", name)
		}
	}
}

// TestUsualInTheChart holds that the line of what is usual is level, and its name keeps its place where it is not known.
func TestUsualInTheChart(t *testing.T) {
	v := sampleFlowDetail(t)
	picture := render(t, FlowChart(v))
	if !strings.Contains(picture, `class="l usual"`) || strings.Contains(picture, "blank") || !strings.Contains(picture, "usual for this hour: 7") {
		t.Error(picture)
	}
	v.Now.Usual = nil
	if picture = render(t, FlowChart(v)); strings.Contains(picture, `class="l usual"`) || !strings.Contains(picture, "series usual blank") {
		t.Error(picture)
	}
	v.Now.Range = RangeDay
	if picture = render(t, FlowChart(v)); strings.Contains(picture, "usual") {
		t.Error(picture)
	}
}
