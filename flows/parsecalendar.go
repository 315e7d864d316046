package flows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

var (
	calendarFields = []string{"zone", "hours", "holidays"}
	weekdays       = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // by time.Weekday

	clockPattern = regexp.MustCompile(`^([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$`)
)

// ParseCalendar reads and checks the file of the calendar of a name (FLOWS.md section 2).
// It returns the calendar, or every fault of the file in the order of their places.
func ParseCalendar(file, name string, b []byte) (*Calendar, []Fault) {
	p := &parser{file: file}
	sum := sha256.Sum256(b)
	c := &Calendar{Name: name, hash: hex.EncodeToString(sum[:]), text: string(b)}
	if root := p.document(b, "calendar"); root != nil {
		p.calendar(root, c)
	}
	if faults := p.sorted(); len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

func (p *parser) calendar(root *yaml.Node, c *Calendar) {
	fields := p.fields(root, calendarFields)
	if fields["zone"] == nil {
		p.fault(root, "`zone` is missing; write the zone of the hours, as `zone: Europe/Berlin`")
	} else if zone := p.str(fields["zone"], "zone"); zone != "" {
		var err error
		if c.Zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			p.fault(fields["zone"], "no zone is named `%s`; write one of the tz database, as Europe/Berlin or UTC", shortened(zone))
		}
	}
	if n := fields["hours"]; n == nil {
		p.fault(root, "`hours` is missing; write {mon-fri: [\"08:00-12:00\", \"13:00-17:00\"]}")
	} else {
		p.hours(n, c)
	}
	for _, text := range p.words(fields["holidays"], "holidays", p.str) {
		p.holiday(fields["holidays"], text, c)
	}
}

func (p *parser) hours(n *yaml.Node, c *Calendar) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		p.fault(n, "`hours` must name days, as {mon-fri: [\"08:00-17:00\"], sat: [\"09:00-13:00\"]}")
		return
	}
	var line [7]int
	for i := 0; i+1 < len(n.Content); i += 2 {
		days := p.weekdays(n.Content[i])
		spans := p.spans(n.Content[i+1])
		for _, d := range days {
			if line[d] > 0 {
				p.fault(n.Content[i], "the hours of `%s` stand already in line %d; keep one", weekdays[d], line[d])
				break
			}
			line[d], c.Hours[d] = n.Content[i].Line, spans
		}
	}
	if !slices.ContainsFunc(c.Hours[:], func(s []ClockSpan) bool { return len(s) > 0 }) && len(p.faults) == 0 {
		p.fault(n, "`hours` has no working time at all: nothing would ever be overdue; write {mon-fri: [\"08:00-17:00\"]}")
	}
}

// weekdays reads a day or a range of days, which may go over the week's end.
func (p *parser) weekdays(n *yaml.Node) (days []int) {
	from, to, isRange := strings.Cut(strings.ToLower(n.Value), "-")
	first, last := slices.Index(weekdays, from), slices.Index(weekdays, to)
	if !isRange {
		last = first
	}
	if n.Kind != yaml.ScalarNode || first < 0 || last < 0 {
		p.fault(n, "`%s` is no day; write one of %s, or a range as mon-fri", shortened(n.Value), quoted(append(weekdays[1:7:7], weekdays[0])))
		return nil
	}
	for d := first; ; d = (d + 1) % 7 {
		if days = append(days, d); d == last {
			return days
		}
	}
}

func (p *parser) spans(n *yaml.Node) (spans []ClockSpan) {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return nil // a day off
	}
	for i, text := range p.words(n, "hours", p.str) {
		span, what := clockSpan(text)
		at := n
		if len(n.Content) > i {
			at = n.Content[i]
		}
		switch {
		case what != "":
			p.fault(at, "`%s` %s", shortened(text), what)
		case len(spans) > 0 && span.From < spans[len(spans)-1].To:
			p.fault(at, "`%s` begins before the span in front of it ends; write them in order and apart", text)
		default:
			spans = append(spans, span)
		}
	}
	return spans
}

// clockSpan reads "08:00-12:00", or says what is wrong with it.
func clockSpan(text string) (s ClockSpan, wrong string) {
	m := clockPattern.FindStringSubmatch(text)
	if m == nil {
		return s, "is no span of a day; write it as \"08:00-12:00\""
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // two digits, as the pattern says
	}
	s = ClockSpan{n[0]*60 + n[1], n[2]*60 + n[3]}
	switch {
	case n[1] > 59 || n[3] > 59 || s.From > 24*60 || s.To > 24*60:
		return s, "has a time that no clock shows; the last is 24:00, the midnight that ends the day"
	case s.From >= s.To:
		return s, fmt.Sprintf("ends before it begins; write a night as two, \"%s:%s-24:00\" and \"00:00-%s:%s\" of the next day",
			m[1], m[2], m[3], m[4])
	}
	return s, ""
}

// holiday reads a region's code or one day.
func (p *parser) holiday(list *yaml.Node, text string, c *Calendar) {
	at := list
	for _, n := range list.Content {
		if strings.TrimSpace(n.Value) == text {
			at = n
		}
	}
	c.Holidays = append(c.Holidays, text)
	if date, err := time.Parse(time.DateOnly, text); err == nil {
		if c.days == nil {
			c.days = map[day]struct{}{}
		}
		c.days[dayOf(date)] = struct{}{}
		return
	}
	code := strings.ToLower(text)
	if r, ok := regions[code]; ok {
		c.regions = append(c.regions, r)
		return
	}
	like := regionsLike(code)
	p.fault(at, "`%s` is neither a day nor a region whose holidays are known%s; write a day as 2026-12-24, or one of %s",
		shortened(text), didYouMean(code, like), quoted(like))
}
