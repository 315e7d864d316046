package flows

import (
	"slices"
	"time"
)

const (
	// usualSettled is how long after its end an hour is complete: its roll-ups are behind by up to a minute.
	usualSettled = 2 * time.Minute
	// usualAgain is how long nothing usual is known before it is asked for again.
	usualAgain = time.Minute
)

// UsualHours are the hours that may say what is usual in one of them, each by its start and as long as an hour. NoTime stands for
// one that the clocks skipped. Readers whose clocks agree have equal ones.
type UsualHours struct {
	Hour   Time    // in which now is
	Weeks  [4]Time // the same hour of the same weekday, the latest first; one that clocks showed twice is the first of the two
	Days   [7]Time // the same hour of the days before, likewise
	Before [2]Time // the hours before
}

// UsualHoursAt are those for the hour in which now is, by the clocks of a zone.
func UsualHoursAt(now Time, zone *time.Location) UsualHours {
	local := now.Std().In(zone)
	h := UsualHours{Hour: At(local) - At(local)%Time(time.Second)}
	h.Hour = h.Hour.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second)
	for i := range h.Weeks {
		h.Weeks[i] = hourBefore(local, 7*(i+1))
	}
	for i := range h.Days {
		h.Days[i] = hourBefore(local, i+1)
	}
	for i := range h.Before {
		h.Before[i] = h.Hour.Add(-time.Duration(i+1) * time.Hour)
	}
	return h
}

// hourBefore is when the same hour began, days before; NoTime where there was none.
func hourBefore(local time.Time, days int) Time {
	shown := func(t time.Time) bool { return t.Hour() == local.Hour() && t.Minute() == 0 }
	at := time.Date(local.Year(), local.Month(), local.Day()-days, local.Hour(), 0, 0, 0, local.Location())
	if !shown(at) {
		return NoTime
	}
	if first := at.Add(-time.Hour); shown(first) {
		at = first
	}
	return At(at)
}

// UsualOf says of which hours something is usual.
type UsualOf int

// From the worst to the best.
const (
	UsualUnknown UsualOf = iota // there is no complete hour of history
	UsualBefore                 // the last complete hour
	UsualDays                   // the same hour of the days of the last week
	UsualWeekday                // the same hour of the same weekday, of the last four weeks
)

// Usual is how a flow usually is at an hour: what its numbers were in some hours of the past. A number is usual as the median of
// those hours.
type Usual struct {
	Hour  Time // that it is usual for
	Of    UsualOf
	Hours []UsualHour // that it is made of, the latest first; none where nothing is known
	Since Time        // from when on all that happened is known; NoTime for not at all
	Torn  bool        // some of the flow's history is in no hourly sum, so that nothing is known
	When  Time        // from when on something will be known; NoTime where it is, or where that cannot be foreseen
	Read  Time        // when it was
	Until Time        // when it is to be read anew
}

// UsualHour is what happened in one hour.
type UsualHour struct {
	Start              Time
	Started, Completed int
	Latency            *float64 // median of those that completed, in seconds; nil for none
	Steps              []UsualStep
}

// UsualStep is what happened in one hour at a step.
type UsualStep struct {
	Step    string
	Reached int
	Latency *float64 // median, in seconds; nil for none
}

// Usual chooses the hours, where all is known since an instant, NoTime for nothing: their numbers are still to be filled in. Weeks go
// before days, and days before the hour before: the first kind of which one hour is known.
func (h UsualHours) Usual(since, now Time) Usual {
	u := Usual{Hour: h.Hour, Since: since, When: NoTime, Read: now, Until: h.Hour.Add(time.Hour)}
	for _, kind := range []struct {
		of    UsualOf
		hours []Time
	}{{UsualWeekday, h.Weeks[:]}, {UsualDays, h.Days[:]}, {UsualBefore, h.Before[:]}} {
		for _, start := range kind.hours {
			if start != NoTime && since != NoTime && start >= since && start.Add(time.Hour+usualSettled) <= now {
				u.Of, u.Hours = kind.of, append(u.Hours, UsualHour{Start: start})
			}
		}
		if u.Of != UsualUnknown {
			break
		}
	}
	switch {
	case u.Of == UsualBefore:
		if u.Hours = u.Hours[:1]; u.Hours[0].Start < h.Before[0] {
			u.Until = min(u.Until, h.Hour.Add(usualSettled))
		}
	case u.Of == UsualUnknown:
		u.Until = min(u.Until, now.Add(usualAgain))
		if since != NoTime && since <= h.Hour.Add(time.Hour) {
			u.When = firstHour(h.Hour, since).Add(time.Hour + usualSettled)
		}
	}
	return u
}

// firstHour is the first hour that begins at an instant or later, on the clock by which another one does.
func firstHour(hour, since Time) Time {
	rest := (since - hour) % Time(time.Hour)
	if rest < 0 {
		rest += Time(time.Hour)
	}
	if rest == 0 {
		return since
	}
	return since - rest + Time(time.Hour)
}

// UsualHour is what a tally of an hour says.
func (t *Tally) UsualHour(f *Flow, start Time) UsualHour {
	h := UsualHour{Start: start, Started: t.Started, Completed: t.Ended[Completed], Latency: t.Latency.Distribution().P50, Steps: make([]UsualStep, len(t.Steps))}
	for i := range t.Steps {
		h.Steps[i] = UsualStep{f.Steps[i].ID, t.Steps[i].Reached, t.Steps[i].Latency.Distribution().P50}
	}
	return h
}

// Step is what happened at a step; nothing where the hour knows of none.
func (h UsualHour) Step(id string) UsualStep {
	if i := slices.IndexFunc(h.Steps, func(s UsualStep) bool { return s.Step == id }); i >= 0 {
		return h.Steps[i]
	}
	return UsualStep{Step: id}
}

// Median is that of a number of the hours; nil where none of them has it, as a median latency where nothing completed.
func (u *Usual) Median(of func(UsualHour) *float64) *float64 {
	if u == nil {
		return nil
	}
	var values []float64
	for _, h := range u.Hours {
		if v := of(h); v != nil {
			values = append(values, *v)
		}
	}
	n := len(values)
	if n == 0 {
		return nil
	}
	slices.Sort(values)
	m := (values[(n-1)/2] + values[n/2]) / 2
	return &m
}
