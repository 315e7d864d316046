package views

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

func plain(s string) string { return strings.ReplaceAll(english(s), nb, " ") }

func TestCount(t *testing.T) {
	f := func(in int, want string) {
		t.Helper()
		if got := plain(count(in)); got != want {
			t.Errorf("count(%d) = %q, want %q", in, got, want)
		}
	}
	f(0, "0")
	f(999, "999")
	f(1312, "1,312")
	f(27412000, "27,412,000")
	f(-1312, "−1,312")
}

func TestPercent(t *testing.T) {
	f := func(in float64, want string) {
		t.Helper()
		if got := plain(percent(in)); got != want {
			t.Errorf("percent(%v) = %q, want %q", in, got, want)
		}
	}
	f(0, "0.0 %")
	f(0.984, "98.4 %")
	f(0.99999, "99.9 %") // never rounded up to all
	f(1, "100 %")
	f(0.0001, "<0.1 %") // never rounded down to none
}

func TestSpan(t *testing.T) {
	f := func(in time.Duration, want string) {
		t.Helper()
		if got := plain(span(in)); got != want {
			t.Errorf("span(%v) = %q, want %q", in, got, want)
		}
	}
	f(0, "0 s")
	f(time.Microsecond, "<1 ms")
	f(40*time.Millisecond, "40 ms")
	f(1310*time.Millisecond, "1.3 s")
	f(9960*time.Millisecond, "10 s")
	f(59*time.Second, "59 s")
	f(59900*time.Millisecond, "1 min")
	f(6*time.Minute+42*time.Second, "6.7 min")
	f(5*time.Minute, "5 min")
	f(22*time.Minute+10*time.Second, "22 min")
	f(59*time.Minute+59*time.Second, "1 h")
	f(72*time.Minute, "1 h 12")
	f(61*time.Minute, "1 h 01")
	f(23*time.Hour+59*time.Minute+59*time.Second, "1 d")
	f(76*time.Hour, "3 d 4 h")
	f(34*24*time.Hour, "34 d")
	f(-time.Minute, "−1 min")
	f(math.MinInt64, "−106,751 d")
	f(math.MaxInt64, "106,751 d")
}

func TestExact(t *testing.T) {
	f := func(in time.Duration, want string) {
		t.Helper()
		if got := plain(exact(in)); got != want {
			t.Errorf("exact(%v) = %q, want %q", in, got, want)
		}
	}
	f(-time.Second, "0 s")
	f(710*time.Millisecond, "0.71 s")
	f(47*time.Second, "47 s")
	f(32*time.Minute+47*time.Second+900*time.Millisecond, "32 m 47 s")
	f(time.Hour+5*time.Minute+55*time.Second, "1 h 5 m 55 s")
	f(9*24*time.Hour+2*time.Hour, "9 d 2 h")
	f(1200*24*time.Hour, "1,200 d 0 h")
}

func TestMoney(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var m flows.Money
		if err := m.UnmarshalJSON([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if got := plain(money(m)); got != want {
			t.Errorf("money(%s) = %q, want %q", in, got, want)
		}
	}
	f(`{}`, "")
	f(`{"EUR":"148.9"}`, "€148.90")
	f(`{"EUR":"31879.60"}`, "€31,880")
	f(`{"EUR":"999.60"}`, "€1,000")
	f(`{"CHF":"4000","EUR":"-310.20","JPY":"500"}`, "CHF 4,000, −€310.20, ¥500")
	f(`{"CHF":"4000","EUR":"-310.20","JPY":"500","SEK":"1","USD":"2"}`, "CHF 4,000, −€310.20, ¥500 and 2 more")
	in := stat{means: "at-risk", worth: flows.Money{"CHF": decimal.New(4, 0), "EUR": decimal.New(5, 0), "JPY": decimal.New(6, 0), "SEK": decimal.New(7, 0)}}
	if row := in.about()[0]; row.value != "In full" || plain(row.words) != "CHF 4.00, €5.00, ¥6, SEK 7.00" {
		t.Errorf("what was cut is explained by %+v", row)
	}
}

func TestClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	c := Clock{Now: flows.At(time.Date(2026, 11, 19, 2, 14, 7, 0, time.UTC)), Zone: berlin}
	f := func(in time.Time, want string) {
		t.Helper()
		if got := plain(c.at(flows.At(in))); got != want {
			t.Errorf("at(%v) = %q, want %q", in, got, want)
		}
	}
	f(time.Time{}, "")
	f(time.Date(2026, 11, 19, 1, 41, 20, 0, time.UTC), "02:41:20")
	f(time.Date(2026, 11, 18, 23, 30, 0, 0, time.UTC), "00:30:00") // today in Berlin
	f(time.Date(2026, 11, 18, 21, 10, 5, 0, time.UTC), "18 Nov 22:10:05")
	f(time.Date(2025, 11, 19, 21, 10, 5, 0, time.UTC), "19 Nov 2025 22:10:05")
	if got := c.ZoneName(); got != "CET" {
		t.Errorf("zone %q", got)
	}
}

// TestShortCount: a count that has no room is cut to thousands or millions, and never read as more than it is.
func TestShortCount(t *testing.T) {
	for _, c := range []struct {
		n    int
		room float64
		want string
	}{
		{999, 10, "999"},
		{1234, 60, "1,234"},
		{1234, 34, "1.2k"},
		{1999, 34, "1.9k"},
		{9999, 34, "9.9k"},
		{10_000, 34, "10k"},
		{123_456, 60, "123,456"},
		{123_456, 34, "123k"},
		{999_999, 34, "999k"},
		{1_999_999, 34, "1.9M"},
		{12_345_678, 34, "12M"},
		{1_234_567_890, 34, "1,234M"},
	} {
		if got := english(shortCount(c.n, c.room)); got != c.want {
			t.Errorf("%d in %g: %q, want %q", c.n, c.room, got, c.want)
		}
	}
}
