package flows

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Time is an instant in nanoseconds since 1970-01-01 UTC. It covers 1678 to 2262 and
// compares, sorts and stores as one integer.
type Time int64

// NoTime says that an instant is not known or never comes.
const NoTime Time = math.MinInt64

// At turns a time.Time into a Time. The zero time.Time is NoTime.
func At(t time.Time) Time {
	if t.IsZero() {
		return NoTime
	}
	return Time(t.UnixNano())
}

// CheckRange says what is wrong with a signal time outside 1900 to 2262, the range that
// is stored without loss. It takes a time.Time because the fault is exactly that the
// instant may not fit a Time.
func CheckRange(t time.Time) error {
	if y := t.UTC().Year(); y < 1900 || y > 2261 {
		return fmt.Errorf("time %s is outside 1900 to 2262", t.UTC().Format(time.RFC3339))
	}
	return nil
}

// Std is the instant as a UTC time.Time; NoTime is the zero time.
func (t Time) Std() time.Time {
	if t == NoTime {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// Add saturates at the ends of the range, so that a deadline far away stays far away.
func (t Time) Add(d time.Duration) Time {
	s := t + Time(d)
	if d > 0 && s < t {
		return math.MaxInt64
	}
	if d < 0 && s > t {
		return NoTime + 1
	}
	return s
}

// Sub is t-u, never less than the smallest and never more than the greatest Duration.
func (t Time) Sub(u Time) time.Duration {
	d := time.Duration(t - u)
	switch {
	case t > u && d < 0:
		return math.MaxInt64
	case t < u && d > 0:
		return math.MinInt64
	}
	return d
}

// String is RFC 3339 with nanoseconds, in UTC; "" for NoTime.
func (t Time) String() string {
	if t == NoTime {
		return ""
	}
	return t.Std().Format(time.RFC3339Nano)
}

// MarshalJSON writes RFC 3339 with nanoseconds; NoTime is null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == NoTime {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = NoTime
		return nil
	}
	var std time.Time
	if err := std.UnmarshalJSON(b); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	*t = At(std)
	return nil
}
