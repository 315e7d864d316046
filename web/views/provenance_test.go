package views

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"throughline/flows"
)

// TestEveryTileExplainsItself holds that no number stands without its meaning.
func TestEveryTileExplainsItself(t *testing.T) {
	now := orders(t)
	now.Coverage = &Coverage{Signals: 1000, Joined: 984, Waiting: 10, GivenUp: 4, Keyless: 2}
	c := sampleClock()
	all := sampleFlows(t)
	all[0].Coverage, all[1].Coverage = now.Coverage, now.Coverage
	over := sampleAlerts()[0]
	over.ResolvedAt = sampleNow
	used := map[string]bool{}
	for name, list := range map[string][]stat{
		"overview": Overview{Clock: c, Flows: all}.stats(), "flow": now.stats(), "step": StepDetail{Clock: c, Now: now, Step: 6}.stats(),
		"alert": AlertDetail{Clock: c, Alert: sampleAlerts()[0], Now: &now}.stats(), "alert without its flow": AlertDetail{Clock: c, Alert: sampleAlerts()[0]}.stats(),
		"systems": SystemList{Clock: c, Systems: sampleSystems(t), Known: true, Bus: sampleBacklog()}.stats(), "system": sampleSystem(t).stats(),
		"resolved alert": AlertDetail{Clock: c, Alert: over, Now: &now}.stats(),
	} {
		for _, s := range list {
			used[s.means] = true
			if _, ok := meanings[s.means]; !ok && !(name == "resolved alert" && s.means == "") {
				t.Errorf("%s: %s has no meaning %q", name, s.label, s.means)
			}
			if s.opens() && s.fresh == "" {
				t.Errorf("%s: %s does not say how fresh it is", name, s.label)
			}
			if s.opens() && s.covers == "" && s.means != "limit" && name != "alert without its flow" {
				t.Errorf("%s: %s does not say what it covers", name, s.label)
			}
			if s.opens() && (s.query == "") == (s.unasked == "") {
				t.Errorf("%s: %s: the query is %q, or there is none because %q", name, s.label, s.query, s.unasked)
			}
			if strings.ContainsAny(s.query, "{}") || strings.Contains(s.query, "true") {
				t.Errorf("%s: %s asks %q", name, s.label, s.query)
			}
			if s.opens() && now.Flow.Version != s.version && name != "overview" && !strings.HasPrefix(name, "system") && name != "alert without its flow" {
				t.Errorf("%s: %s is of version %q", name, s.label, s.version)
			}
		}
	}
	for key, m := range meanings {
		if !used[key] {
			t.Errorf("no tile means %s", key)
		}
		if m.says == "" || m.counted == "" {
			t.Errorf("%s says nothing", key)
		}
		for _, text := range []string{m.says, m.counted, m.of, m.without} {
			if text != "" && !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q is no sentence", key, text)
			}
		}
	}
}

// TestButtonsOpenWhatIsThere holds that each button's target is on the page, once.
func TestButtonsOpenWhatIsThere(t *testing.T) {
	targets := regexp.MustCompile(`popovertarget="([^"]*)"`)
	opened := 0
	for _, page := range samplePages(t) {
		html := render(t, page.body)
		for _, target := range targets.FindAllStringSubmatch(html, -1) {
			opened++
			if strings.Count(html, ` id="`+target[1]+`"`) != 1 {
				t.Errorf("%s: %s is not there once", page.name, target[1])
			}
		}
	}
	if opened < 20 {
		t.Errorf("only %d numbers open their meaning", opened)
	}
}

func TestFreshnessByRange(t *testing.T) {
	f := func(r Range, means, want, source string) {
		t.Helper()
		now := orders(t)
		now.Range = r
		list := now.stats()
		i := slices.IndexFunc(list, func(s stat) bool { return s.means == means })
		if s := list[i]; s.fresh != want || string(s.source) != "/api/v1/flows/order-to-cash/health?window="+source {
			t.Errorf("%s over %s: %q from %s", means, r, s.fresh, s.source)
		}
	}
	f(RangeHour, "completed", freshNow, "1h")
	f(RangeDay, "completed", freshSummed, "24h")
	f(RangeAll, "conforming", freshStored, "all")
	f(RangeWeek, "in-flight", freshNow, "7d")
}

func TestCoverageWords(t *testing.T) {
	now := orders(t)
	now.Health.ValueCoverage = new(0.83)
	now.Coverage = &Coverage{Signals: 2000, Joined: 1984, Waiting: 10, GivenUp: 4, Keyless: 2}
	want := "83.0 % of the instances in flight carry a value. 99.2 % of the signals that steps match, since Throughline was started, are in an instance, 10 wait for a link, 4 waited in vain, 2 carried no key of the flow."
	if got := plain(now.covers("at-risk")); got != want {
		t.Errorf("covers %q", got)
	}
	if got := now.covers("limit"); got != "" {
		t.Errorf("the limit covers %q", got)
	}
}

func TestQueriesQuote(t *testing.T) {
	q := question{flow: `o'br\ien`, step: "paid", reason: flows.ReasonDeadline, rng: RangeDay}
	if got, want := q.query("cohort"), "SELECT count() FROM instances FINAL\nWHERE flow = 'o\\'br\\\\ien' AND state = 'stuck' AND reason_step = 'paid' AND reason = 'deadline'"; got != want {
		t.Errorf("%s", got)
	}
	if got, want := (question{rng: RangeAll}).query("in-flight"), "SELECT count() FROM instances FINAL\nWHERE state IN ('open', 'held', 'stuck', 'unknown')"; got != want {
		t.Errorf("%s", got)
	}
}
