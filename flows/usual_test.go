package flows

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func onClock(t *testing.T, z *time.Location, text string) Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", text, z)
	if err != nil {
		t.Fatal(err)
	}
	return At(at)
}

// TestUsualHours looks at the hours themselves, over a change of clocks and in zones of half hours.
func TestUsualHours(t *testing.T) {
	for name, c := range map[string]struct {
		zone, now, hour string
		weeks           []string // as UTC; "" for one that was skipped
		day             string   // the first
		before          string
	}{
		"a week without a change": {"Europe/Berlin", "2026-11-19 03:14:07", "2026-11-19T02:00:00Z", []string{"2026-11-12T02:00:00Z", "2026-11-05T02:00:00Z", "2026-10-29T02:00:00Z", "2026-10-22T01:00:00Z"}, "2026-11-18T02:00:00Z", "2026-11-19T01:00:00Z"},
		"skipped in spring":       {"Europe/Berlin", "2026-04-05 02:30:00", "2026-04-05T00:00:00Z", []string{"", "2026-03-22T01:00:00Z", "2026-03-15T01:00:00Z", "2026-03-08T01:00:00Z"}, "2026-04-04T00:00:00Z", "2026-04-04T23:00:00Z"},
		"twice in autumn":         {"Europe/Berlin", "2026-11-01 02:59:59", "2026-11-01T01:00:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-18T00:00:00Z", "2026-10-11T00:00:00Z", "2026-10-04T00:00:00Z"}, "2026-10-31T01:00:00Z", "2026-11-01T00:00:00Z"},
		"half an hour":            {"Asia/Kolkata", "2026-11-19 09:14:07", "2026-11-19T03:30:00Z", []string{"2026-11-12T03:30:00Z", "2026-11-05T03:30:00Z", "2026-10-29T03:30:00Z", "2026-10-22T03:30:00Z"}, "2026-11-18T03:30:00Z", "2026-11-19T02:30:00Z"},
		"over a year's end":       {"UTC", "2027-01-01 00:00:00", "2027-01-01T00:00:00Z", []string{"2026-12-25T00:00:00Z", "2026-12-18T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-04T00:00:00Z"}, "2026-12-31T00:00:00Z", "2026-12-31T23:00:00Z"},
		"clocks go half an hour":  {"Australia/Lord_Howe", "2026-10-11 02:10:00", "2026-10-10T15:00:00Z", []string{"", "2026-09-26T15:30:00Z", "2026-09-19T15:30:00Z", "2026-09-12T15:30:00Z"}, "2026-10-09T15:00:00Z", "2026-10-10T14:00:00Z"},
	} {
		z := zoneOf(t, c.zone)
		h := UsualHoursAt(onClock(t, z, c.now), z)
		is := func(what string, got Time, want string) {
			t.Helper()
			text := ""
			if got != NoTime {
				text = got.Std().Format(time.RFC3339)
			}
			if text != want {
				t.Errorf("%s: %s is %s, want %s", name, what, text, want)
			}
		}
		is("the hour", h.Hour, c.hour)
		for i, want := range c.weeks {
			is("a week before", h.Weeks[i], want)
		}
		is("a day before", h.Days[0], c.day)
		is("the hour before", h.Before[0], c.before)
		if h.Days[6] != h.Weeks[0] {
			t.Errorf("%s: seven days before is %v, a week before %v", name, h.Days[6], h.Weeks[0])
		}
	}
}

// TestUsualHoursShowOneClock holds for every instant of two years: the hours read alike on the zone's clock, none overlaps the hour
// that they speak for, and all instants of an hour have the same.
func TestUsualHoursShowOneClock(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "America/Santiago"} {
		z := zoneOf(t, name)
		for range 500 {
			now := onClock(t, z, "2025-06-01 00:00:00").Add(time.Duration(rng.Int64N(int64(2 * 365 * 24 * time.Hour))))
			h, clock := UsualHoursAt(now, z), now.Std().In(z)
			if now < h.Hour || now.Sub(h.Hour) >= time.Hour {
				t.Fatalf("%s: %v is not in the hour from %v", name, clock, h.Hour)
			}
			if z.String() != "Australia/Lord_Howe" && UsualHoursAt(h.Hour, z) != h {
				t.Fatalf("%s: the hour of %v has other hours at its start", name, clock)
			}
			for i, start := range slices.Concat(h.Weeks[:], h.Days[:]) {
				if start == NoTime {
					continue
				}
				at := start.Std().In(z)
				if at.Hour() != clock.Hour() || at.Minute() != 0 || i < len(h.Weeks) && at.Weekday() != clock.Weekday() || start.Add(time.Hour) > h.Hour {
					t.Fatalf("%s: %v for %v", name, at, clock)
				}
			}
		}
	}
}

// TestUsualLadder climbs down from weeks to the hour before as history gets shorter.
func TestUsualLadder(t *testing.T) {
	now := onClock(t, time.UTC, "2026-11-19 03:14:07")
	h := UsualHoursAt(now, time.UTC)
	for name, c := range map[string]struct {
		since, now Time
		of         UsualOf
		hours      []Time
		when       string
		until      Time
	}{
		"five weeks":                  {h.Weeks[3].Add(-time.Hour), now, UsualWeekday, h.Weeks[:], "", h.Hour.Add(time.Hour)},
		"four weeks less a minute":    {h.Weeks[3].Add(time.Minute), now, UsualWeekday, h.Weeks[:3], "", h.Hour.Add(time.Hour)},
		"a week":                      {h.Weeks[0], now, UsualWeekday, h.Weeks[:1], "", h.Hour.Add(time.Hour)},
		"less than a week":            {h.Weeks[0].Add(time.Minute), now, UsualDays, h.Days[:6], "", h.Hour.Add(time.Hour)},
		"a day":                       {h.Days[0], now, UsualDays, h.Days[:1], "", h.Hour.Add(time.Hour)},
		"less than a day":             {h.Days[0].Add(time.Minute), now, UsualBefore, h.Before[:1], "", h.Hour.Add(time.Hour)},
		"the hour before":             {h.Before[0], now, UsualBefore, h.Before[:1], "", h.Hour.Add(time.Hour)},
		"the hour before has settled": {h.Before[1], h.Hour.Add(2 * time.Minute), UsualBefore, h.Before[:1], "", h.Hour.Add(time.Hour)},
		"it has not":                  {h.Before[1], h.Hour.Add(2*time.Minute - 1), UsualBefore, h.Before[1:], "", h.Hour.Add(2 * time.Minute)},
		"nor is another known":        {h.Before[0], h.Hour.Add(time.Minute), UsualUnknown, nil, "2026-11-19T03:02:00Z", h.Hour.Add(2 * time.Minute)},
		"not one hour":                {h.Before[0].Add(time.Minute), now, UsualUnknown, nil, "2026-11-19T04:02:00Z", now.Add(time.Minute)},
		"since this hour":             {h.Hour.Add(time.Minute), now, UsualUnknown, nil, "2026-11-19T05:02:00Z", now.Add(time.Minute)},
		"nothing":                     {NoTime, now, UsualUnknown, nil, "", now.Add(time.Minute)},
		"nothing, at the hour's end":  {NoTime, h.Hour.Add(time.Hour - 1), UsualUnknown, nil, "", h.Hour.Add(time.Hour)},
	} {
		u := h.Usual(c.since, c.now)
		var hours []Time
		for _, hour := range u.Hours {
			hours = append(hours, hour.Start)
		}
		when := ""
		if u.When != NoTime {
			when = u.When.Std().Format(time.RFC3339)
		}
		if u.Of != c.of || !slices.Equal(hours, c.hours) || when != c.when || u.Until != c.until || u.Hour != h.Hour || u.Since != c.since {
			t.Errorf("%s: %+v, from %v, known from %q", name, u, hours, when)
		}
	}
	// An hour that the clocks skipped is none; the others of its kind are there.
	skipped := UsualHoursAt(onClock(t, zoneOf(t, "Europe/Berlin"), "2026-04-05 02:30:00"), zoneOf(t, "Europe/Berlin"))
	if u := skipped.Usual(skipped.Weeks[3], skipped.Hour.Add(time.Hour)); u.Of != UsualWeekday || len(u.Hours) != 3 {
		t.Errorf("with a skipped hour: %+v", u)
	}
}

// TestUsualMedian holds that the order of the hours says nothing, that half of them lie on either side, and that an hour without the
// number counts as no hour, not as 0.
func TestUsualMedian(t *testing.T) {
	started := func(h UsualHour) *float64 { n := float64(h.Started); return &n }
	latency := func(h UsualHour) *float64 { return h.Latency }
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		u := &Usual{}
		for range rng.IntN(8) {
			h := UsualHour{Started: rng.IntN(5)}
			if rng.IntN(3) > 0 {
				took := float64(rng.IntN(9))
				h.Latency = &took
			}
			u.Hours = append(u.Hours, h)
		}
		for _, of := range []func(UsualHour) *float64{started, latency} {
			m := u.Median(of)
			n, below, above := 0, 0, 0
			for _, h := range u.Hours {
				if v := of(h); v != nil {
					n++
					if m != nil && *v < *m {
						below++
					} else if m != nil && *v > *m {
						above++
					}
				}
			}
			if (m == nil) != (n == 0) || 2*below > n || 2*above > n {
				t.Fatalf("%v of %+v: %d below, %d above", m, u.Hours, below, above)
			}
			mixed := &Usual{Hours: slices.Clone(u.Hours)}
			rng.Shuffle(len(mixed.Hours), func(i, j int) { mixed.Hours[i], mixed.Hours[j] = mixed.Hours[j], mixed.Hours[i] })
			if again := mixed.Median(of); n > 0 && *again != *m {
				t.Fatalf("%v in another order %v", *m, *again)
			}
		}
	}
	if m := (&Usual{Hours: []UsualHour{{Started: 2}, {Started: 5}, {}, {Started: 4}}}).Median(started); *m != 3 {
		t.Errorf("the median of 2, 5, 0 and 4 is %v", *m)
	}
	if (*Usual)(nil).Median(started) != nil {
		t.Error("what is not read is known")
	}
}
