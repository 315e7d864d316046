package web

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"throughline/flows"
	"throughline/web/views"
)

// maxUsuals bounds what is kept: some hundred flows for readers in some zones.
const maxUsuals = 2000

// usuals keeps how each flow usually is in the hour that now is: it is read once an hour, for all who look.
type usuals struct {
	turn chan struct{} // one question at a time: pages have others to ask
	mu   sync.Mutex    // guards kept
	kept map[usualOf]flows.Usual
}

func newUsuals() *usuals {
	return &usuals{turn: make(chan struct{}, 1), kept: make(map[usualOf]flows.Usual)}
}

// usualOf names one answer. Readers whose clocks agree ask for the same hours.
type usualOf struct {
	flow, version string
	hours         flows.UsualHours
}

func (u *usuals) get(of usualOf, now flows.Time) (flows.Usual, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	found, ok := u.kept[of]
	return found, ok && now < found.Until
}

func (u *usuals) put(of usualOf, found flows.Usual) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for other, old := range u.kept {
		if len(u.kept) < maxUsuals {
			break
		}
		if old.Until <= found.Read {
			delete(u.kept, other)
		}
	}
	if len(u.kept) >= maxUsuals {
		clear(u.kept)
	}
	u.kept[of] = found
}

// withUsual puts beside the numbers of flows how these usually are in this hour, by the reader's clock. No page waits for that: what
// is not read yet comes with its next rendering.
func (s *Server) withUsual(list []views.FlowNow, c views.Clock) []views.FlowNow {
	if len(list) == 0 || !list[0].Compared() {
		return list
	}
	hours := flows.UsualHoursAt(c.Now, cmp.Or(c.Zone, time.UTC))
	for i := range list {
		list[i].Usual = s.usual(list[i].Flow, hours, c)
	}
	return list
}

// usual is how a flow usually is; nil while that is being read.
func (s *Server) usual(f *flows.Flow, hours flows.UsualHours, c views.Clock) *views.Usual {
	of := usualOf{f.Name, f.Version, hours}
	if found, ok := s.usuals.get(of, c.Now); ok {
		return &views.Usual{Usual: found, Clock: c}
	}
	name := fmt.Sprintf("usual %s@%s %v", f.Name, f.Version, hours)
	_, asking := s.past.question(name, func(ctx context.Context) (any, error) {
		select {
		case s.usuals.turn <- struct{}{}:
			defer func() { <-s.usuals.turn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		found, err := s.history.Usual(ctx, f, hours)
		if err == nil {
			s.usuals.put(of, found)
		}
		return struct{}{}, err
	})
	if asking != nil && s.past.again != nil {
		s.past.tell(name, s.past.again)
	}
	return nil
}
