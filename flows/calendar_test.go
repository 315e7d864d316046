package flows

import (
	"math/rand/v2"
	"testing"
	"time"
)

const warehouse = `
zone: Europe/Berlin
hours: {mon-fri: ["08:00-12:00", "13:00-17:00"], sat: ["09:00-13:00"]}
holidays: [de-by, 2026-12-24]
`

func mustCalendar(t testing.TB, text string) *Calendar {
	t.Helper()
	c, faults := ParseCalendar("c.yaml", "c", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

// local reads a time as the clock of a calendar shows it; one of an offset is that instant.
func local(t testing.TB, c *Calendar, text string) Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04-07"} {
		if at, err := time.ParseInLocation(layout, text, c.Zone); err == nil {
			return At(at)
		}
	}
	t.Fatal(text)
	return NoTime
}

// Friday 17:00 + 8 business hours is Monday; a DST day; a holiday (PEERS.md, fault 13).
func TestCalendarAdd(t *testing.T) {
	f := func(file, from string, d time.Duration, want string) {
		t.Helper()
		c := mustCalendar(t, file)
		got := c.Add(local(t, c, from), d)
		if got != local(t, c, want) {
			t.Errorf("%s + %v = %s, want %s", from, d, got.Std().In(c.Zone), want)
		}
		if worked := c.Between(local(t, c, from), got); worked != d {
			t.Errorf("%s to %s: %v worked, want %v", from, want, worked, d)
		}
	}
	weekdays := `{zone: Europe/Berlin, hours: {mon-fri: ["08:00-12:00", "13:00-17:00"]}}`
	f(weekdays, "2026-11-20 17:00", 8*time.Hour, "2026-11-23 17:00") // a Friday
	f(weekdays, "2026-11-20 16:00", time.Hour, "2026-11-20 17:00")
	f(weekdays, "2026-11-20 16:00", time.Hour+time.Minute, "2026-11-23 08:01")
	f(weekdays, "2026-11-20 12:30", time.Hour, "2026-11-20 14:00")
	f(weekdays, "2026-11-20 12:00", time.Minute, "2026-11-20 13:01")
	f(weekdays, "2026-11-21 10:00", 40*time.Hour, "2026-11-27 17:00")
	f(weekdays, "2026-12-31 16:00", 2*time.Hour, "2027-01-01 09:00") // no holidays, over the year's end
	f(weekdays, "2026-01-01 08:00", 261*8*time.Hour, "2026-12-31 17:00")

	f(warehouse, "2026-11-20 17:00", 8*time.Hour, "2026-11-23 12:00") // Saturday counts four
	f(warehouse, "2026-12-23 16:00", 2*time.Hour, "2026-12-28 09:00") // Christmas from the 24th, the 26th a Saturday
	f(warehouse, "2026-04-02 16:00", 2*time.Hour, "2026-04-04 10:00") // Good Friday
	f(warehouse, "2026-06-03 16:00", 2*time.Hour, "2026-06-05 09:00") // Corpus Christi, in Bavaria
	f(warehouse, "2026-12-31 16:00", 3*time.Hour, "2027-01-02 11:00") // New Year
	f(warehouse, "1900-01-02 08:00", 8*time.Hour, "1900-01-02 17:00") // the earliest year of signals
	f(warehouse, "2261-12-30 08:00", 8*time.Hour, "2261-12-30 17:00") // and the last
	f(`{zone: Europe/Berlin, hours: {mon-fri: ["08:00-17:00"]}, holidays: [de-be]}`, "2026-06-03 16:00", 2*time.Hour, "2026-06-04 09:00")

	// The night of 29 March 2026 has no 02:00 to 03:00, that of 25 October has it twice.
	always := `{zone: Europe/Berlin, hours: {mon-sun: ["00:00-24:00"]}}`
	f(always, "2026-03-28 12:00", 24*time.Hour, "2026-03-29 13:00")
	f(always, "2026-10-24 12:00", 24*time.Hour, "2026-10-25 11:00")
	nights := `{zone: Europe/Berlin, hours: {mon-sun: ["01:00-04:00"]}}`
	f(nights, "2026-03-29 00:00", 2*time.Hour, "2026-03-29 04:00")
	f(nights, "2026-03-29 00:00", 3*time.Hour, "2026-03-30 02:00")
	f(nights, "2026-10-25 00:00", 4*time.Hour, "2026-10-25 04:00")
	f(nights, "2026-10-25 00:00", 2*time.Hour, "2026-10-25 02:00+01")
	gap := `{zone: Europe/Berlin, hours: {mon-sun: ["02:15-02:45"]}}`
	f(gap, "2026-03-28 23:00", 30*time.Minute, "2026-03-30 02:45") // that night it does not exist
	f(gap, "2026-10-25 00:00", 90*time.Minute, "2026-10-25 02:45+01")
	touching := `{zone: Europe/Berlin, hours: {mon-sun: ["01:00-02:30", "02:30-04:00"]}}`
	f(touching, "2026-10-25 00:00", 4*time.Hour, "2026-10-25 04:00")                                                       // the repeated hour counts once each time
	f(`{zone: America/Santiago, hours: {mon-sun: ["00:00-24:00"]}}`, "2026-09-05 12:00", 24*time.Hour, "2026-09-06 13:00") // midnight is skipped
}

func TestCalendarThatEnds(t *testing.T) {
	c := mustCalendar(t, warehouse)
	if got := c.Add(local(t, c, "2026-01-01 00:00"), 292*365*24*time.Hour); got != endless {
		t.Errorf("got %v", got)
	}
}

// Working time agrees with counting minute by minute.
func TestCalendarAgreesWithCounting(t *testing.T) {
	c := mustCalendar(t, `{zone: Europe/Berlin, hours: {mon-fri: ["08:00-12:00", "13:00-17:30"], sun: ["00:00-05:00", "22:00-24:00"]}, holidays: [de-by]}`)
	rng := rand.New(rand.NewPCG(1, 2))
	free := map[string]bool{"2026-04-03": true, "2026-04-06": true, "2026-10-03": true}
	works := func(at Time) bool {
		l := at.Std().In(c.Zone)
		if free[l.Format(time.DateOnly)] {
			return false
		}
		for _, s := range c.Hours[l.Weekday()] {
			if m := l.Hour()*60 + l.Minute(); s.From <= m && m < s.To {
				return true
			}
		}
		return false
	}
	for range 300 {
		from := local(t, c, []string{"2026-03-27 00:00", "2026-10-23 00:00"}[rng.IntN(2)]) + Time(rng.IntN(5000))*minute
		need := time.Duration(1+rng.IntN(2000)) * time.Minute
		at := from
		for left := need; left > 0; at += minute {
			if works(at) {
				left -= time.Minute
			}
		}
		if got := c.Add(from, need); got != at {
			t.Fatalf("%v + %v = %v, want %v", from.Std().In(c.Zone), need, got.Std().In(c.Zone), at.Std().In(c.Zone))
		}
		if got := c.Between(from, at); got != need {
			t.Fatalf("%v to %v: %v, want %v", from, at, got, need)
		}
	}
}

func TestElapsedOutsideHeldTime(t *testing.T) {
	c := mustCalendar(t, `{zone: UTC, hours: {mon-sun: ["08:00-16:00"]}}`)
	const h = 60 * minute
	f := func(from Time, d time.Duration, c *Calendar, want Time, held ...Interval) {
		t.Helper()
		if got := elapsed(from, d, c, held); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f(0, time.Hour, nil, h)
	f(0, time.Hour, nil, h, Interval{h, 2 * h}) // reached as the hold begins
	f(0, time.Hour, nil, 3*h, Interval{0, 2 * h})
	f(h, 2*time.Hour, nil, 6*h, Interval{0, 2 * h}, Interval{3 * h, 5 * h})
	f(0, time.Hour, nil, NoTime, Interval{h / 2, endless})
	f(8*h, 4*time.Hour, c, 14*h, Interval{10 * h, 12 * h})
	f(8*h, 8*time.Hour, c, 24*h+10*h, Interval{14 * h, 24*h + 8*h}) // the night does not count twice
	f(20*h, time.Hour, c, 24*h+10*h, Interval{21 * h, 24*h + 9*h})
}

func TestParseCalendarFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		c, faults := ParseCalendar("c.yaml", "c", []byte(text))
		checkFaults(t, text, c == nil, faults, want)
	}
	f("", "1:1 is empty; start it with `zone: Europe/Berlin`")
	f("zone: UTC\n", "1:1 `hours` is missing")
	f("hours: {mon: [\"08:00-17:00\"]}\n", "1:1 `zone` is missing")
	f("zone: Berlin\nhours: {mon: [\"08:00-17:00\"]}", "1:7 no zone is named `Berlin`")
	f("zone: Local\nhours: {mon: [\"08:00-17:00\"]}", "1:7 no zone is named `Local`")
	f("zone: ../etc\nhours: {mon: [\"08:00-17:00\"]}", "1:7 no zone is named")
	f("zone: UTC\nhours: {monday: [\"08:00-17:00\"]}", "2:9 `monday` is no day")
	f("zone: UTC\nhours: {mon-fri: [\"08:00-17:00\"], fri: [\"08:00-12:00\"]}", "2:35 the hours of `fri` stand already in line 2")
	f("zone: UTC\nhours: {mon: [\"8-17\"]}", "2:15 write it as \"08:00-12:00\"")
	f("zone: UTC\nhours: {mon: [\"08:00-25:00\"]}", "2:15 a time that no clock shows")
	f("zone: UTC\nhours: {mon: [\"22:00-06:00\"]}", "2:15 write a night as two, \"22:00-24:00\" and \"00:00-06:00\" of the next day")
	f("zone: UTC\nhours: {mon: [\"08:00-12:00\", \"11:00-13:00\"]}", "2:30 in order and apart")
	f("zone: UTC\nhours: {mon: []}", "2:8 no working time at all")
	f("zone: UTC\nhours: {mon: [\"08:00-17:00\"]}\nholidays: [de-xy]", "3:12 `de-xy` is neither a day nor a region")
	f("zone: UTC\nhours: {mon: [\"08:00-17:00\"]}\nholidays: [2026-13-01]", "3:12 is neither a day")
	f("zone: UTC\nhours: {sat-mon: [\"08:00-17:00\"]}\nholidays: [de, AT, us, 2026-12-24]")
}

func BenchmarkCalendarAdd(b *testing.B) {
	c := mustCalendar(b, warehouse)
	from := local(b, c, "2026-11-20 17:00")
	b.ReportAllocs()
	for b.Loop() {
		c.Add(from, 40*time.Hour)
	}
}
