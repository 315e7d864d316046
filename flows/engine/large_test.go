package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// An instance of many signals that come one by one, some late, some twice, some in another
// copy, and while limits pass and states are saved, is what they make of it together.
func TestManySignalsOneByOne(t *testing.T) {
	s := set(t, strings.Replace(manyChildren, "steps:", "idle: 7m\nsteps:", 1))
	const start = 600 * minute
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 41))
		var all []flows.Signal
		for i := range 100 + rng.IntN(400) {
			sig := signal(s, fmt.Sprint(i), "shipped", start+flows.Time(rng.IntN(90))*minute, fmt.Sprintf("order_id:%d", i%2))
			sig.Time = min(sig.Time, start+flows.Time(rng.IntN(1+i))*minute/3)
			sig.Data["line"], sig.Failed = fmt.Sprint(rng.IntN(300)), rng.IntN(9) == 0
			if i%50 == 0 {
				sig.Name = "placed"
			}
			all = append(all, sig)
			if rng.IntN(9) == 0 { // a copy that differs
				sig.Time -= flows.Time(rng.IntN(3)) * minute
				all = append(all, sig)
			}
		}
		const now = start + 200*minute
		whole, single := New(s), New(s)
		whole.Roll(now)
		whole.Apply(slices.Clone(all), now)
		clock := flows.Time(start)
		single.Roll(clock)
		for _, sig := range all {
			single.Apply([]flows.Signal{sig}, clock)
			switch rng.IntN(8) {
			case 0:
				clock = min(now, clock+flows.Time(rng.IntN(5))*minute)
				single.Advance(clock)
			case 1:
				saveAll(single)
			}
		}
		single.Advance(now)
		got, want := records(single), records(whole)
		for i := range got { // when it was judged last, and was stuck for the last time
			got[i].AsOf, got[i].StuckFor = want[i].AsOf, want[i].StuckFor
		}
		if diff := gocmp.Diff(want, got) + gocmp.Diff(health(whole, "parts", now), health(single, "parts", now)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}
