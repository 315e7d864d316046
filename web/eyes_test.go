package web

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"throughline/flows"
)

// A browser may say anything; only what makes sense is counted.
func TestEyes(t *testing.T) {
	reader := metric.NewManualReader()
	seen, err := latencyMetric(metric.NewMeterProvider(metric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	counted := func() (n uint64) {
		t.Helper()
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
					n += p.Count
				}
			}
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		e := &eyes{seen: seen}
		if e.roundTrip() != 0 {
			t.Error("a round trip before any answer")
		}
		now := e.beat(time.Now())
		time.Sleep(30 * time.Millisecond)
		answer, _ := json.Marshal(seenMessage{Echo: now, Shown: []float64{12, 45.5, -1, 1e12}})
		e.hear(answer)
		e.hear(answer) // a beat is answered once
		if got := e.roundTrip(); got != 30 {
			t.Errorf("the round trip is %v ms", got)
		}
		e.hear([]byte(`{"echo":1,"shown_ms":["x"]}`))
		e.hear([]byte("nonsense"))
		e.hear([]byte(`{"shown_ms":[` + strings.Repeat("1,", 500) + `1]}`))
	})
	if got := counted(); got != 2+2+maxShown {
		t.Errorf("%d measurements counted", got)
	}
}

// The oldest signal that an update is the first to show goes with it, also for a socket that
// skipped frames.
func TestHeardGoesWithTheFrame(t *testing.T) {
	part := func(html string) []part { return []part{{"a", []byte(html)}} }
	s := newScreens(NewHub(), nil)
	at := &shown{watchers: map[*watcher]struct{}{}}
	w := &watcher{screens: s, shown: at, wake: make(chan struct{}, 1), heard: flows.NoTime}
	at.watchers[w] = struct{}{}
	s.show(at, part("1"), noon)
	if at.latest.delta != nil {
		t.Error("the first frame has something before it")
	}
	if _, err := w.pull(); err != nil || w.heard != flows.NoTime {
		t.Errorf("after the pull %v is heard, %v", w.heard, err)
	}
	s.show(at, part("2"), noon.Add(time.Second))
	s.show(at, part("3"), noon.Add(2*time.Second))
	if w.heard != noon.Add(time.Second) {
		t.Errorf("of two frames the oldest is %v", w.heard)
	}
	s.show(at, part("3"), noon.Add(3*time.Second))
	if at.latest.version != 3 {
		t.Error("a frame in which nothing changed was made")
	}
}

func TestAsOfSaysHowFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		now := func() flows.Time { return flows.At(time.Now()) }
		publish(t, h, flows.Health{Flow: "f", AsOf: now()})
		if h.asOf() != now() {
			t.Errorf("as of %v", h.asOf())
		}
		caught := now()
		h.CaughtUp(caught)
		time.Sleep(lagging + time.Second) // the engine goes on with what is old
		publish(t, h, flows.Health{Flow: "f", AsOf: now(), Started: 1})
		if h.asOf() != caught {
			t.Errorf("numbers of a lagging engine are as of %v", h.asOf())
		}
		h.CaughtUp(now())
		if h.asOf() != now() {
			t.Errorf("caught up, as of %v", h.asOf())
		}
	})
}
