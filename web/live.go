package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"throughline/flows"
)

// serveLive is GET /api/v1/live: the numbers of one flow or of all in full, then what
// changes, and the alerts.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	p := query(r, "flow")
	name := p.text("flow")
	if p.fault != nil {
		WriteProblem(w, r, *p.fault)
		return
	}
	if _, ok := s.rules.Set().Flow(name); name != "" && !ok {
		WriteProblem(w, r, *s.noFlow(name))
		return
	}
	s.sockets.serve(w, r, func() feed {
		sub := s.hub.subscribe(name)
		live := &liveFeed{sub: sub, sent: make(map[string]*healthState), alerts: make(map[string]*alertState)}
		return feed{wake: sub.wake, pull: live.pull, beat: live.beat, close: sub.close}
	})
}

// liveFeed is what one socket was last sent. It belongs to the socket's writer.
type liveFeed struct {
	sub    *subscription
	sent   map[string]*healthState
	alerts map[string]*alertState
}

func (f *liveFeed) pull() ([]*websocket.PreparedMessage, error) {
	changed, alerts := f.sub.take()
	messages := make([]*websocket.PreparedMessage, 0, len(changed))
	for _, state := range changed {
		message, err := state.since(f.sent[state.health.Flow])
		if err != nil {
			return nil, err
		}
		if message != nil {
			messages = append(messages, message)
		}
		f.sent[state.health.Flow] = state
	}
	if alerts == nil {
		return messages, nil
	}
	return f.pullAlerts(messages, alerts)
}

func (f *liveFeed) pullAlerts(messages []*websocket.PreparedMessage, next *alertsState) ([]*websocket.PreparedMessage, error) {
	add := func(state *alertState) error {
		message, err := state.message()
		messages = append(messages, message)
		return err
	}
	for _, a := range next.list {
		state := next.byID[a.ID]
		if f.alerts[a.ID] == state || f.sub.flow != "" && f.sub.flow != a.Flow {
			continue
		}
		if err := add(state); err != nil {
			return nil, err
		}
		f.alerts[a.ID] = state
	}
	for id, was := range f.alerts {
		if next.byID[id] != nil {
			continue
		}
		delete(f.alerts, id)
		if was.alert.ResolvedAt != flows.NoTime {
			continue // its end was told
		}
		ended := was.alert
		ended.ResolvedAt = flows.At(time.Now())
		gone, err := newAlertState(ended)
		if err != nil {
			return nil, err
		}
		if err := add(gone); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

func (f *liveFeed) beat() ([]byte, error) {
	return json.Marshal(heartbeat{"heartbeat", f.sub.hub.asOf()})
}

// heartbeat says that the connection lives, and up to when the numbers are.
type heartbeat struct {
	Type string     `json:"type"`
	AsOf flows.Time `json:"as_of"`
}
