package flows

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads a duration of zero or more as people write it: numbers with units
// w d h m s ms us ns, as "15m", "1d12h" or "1.5h". A day is 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	wrong := func(what string) (time.Duration, error) {
		return 0, fmt.Errorf("duration `%s` %s; write it as 90s, 15m, 4h, 2d, 1d12h or 1w", shortened(text), what)
	}
	if text == "" {
		return wrong("is empty")
	}
	if text[0] == '-' {
		return wrong("is negative")
	}
	var total float64
	var exact time.Duration // whole numbers keep every nanosecond
	for rest := text; rest != ""; {
		digits := prefix(rest, func(c byte) bool { return c >= '0' && c <= '9' || c == '.' })
		rest = rest[len(digits):]
		name := prefix(rest, func(c byte) bool { return (c < '0' || c > '9') && c != '.' })
		rest = rest[len(name):]
		number, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return wrong("has no number where one is due")
		}
		unit, ok := durationUnits[name]
		switch {
		case name == "":
			return wrong("has a number without a unit")
		case !ok:
			return wrong("has the unknown unit `" + shortened(name) + "`")
		}
		if total += number * float64(unit); total > math.MaxInt64 {
			return wrong("is more than 292 years")
		}
		if whole, err := strconv.ParseInt(digits, 10, 64); err == nil {
			exact += time.Duration(whole) * unit
		} else {
			exact += time.Duration(math.Round(number * float64(unit)))
		}
	}
	if exact < 0 {
		return wrong("is more than 292 years")
	}
	return exact, nil
}

// prefix is the longest start of s whose bytes all fit.
func prefix(s string, fits func(byte) bool) string {
	for i := range len(s) {
		if !fits(s[i]) {
			return s[:i]
		}
	}
	return s
}
