package mining

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"throughline/flows"
)

// layouts are the forms of time that event logs are written in. All take a fraction of a
// second. A form with the month before the day is not among them: it cannot be told from
// its opposite.
var layouts = []string{
	time.RFC3339,
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05 UTC",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04",
	"2006-01-02",
	"2006/01/02 15:04:05Z07:00",
	"2006/01/02 15:04:05",
	"2006/01/02 15:04",
	"2006/01/02",
	"02.01.2006 15:04:05",
	"02.01.2006 15:04",
	"02.01.2006",
	"02-01-2006 15:04:05",
	"02-01-2006 15:04",
	"02-01-2006:15.04",
	"02-01-2006",
}

// clock reads times. It tries first the form that fitted last: a file has mostly one.
type clock struct{ last int }

// parse reads a time; without a zone it is UTC. Whole numbers are seconds, milliseconds,
// microseconds or nanoseconds since 1970, by their digits.
func (c *clock) parse(text string) (flows.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return flows.NoTime, fmt.Errorf("the time is empty")
	}
	if len(text) > 64 {
		return flows.NoTime, fmt.Errorf("the time has %d characters", len(text))
	}
	t, err := time.Parse(layouts[c.last], text)
	if err != nil {
		t, err = c.search(text)
	}
	if err != nil {
		return flows.NoTime, err
	}
	if err := flows.CheckRange(t); err != nil {
		return flows.NoTime, err
	}
	return flows.At(t), nil
}

func (c *clock) search(text string) (time.Time, error) {
	for i, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			c.last = i
			return t, nil
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		switch len(text) {
		case 9, 10:
			return time.Unix(n, 0), nil
		case 12, 13:
			return time.UnixMilli(n), nil
		case 15, 16:
			return time.UnixMicro(n), nil
		case 18, 19:
			return time.Unix(0, n), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write it as 2026-11-22T13:45:40Z", text)
}
