package flows

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// healthAt folds histories of one instance each and counts them at a minute.
func healthAt(f *Flow, now Time, histories ...[]Occurrence) Health {
	tally, gauges := NewTally(f), NewGauges(f)
	for _, h := range histories {
		in := f.Fold(slices.Clone(h), now)
		CountInstance(&in, 1, func(Time) *Tally { return tally })
		gauges.Count(&in, now, 1)
	}
	return f.Health(tally, gauges, now, time.Hour, time.Hour)
}

func TestHealthWordIsTheWorstThatHolds(t *testing.T) {
	f := order()
	inTime := []Occurrence{at(0, 0), at(1, 5), at(2, 5)}
	slow := []Occurrence{at(0, 0), at(1, 16), at(2, 17)}
	for _, c := range []struct {
		want      HealthWord
		now       Time
		histories [][]Occurrence
	}{
		{HealthQuiet, 20 * minute, nil},
		{HealthOK, 20 * minute, [][]Occurrence{inTime}},
		{HealthLate, 20 * minute, [][]Occurrence{inTime, slow}},
		{HealthStuck, 20 * minute, [][]Occurrence{slow, {at(0, 0)}}},
	} {
		if got := healthAt(f, c.now, c.histories...).Health; got != c.want {
			t.Errorf("%d instances: %s, want %s", len(c.histories), got, c.want)
		}
	}
}

func TestHealthCountsMoneyExactly(t *testing.T) {
	f := order()
	paid := at(0, 0)
	paid.Currency = "EUR"
	paid.Amount = NewAmount(dec("0.1"))
	h := healthAt(f, 20*minute, []Occurrence{paid}, []Occurrence{paid}, []Occurrence{paid}, []Occurrence{at(0, 19)})
	if got := inText(h.ValueInFlight); got != `{"EUR":"0.30"}` {
		t.Errorf("in flight %s", got)
	}
	if got := inText(h.ValueAtRisk); got != `{"EUR":"0.30"}` || *h.ValueCoverage != 0.75 || h.Stuck != 3 {
		t.Errorf("at risk %s of %d stuck, coverage %v", got, h.Stuck, *h.ValueCoverage)
	}
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func inText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Whatever instances come, change and go, in whatever order, each currency's sum is that
// of its amounts, to the last digit.
func TestMoneySumsExactly(t *testing.T) {
	const scale = 12
	f := order()
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 31))
		gauges := NewGauges(f)
		sums, count := map[string]*big.Int{}, 0
		var there []Instance
		change := func(in *Instance, sign int) {
			gauges.Count(in, 0, sign)
			if count += sign; !in.Amount.Valid {
				return
			}
			if sums[in.Currency] == nil {
				sums[in.Currency] = new(big.Int)
			}
			exact := in.Amount.Decimal().Shift(scale).BigInt()
			sums[in.Currency].Add(sums[in.Currency], exact.Mul(exact, big.NewInt(int64(sign))))
		}
		for range rng.IntN(60) {
			if len(there) > 0 && rng.IntN(3) == 0 {
				i := rng.IntN(len(there))
				change(&there[i], -1)
				there = slices.Delete(there, i, i+1)
				continue
			}
			in := Instance{State: []State{Open, Held, Stuck}[rng.IntN(3)], Currency: []string{"EUR", "JPY", "KWD"}[rng.IntN(3)]}
			switch n := rng.Int64() >> rng.IntN(64); rng.IntN(4) {
			case 0:
			case 1:
				in.Amount = readAmount(float64(n%1e7) / 100)
			case 2:
				in.Amount = readAmount(-n)
			default:
				in.Amount = NewAmount(decimal.New(n, -int32(rng.IntN(scale))))
			}
			change(&in, 1)
			there = append(there, in)
		}
		for currency, sum := range sums {
			if got := gauges.value.Money()[currency].Shift(scale); !got.Equal(decimal.NewFromBigInt(sum, 0)) {
				t.Fatalf("seed %d: %s %v, want %v", seed, currency, got, sum)
			}
			if _, there := gauges.value.Money()[currency]; there == (sum.Sign() == 0) {
				t.Fatalf("seed %d: a sum of zero and none are not the same", seed)
			}
		}
		if gauges.InFlight != count {
			t.Fatalf("seed %d: %d in flight, want %d", seed, gauges.InFlight, count)
		}
	}
}

// A step tells of its overdue instances which are stuck, which unknown; the rest is held.
func TestOverdueByState(t *testing.T) {
	const now = 120 * minute
	sampled := mustParse(t, sampledFlow)
	f := func(flow *Flow, want StepHealth, occurrences ...Occurrence) {
		t.Helper()
		g := NewGauges(flow)
		in := flow.Fold(occurrences, now)
		g.Count(&in, now, 1)
		got := flow.Health(NewTally(flow), g, now, 0, time.Hour).Steps[1]
		got.Latency, want.Step, want.Waiting = Distribution{}, "paid", 1
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", in.State, diff)
		}
		g.Count(&in, now, -1)
		if left := flow.Health(NewTally(flow), g, now, 0, time.Hour).Steps[1]; left.Overdue+left.Stuck+left.Unknown != 0 {
			t.Errorf("%v is still counted when it is gone: %+v", in.State, left)
		}
	}
	f(held(), StepHealth{Overdue: 1, Stuck: 1}, at(0, 0))
	f(held(), StepHealth{Overdue: 1}, at(0, 0), at(left, 90)) // on hold, after its deadline
	f(held(), StepHealth{}, at(0, 0), at(left, 30))
	f(sampled, StepHealth{Overdue: 1, Unknown: 1}, chosen(at(0, 0)), at(2, 10))
}
