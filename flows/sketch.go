package flows

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Sketch is a distribution of durations from which values can be taken out again, so that
// a figure already counted can be corrected. Percentiles are nearest rank (1-based
// ceil(q*n)): exact while it never held more than exactValues, else within 1 %. Count, sum
// and, while nothing was taken out, the maximum are exact. The zero value is empty.
//
// The bins are those of DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12(12), 2019,
// section 2.1) with relative accuracy 1 %.
type Sketch struct {
	values  []int64         // sorted, while exact
	inexact bool            // values are given up
	bins    map[int32]int32 // bin to count
	count   int
	sumHi   int64 // with sumLo the sum in nanoseconds, 128 bits, two's complement
	sumLo   uint64
	max     int64
}

const (
	exactValues = 1000
	accuracy    = 0.01
	gamma       = (1 + accuracy) / (1 - accuracy)
	zeroBin     = math.MinInt32 // durations are never negative; zero has no logarithm
)

var logGamma = math.Log(gamma)

func bin(v int64) int32 {
	if v <= 0 {
		return zeroBin
	}
	return int32(math.Ceil(math.Log(float64(v)) / logGamma))
}

// binValue is the value within 1 % of everything in a bin.
func binValue(b int32) int64 {
	if b == zeroBin {
		return 0
	}
	return int64(2 * math.Pow(gamma, float64(b)) / (gamma + 1))
}

// Count is how many values it holds.
func (s *Sketch) Count() int { return s.count }

// Add puts a value in.
func (s *Sketch) Add(d time.Duration) {
	v := int64(d)
	s.change(v, 1)
	s.max = max(s.max, v)
	if s.inexact {
		return
	}
	if len(s.values) == exactValues {
		s.values, s.inexact = nil, true
		return
	}
	at, _ := slices.BinarySearch(s.values, v)
	s.values = slices.Insert(s.values, at, v)
}

// Remove takes out a value that was put in.
func (s *Sketch) Remove(d time.Duration) {
	v := int64(d)
	s.change(v, -1)
	if s.count == 0 {
		*s = Sketch{}
		return
	}
	if at, ok := slices.BinarySearch(s.values, v); ok {
		s.values = slices.Delete(s.values, at, at+1)
	}
	switch {
	case v < s.max:
	case !s.inexact:
		s.max = s.values[len(s.values)-1]
	default:
		s.max = min(s.max, binValue(slices.Max(slices.Collect(maps.Keys(s.bins)))))
	}
}

func (s *Sketch) change(v int64, by int32) {
	if s.bins == nil {
		s.bins = make(map[int32]int32)
	}
	b := bin(v)
	if s.bins[b] += by; s.bins[b] == 0 {
		delete(s.bins, b)
	}
	s.count += int(by)
	var carry uint64
	if by > 0 {
		s.sumLo, carry = bits.Add64(s.sumLo, uint64(v), 0)
		s.sumHi += int64(carry)
	} else {
		s.sumLo, carry = bits.Sub64(s.sumLo, uint64(v), 0)
		s.sumHi -= int64(carry)
	}
}

// Merge adds all values of o.
func (s *Sketch) Merge(o *Sketch) {
	if o.count == 0 {
		return
	}
	if s.bins == nil {
		s.bins = make(map[int32]int32, len(o.bins))
	}
	for b, n := range o.bins {
		s.bins[b] += n
	}
	s.count += o.count
	var carry uint64
	s.sumLo, carry = bits.Add64(s.sumLo, o.sumLo, 0)
	s.sumHi += o.sumHi + int64(carry)
	s.max = max(s.max, o.max)
	s.inexact = s.inexact || o.inexact || s.count > exactValues
	if s.inexact {
		s.values = nil
		return
	}
	s.values = append(s.values, o.values...)
	slices.Sort(s.values)
}

// each yields the values in ascending order with how many there are of each.
func (s *Sketch) each(yield func(v int64, n int) bool) {
	if !s.inexact {
		for _, v := range s.values {
			if !yield(v, 1) {
				return
			}
		}
		return
	}
	for _, b := range slices.Sorted(maps.Keys(s.bins)) {
		if !yield(binValue(b), int(s.bins[b])) {
			return
		}
	}
}

// Distribution summarises the sketch.
func (s *Sketch) Distribution() Distribution {
	d := Distribution{Count: s.count}
	if s.count == 0 {
		return d
	}
	mean := (float64(s.sumHi)*math.Exp2(64) + float64(s.sumLo)) / float64(s.count) / 1e9
	d.Mean, d.Max = &mean, seconds(s.max)
	ranks := [...]struct {
		rank int
		to   **float64
	}{{nearestRank(50, s.count), &d.P50}, {nearestRank(90, s.count), &d.P90}, {nearestRank(99, s.count), &d.P99}}
	seen, next := 0, 0
	s.each(func(v int64, n int) bool {
		seen += n
		for next < len(ranks) && seen >= ranks[next].rank {
			*ranks[next].to = seconds(min(v, s.max))
			next++
		}
		return next < len(ranks)
	})
	return d
}

// nearestRank is ceil(percent/100 * n), 1-based.
func nearestRank(percent, n int) int { return (percent*n + 99) / 100 }

func seconds(ns int64) *float64 {
	s := float64(ns) / 1e9
	return &s
}

// KaplanMeier estimates the latency that a share of all instances stays within, when the
// finished took the times of done and those of open have lasted so long and go on
// (Kaplan, Meier: "Nonparametric Estimation from Incomplete Observations", 1958).
func KaplanMeier(done, open *Sketch) Estimate {
	var e Estimate
	atRisk := done.count + open.count
	surviving := 1.0
	ages := make([]struct{ v, n int64 }, 0, len(open.bins))
	open.each(func(v int64, n int) bool {
		ages = append(ages, struct{ v, n int64 }{v, int64(n)})
		return true
	})
	done.each(func(v int64, n int) bool {
		for len(ages) > 0 && ages[0].v < v { // at equal times the finished come first
			atRisk -= int(ages[0].n)
			ages = ages[1:]
		}
		surviving *= 1 - float64(n)/float64(atRisk)
		atRisk -= n
		if e.P50 == nil && surviving <= 0.5+1e-12 {
			e.P50 = seconds(v)
		}
		if surviving <= 0.1+1e-12 {
			e.P90 = seconds(v)
			return false
		}
		return true
	})
	return e
}
