package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// randomText has what breaks quoting, and astral characters.
func randomText(r *rand.Rand) string {
	parts := []string{"", "a", "order", `"`, `\`, "\n", "\t", "\x00", "ü", "𝛑", "'", "%", ":", "{", "\u2028", "<b>&", "4711"}
	var b strings.Builder
	for range r.IntN(5) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func randomTime(r *rand.Rand) flows.Time {
	if r.IntN(3) == 0 {
		return bounds[r.IntN(len(bounds))]
	}
	return bounds[0] + flows.Time(r.Int64N(int64(8*1e18)))
}

// randomValue is of the kinds that flows.DecodeObject documents.
func randomValue(r *rand.Rand, depth int) any {
	numbers := []float64{0.1, -2.5, 1e21, 1e300, 5e-324, math.MaxFloat64, 1234567.125}
	switch n := r.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return int64(r.Uint64())
	case n == 3:
		return numbers[r.IntN(len(numbers))]
	case n == 4:
		return json.Number([]string{"1.10", "123456789012345678901234567890", "1e5", "-0.0"}[r.IntN(4)])
	case n == 5 && depth > 0:
		list := make([]any, r.IntN(3))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	case n == 6 && depth > 0:
		return randomObject(r, depth-1)
	}
	return randomText(r)
}

func randomObject(r *rand.Rand, depth int) map[string]any {
	m := make(map[string]any)
	for range r.IntN(4) {
		m[randomText(r)] = randomValue(r, depth)
	}
	return m
}

func randomSignal(r *rand.Rand, i int) flows.Signal {
	g := flows.Signal{
		Kind: flows.Kind(r.IntN(2)), Source: randomText(r), ID: fmt.Sprint(i), Name: "wanted", System: randomText(r),
		Environment: randomText(r), Time: randomTime(r), Duration: time.Duration(r.Int64N(1e18)), Failed: r.IntN(2) == 0, Sampled: r.IntN(2) == 0,
		Sequence: randomText(r), Received: heard() - flows.Time(r.Int64N(int64(60*24*time.Hour))), TraceID: randomText(r), SpanID: randomText(r), ParentID: randomText(r),
	}
	if r.IntN(2) == 0 {
		g.AsOf = randomTime(r)
	}
	if r.IntN(3) > 0 {
		g.Attributes = randomObject(r, 2)
	}
	if r.IntN(3) > 0 {
		g.Data = randomObject(r, 2)
	}
	for range r.IntN(3) {
		g.Keys = append(g.Keys, flows.Key{Type: "order_id", Value: "x" + randomText(r)})
	}
	return g
}

// TestSignalsComeBack: what Signals yields is what InsertSignals was given, bit for bit.
func TestSignalsComeBack(t *testing.T) {
	s := openStore(t)
	r := rand.New(rand.NewPCG(1, 2))
	var want []flows.Signal
	for i := range 500 {
		want = append(want, randomSignal(r, i))
	}
	if err := s.InsertSignals(t.Context(), "SIGNALS:1-500", want); err != nil {
		t.Fatal(err)
	}
	got := make([]flows.Signal, len(want))
	err := s.Signals(t.Context(), SignalFilter{Names: []string{"wanted"}}, func(g flows.Signal) error {
		var i int
		if _, err := fmt.Sscan(g.ID, &i); err != nil {
			return err
		}
		got[i] = g
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Fatalf("signal %d (-inserted +read):\n%s", i, diff)
		}
		if before, after := want[i].ContentHash(), got[i].ContentHash(); after != before {
			t.Fatalf("signal %d: hash %x, was %x", i, after, before)
		}
	}
}

func TestSignalsFilter(t *testing.T) {
	s := openStore(t)
	signals := []flows.Signal{
		{ID: "1", Name: "order.placed", Received: heard()},
		{ID: "2", Name: "other", Received: heard(), Keys: []flows.Key{{Type: "order_id", Value: "4711"}}},
		{ID: "3", Name: "other", Received: heard(), Keys: []flows.Key{{Type: "order", Value: "id:4711"}}},
		{ID: "4", Name: "other", Received: heard()},
	}
	if err := s.InsertSignals(t.Context(), "", signals); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter SignalFilter
		want   string
	}{
		{SignalFilter{}, ""},
		{SignalFilter{Names: []string{"order.placed", "it's \\ {x:String}"}}, "1"},
		{SignalFilter{KeyTypes: []string{"order_id"}}, "2"},
		{SignalFilter{Names: []string{"order.placed"}, KeyTypes: []string{"order", "order_id"}}, "123"},
	} {
		var ids []byte
		err := s.Signals(t.Context(), c.filter, func(g flows.Signal) error {
			ids = append(ids, g.ID...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := sorted(ids); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
		}
	}
	many := make([]string, 100_000) // more than an address can hold
	for i := range many {
		many[i] = fmt.Sprintf("some.long.event.name.%d", i)
	}
	found := 0
	err := s.Signals(t.Context(), SignalFilter{Names: append(many, "order.placed")}, func(flows.Signal) error {
		found++
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("of many names: %d, %v", found, err)
	}
	stop := errors.New("enough")
	if err := s.Signals(t.Context(), SignalFilter{Names: []string{"other"}}, func(flows.Signal) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of yield", err)
	}
}

func sorted(b []byte) string {
	r := []byte{}
	for c := byte('0'); c <= '9'; c++ {
		for _, x := range b {
			if x == c {
				r = append(r, x)
			}
		}
	}
	return string(r)
}
