package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"throughline/flows"
)

// What a cohort shows, which is kept up as instances join and leave, is what a look at all
// of them says.
func TestCohortsAreARecount(t *testing.T) {
	s := set(t, sixSteps)
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		e := New(s)
		e.Roll(0)
		now := flows.Time(0)
		for range 400 {
			order := rng.IntN(200)
			switch now += flows.Time(rng.IntN(60)) * 1e9; rng.IntN(3) {
			case 0:
				e.Advance(now)
			default:
				started := flows.Time(rng.IntN(3)) * minute
				e.Apply([]flows.Signal{orderSignal(s, order, rng.IntN(6), started)}, now)
			}
			if rng.IntN(8) == 0 {
				compareCohorts(t, e)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func compareCohorts(t *testing.T, e *Engine) {
	t.Helper()
	want := map[string][]flows.InstanceRecord{}
	for _, r := range records(e) {
		if r.State == flows.Stuck {
			id := fmt.Sprint(r.ReasonStep, r.Reason)
			want[id] = append(want[id], r)
		}
	}
	got := e.Cohorts()
	if len(got) != len(want) {
		t.Errorf("%d cohorts, not %d", len(got), len(want))
	}
	for _, c := range got {
		all := want[fmt.Sprint(c.Step, c.Reason)]
		slices.SortFunc(all, func(a, b flows.InstanceRecord) int {
			if a.StuckSince != b.StuckSince {
				return int(a.StuckSince - b.StuckSince)
			}
			return strings.Compare(a.Key, b.Key)
		})
		var keys []string
		oldest, risk := flows.NoTime, flows.Sums{}
		for i, r := range all {
			if i < maxSamples {
				keys = append(keys, r.Key)
			}
			if oldest == flows.NoTime || r.StartedAt < oldest {
				oldest = r.StartedAt
			}
			risk.Add(r.Currency, r.Amount, 1)
		}
		equal(t, keys, c.Keys)
		if c.Count != len(all) || c.Since != all[0].StuckSince || c.Oldest != oldest {
			t.Errorf("%s %s: %d since %d, oldest %d; they are %d since %d, oldest %d", c.Step, c.Reason, c.Count, c.Since, c.Oldest, len(all), all[0].StuckSince, oldest)
		}
		if fmt.Sprint(c.AtRisk) != fmt.Sprint(risk.Money()) {
			t.Errorf("at risk %v, not %v", c.AtRisk, risk.Money())
		}
	}
}
