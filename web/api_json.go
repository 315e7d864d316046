package web

import (
	"math"
	"time"

	"throughline/flows"
)

// The outside forms of the answers. Names are pinned: add, do not change.

type flowJSON struct {
	Flow       string           `json:"flow"`
	Title      string           `json:"title"`
	Capability string           `json:"capability"`
	Version    string           `json:"version"`
	InFlight   int              `json:"in_flight"`
	Stuck      int              `json:"stuck"`
	Unknown    int              `json:"unknown"`
	Health     flows.HealthWord `json:"health"`
}

type instanceJSON struct {
	Flow          string            `json:"flow"`
	Key           string            `json:"key"`
	Environment   string            `json:"environment,omitempty"` // where it is not the default one
	State         string            `json:"state"`
	Reason        string            `json:"reason"` // "" while there is nothing to explain
	ReasonStep    string            `json:"reason_step"`
	System        string            `json:"system"` // of reason_step
	Version       string            `json:"version"`
	StartedAt     flows.Time        `json:"started_at"`
	LastAt        flows.Time        `json:"last_at"`
	EndedAt       flows.Time        `json:"ended_at"`
	AsOf          flows.Time        `json:"as_of"`
	AgeSeconds    float64           `json:"age_seconds"`
	StuckSince    flows.Time        `json:"stuck_since"`
	StuckSeconds  float64           `json:"stuck_seconds"`
	RecoveredLate bool              `json:"recovered_late"`
	WaitingOn     []waitingJSON     `json:"waiting_on"`
	Value         flows.Money       `json:"value"`
	Conforming    bool              `json:"conforming"`
	Deviations    []flows.Deviation `json:"deviations"`
	Segments      map[string]string `json:"segments"`
	Imported      bool              `json:"imported"`
	Hold          string            `json:"hold"` // id of the hold, or downtime; "" while not held
	HeldSince     flows.Time        `json:"held_since"`
	HeldUntil     flows.Time        `json:"held_until"` // null where no end is known
	Reopened      bool              `json:"reopened"`   // had ended, and then more was expected
}

type waitingJSON struct {
	Step           string     `json:"step"`
	System         string     `json:"system"`
	DueAt          flows.Time `json:"due_at"`
	Deadline       flows.Time `json:"deadline"` // null where the step has no limit
	OverdueSeconds float64    `json:"overdue_seconds"`
	Expected       int        `json:"expected"` // children that are due, 1 of a plain step
	Seen           int        `json:"seen"`
}

// judgedAt is the instant that r's ages are measured at. What was imported only stands at
// its import's clock, unless an instant was asked for.
func judgedAt(r *flows.InstanceRecord, asOf, asked flows.Time) flows.Time {
	if r.Imported && asked == flows.NoTime {
		return r.AsOf
	}
	return asOf
}

func instanceToJSON(r *flows.InstanceRecord, asOf flows.Time) instanceJSON {
	in := instanceJSON{
		Flow: r.Flow, Key: r.Key, Environment: r.Environment, State: r.State.String(), Reason: string(r.Reason), ReasonStep: r.ReasonStep, System: r.System,
		Version: r.Version, StartedAt: r.StartedAt, LastAt: r.LastAt, EndedAt: r.EndedAt, AsOf: asOf,
		AgeSeconds: secondsSince(r.StartedAt, asOf), StuckSince: r.StuckSince, StuckSeconds: stuckFor(r, asOf).Seconds(),
		RecoveredLate: r.Recovered, WaitingOn: make([]waitingJSON, len(r.WaitingOn)), Value: valueOf(r),
		Conforming: r.Conforming, Deviations: nonNil(r.Deviations), Segments: texts(r.Segments), Imported: r.Imported,
		Hold: r.Hold, HeldSince: r.HeldSince, HeldUntil: r.HeldUntil, Reopened: r.Reopened,
	}
	for i, w := range r.WaitingOn {
		in.WaitingOn[i] = waitingJSON{w.Step, w.System, w.DueAt, w.Deadline, secondsSince(w.Deadline, asOf), w.Expected, w.Seen}
	}
	return in
}

// stuckFor carries a record's time of being stuck on from its verdict to asOf.
func stuckFor(r *flows.InstanceRecord, asOf flows.Time) time.Duration {
	if r.State == flows.Stuck && asOf > r.AsOf {
		return r.StuckFor + asOf.Sub(r.AsOf)
	}
	return r.StuckFor
}

func valueOf(r *flows.InstanceRecord) flows.Money {
	if !r.Amount.Valid {
		return flows.Money{}
	}
	return flows.Money{r.Currency: r.Amount.Decimal()}
}

// secondsSince is how long t is past at asOf, never negative.
func secondsSince(t, asOf flows.Time) float64 {
	if t == flows.NoTime || asOf <= t {
		return 0
	}
	return asOf.Sub(t).Seconds()
}

type instanceDetailJSON struct {
	instanceJSON
	Path    []string     `json:"path"`
	Steps   []stepJSON   `json:"steps"`
	Signals []signalJSON `json:"signals"`
}

type stepJSON struct {
	Step           string     `json:"step"`
	Title          string     `json:"title"`
	System         string     `json:"system"`
	At             flows.Time `json:"at"` // null where it did not occur
	DueAt          flows.Time `json:"due_at"`
	Deadline       flows.Time `json:"deadline"`
	LatencySeconds *float64   `json:"latency_seconds"` // null where it did not occur, or was never due
	Count          int        `json:"count"`
	Errors         int        `json:"errors"`
	Expected       int        `json:"expected"` // children that are due, 1 of a plain step
	Seen           int        `json:"seen"`
	Skipped        bool       `json:"skipped"`
}

func instanceDetailToJSON(d *flows.InstanceDetail, asOf flows.Time) instanceDetailJSON {
	out := instanceDetailJSON{instanceToJSON(&d.InstanceRecord, asOf), nonNil(d.Path), make([]stepJSON, len(d.Steps)), signalsToJSON(d.Signals)}
	for i, s := range d.Steps {
		out.Steps[i] = stepJSON{
			Step: s.Step, Title: s.Title, System: s.System, At: s.At, DueAt: s.DueAt, Deadline: s.Deadline,
			Count: s.Count, Errors: s.Errors, Skipped: s.Skipped, Expected: s.Expected, Seen: s.Seen,
		}
		if s.At != flows.NoTime && s.DueAt != flows.NoTime {
			out.Steps[i].LatencySeconds = new(s.Latency.Seconds())
		}
	}
	return out
}

type signalJSON struct {
	Kind            string         `json:"kind"`
	Source          string         `json:"source"`
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	System          string         `json:"system"`
	Environment     string         `json:"environment"`
	Time            flows.Time     `json:"time"`
	DurationSeconds float64        `json:"duration_seconds"`
	Outcome         string         `json:"outcome"`
	Sequence        string         `json:"sequence"`
	Received        flows.Time     `json:"received"`
	Keys            []string       `json:"keys"` // type:value
	TraceID         string         `json:"trace_id"`
	SpanID          string         `json:"span_id"`
	ParentID        string         `json:"parent_id"`
	Attributes      map[string]any `json:"attributes"`
	Data            map[string]any `json:"data"`
}

func signalsToJSON(signals []flows.Signal) []signalJSON {
	list := make([]signalJSON, len(signals))
	for i := range signals {
		s := &signals[i]
		keys := make([]string, len(s.Keys))
		for j, key := range s.Keys {
			keys[j] = key.String()
		}
		list[i] = signalJSON{
			Kind: s.Kind.String(), Source: s.Source, ID: s.ID, Name: s.Name, System: s.System, Environment: s.Environment,
			Time: s.Time, DurationSeconds: s.Duration.Seconds(), Outcome: s.Outcome(), Sequence: s.Sequence, Received: s.Received,
			Keys: keys, TraceID: s.TraceID, SpanID: s.SpanID, ParentID: s.ParentID,
			Attributes: finite(s.Attributes), Data: finite(s.Data),
		}
	}
	return list
}

// finite is m as JSON can hold it: an attribute may be NaN or infinite, which JSON has no
// word for; it becomes text. The nil map becomes an empty one.
func finite(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = finiteValue(v)
	}
	return out
}

func finiteValue(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) {
			return "NaN"
		} else if math.IsInf(v, 1) {
			return "Infinity"
		} else if math.IsInf(v, -1) {
			return "-Infinity"
		}
	case map[string]any:
		return finite(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = finiteValue(e)
		}
		return out
	}
	return v
}

type variantJSON struct {
	Steps         []string `json:"steps"`
	Count         int      `json:"count"`
	Share         float64  `json:"share"`
	MedianSeconds float64  `json:"median_seconds"`
	Conforming    bool     `json:"conforming"`
}

type edgeJSON struct {
	From          string  `json:"from"`
	To            string  `json:"to"`
	Count         int     `json:"count"`
	MedianSeconds float64 `json:"median_seconds"`
}

type directlyFollowsJSON struct {
	Edges  []edgeJSON     `json:"edges"`
	Starts map[string]int `json:"starts"`
	Ends   map[string]int `json:"ends"`
}

// counts writes no counts as {}.
func counts(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

type foundJSON struct {
	Flows     []string            `json:"flows"`
	Instances []foundInstanceJSON `json:"instances"`
	Keys      []string            `json:"keys"`
}

type foundInstanceJSON struct {
	Flow        string `json:"flow"`
	Key         string `json:"key"`
	Environment string `json:"environment,omitempty"`
	State       string `json:"state"`
}

func foundToJSON(found flows.Found) foundJSON {
	out := foundJSON{nonNil(found.Flows), make([]foundInstanceJSON, len(found.Instances)), make([]string, len(found.Keys))}
	for i, in := range found.Instances {
		out.Instances[i] = foundInstanceJSON{in.Flow, in.Key, in.Environment, in.State.String()}
	}
	for i, key := range found.Keys {
		out.Keys[i] = key.String()
	}
	return out
}
