package views

import (
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// sampleSystems are in each state that can be told, and in none.
func sampleSystems(t testing.TB) []SystemNow {
	f := orders(t).Flow
	heard := func(name string, state SystemState, perMinute int, silent, gap time.Duration, steps ...int) SystemNow {
		n := SystemNow{Name: name, State: state, Traffic: flows.SystemTraffic{
			System: name, Signals: 60 * perMinute, Last: sampleNow.Add(-silent), LongestGap: gap, Resolution: 10 * time.Second, Buckets: make([]int, 360),
			Judged: 60 * perMinute, Least: 3 * time.Millisecond, P50: 40 * time.Millisecond, P99: 1300 * time.Millisecond,
		}}
		for i := range n.Traffic.Buckets {
			n.Traffic.Buckets[i] = perMinute / 6
		}
		for _, s := range steps {
			n.Steps = append(n.Steps, SystemStep{Flow: f, Step: s, Reached: 60 * perMinute})
		}
		return n
	}
	erp := heard("ERP", SystemUnjudged, 36, 33*time.Minute, 14*time.Second, 6)
	erp.Steps[0].Waiting, erp.Steps[0].Overdue = 251, 214
	erp.Traffic.Least, erp.Traffic.Skewed = -95*time.Minute, 2
	carrier := SystemNow{Name: "Carrier feed", State: SystemBlind, Traffic: flows.SystemTraffic{System: "Carrier feed", Last: flows.NoTime}, Steps: []SystemStep{{Flow: f, Step: 7, Waiting: 158}}}
	crm := SystemNow{Name: "CRM", State: SystemStarved, Traffic: flows.SystemTraffic{System: "CRM", Last: sampleNow.Add(-3 * time.Hour)}, Steps: []SystemStep{{Flow: f, Step: 2}}}
	return []SystemNow{crm, carrier, erp, heard("Web shop", SystemLive, 18, 400*time.Millisecond, 0, 0), heard("billing-batch", SystemLive, 6, time.Second, 40*time.Second)}
}

func sampleSystem(t testing.TB) SystemDetail {
	f := orders(t).Flow
	return SystemDetail{
		Clock: sampleClock(), Now: sampleSystems(t)[2], Known: true, Alerts: sampleAlerts()[:1],
		Names:  []flows.SeenSignal{{Kind: flows.Event, Name: "stock.counted", Count: 1204, Last: sampleNow.Add(-33 * time.Minute)}},
		Wanted: []WantedName{{Kind: flows.Span, Name: "POST /invoices", Flow: f, Step: 6}},
	}
}

func TestChart(t *testing.T) {
	f := func(most, want float64) {
		t.Helper()
		if got := (chart{lines: []chartLine{{values: []float64{most, 0}}}}).top(); got != want {
			t.Errorf("the scale of %v ends at %v, want %v", most, got, want)
		}
	}
	f(0, 1)
	f(1, 1)
	f(1.5, 2)
	f(7.9, 8)
	f(10.1, 12)
	f(206, 300)
	f(474, 500)
	c := chart{lines: []chartLine{{values: []float64{0, 10, 5}}}}
	if got := c.points(c.lines[0]); got != "166.7,1000 500,0 833.3,500" {
		t.Errorf("points: %s", got)
	}
	if got := regrouped([]int{1, 2, 3, 4, 5, 6}, 3); len(got) != 3 || got[0] != 3 || got[2] != 11 {
		t.Errorf("regrouped: %v", got)
	}
}

// What history does not say yet is no silence: nobody is told that a system was never heard.
func TestUnreadSystems(t *testing.T) {
	n := SystemNow{Name: "erp", State: SystemUnread, Traffic: flows.SystemTraffic{Last: flows.NoTime}}
	list := SystemList{Clock: sampleClock(), Systems: []SystemNow{n}}
	for _, page := range []string{render(t, list.Body()), render(t, SystemDetail{Clock: sampleClock(), Now: n}.Body())} {
		for _, verdict := range []string{">never<", "was never heard", ">Silent<", "nothing in the last hour", ">0<small>/min"} {
			if strings.Contains(page, verdict) {
				t.Errorf("%q is said of what is not known", verdict)
			}
		}
	}
	for _, s := range list.stats()[:4] {
		if s.value != "–" {
			t.Errorf("%s is %s, and not known", s.label, s.value)
		}
	}
}
