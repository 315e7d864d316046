package views

import "time"

// Range is the span of time that a page's numbers cover, as in ?range=.
type Range string

// The ranges that pages offer. RangeHour is the default.
const (
	RangeQuarter Range = "15m"
	RangeHour    Range = "60m"
	RangeDay     Range = "24h"
	RangeWeek    Range = "7d"
	RangeAll     Range = "all"
)

var ranges = []struct {
	name   Range
	span   time.Duration // 0 is all history
	button string
	words  string // as in "last …"
}{
	{RangeQuarter, 15 * time.Minute, "15 m", "15 min"},
	{RangeHour, time.Hour, "60 m", "60 min"},
	{RangeDay, 24 * time.Hour, "24 h", "24 h"},
	{RangeWeek, 7 * 24 * time.Hour, "7 d", "7 days"},
	{RangeAll, 0, "All", ""},
}

// ParseRange reads ?range=; "" is the default.
func ParseRange(text string) (Range, bool) {
	if text == "" {
		return RangeHour, true
	}
	for _, r := range ranges {
		if string(r.name) == text {
			return r.name, true
		}
	}
	return RangeHour, false
}

// Span is how long the range is; 0 is all history.
func (r Range) Span() time.Duration {
	for _, known := range ranges {
		if known.name == r {
			return known.span
		}
	}
	return time.Hour
}

// Bucket is the length of a bucket of a picture of the range; 0 where it has none.
func (r Range) Bucket() time.Duration {
	switch r {
	case RangeQuarter:
		return 15 * time.Second
	case RangeHour, "":
		return time.Minute
	case RangeDay:
		return 15 * time.Minute
	case RangeWeek:
		return 2 * time.Hour
	}
	return 0
}
