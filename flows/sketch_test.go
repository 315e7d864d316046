package flows

import (
	"math"
	"math/rand/v2"
	"slices"
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
