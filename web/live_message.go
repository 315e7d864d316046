package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/gorilla/websocket"

	"throughline/flows"
)

// field is one top-level field of a JSON object.
type field struct {
	name string
	raw  json.RawMessage
}

// topFields takes a struct's JSON apart at the top level, in order.
func topFields(v any) ([]field, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("marshal %T: %w", v, err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("take %T apart: %w", v, err)
	}
	var fields []field
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("take %T apart: %w", v, err)
		}
		f := field{name: fmt.Sprint(name)}
		if err := dec.Decode(&f.raw); err != nil {
			return nil, fmt.Errorf("take %T apart: %w", v, err)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// changedFields are those of next that differ from last's. Both have the same names in the
// same order.
func changedFields(last, next []field) []field {
	var changed []field
	for i, f := range next {
		if !bytes.Equal(last[i].raw, f.raw) {
			changed = append(changed, f)
		}
	}
	return changed
}

// healthState is one publication of a flow's numbers, immutable. Its messages are made when
// the first socket asks and then shared by all.
type healthState struct {
	health flows.Health
	fields []field // as last announced: without the clock's moves in between
	seq    uint64  // of the publication that announced fields
	full   func() (*websocket.PreparedMessage, error)

	before uint64 // seq that delta starts from; 0 for none
	delta  func() (*websocket.PreparedMessage, error)
}

func newHealthState(health flows.Health, fields []field, before *healthState, seq uint64) *healthState {
	state := &healthState{health: health, fields: fields, seq: seq}
	if before != nil {
		changed := changedFields(before.fields, fields)
		if len(changed) == 0 || len(changed) == 1 && changed[0].name == "as_of" {
			state.fields, state.seq = before.fields, before.seq
			state.before, state.delta = before.before, before.delta
		} else {
			state.before, state.delta = before.seq, healthMessage(health.Flow, changed)
		}
	}
	state.full = healthMessage(health.Flow, fields)
	return state
}

// since is the message for a socket that was last sent the state last: everything for nil,
// the shared change for one that kept up, its own for one that did not. Nil for nothing new.
func (s *healthState) since(last *healthState) (*websocket.PreparedMessage, error) {
	switch {
	case last == nil:
		return s.full()
	case last.seq == s.seq:
		return nil, nil
	case last.seq == s.before:
		return s.delta()
	}
	changed := changedFields(last.fields, s.fields)
	if len(changed) == 0 {
		return nil, nil
	}
	return healthMessage(s.health.Flow, changed)()
}

// healthMessage builds {"type":"health","flow":F,...} once, when first asked.
func healthMessage(flow string, fields []field) func() (*websocket.PreparedMessage, error) {
	return sync.OnceValues(func() (*websocket.PreparedMessage, error) {
		name, err := json.Marshal(flow)
		if err != nil {
			return nil, fmt.Errorf("marshal flow name: %w", err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"type":"health","flow":%s`, name)
		for _, f := range fields {
			if f.name != "flow" {
				fmt.Fprintf(&b, `,%q:%s`, f.name, f.raw)
			}
		}
		b.WriteByte('}')
		return websocket.NewPreparedMessage(websocket.TextMessage, b.Bytes())
	})
}

// alertsState is one list of alerts, immutable.
type alertsState struct {
	list []Alert
	byID map[string]*alertState
}

// alertState is one alert with its message, immutable; an alert that did not change keeps it.
type alertState struct {
	alert   Alert
	body    []byte
	message func() (*websocket.PreparedMessage, error)
}

// alertMessage is an alert on the live socket.
type alertMessage struct {
	Type string `json:"type"`
	alertJSON
}

func newAlertState(a Alert) (*alertState, error) {
	body, err := json.Marshal(alertMessage{"alert", alertToJSON(a)})
	if err != nil {
		return nil, fmt.Errorf("marshal alert %s: %w", a.ID, err)
	}
	return &alertState{a, body, sync.OnceValues(func() (*websocket.PreparedMessage, error) {
		return websocket.NewPreparedMessage(websocket.TextMessage, body)
	})}, nil
}

// alertJSON is an alert's outside form.
type alertJSON struct {
	ID          string        `json:"id"`
	State       string        `json:"state"` // firing or resolved
	Flow        string        `json:"flow"`
	Step        string        `json:"step"`
	System      string        `json:"system"`
	Reason      string        `json:"reason"`
	Count       int           `json:"count"`
	Since       flows.Time    `json:"since"`
	Oldest      flows.Time    `json:"oldest"`
	ValueAtRisk flows.Money   `json:"value_at_risk"`
	Keys        []string      `json:"keys"` // samples, longest stuck first
	Silenced    bool          `json:"silenced"`
	Ack         *flows.Ack    `json:"ack"`      // null while nobody has it
	Silences    []silenceJSON `json:"silences"` // that hold now, the last to end first
	Log         []logJSON     `json:"log"`      // what was done about it, the latest last
	StartedAt   flows.Time    `json:"started_at"`
	ResolvedAt  flows.Time    `json:"resolved_at"`
	Title       string        `json:"title"`
	Capability  string        `json:"capability"`
	Owner       string        `json:"owner"`
	Runbook     string        `json:"runbook"`
	Link        string        `json:"link"` // path of its page

	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type silenceJSON struct {
	ID    string     `json:"id"`
	By    string     `json:"by"`
	Why   string     `json:"why"`
	From  flows.Time `json:"from"`
	Until flows.Time `json:"until"`
}

type logJSON struct {
	At    flows.Time    `json:"at"`
	What  flows.LogWord `json:"what"`
	By    string        `json:"by"`
	Note  string        `json:"note"`
	Until flows.Time    `json:"until"` // null but of a silence
}

func alertToJSON(a Alert) alertJSON {
	state := "firing"
	if a.ResolvedAt != flows.NoTime {
		state = "resolved"
	}
	var ack *flows.Ack
	if a.Ack.Given() {
		ack = &a.Ack
	}
	silences := make([]silenceJSON, len(a.Silences))
	for i, one := range a.Silences {
		silences[i] = silenceJSON{one.ID, one.By, one.Why, one.From, one.Until}
	}
	log := make([]logJSON, len(a.Log))
	for i, e := range a.Log {
		log[i] = logJSON(e)
	}
	return alertJSON{
		Ack: ack, Silences: silences, Log: log,
		ID: a.ID, State: state, Flow: a.Flow, Step: a.Step, System: a.System, Reason: string(a.Reason), Count: a.Count,
		Since: a.Since, Oldest: a.Oldest, ValueAtRisk: a.AtRisk, Keys: nonNil(a.Keys), Silenced: a.Silenced,
		StartedAt: a.StartsAt, ResolvedAt: a.ResolvedAt, Title: a.Title, Capability: a.Capability, Owner: a.Owner,
		Runbook: a.Runbook, Link: "/alerts/" + a.ID,
		Labels: texts(a.Labels), Annotations: texts(a.Annotations),
	}
}

// nonNil makes an empty list [] instead of null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// texts makes no texts {} instead of null.
func texts(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
