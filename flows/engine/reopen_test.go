package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

const reopenFile = `
flow: ticket
key: ticket_id
reopen: new
steps:
  - {id: opened, match: {event: opened}, start: true}
  - {id: worked, match: {event: worked}, after: opened, within: 15m, repeat: true}
  - {id: closed, match: {event: closed}, after: worked, end: completed}
`

func TestReopenBeginsAnotherInstance(t *testing.T) {
	s := set(t, reopenFile)
	e := New(s)
	e.Roll(0)
	e.Apply([]flows.Signal{
		signal(s, "1", "opened", 0, "ticket_id:A"), signal(s, "2", "worked", 5, "ticket_id:A"), signal(s, "3", "closed", 6, "ticket_id:A"),
	}, 7*minute)
	stored := map[string]flows.InstanceRecord{}
	take := func() {
		for _, r := range e.Take().Instances {
			stored[r.Key] = r
		}
	}
	take()
	e.Apply([]flows.Signal{signal(s, "4", "opened", 10, "ticket_id:A")}, 11*minute)
	take()
	if a, b := stored["A"], stored["A#2"]; a.State != flows.Completed || !a.Conforming || b.State != flows.Open || b.StartedAt != 10*minute {
		t.Fatalf("got %+v\n%+v", a, b)
	}
	if h := health(e, "ticket", 11*minute); h.InFlight != 1 || h.Completed != 1 || h.Started != 2 {
		t.Fatalf("got %+v", h)
	}
	if e.Next() != 25*minute+1 {
		t.Fatalf("timer at %v", e.Next())
	}
	e.Advance(26 * minute)
	take()
	if b := stored["A#2"]; b.State != flows.Stuck || b.ReasonStep != "worked" {
		t.Fatalf("got %+v", b)
	}
	if c := e.Cohorts(); len(c) != 1 || !slices.Equal(c[0].Keys, []string{"A#2"}) {
		t.Fatalf("cohorts %+v", c)
	}
	// A late signal: the end was after the second opening, which then began nothing.
	late := signal(s, "3", "closed", 12, "ticket_id:A")
	late.Time = 0 // a copy of the end that counts instead, before everything else
	e.Apply([]flows.Signal{late}, 27*minute)
	take()
	if a, b, h := stored["A"], stored["A#2"], health(e, "ticket", 27*minute); a.Deleted || b.Deleted != (h.Started == 1) || h.InFlight+h.Completed != h.Started {
		t.Fatalf("got %+v\n%+v\n%+v", a, b, h)
	}
}

// Whatever the order and the batching, the rows that are stored in the end are those of a
// fold of everything, and the numbers are theirs.
func TestReopenInAnyOrder(t *testing.T) {
	s := set(t, reopenFile)
	f, _ := s.Flow("ticket")
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var signals []flows.Signal
		var occurrences []flows.Occurrence
		for i := range 3 + rng.IntN(12) {
			step := rng.IntN(3)
			sig := signal(s, fmt.Sprint(i), f.Steps[step].Match.Name, flows.Time(rng.IntN(40)), "ticket_id:A")
			signals = append(signals, sig, sig)
			occurrences = append(occurrences, f.Occur(&sig, step, false))
		}
		rng.Shuffle(len(signals), func(i, j int) { signals[i], signals[j] = signals[j], signals[i] })
		e := New(s)
		e.Roll(0)
		now := 50 * minute
		stored := map[string]flows.InstanceRecord{}
		for len(signals) > 0 {
			n := 1 + rng.IntN(len(signals))
			e.Apply(signals[:n], now)
			signals = signals[n:]
			for _, r := range e.Take().Instances {
				stored[r.Key] = r
				if r.Deleted {
					delete(stored, r.Key)
				}
			}
		}
		want, inFlight := map[string]flows.InstanceRecord{}, 0
		for i, part := range f.Parts(occurrences) {
			in := f.Fold(part, now)
			key := flows.PartKey("A", i)
			want[key] = f.Record(key, &in, now)
			if in.State.InFlight() {
				inFlight++
			}
		}
		if diff := gocmp.Diff(want, stored); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		if h := health(e, "ticket", now); h.InFlight != inFlight || h.Started != len(want) {
			t.Fatalf("seed %d: %d in flight of %d started, want %d of %d", seed, h.InFlight, h.Started, inFlight, len(want))
		}
	}
}
