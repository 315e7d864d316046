package flows

// HealthWord is a flow's health: the worst that holds.
type HealthWord string

// The words of flow health, worst first.
const (
	HealthStuck   HealthWord = "stuck"
	HealthUnknown HealthWord = "unknown"
	HealthLate    HealthWord = "late"
	HealthOK      HealthWord = "ok"
	HealthQuiet   HealthWord = "quiet" // nothing flows
)

// Health are the numbers of one flow for a window that ends at AsOf (FLOWS.md section 8).
// Its JSON form is the answer of GET /api/v1/flows/{flow}/health and the content of a
// live message.
type Health struct {
	Flow                string       `json:"flow"`
	Version             string       `json:"version"`
	Health              HealthWord   `json:"health"`
	AsOf                Time         `json:"as_of"`
	WindowSeconds       *float64     `json:"window_seconds"` // null for all history
	Restoring           bool         `json:"restoring"`
	Started             int          `json:"started"`
	Completed           int          `json:"completed"`
	Failed              int          `json:"failed"`
	Cancelled           int          `json:"cancelled"`
	Resolved            int          `json:"resolved"`
	Expired             int          `json:"expired"`
	InFlight            int          `json:"in_flight"`
	Held                int          `json:"held"`
	Stuck               int          `json:"stuck"`
	Unknown             int          `json:"unknown"`
	ValueInFlight       Money        `json:"value_in_flight"`
	ValueAtRisk         Money        `json:"value_at_risk"`
	ValueCoverage       *float64     `json:"value_coverage"` // share of the instances in flight that carry a value
	Latency             Distribution `json:"latency"`        // end to end, of the completed
	OpenAge             Distribution `json:"open_age"`       // of those in flight
	Estimate            Estimate     `json:"estimate"`
	ComplianceRate      *float64     `json:"compliance_rate"`
	ThroughputPerMinute float64      `json:"throughput_per_minute"`
	Steps               []StepHealth `json:"steps"`
	Edges               []EdgeHealth `json:"edges"`
}

// Distribution summarises durations, in seconds. The percentiles are nearest rank: exact
// below 1,000 values, else within 1 %; null without a value.
type Distribution struct {
	Count int      `json:"count"`
	Mean  *float64 `json:"mean_seconds"`
	P50   *float64 `json:"p50_seconds"`
	P90   *float64 `json:"p90_seconds"`
	P99   *float64 `json:"p99_seconds"`
	Max   *float64 `json:"max_seconds"`
}

// Estimate is the Kaplan-Meier estimate of end-to-end latency, in which the instances in
// flight count as censored at their age; null where the curve does not fall so far.
type Estimate struct {
	P50 *float64 `json:"p50_seconds"`
	P90 *float64 `json:"p90_seconds"`
}

// StepHealth are the numbers of one step, in file order.
type StepHealth struct {
	Step    string       `json:"step"`
	Reached int          `json:"reached"` // instances in which it occurred
	Waiting int          `json:"waiting"` // instances that wait for it now
	Overdue int          `json:"overdue"` // of those, past the deadline: in instances that are stuck, unknown or held
	Stuck   int          `json:"stuck"`   // of those past the deadline, in instances that are stuck
	Unknown int          `json:"unknown"` // of those past the deadline, in instances that are unknown
	Skipped int          `json:"skipped"`
	Errors  int          `json:"errors"` // failed tries
	Latency Distribution `json:"latency"`
}

// EdgeHealth is a directly-follows pair of steps.
type EdgeHealth struct {
	From    string       `json:"from"`
	To      string       `json:"to"`
	Count   int          `json:"count"`
	Latency Distribution `json:"latency"`
}

// Cohort is the group of instances of one flow that are stuck at one step for one
// reason: one incident.
type Cohort struct {
	Flow       string
	Title      string // of the flow
	Capability string
	Owner      string
	Runbook    string
	Step       string // "" for reason idle without a due step
	StepTitle  string
	System     string
	Reason     Reason
	Count      int
	Since      Time // when the first of them became stuck
	Oldest     Time // start of the oldest instance
	AtRisk     Money
	Keys       []string // samples, longest stuck first, at most ten
}
