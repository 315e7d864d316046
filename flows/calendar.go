package flows

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
	_ "time/tzdata" // calendars name zones, also where the system has none
)

// Calendar says when people work: hours of weekdays in a zone, without holidays. It is
// read-only after ParseCalendar and may be shared.
type Calendar struct {
	Name     string
	Zone     *time.Location
	Hours    [7][]ClockSpan // by time.Weekday, in order and apart
	Holidays []string       // as written: regions and days
	hash     string         // of the file's bytes
	text     string         // the file
	days     map[day]struct{}
	regions  []region
	years    [lastYear - firstYear + 1]atomic.Pointer[workYear]
}

// ClockSpan is a part of a day by its clock, in minutes since midnight; To is at most
// 1440, the midnight that ends the day.
type ClockSpan struct{ From, To int }

// day is a date of a calendar.
type day struct {
	year  int
	month time.Month
	day   int
}

// A Time has no instants outside these years.
const (
	firstYear = 1677
	lastYear  = 2262
)

// workYear is the working time of one year by the local date, in order and apart.
type workYear struct {
	from, to []Time
	before   []time.Duration // working time of the year before each interval
	total    time.Duration
}

// Add is the earliest time at which d, more than 0, of working time has passed since t; the
// greatest Time for never. The nil calendar works all the time.
func (c *Calendar) Add(t Time, d time.Duration) Time {
	if c == nil {
		return t.Add(d)
	}
	year, worked := c.position(t)
	for need := worked + d; ; year++ {
		if year > lastYear {
			return endless
		}
		w := c.year(year)
		if need > w.total {
			need -= w.total
			continue
		}
		i := w.reaching(need)
		return w.from[i].Add(need - w.before[i])
	}
}

// Between is the working time from one instant to a later one.
func (c *Calendar) Between(from, to Time) time.Duration {
	if c == nil {
		return to.Sub(from)
	}
	year, done := c.position(from)
	last, worked := c.position(to)
	worked -= done
	for ; year < last; year++ {
		worked += c.year(year).total
	}
	return worked
}

// position is the local year of an instant, and the working time of that year before it.
func (c *Calendar) position(t Time) (year int, worked time.Duration) {
	year = min(max(t.Std().In(c.Zone).Year(), firstYear), lastYear)
	w := c.year(year)
	i, _ := slices.BinarySearch(w.to, t) // the first that ends at t or later
	if i == len(w.to) {
		return year, w.total
	}
	return year, w.before[i] + max(0, t.Sub(w.from[i]))
}

// reaching is the first interval by whose end so much, more than 0, of the year's working
// time is done.
func (w *workYear) reaching(need time.Duration) int {
	i, _ := slices.BinarySearch(w.before, need)
	return i - 1
}

// year is computed when it is first asked for; that two ask at once is harmless.
func (c *Calendar) year(y int) *workYear {
	at := &c.years[y-firstYear]
	if w := at.Load(); w != nil {
		return w
	}
	w := c.makeYear(y)
	at.Store(w)
	return w
}

func (c *Calendar) makeYear(y int) *workYear {
	w := &workYear{}
	off := c.holidaysOf(y)
	reached := NoTime
	for date := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC); date.Year() == y; date = date.AddDate(0, 0, 1) {
		if _, free := off[dayOf(date)]; free {
			continue
		}
		for _, span := range c.Hours[date.Weekday()] {
			from := max(c.instant(date, span.From, false), reached) // a repeated hour counts once
			to := c.instant(date, span.To, true)
			if from >= to {
				continue
			}
			w.from, w.to, w.before = append(w.from, from), append(w.to, to), append(w.before, w.total)
			w.total += to.Sub(from)
			reached = to
		}
	}
	return w
}

func dayOf(date time.Time) day { return day{date.Year(), date.Month(), date.Day()} }

// instant is when the clock of a day shows a time. One that the clock skips is when it
// skips; of one that it shows twice a span begins with the first and ends with the second.
func (c *Calendar) instant(date time.Time, minutes int, ends bool) Time {
	local := date.Unix() + int64(minutes)*60
	before, after := c.offset(local-86400), c.offset(local+86400)
	first, second := local-before, local-after
	switch {
	case before == after:
		return unixTime(first)
	case before < after: // the clock goes forward
		if c.offset(second) == after {
			return unixTime(second)
		}
		if c.offset(first) == before {
			return unixTime(first)
		}
		_, skips := time.Unix(second, 0).In(c.Zone).ZoneBounds()
		return unixTime(skips.Unix())
	case c.offset(first) != before:
		return unixTime(second)
	case c.offset(second) != after || !ends:
		return unixTime(first)
	}
	return unixTime(second)
}

// offset is how far the zone's clock is ahead of UTC at an instant, in seconds.
func (c *Calendar) offset(unix int64) int64 {
	_, offset := time.Unix(unix, 0).In(c.Zone).Zone()
	return int64(offset)
}

// unixTime saturates as Time.Add does.
func unixTime(unix int64) Time {
	switch {
	case unix > math.MaxInt64/int64(time.Second):
		return endless
	case unix < math.MinInt64/int64(time.Second):
		return NoTime + 1
	}
	return Time(unix * int64(time.Second))
}
