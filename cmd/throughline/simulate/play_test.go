package simulate

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"throughline/flows"
)

// audience hears what the play says, as signals.
type audience struct {
	t         *testing.T
	mu        sync.Mutex // guards signals
	signals   []flows.Signal
	providers map[string]*sdktrace.TracerProvider
}

func newAudience(t *testing.T) *audience {
	a := &audience{t: t, providers: map[string]*sdktrace.TracerProvider{}}
	for _, s := range services {
		a.providers[s] = provider(s, "1", sdktrace.WithSyncer(a))
	}
	return a
}

func (a *audience) outlets() outlets {
	return outlets{
		post:   a.post,
		tracer: func(service, _ string) trace.Tracer { return a.providers[service].Tracer("test") },
	}
}

func (a *audience) post(_ context.Context, events []event.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		if err := e.Validate(); err != nil {
			a.t.Error(err)
		}
		data, err := flows.DecodeObject(e.Data())
		if err != nil && string(e.Data()) != "null" {
			a.t.Errorf("%s: %v", e.Type(), err)
		}
		a.signals = append(a.signals, flows.Signal{
			Source: e.Source(), ID: e.ID(), Name: e.Type(), System: e.Source(),
			Time: flows.At(e.Time()), Received: flows.At(time.Now()), Data: data,
		})
	}
}

func (a *audience) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range spans {
		sig := flows.Signal{
			Kind: flows.Span, ID: s.SpanContext().SpanID().String(), Name: s.Name(), Time: flows.At(s.StartTime()),
			Duration: s.EndTime().Sub(s.StartTime()), Failed: s.Status().Code == codes.Error, Attributes: map[string]any{},
		}
		for _, kv := range slices.Concat(s.Resource().Attributes(), s.Attributes()) {
			sig.Attributes[string(kv.Key)] = kv.Value.AsInterface()
		}
		sig.Source, _ = sig.Attributes["service.name"].(string)
		sig.System = sig.Source
		a.signals = append(a.signals, sig)
	}
	return nil
}

func (a *audience) Shutdown(context.Context) error { return nil }

// cases folds all that was heard up to now, by flow and key.
func (a *audience) cases(set *flows.Set, now time.Time) map[string]map[string]flows.Instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	primaries := set.PrimaryTypes()
	linked := map[flows.Key]flows.Key{} // in these flows a link has one primary
	for i := range a.signals {
		sig := &a.signals[i]
		if err := set.AssignKeys(sig); err != nil {
			a.t.Error(err)
		}
		for _, p := range sig.Keys {
			for _, k := range sig.Keys {
				if slices.Contains(primaries, p.Type) && p != k {
					linked[k] = p
				}
			}
		}
	}
	occurrences := map[string]map[string][]flows.Occurrence{}
	for i := range a.signals {
		sig := &a.signals[i]
		for _, hit := range set.Match(sig, nil) {
			o := hit.Flow.Occur(sig, hit.Step, hit.Failed)
			key := a.primary(hit.Flow, sig, linked)
			if occurrences[hit.Flow.Name] == nil {
				occurrences[hit.Flow.Name] = map[string][]flows.Occurrence{}
			}
			occurrences[hit.Flow.Name][key] = append(occurrences[hit.Flow.Name][key], o)
		}
	}
	cases := map[string]map[string]flows.Instance{}
	for name, keys := range occurrences {
		f, _ := set.Flow(name)
		cases[name] = map[string]flows.Instance{}
		for key, of := range keys {
			cases[name][key] = f.Fold(of, flows.At(now))
		}
	}
	return cases
}

func (a *audience) primary(f *flows.Flow, sig *flows.Signal, linked map[flows.Key]flows.Key) string {
	for _, k := range sig.Keys {
		if k.Type == f.Key {
			return k.Value
		}
	}
	for _, k := range sig.Keys {
		if p := linked[k]; p.Type == f.Key {
			return p.Value
		}
	}
	a.t.Errorf("%s of %s leads to no %s", sig.Name, sig.System, f.Key)
	return ""
}

// stuckAt counts the stuck by the step they wait for.
func stuckAt(f *flows.Flow, cases map[string]flows.Instance) map[string]int {
	counts := map[string]int{}
	for _, in := range cases {
		if in.State == flows.Stuck {
			counts[f.Steps[in.ReasonStep].ID]++
		}
	}
	return counts
}

func TestTheDemosStory(t *testing.T) {
	set := exampleFlows(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t)
		ctx, cancel := context.WithCancel(t.Context())
		var playing sync.WaitGroup
		playing.Go(func() { play(ctx, Config{Rate: 4, Seed: 1}, a.outlets()) })
		began := time.Now()
		at := func(since time.Duration) map[string]map[string]flows.Instance {
			time.Sleep(time.Until(began.Add(since)))
			synctest.Wait()
			return a.cases(set, time.Now())
		}

		for _, f := range set.Flows() {
			if n := len(at(10 * time.Second)[f.Name]); n < 3 {
				t.Errorf("after 10 s, %s has %d cases", f.Name, n)
			}
		}
		o2c, _ := set.Flow("order-to-cash")
		if n := stuckAt(o2c, at(24 * time.Second)["order-to-cash"])["invoiced"]; n > 0 {
			t.Errorf("before the fault, %d orders are stuck at their invoice", n)
		}
		if n := stuckAt(o2c, at(90 * time.Second)["order-to-cash"])["invoiced"]; n < 20 {
			t.Errorf("at its height, %d orders are stuck at their invoice", n)
		}
		if n := stuckAt(o2c, at(125 * time.Second)["order-to-cash"])["invoiced"]; n > 0 {
			t.Errorf("after the fault, %d orders are stuck at their invoice", n)
		}
		cases := at(5 * time.Minute)
		cancel()
		playing.Wait()
		for _, f := range set.Flows() {
			examine(t, f, cases[f.Name])
		}
	})
}

// examine looks whether a flow shows something of everything, and mostly goes well.
func examine(t *testing.T, f *flows.Flow, cases map[string]flows.Instance) {
	states := map[flows.State]int{}
	deviations := map[flows.Deviation]int{}
	recovered, conforming, reached := 0, 0, make([]bool, len(f.Steps))
	for _, in := range cases {
		states[in.State]++
		for _, d := range in.Deviations {
			deviations[d]++
		}
		if in.Recovered {
			recovered++
		}
		if in.Conforming {
			conforming++
		}
		for _, step := range in.Path {
			reached[step] = true
		}
	}
	t.Log(f.Name, states, "recovered", recovered, "conforming", conforming, deviations)
	for i, yes := range reached {
		if !yes {
			t.Errorf("%s: no case reached %s", f.Name, f.Steps[i].ID)
		}
	}
	if states[flows.Completed] < len(cases)/2 || recovered == 0 {
		t.Errorf("%s: states %v, recovered %d", f.Name, states, recovered)
	}
	if 10*conforming < 9*states[flows.Completed] {
		t.Errorf("%s: %d of %d completed conform, deviations %v", f.Name, conforming, states[flows.Completed], deviations)
	}
	if f.Amount != "" {
		for key, in := range cases {
			if in.Currency == "" {
				t.Errorf("%s has no value", key)
			}
		}
	}
}

func TestSameSeedSameStory(t *testing.T) {
	told := func() (lines []string) {
		synctest.Test(t, func(t *testing.T) {
			a := newAudience(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute-time.Second/2) // not at once with a report of the carrier
			defer cancel()
			play(ctx, Config{Rate: 3, Seed: 7}, a.outlets())
			for _, s := range a.signals {
				if s.Kind == flows.Event {
					data, err := json.Marshal(s.Data)
					if err != nil {
						t.Fatal(err)
					}
					lines = append(lines, strings.Join([]string{s.Source, s.ID, s.Name, s.Time.String(), string(data)}, " "))
				}
			}
		})
		slices.Sort(lines)
		return lines
	}
	first, second := told(), told()
	if len(first) < 100 || !slices.Equal(first, second) {
		t.Fatalf("%d and %d events differ", len(first), len(second))
	}
	ids := map[string]bool{}
	for _, line := range first {
		ids[strings.Join(strings.Fields(line)[:2], " ")] = true
	}
	if len(ids) != len(first) {
		t.Fatalf("%d events have %d ids", len(first), len(slices.Collect(maps.Keys(ids))))
	}
}
