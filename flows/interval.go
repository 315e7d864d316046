package flows

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Interval is the time from From up to, but without, To. Without a known end To is the
// greatest Time.
type Interval struct {
	From Time `json:"from"`
	To   Time `json:"to"`
}

const endless Time = math.MaxInt64

// merged brings intervals in order and joins those that touch, in place.
func merged(list []Interval) []Interval {
	if len(list) < 2 {
		return list
	}
	slices.SortFunc(list, func(a, b Interval) int { return cmp.Compare(a.From, b.From) })
	n := 0
	for _, v := range list[1:] {
		if v.From <= list[n].To {
			list[n].To = max(list[n].To, v.To)
			continue
		}
		n++
		list[n] = v
	}
	return list[:n+1]
}

// union is all time in a or b; both are in order and apart.
func union(a, b []Interval) []Interval {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	return merged(append(append(make([]Interval, 0, len(a)+len(b)), a...), b...))
}

// common is the time in both a and b.
func common(a, b []Interval) (both []Interval) {
	for len(a) > 0 && len(b) > 0 {
		if v := (Interval{max(a[0].From, b[0].From), min(a[0].To, b[0].To)}); v.From < v.To {
			both = append(both, v)
		}
		if a[0].To < b[0].To {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// holding is the interval that an instant lies in.
func holding(list []Interval, t Time) (Interval, bool) {
	i, _ := slices.BinarySearchFunc(list, t, func(v Interval, t Time) int {
		if v.To <= t {
			return -1
		}
		return 1
	})
	if i < len(list) && list[i].From <= t {
		return list[i], true
	}
	return Interval{}, false
}

// following is when the next interval begins after an instant; NoTime for never.
func following(list []Interval, t Time) Time {
	for _, v := range list {
		if v.From > t {
			return v.From
		}
	}
	return NoTime
}

// elapsed is the earliest time at which d of working time has passed since from, outside
// held time; NoTime for never. calendar may be nil.
func elapsed(from Time, d time.Duration, calendar *Calendar, held []Interval) Time {
	for _, v := range held {
		switch {
		case v.To <= from:
			continue
		case v.From > from:
			if end := calendar.Add(from, d); end <= v.From {
				return end
			}
			d -= calendar.Between(from, v.From)
		}
		if from = v.To; from == endless {
			return NoTime
		}
	}
	if end := calendar.Add(from, d); end != endless {
		return end
	}
	return NoTime
}

// without appends what is left of an interval outside held time.
func without(v Interval, held []Interval, to []Interval) []Interval {
	for _, h := range held {
		if h.To <= v.From {
			continue
		}
		if h.From >= v.To {
			break
		}
		if h.From > v.From {
			to = append(to, Interval{v.From, h.From})
		}
		if v.From = h.To; v.From >= v.To {
			return to
		}
	}
	return append(to, v)
}

// length is the time in any of the intervals. It sorts them.
func length(intervals []Interval) (sum time.Duration) {
	slices.SortFunc(intervals, func(a, b Interval) int { return cmp.Compare(a.From, b.From) })
	reached := NoTime
	for _, v := range intervals {
		if v.To > reached {
			sum += v.To.Sub(max(v.From, reached))
			reached = v.To
		}
	}
	return sum
}
