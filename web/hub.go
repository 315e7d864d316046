package web

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"throughline/flows"
)

// Alert is one incident as pages and sockets show it: a cohort that is, or was, stuck.
type Alert struct {
	flows.Cohort
	ID          string // stable while members come and go; names the page /alerts/{id}
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    flows.Time       // when its first member became stuck
	ResolvedAt  flows.Time       // NoTime while it fires
	Silenced    bool             // nobody is told
	Ack         flows.Ack        // who looks after it; kept when it is resolved
	Silences    []flows.Silence  // that hold now, the last to end first
	Log         []flows.LogEntry // what was done about it, the latest last
}

// Hub holds the latest numbers of every flow and the alerts, and hands them to whoever
// subscribes. The zero value is not usable; see NewHub. All methods may be called from any
// goroutine and none of them waits for a subscriber.
type Hub struct {
	mu     sync.Mutex // guards all below
	flows  map[string]*healthState
	trends map[string]*trend // of the flows
	steps  map[string]*stepTrends
	alerts *alertsState
	subs   map[*subscription]struct{}
	seq    uint64

	caughtUp flows.Time // of CaughtUp; NoTime before
}

// NewHub is an empty hub.
func NewHub() *Hub {
	return &Hub{
		flows:  make(map[string]*healthState),
		trends: make(map[string]*trend),
		steps:  make(map[string]*stepTrends),
		alerts: &alertsState{byID: map[string]*alertState{}}, caughtUp: flows.NoTime,
		subs: make(map[*subscription]struct{}),
	}
}

// Publish makes h the latest numbers of its flow. h and what it points to must not change
// afterwards. The caller limits the rate: every call reaches every socket that keeps up.
func (h *Hub) Publish(health flows.Health) error { return h.PublishHeard(health, flows.NoTime) }

// PublishHeard is Publish of numbers that are the first to tell of signals, the oldest of
// which was received at heard; NoTime for none.
func (h *Hub) PublishHeard(health flows.Health, heard flows.Time) error {
	fields, err := topFields(health)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.flows[health.Flow]
	h.seq++
	next := newHealthState(health, fields, before, h.seq)
	h.flows[health.Flow] = next
	h.sampleLocked(health)
	h.sampleStepsLocked(health)
	if before != nil && next.seq == before.seq {
		return nil // only the clock moved: kept for whoever asks, pushed to nobody
	}
	for sub := range h.subs {
		if sub.flow == "" || sub.flow == health.Flow {
			sub.markLocked(health.Flow)
			sub.heard = earlierOf(sub.heard, heard)
		}
	}
	return nil
}

// Drop forgets a flow whose file is gone.
func (h *Hub) Drop(flow string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.flows[flow]; !ok {
		return
	}
	delete(h.flows, flow)
	delete(h.trends, flow)
	delete(h.steps, flow)
	h.touchLocked()
}

// Touch tells the pages that something besides the numbers changed: a flow file was
// refused, the first signal came.
func (h *Hub) Touch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touchLocked()
}

func (h *Hub) touchLocked() {
	for sub := range h.subs {
		sub.wakeLocked()
	}
}

// PublishAlerts replaces the list of alerts: firing ones, and resolved ones as long as they
// are to be shown. An alert that is no longer listed counts as resolved.
func (h *Hub) PublishAlerts(alerts []Alert) error {
	next := &alertsState{list: slices.Clone(alerts), byID: make(map[string]*alertState, len(alerts))}
	for _, a := range alerts {
		state, err := newAlertState(a)
		if err != nil {
			return err
		}
		next.byID[a.ID] = state
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := len(next.byID) != len(h.alerts.byID)
	for id, state := range next.byID {
		if was := h.alerts.byID[id]; was != nil && string(was.body) == string(state.body) {
			next.byID[id] = was // the same bytes stay the same message
		} else {
			changed = true
		}
	}
	h.alerts = next
	if !changed {
		return nil
	}
	for sub := range h.subs {
		sub.alertsDirty = true
		sub.wakeLocked()
	}
	return nil
}

// Health are the latest numbers of a flow; false where none were published yet.
func (h *Hub) Health(flow string) (flows.Health, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.flows[flow]
	if state == nil {
		return flows.Health{}, false
	}
	return state.health, true
}

// Alerts are the latest alerts, in the order in which they were published. Read-only.
func (h *Hub) Alerts() []Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alerts.list
}

// CaughtUp says that the numbers tell of every signal that was accepted until then.
func (h *Hub) CaughtUp(until flows.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caughtUp = until
}

// lagging is from when on numbers count as behind: a caught-up engine says so every second.
const lagging = 5 * time.Second

// asOf is up to when the numbers tell of everything; NoTime where that is not known. An engine
// that is behind dates its numbers by its own clock: then that is not it.
func (h *Hub) asOf() flows.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.caughtUp != flows.NoTime && time.Since(h.caughtUp.Std()) > lagging {
		return h.caughtUp
	}
	latest := h.caughtUp
	for _, state := range h.flows {
		latest = max(latest, state.health.AsOf)
	}
	return latest
}

// restoring says whether a flow's numbers are not whole yet.
func (h *Hub) restoring() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, state := range h.flows {
		if state.health.Restoring {
			return true
		}
	}
	return false
}

// earlierOf is the earlier of two instants; NoTime is none.
func earlierOf(a, b flows.Time) flows.Time {
	if a == flows.NoTime || b != flows.NoTime && b < a {
		return b
	}
	return a
}

// subscription is one listener's place in the hub. What changed since its last take is
// remembered by name, not by value: whoever is slow finds the latest state.
type subscription struct {
	hub  *Hub
	flow string        // "" is all
	wake chan struct{} // one slot: a token says that there is something to take

	dirty       map[string]struct{} // guarded by hub.mu
	alertsDirty bool                // guarded by hub.mu
	heard       flows.Time          // of PublishHeard since the last take, the earliest; guarded by hub.mu
	taken       flows.Time          // heard as it was at the last take; of the taker
}

// subscribe registers a listener for one flow, or for all where flow is empty. Everything
// that is known counts as changed: the first take is the snapshot, and every publication
// after subscribe is in it or in a later one.
func (h *Hub) subscribe(flow string) *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub := &subscription{hub: h, flow: flow, wake: make(chan struct{}, 1), dirty: make(map[string]struct{}), alertsDirty: true, heard: flows.NoTime, taken: flows.NoTime}
	for name := range h.flows {
		if flow == "" || flow == name {
			sub.dirty[name] = struct{}{}
		}
	}
	sub.wakeLocked()
	h.subs[sub] = struct{}{}
	return sub
}

// close ends the subscription; it may be called twice.
func (s *subscription) close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}

// take returns the latest state of the flows that changed since the take before, by name,
// and the alerts if they changed, else nil.
func (s *subscription) take() ([]*healthState, *alertsState) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	var changed []*healthState
	for _, name := range slices.SortedFunc(maps.Keys(s.dirty), strings.Compare) {
		if state := s.hub.flows[name]; state != nil {
			changed = append(changed, state)
		}
	}
	clear(s.dirty)
	s.taken, s.heard = s.heard, flows.NoTime
	if !s.alertsDirty {
		return changed, nil
	}
	s.alertsDirty = false
	return changed, s.hub.alerts
}

func (s *subscription) markLocked(flow string) {
	s.dirty[flow] = struct{}{}
	s.wakeLocked()
}

func (s *subscription) wakeLocked() {
	select {
	case s.wake <- struct{}{}:
	default: // a token already waits
	}
}
