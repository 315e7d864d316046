package views

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"throughline/flows"
)

// nb keeps a number and its unit on one line.
const nb = "\u00a0"

// count is n with its thousands apart: 1,312.
func count(n int) string { return thousands(strconv.Itoa(n)) }

// shortCount is n where it is so narrow, in bold type of 13 px, else to a tenth of a thousand or million, or to whole ones:
// 1,312, 1.3k, 124k, 2.1M. It is cut, not rounded: nobody reads more than there were.
func shortCount(n int, room float64) string {
	const digit, separator = 8.3, 4.3
	width := 0.0
	for _, letter := range string(Locale{}.Write([]byte(count(n)))) {
		if letter >= '0' && letter <= '9' {
			width += digit
		} else {
			width += separator
		}
	}
	switch {
	case width <= room || n < 1000:
		return count(n)
	case n < 10_000:
		return decimals(float64(n/100)/10, 1) + "k"
	case n < 1_000_000:
		return count(n/1000) + "k"
	case n < 10_000_000:
		return decimals(float64(n/100_000)/10, 1) + "M"
	}
	return count(n/1_000_000) + "M"
}

// thousands sets marks for separators into a plain decimal number.
func thousands(number string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(number, "-"); ok {
		sign, number = "−", rest
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range whole {
		if i > 0 {
			b.WriteString(groupMark(len(whole) - i))
		}
		b.WriteRune(digit)
	}
	if dotted {
		b.WriteString(markPoint)
		b.WriteString(fraction)
	}
	return b.String()
}

// groupMark is what stands before the last so many digits of a whole number.
func groupMark(digits int) string {
	three, lakh := digits%3 == 0, digits%2 == 1 && digits > 1
	switch {
	case three && lakh:
		return markGroup
	case three:
		return markThree
	case lakh:
		return markLakh
	}
	return ""
}

// decimals is f with so many decimals; -1 is as many as it has.
func decimals(f float64, digits int) string {
	return thousands(strconv.FormatFloat(f, 'f', digits, 64))
}

// plural is "1 order", "214 orders".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1" + nb + one
	}
	return count(n) + nb + many
}

// percentValue is a share of 1 without its sign: "98.4", and "100" only where it is whole.
func percentValue(share float64) string {
	switch p := share * 100; {
	case p >= 100:
		return "100"
	case p >= 99.95:
		return "99" + markPoint + "9"
	case p > 0 && p < 0.05:
		return "<0" + markPoint + "1"
	default:
		return decimals(p, 1)
	}
}

// percent is "98.4 %".
func percent(share float64) string { return percentValue(share) + nb + "%" }

// rate is a number per time, short: 0, 0.4, 7.9, 51.5, 1,204.
func rate(perMinute float64) string {
	switch {
	case perMinute == 0:
		return "0"
	case perMinute < 0.1:
		return decimals(perMinute, 2)
	case perMinute < 100:
		return decimals(perMinute, 1)
	default:
		return count(int(math.Round(perMinute)))
	}
}

var currencySigns = map[string]string{"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}

func withCurrency(currency, number string) string {
	rest, negative := strings.CutPrefix(number, "−")
	marked := markCurrency + cmp.Or(currencySigns[currency], currency) + markAmount + rest + markEnd
	if negative {
		return "−" + marked
	}
	return marked
}

// mostCurrencies is of how many currencies a sum is written where room is short.
const mostCurrencies = 3

// easyMoney is of how many letters a sum stands on one line of a table.
const easyMoney = 26

// money sums up per currency, by its code: "€31,880", "€310.20, CHF 4,000". From a thousand
// on, whole units. What is in many currencies is cut: moneyInFull has all of it. "" for nothing.
func money(m flows.Money) string {
	texts := amounts(m)
	if more := len(texts) - mostCurrencies; more > 0 {
		return strings.Join(texts[:mostCurrencies], ", ") + " and " + count(more) + nb + "more"
	}
	return strings.Join(texts, ", ")
}

func moneyInFull(m flows.Money) string { return strings.Join(amounts(m), ", ") }

func amounts(m flows.Money) []string {
	var texts []string
	for _, currency := range slices.Sorted(maps.Keys(m)) {
		amount := m[currency]
		number := flows.FormatAmount(currency, amount)
		if whole := amount.Round(0).String(); len(strings.TrimPrefix(whole, "-")) > 3 {
			number = whole
		}
		texts = append(texts, withCurrency(currency, thousands(number)))
	}
	return texts
}

// seconds turns the seconds of a Distribution into a duration, saturating.
func seconds(s float64) time.Duration {
	if ns := s * float64(time.Second); ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// span is a duration as tables show it, in two units at most: 40 ms, 1.3 s, 22 min, 1 h 12,
// 3 d 4 h, 34 d.
func span(d time.Duration) string {
	if d < 0 {
		return "−" + span(-max(d, -math.MaxInt64))
	}
	switch {
	case d == 0:
		return "0" + nb + "s"
	case d < time.Millisecond:
		return "<1" + nb + "ms"
	case d < 100*time.Millisecond:
		return strconv.FormatInt(d.Milliseconds(), 10) + nb + "ms"
	case d < 9950*time.Millisecond:
		return decimals(d.Seconds(), 1) + nb + "s"
	case d < 59500*time.Millisecond:
		return decimals(d.Seconds(), 0) + nb + "s"
	}
	if m := d.Round(time.Minute); d < 10*time.Minute && m != d {
		return strings.TrimSuffix(decimals(d.Minutes(), 1), markPoint+"0") + nb + "min"
	} else if m < time.Hour {
		return strconv.Itoa(int(m.Minutes())) + nb + "min"
	} else if m < 24*time.Hour {
		return pair(int(m/time.Hour), "h", int(m%time.Hour/time.Minute), "")
	}
	if h := d.Round(time.Hour); h < 10*24*time.Hour {
		return pair(int(h/(24*time.Hour)), "d", int(h%(24*time.Hour)/time.Hour), "h")
	}
	return count(int(d.Round(24*time.Hour)/(24*time.Hour))) + nb + "d"
}

func pair(a int, unitA string, b int, unitB string) string {
	text := strconv.Itoa(a) + nb + unitA
	switch {
	case b == 0:
		return text
	case unitB == "":
		return text + nb + twoDigits(b)
	}
	return text + nb + strconv.Itoa(b) + nb + unitB
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func spanOrDash(s *float64) string {
	if s == nil {
		return "–"
	}
	return span(seconds(*s))
}

// exact is a duration to the second, as waits are shown: 47 s, 32 m 47 s, 1 h 5 m 55 s,
// 9 d 2 h. app.js writes the same words when it counts on.
func exact(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < 10*time.Second && d%time.Second != 0 {
		return decimals(d.Truncate(10*time.Millisecond).Seconds(), 2) + nb + "s"
	}
	return waited(d)
}

// waited is exact without fractions.
func waited(d time.Duration) string {
	s := int(max(d, 0) / time.Second)
	text := func(n int, unit string) string { return strconv.Itoa(n) + nb + unit }
	switch {
	case s < 60:
		return text(s, "s")
	case s < 3600:
		return text(s/60, "m") + nb + text(s%60, "s")
	case s < 86400:
		return text(s/3600, "h") + nb + text(s%3600/60, "m") + nb + text(s%60, "s")
	default:
		return thousands(strconv.Itoa(s/86400)) + nb + "d" + nb + text(s%86400/3600, "h")
	}
}

func (c Clock) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

func (c Clock) local(t flows.Time) time.Time { return t.Std().In(c.zone()) }

// at is the time of day to the second, with the date where that is not today's: 02:41:20,
// "18 Nov 22:10:05", "4 Mar 2025 10:00:00". "" where t is not known.
func (c Clock) at(t flows.Time) string { return c.format(t, "15:04:05") }

// fine is at with tenths of a second.
func (c Clock) fine(t flows.Time) string { return c.format(t, "15:04:05.0") }

func (c Clock) format(t flows.Time, clock string) string {
	if !known(t) {
		return ""
	}
	when, now := c.local(t), c.local(c.Now)
	switch {
	case when.YearDay() == now.YearDay() && when.Year() == now.Year():
		return when.Format(clock)
	case when.Year() == now.Year():
		return when.Format("2" + nb + "Jan" + nb + clock)
	}
	return when.Format("2" + nb + "Jan" + nb + "2006" + nb + clock)
}

// day is "Thu 19 Nov 2026".
func (c Clock) day(t flows.Time) string {
	return strings.ReplaceAll(c.local(t).Format("Mon 2 Jan 2006"), " ", nb)
}

// ZoneName is the zone's name at the page's instant: CET, UTC.
func (c Clock) ZoneName() string {
	name, _ := c.local(c.Now).Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name // zones without letters, as most of South America
	}
	return name
}

// millis is t for data attributes, in milliseconds since 1970.
func millis(t flows.Time) string { return strconv.FormatInt(int64(t)/1e6, 10) }

// number writes a coordinate: at most one decimal.
func number(f float64) string {
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
}

// share writes a position along a track as a percentage for SVG.
func share(f float64) string {
	f = min(max(f, 0), 1)
	return strconv.FormatFloat(math.Round(f*10000)/100, 'f', -1, 64) + "%"
}
