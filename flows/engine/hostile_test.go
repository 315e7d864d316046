package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// Signals of 1900 and of 2261 are taken like others, and change nothing for those.
func TestSignalsDecadesAwayHarmNobody(t *testing.T) {
	text := `
flow: far
key: order
idle: 2h
holds: [{id: parked, from: {event: held}, at_most: 200d}]
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, match: {event: paid}, after: placed, within: 36500d}
  - {id: cash, match: {event: cash}, after: paid, within: 100000d, end: completed}
`
	set := setOf(t, flows.Refs{}, "", text)
	alone, among := newFeed(t, set), newFeed(t, set)
	for _, f := range []*feed{alone, among} {
		f.until(1)
		f.send(ev("1", "placed", 0), ev("2", "paid", 1))
		if f == among {
			for i, year := range []int{1900, 1969, 1970, 2100, 2261} {
				at := time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)
				for j, name := range []string{"placed", "paid", "held", "cash"} {
					s := ev(fmt.Sprint(year, name), name, 0, "order", fmt.Sprint("far", i))
					s.Time = flows.At(at.Add(time.Duration(j) * time.Second))
					f.send(s)
				}
				mixed := ev(fmt.Sprint(year, "mixed"), "placed", 0, "order", "mixed")
				mixed.Time = flows.At(at)
				f.send(mixed)
			}
			if len(f.rows) != 7 {
				t.Errorf("%d instances", len(f.rows))
			}
		}
		f.until(10)
		f.until(300)
	}
	if diff := gocmp.Diff(alone.instance("far", "1"), among.instance("far", "1")); diff != "" {
		t.Errorf("-alone +among signals of other centuries: %s", diff)
	}
	a, b := alone.health("far"), among.health("far")
	if a.Started != b.Started || a.Completed != b.Completed || b.InFlight != a.InFlight+1 || b.Stuck < a.Stuck {
		t.Errorf("alone %+v\namong %+v", a, b)
	}
	if next := among.e.Next(); next <= among.now {
		t.Errorf("the clock stands at %v and the timer at %v", among.now, next)
	}
}

// A clock that jumps back and comes forward again leaves everything as one that did not.
func TestAClockThatJumpsBackHarmsNothing(t *testing.T) {
	for seed := range uint64(300) {
		g := generate(t, 70_000+seed)
		set := setOf(t, g.refs, "", g.text)
		rng := rand.New(rand.NewPCG(seed, 41))
		steady, jumping := newFeed(t, set), newFeed(t, set)
		steady.at(g.now)
		steady.send(g.mixed(rng)...)
		for _, s := range g.mixed(rng) {
			now := morning + flows.Time(rng.IntN(500))*minute // back and forth
			jumping.e.Roll(now)
			jumping.e.Advance(now)
			jumping.now = now
			jumping.send(s)
		}
		for _, f := range []*feed{steady, jumping} {
			f.at(morning + 600*minute)
		}
		if diff := gocmp.Diff(steady.settled(), jumping.settled()); diff != "" {
			t.Fatalf("seed %d: -steady +jumping %s\n%s", 70_000+seed, diff, g)
		}
		if diff := gocmp.Diff(steady.health("made"), jumping.health("made")); diff != "" {
			t.Fatalf("seed %d: -steady +jumping %s\n%s", 70_000+seed, diff, g)
		}
	}
}

// A storm of links that would join all orders into one voids itself, is named, and leaves
// orders that it does not touch, and the steps that carry the order's own key, as they are.
func TestALinkStormJoinsNothing(t *testing.T) {
	text := `
flow: shop
key: order
links: [invoice, parcel]
steps:
  - {id: placed, match: {event: placed}, start: true}
  - {id: paid, match: {event: paid}, after: placed, within: 15m}
  - {id: shipped, match: {event: shipped}, after: paid, within: 1h, end: completed}
`
	set := setOf(t, flows.Refs{}, "invoice: {partners: 50}\nparcel: {partners: 50}\n", text)
	calm, stormy := newFeed(t, set), newFeed(t, set)
	for _, f := range []*feed{calm, stormy} {
		for i := range 20 {
			key := fmt.Sprint("calm", i)
			f.send(ev("p"+key, "placed", 0, "order", key, "invoice", key), ev("q"+key, "paid", 1, "order", nil, "invoice", key))
		}
		if f == stormy {
			for i := range 3000 {
				key := fmt.Sprint("wild", i)
				f.send(
					ev("p"+key, "placed", 0, "order", key, "invoice", "null", "parcel", "0"),
					ev("l"+key, "linked", 0, "order", nil, "invoice", "null", "parcel", fmt.Sprint(i)),
				)
			}
			f.send(ev("paid all", "paid", 1, "order", nil, "invoice", "null"))
		}
		f.until(20)
	}
	for i := range 20 {
		key := fmt.Sprint("calm", i)
		if diff := gocmp.Diff(calm.instance("shop", key), stormy.instance("shop", key)); diff != "" {
			t.Fatalf("-calm +stormy %s", diff)
		}
	}
	if h := stormy.health("shop"); h.InFlight != 3020 || h.Steps[1].Reached != 20 || h.Stuck != 3000 {
		t.Errorf("%d in flight, %d paid, %d stuck", h.InFlight, h.Steps[1].Reached, h.Stuck)
	}
	if st := stormy.e.Stats(); st.Common != 2 || st.Waiting != 1 || len(stormy.e.CommonKeys()) != 2 {
		t.Errorf("%+v, %v", st, stormy.e.CommonKeys())
	}
}
