package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"throughline/flows"
)

// Health are the numbers of f for the window w, folded from the occurrences of every
// instance that can matter for it: the same law as live. cut is "" or a segment of f and
// its value, "region:EU". Restoring is left false. The work is bounded by the context, or
// by a minute.
func (s *Store) Health(ctx context.Context, f *flows.Flow, w flows.Window, cut string) (flows.Health, error) {
	part, err := parseSegment(f, cut)
	if err != nil {
		return flows.Health{}, err
	}
	if w.Ages != nil && !w.Hindsight && w.From != flows.NoTime {
		if h, ok, err := s.counted(ctx, f, w, part); ok || err != nil {
			return h, err
		}
	}
	q := foldQuery{flow: f, now: w.To, hindsight: w.Hindsight, segment: part}
	if w.From != flows.NoTime {
		q.bound = between(w.From, w.To)
	}
	n := newNumbers(f, w)
	rolled, err := s.foldRolled(ctx, q, s.rolledTally(f, w.From, n.tally), n.visit)
	if err == nil && !rolled {
		n = newNumbers(f, w)
		err = s.fold(ctx, q, n.visit)
	}
	if err != nil {
		return flows.Health{}, fmt.Errorf("health of %s: %w", f.Name, err)
	}
	if w.From == flows.NoTime {
		return f.Health(n.tally, n.gauges, w.To, 0, w.To.Sub(n.first)), nil
	}
	length := w.To.Sub(w.From)
	return f.Health(n.tally, n.gauges, w.To, length, max(length, time.Nanosecond)), nil
}

// counted is Health of what happened in whole minutes that the roll-ups say all of; ok is false where
// they do not.
func (s *Store) counted(ctx context.Context, f *flows.Flow, w flows.Window, part segment) (h flows.Health, ok bool, err error) {
	w.From, w.To = wholeMinutes(w.From, w.To)
	n, length := newNumbers(f, w), w.To.Sub(w.From)
	q := foldQuery{flow: f, now: w.To, segment: part, bound: between(w.From, w.To), counts: true}
	if ok, err = s.foldRolled(ctx, q, s.rolledTally(f, w.From, n.tally), n.visit); err != nil {
		return h, false, fmt.Errorf("health of %s: %w", f.Name, err)
	}
	gauges := flows.NewGauges(f)
	gauges.Age = *w.Ages
	return f.Health(n.tally, gauges, w.To, length, max(length, time.Nanosecond)), ok, nil
}

// numbers are those of a window.
type numbers struct {
	window flows.Window
	tally  *flows.Tally
	gauges *flows.Gauges
	first  flows.Time
}

func newNumbers(f *flows.Flow, w flows.Window) *numbers {
	return &numbers{w, flows.NewTally(f), flows.NewGauges(f), w.To}
}

func (n *numbers) visit(c folded) error {
	n.first = min(n.first, c.in.StartedAt)
	flows.CountInstance(c.counted, 1, n.inWindow)
	if c.in.State.InFlight() {
		n.gauges.Count(c.counted, c.now, 1)
		n.gauges.Age.Add(max(0, c.now.Sub(c.in.StartedAt)))
	}
	return nil
}

func (n *numbers) inWindow(t flows.Time) *flows.Tally {
	if t < n.window.From || t >= n.window.To {
		return nil
	}
	return n.tally
}

func parseSegment(f *flows.Flow, cut string) (segment, error) {
	if cut == "" {
		return segment{}, nil
	}
	for _, name := range f.Segments { // names and values may hold colons
		if value, ok := strings.CutPrefix(cut, name+":"); ok && value != "" {
			return segment{name, value}, nil
		}
	}
	allowed := "this flow has no segments"
	if len(f.Segments) > 0 {
		allowed = "the segments of this flow are " + strings.Join(f.Segments, ", ")
	}
	return segment{}, &flows.InputError{
		Field: "segment", Detail: fmt.Sprintf("segment %q: write it as name:value; %s", cut, allowed),
	}
}
