package ingest_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"throughline/flows"
	"throughline/ingest"
	"throughline/ingest/ingesttest"
)

// withSenders is an intake that knows who sends by a name alone, at a time that the test sets.
func withSenders(t *testing.T, now *time.Time, senders ...ingest.Sender) *ingest.Door {
	t.Helper()
	in, err := ingest.New(ingest.Deps{
		Who: func(authorization string) (ingest.Sender, error) {
			for _, s := range senders {
				if s.Name == authorization {
					return s, nil
				}
			}
			return ingest.Sender{}, ingest.Refuse(ingest.Unauthenticated, "who are you")
		},
		Publisher: &ingesttest.Bus{}, Rules: func() ingest.Rules { return ingesttest.Rules{} },
		Meter: noop.Meter{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return *now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return in.Door("test")
}

// TestRate: a batch is taken whole, and paid for at the sender's rate; nobody else waits.
func TestRate(t *testing.T) {
	now := ingesttest.Now
	door := withSenders(t, &now, ingest.Sender{ID: "1", Name: "few", Rate: 10}, ingest.Sender{ID: "2", Name: "many"})
	visit, err := door.Enter("few")
	if err != nil {
		t.Fatal(err)
	}
	batch := flows.Batch{Signals: make([]flows.Signal, 60), Logs: make([]flows.LogRecord, 35)}
	if err := visit.Publish(t.Context(), batch, ingest.Rejected{ingest.ReasonName: 5}); err != nil { // 100, of which 10 were free
		t.Fatal(err)
	}
	var refusal *ingest.Refusal
	if _, err := door.Enter("few"); !errors.As(err, &refusal) || refusal.Class != ingest.OverRate {
		t.Fatalf("above the rate: %v", err)
	}
	if wait := refusal.Wait(); wait < 9*time.Second || wait > 9200*time.Millisecond {
		t.Errorf("to wait %v", wait)
	}
	w := httptest.NewRecorder()
	ingest.WriteProblem(w, refusal)
	if w.Code != 429 || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "10 signals a second") {
		t.Errorf("answer %d %v %s", w.Code, w.Header(), w.Body)
	}
	if _, err := door.Enter("many"); err != nil {
		t.Errorf("another sender: %v", err)
	}
	now = now.Add(refusal.Wait() - 200*time.Millisecond)
	if _, err := door.Enter("few"); err == nil {
		t.Error("before its time")
	}
	now = now.Add(200 * time.Millisecond)
	if _, err := door.Enter("few"); err != nil {
		t.Errorf("after its time: %v", err)
	}
	if _, err := door.Enter("nobody"); ingest.AsRefusal(err).Class != ingest.Unauthenticated {
		t.Errorf("an unknown sender: %v", err)
	}
}

// TestShare: one sender cannot hold all of the memory; what it holds comes back.
func TestShare(t *testing.T) {
	now := ingesttest.Now
	door := withSenders(t, &now, ingest.Sender{ID: "1", Name: "greedy"}, ingest.Sender{ID: "2", Name: "other"})
	greedy, err := door.Enter("greedy")
	if err != nil {
		t.Fatal(err)
	}
	other, err := door.Enter("other")
	if err != nil {
		t.Fatal(err)
	}
	take := func(v *ingest.Visit) (held []*ingest.Body) {
		for {
			body, err := v.Expect()
			if err != nil {
				if class(t, err) != ingest.Busy {
					t.Error(err)
				}
				return held
			}
			held = append(held, body)
		}
	}
	first := take(greedy)
	second := take(other)
	if len(first) == 0 || len(first) != len(second) {
		t.Errorf("one held %d, the other %d", len(first), len(second))
	}
	for _, body := range append(first, second...) {
		body.Free()
	}
	if again := take(greedy); len(again) != len(first) {
		t.Errorf("%d after %d", len(again), len(first))
	}
}

// TestHold: what came counts, not what was expected.
func TestHold(t *testing.T) {
	in, _, _ := ingesttest.New(t)
	visit := enter(t, in.Door("test"))
	var held []*ingest.Body
	for range 15 {
		body, err := visit.Expect()
		if err != nil {
			t.Fatal(err)
		}
		if err := visit.Hold(t.Context(), body, make([]byte, ingest.MaxBody)); err != nil {
			t.Fatal(err)
		}
		held = append(held, body)
	}
	for range 2 {
		body, err := visit.Expect()
		if err != nil {
			break
		}
		if err = visit.Hold(t.Context(), body, make([]byte, ingest.MaxBody)); err != nil {
			body.Free()
			if class(t, err) != ingest.Busy {
				t.Error(err)
			}
			break
		}
		held = append(held, body)
	}
	if len(held) != 16 { // 256 MiB
		t.Errorf("%d of the largest messages at once", len(held))
	}
}

// TestSystem: who may speak for one system is refused all others, by every rule.
func TestSystem(t *testing.T) {
	now := ingesttest.Now
	door := withSenders(t, &now, ingest.Sender{ID: "1", Name: "bound", System: "carrier"}, ingest.Sender{ID: "2", Name: "free"})
	for sender, allowed := range map[string]bool{"bound": false, "free": true} {
		visit, err := door.Enter(sender)
		if err != nil {
			t.Fatal(err)
		}
		rules := visit.Rules()
		for _, err := range []error{rules.AssignKeys(&flows.Signal{System: "payments"}), ingest.CheckSystem(rules, "payments"), ingest.CheckSystem(rules, "")} {
			if (err == nil) != allowed {
				t.Errorf("%s: %v", sender, err)
			}
			if fault, ok := errors.AsType[*ingest.Fault](err); err != nil && (!ok || fault.Reason != ingest.ReasonSystem) {
				t.Errorf("%s: %v", sender, err)
			}
		}
		for _, err := range []error{rules.AssignKeys(&flows.Signal{System: "carrier"}), ingest.CheckSystem(rules, "carrier")} {
			if err != nil {
				t.Errorf("%s, its own: %v", sender, err)
			}
		}
	}
}
