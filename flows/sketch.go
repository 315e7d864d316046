package flows

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Sketch is a distribution of durations from which values can be taken out again, so that
// a figure already counted can be corrected. Percentiles are nearest rank (1-based
// ceil(q*n)): exact while it never held more than exactValues since it was empty, else within
// 1 %, which is the law for as many; see thin. Count, sum and, while nothing was taken out, the maximum are exact. The zero value is empty.
//
// The bins are those of DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12(12), 2019,
// section 2.1) with relative accuracy 1 %.
type Sketch struct {
	values  []int64 // sorted, while exact
	inexact bool    // values are given up for bins
	zeros   int32   // durations are never negative; zero has no logarithm
	low     int32   // bin of bins[0]
	bins    []int32 // counts
	count   int
	sumHi   int64 // with sumLo the sum in nanoseconds, 128 bits, two's complement
	sumLo   uint64
	max     int64
}

const (
	exactValues = 1000
	accuracy    = 0.01
	gamma       = (1 + accuracy) / (1 - accuracy)
)

var logGamma = math.Log(gamma)

// thin says whether it held more values than are kept one by one, and now holds no more.
func (s *Sketch) thin() bool { return s.inexact && s.count <= exactValues }

// bin is that of a value; -1 for none above 0.
func bin(v int64) int32 {
	if v <= 0 {
		return -1
	}
	return int32(math.Ceil(math.Log(float64(v)) / logGamma))
}

// binValue is the value within 1 % of everything in a bin; 0 for that of zeros.
func binValue(b int32) int64 {
	if b < 0 {
		return 0
	}
	return binValues[b]
}

// binValues are those of all bins up to that of the longest duration.
var binValues = func() []int64 {
	values := make([]int64, bin(math.MaxInt64)+1)
	for b := range values {
		values[b] = math.MaxInt64
		if v := math.Round(2 * math.Pow(gamma, float64(b)) / (gamma + 1)); v < math.MaxInt64 {
			values[b] = int64(v)
		}
	}
	return values
}()

// Count is how many values it holds.
func (s *Sketch) Count() int { return s.count }

// Add puts a value in.
func (s *Sketch) Add(d time.Duration) {
	v := int64(d)
	s.change(v, 1)
	s.max = max(s.max, v)
	if !s.inexact && len(s.values) < exactValues {
		at, _ := slices.BinarySearch(s.values, v)
		s.values = slices.Insert(s.values, at, v)
		return
	}
	s.giveUpValues()
	s.inBin(v, 1)
}

// Remove takes out a value that was put in.
func (s *Sketch) Remove(d time.Duration) {
	v := int64(d)
	s.change(v, -1)
	if s.count == 0 {
		*s = Sketch{}
		return
	}
	if s.inexact {
		left := s.inBin(v, -1)
		if v == s.max || left == 0 && v >= s.max-s.max/20 { // near enough to have been the last bin
			s.max = min(s.max, s.highest())
		}
		return
	}
	if at, ok := slices.BinarySearch(s.values, v); ok {
		s.values = slices.Delete(s.values, at, at+1)
	}
	s.max = s.values[len(s.values)-1]
}

func (s *Sketch) change(v int64, by int) {
	s.count += by
	var carry uint64
	if by > 0 {
		s.sumLo, carry = bits.Add64(s.sumLo, uint64(v), 0)
		s.sumHi += int64(carry)
	} else {
		s.sumLo, carry = bits.Sub64(s.sumLo, uint64(v), 0)
		s.sumHi -= int64(carry)
	}
}

// giveUpValues turns to bins.
func (s *Sketch) giveUpValues() {
	if s.inexact {
		return
	}
	s.inexact = true
	for _, v := range s.values {
		s.inBin(v, 1)
	}
	s.values = nil
}

// inBin counts a value, and returns the count of its bin.
func (s *Sketch) inBin(v int64, by int32) int32 {
	count := &s.zeros
	if b := bin(v); b >= 0 {
		count = s.at(b)
	}
	*count += by
	return *count
}

// at is the count of a bin; the bins grow to hold it, 2,200 at most.
func (s *Sketch) at(b int32) *int32 {
	const room = 64 // spares growing by one at a time
	switch n := int32(len(s.bins)); {
	case n == 0:
		s.low, s.bins = b-room/2, make([]int32, room)
	case b < s.low:
		more := s.low - b + room
		s.low, s.bins = s.low-more, append(make([]int32, more, more+n), s.bins...)
	case b >= s.low+n:
		s.bins = append(s.bins, make([]int32, b-s.low-n+room)...)
	}
	return &s.bins[b-s.low]
}

// highest is about the greatest value that is in a bin.
func (s *Sketch) highest() int64 {
	for i, n := range slices.Backward(s.bins) {
		if n != 0 {
			return binValue(s.low + int32(i))
		}
	}
	return 0
}

// Merge adds all values of o.
func (s *Sketch) Merge(o *Sketch) {
	if o.count == 0 {
		return
	}
	s.count += o.count
	var carry uint64
	s.sumLo, carry = bits.Add64(s.sumLo, o.sumLo, 0)
	s.sumHi += o.sumHi + int64(carry)
	s.max = max(s.max, o.max)
	if !s.inexact && !o.inexact && s.count <= exactValues {
		s.values = append(s.values, o.values...)
		slices.Sort(s.values)
		return
	}
	s.giveUpValues()
	for _, v := range o.values {
		s.inBin(v, 1)
	}
	s.zeros += o.zeros
	for i, n := range o.bins {
		if n != 0 {
			*s.at(o.low + int32(i)) += n
		}
	}
}

// each yields the values in ascending order with how many there are of each.
func (s *Sketch) each(yield func(v int64, n int) bool) {
	for _, v := range s.values {
		if !yield(v, 1) {
			return
		}
	}
	if s.zeros != 0 && !yield(0, int(s.zeros)) {
		return
	}
	for i, n := range s.bins {
		if n != 0 && !yield(binValue(s.low+int32(i)), int(n)) {
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
	var ages []struct{ v, n int64 }
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
