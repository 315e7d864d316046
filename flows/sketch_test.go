package flows

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// rank is the nearest-rank percentile of sorted values, straight from its definition.
func rank(sorted []time.Duration, q float64) float64 {
	return sorted[max(1, int(math.Ceil(q*float64(len(sorted)))))-1].Seconds()
}

func TestSketchPercentiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 99, 100, 101, 999, 1000, 1001, 20000} {
		var s Sketch
		var values []time.Duration
		for range n {
			v := time.Duration(math.Exp(rng.Float64()*40)) - 1
			values = append(values, v)
			s.Add(v)
		}
		slices.Sort(values)
		d, tolerance := s.Distribution(), 1e-12
		if n > exactValues {
			tolerance = accuracy + 1e-9
		}
		for _, c := range []struct{ q, got float64 }{{0.5, *d.P50}, {0.9, *d.P90}, {0.99, *d.P99}} {
			if want := rank(values, c.q); math.Abs(c.got-want) > tolerance*want {
				t.Errorf("n=%d q=%v: got %v, want %v", n, c.q, c.got, want)
			}
		}
		if *d.Max != values[n-1].Seconds() || d.Count != n {
			t.Errorf("n=%d: max %v count %d", n, *d.Max, d.Count)
		}
	}
}

func TestSketchOfTheLongest(t *testing.T) {
	var s Sketch
	for range exactValues + 5 {
		s.Add(math.MaxInt64)
	}
	s.Remove(math.MaxInt64)
	want := float64(math.MaxInt64) / 1e9
	if d := s.Distribution(); math.Abs(*d.P50-want) > accuracy*want || math.Abs(*d.Max-want) > accuracy*want {
		t.Errorf("%v %v, want %v", *d.P50, *d.Max, want)
	}
}

func TestSketchRemoveUndoesAdd(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var s, want Sketch
	for i := range 3000 {
		v := time.Duration(rng.Int64N(1e15))
		s.Add(v)
		if i < 500 {
			want.Add(v)
			continue
		}
		s.Remove(v)
	}
	if got := s.Distribution(); *got.P90 != *want.Distribution().P90 || *got.Mean != *want.Distribution().Mean || *got.Max != *want.Distribution().Max {
		t.Errorf("got %+v", got)
	}
}

func TestSketchMergeIsTheUnion(t *testing.T) {
	for _, n := range []int{10, 600, 1500} {
		var a, b, all Sketch
		for i := range n {
			v := time.Duration(i*i) * time.Millisecond
			all.Add(v)
			if i%3 == 0 {
				a.Add(v)
			} else {
				b.Add(v)
			}
		}
		a.Merge(&b)
		got, want := a.Distribution(), all.Distribution()
		if got.Count != want.Count || *got.P50 != *want.P50 || *got.P99 != *want.P99 || *got.Mean != *want.Mean || *got.Max != *want.Max {
			t.Errorf("n=%d: got %+v want %+v", n, got, want)
		}
	}
}

// Whatever is put in, taken out and merged, the figures are those of the values that
// remain: exact while there never were more than 1,000, else within 1 %.
func TestSketchAgreesWithItsValues(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var s Sketch
		var values []time.Duration
		exact, spread := true, rng.IntN(41)
		draw := func() time.Duration {
			if rng.IntN(20) == 0 {
				return 0
			}
			return time.Duration(math.Exp(rng.Float64() * float64(spread)))
		}
		for range 1 + rng.IntN(60) {
			switch most := []int{3, 40, 600}[rng.IntN(3)]; rng.IntN(4) {
			case 0:
				for range min(most, len(values)) {
					i := rng.IntN(len(values))
					s.Remove(values[i])
					values[i] = values[len(values)-1]
					values = values[:len(values)-1]
				}
			case 1:
				var other Sketch
				for range rng.IntN(most) {
					v := draw()
					other.Add(v)
					values = append(values, v)
				}
				s.Merge(&other)
			default:
				for range rng.IntN(most) {
					v := draw()
					s.Add(v)
					values = append(values, v)
				}
			}
			if exact = len(values) == 0 || exact && len(values) <= exactValues; len(values) == 0 {
				if s.Count() != 0 || s.Distribution() != (Distribution{}) {
					t.Fatalf("seed %d: %d values in an empty sketch", seed, s.Count())
				}
				continue
			}
			sorted := slices.Sorted(slices.Values(values))
			tolerance := 1e-12
			if !exact {
				tolerance = accuracy + 1e-9
			}
			d := s.Distribution()
			for _, c := range []struct{ q, got float64 }{{0.5, *d.P50}, {0.9, *d.P90}, {0.99, *d.P99}, {1, *d.Max}} {
				if want := rank(sorted, c.q); math.Abs(c.got-want) > tolerance*want+1e-9 {
					t.Fatalf("seed %d, %d values, exact %v, q=%v: got %v, want %v", seed, len(sorted), exact, c.q, c.got, want)
				}
			}
			sum := new(big.Int)
			for _, v := range values {
				sum.Add(sum, big.NewInt(int64(v)))
			}
			mean, _ := new(big.Rat).SetFrac(sum, big.NewInt(int64(len(values))*1e9)).Float64()
			if math.Abs(*d.Mean-mean) > 1e-12*mean || d.Count != len(values) {
				t.Fatalf("seed %d: mean %v of %d, want %v of %d", seed, *d.Mean, d.Count, mean, len(values))
			}
		}
	}
}

func BenchmarkSketch(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var s Sketch
			for i := range n {
				s.Add(time.Duration(i%977) * time.Second)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Add(time.Duration(i%977) * time.Second)
				s.Remove(time.Duration(i%977) * time.Second)
			}
		})
	}
}

func TestKaplanMeierCountsTheOpenAsCensored(t *testing.T) {
	var done, open Sketch
	for _, s := range []int{1, 2, 3, 4} {
		done.Add(time.Duration(s) * time.Second)
	}
	if e := KaplanMeier(&done, &open); *e.P50 != 2 || *e.P90 != 4 {
		t.Errorf("without open ones it is the plain percentile: %v %v", *e.P50, *e.P90)
	}
	for range 4 {
		open.Add(10 * time.Second) // frozen: half of all never finish
	}
	if e := KaplanMeier(&done, &open); *e.P50 != 4 || e.P90 != nil {
		t.Errorf("half did not finish: p50 %v p90 %v", *e.P50, e.P90)
	}
	var late Sketch
	late.Add(1500 * time.Millisecond) // leaves after the first of four finished
	if e := KaplanMeier(&done, &late); *e.P50 != 3 {
		// S: 4/5, then of 3 left: 8/15, 4/15
		t.Errorf("p50 %v", *e.P50)
	}
}

// The law's own number: below 1,000 values every percentile is one of them (FLOWS.md section 8).
func TestSketchIsExactBelowAThousand(t *testing.T) {
	var s Sketch
	for i := range 999 {
		s.Add(time.Duration(i+1) * 1_000_003)
	}
	d := s.Distribution()
	for rank, got := range map[int]*float64{500: d.P50, 900: d.P90, 990: d.P99} {
		if want := float64(rank*1_000_003) / 1e9; *got != want {
			t.Errorf("value %d of 999 is %v, not %v", rank, *got, want)
		}
	}
}

// At equal times the finished come first: who is as old was at risk still.
func TestKaplanMeierOfEqualTimes(t *testing.T) {
	var done, open Sketch
	done.Add(time.Minute)
	open.Add(time.Minute)
	if e := KaplanMeier(&done, &open); e.P50 == nil || *e.P50 != 60 || e.P90 != nil {
		t.Errorf("one of two finished: %+v", e)
	}
}
