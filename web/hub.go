package web

import (
	"maps"
	"reflect"
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
	Earlier     []flows.Episode  // the times that it was open before, the latest first, as far as they are kept
}

// Hub holds the latest numbers of every flow and the alerts, and hands them to whoever
// subscribes. The zero value is not usable; see NewHub. All methods may be called from any
// goroutine and none of them waits for a subscriber.
type Hub struct {
	mu     sync.Mutex // guards all below
	now    map[string]flows.Health
	ages   map[string]*flows.Sketch
	flows  map[string]*healthState // as announced last
	trends map[string]*trend       // of the flows
	steps  map[string]*stepTrends
	heard  heard
	alerts *alertsState
	subs   map[*subscription]struct{}
	seq    uint64

	caughtUp flows.Time // of CaughtUp; NoTime before
}

// NewHub is an empty hub.
func NewHub() *Hub {
	return &Hub{
		now:    make(map[string]flows.Health),
		ages:   make(map[string]*flows.Sketch),
		flows:  make(map[string]*healthState),
		trends: make(map[string]*trend),
		steps:  make(map[string]*stepTrends),
		heard:  heard{},
		alerts: &alertsState{byID: map[string]*alertState{}}, caughtUp: flows.NoTime,
		subs: make(map[*subscription]struct{}),
	}
}

// Update are the latest numbers of a flow, and when the oldest signal was received that they
// are the first to tell of; NoTime for none.
type Update struct {
	Health flows.Health
	Ages   *flows.Sketch // of those in flight; nil where not known
	Heard  flows.Time
}

// Show makes updates the latest numbers, and has the pages that show them rendered. They and
// what they point to must not change afterwards.
func (h *Hub) Show(updates ...Update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range updates {
		flow := u.Health.Flow
		before, known := h.now[flow]
		h.now[flow], h.ages[flow] = u.Health, u.Ages
		h.sampleLocked(u.Health)
		h.sampleStepsLocked(u.Health)
		h.heard.note(u)
		if before.AsOf = u.Health.AsOf; known && reflect.DeepEqual(before, u.Health) {
			continue // only the clock moved: kept for whoever asks, pushed to nobody
		}
		for sub := range h.subs {
			if sub.screen && (sub.flow == "" || sub.flow == flow) {
				sub.heard = earlierOf(sub.heard, u.Heard)
				sub.wakeLocked()
			}
		}
	}
}

// Announce sends what changed in a flow's numbers since they were announced last to the
// programs that listen. The caller limits the rate: every call reaches every socket that
// keeps up.
func (h *Hub) Announce(flow string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	health, ok := h.now[flow]
	if !ok {
		return nil
	}
	fields, err := topFields(health)
	if err != nil {
		return err
	}
	before := h.flows[flow]
	h.seq++
	next := newHealthState(health, fields, before, h.seq)
	h.flows[flow] = next
	if before != nil && next.seq == before.seq {
		return nil
	}
	for sub := range h.subs {
		if !sub.screen && (sub.flow == "" || sub.flow == flow) {
			sub.markLocked(flow)
		}
	}
	return nil
}

// Drop forgets a flow whose file is gone.
func (h *Hub) Drop(flow string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.now[flow]; !ok {
		return
	}
	delete(h.now, flow)
	delete(h.ages, flow)
	delete(h.flows, flow)
	delete(h.trends, flow)
	delete(h.steps, flow)
	h.heard.drop(flow)
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
	health, ok := h.now[flow]
	return health, ok
}

// Ages are how long those in flight in a flow have been; nil where not known. Read-only.
func (h *Hub) Ages(flow string) *flows.Sketch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ages[flow]
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
	for _, health := range h.now {
		latest = max(latest, health.AsOf)
	}
	return latest
}

// restoring says whether a flow's numbers are not whole yet.
func (h *Hub) restoring() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, health := range h.now {
		if health.Restoring {
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
	hub    *Hub
	flow   string        // "" is all
	screen bool          // woken by Show, else by Announce
	wake   chan struct{} // one slot: a token says that there is something to take

	dirty       map[string]struct{} // guarded by hub.mu
	alertsDirty bool                // guarded by hub.mu
	heard       flows.Time          // of Show since the last take, the earliest; guarded by hub.mu
}

// watch registers a screen of one flow, or of all where flow is empty: it is woken at once,
// and by whatever Show changes from then on.
func (h *Hub) watch(flow string) *subscription { return h.register(flow, true) }

// subscribe registers a listener for one flow, or for all where flow is empty. Everything
// that was announced counts as changed: the first take is the snapshot, and every
// announcement after subscribe is in it or in a later one.
func (h *Hub) subscribe(flow string) *subscription { return h.register(flow, false) }

func (h *Hub) register(flow string, screen bool) *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub := &subscription{hub: h, flow: flow, screen: screen, wake: make(chan struct{}, 1), dirty: make(map[string]struct{}), alertsDirty: true, heard: flows.NoTime}
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
	if !s.alertsDirty {
		return changed, nil
	}
	s.alertsDirty = false
	return changed, s.hub.alerts
}

// takeHeard returns when the oldest signal was received that was shown since the take before.
func (s *subscription) takeHeard() flows.Time {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	heard := s.heard
	s.heard = flows.NoTime
	return heard
}

func (s *subscription) markLocked(flow string) {
	s.dirty[flow] = struct{}{}
	s.wakeLocked()
}

func (s *subscription) wakeLocked() { token(s.wake) }
