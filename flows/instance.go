package flows

import "time"

// State of an instance. The first four are in flight.
type State uint8

// The states, as words in StateNames.
const (
	Open State = iota
	Held
	Stuck
	Unknown
	Completed
	Failed
	Cancelled
	Resolved
	Expired
)

var stateNames = [...]string{"open", "held", "stuck", "unknown", "completed", "failed", "cancelled", "resolved", "expired"}

func (s State) String() string { return stateNames[s] }

// InFlight says that the instance has not ended.
func (s State) InFlight() bool { return s <= Unknown }

// ParseState reads a state's word.
func ParseState(word string) (State, bool) {
	for i, name := range stateNames {
		if name == word {
			return State(i), true
		}
	}
	return Open, false
}

// StateNames are the words of all states, in flight first.
func StateNames() []string { return stateNames[:] }

// Reason says why a verdict was given.
type Reason string

// The reasons of a stuck, held or unknown instance.
const (
	ReasonNone     Reason = ""
	ReasonDeadline Reason = "deadline"
	ReasonIdle     Reason = "idle"
	ReasonHeld     Reason = "held"
	ReasonSampled  Reason = "sampled" // overdue or idle, but only behind spans that sampling may have left out
)

// Deviation is a way in which a completed instance does not conform.
type Deviation string

// The deviations, in the order in which they are listed.
const (
	DeviationSkipped  Deviation = "skipped"   // a required step never occurred
	DeviationOrder    Deviation = "order"     // a step before its predecessor
	DeviationRepeat   Deviation = "repeat"    // an undeclared repetition
	DeviationSurplus  Deviation = "surplus"   // more children than expected
	DeviationAfterEnd Deviation = "after-end" // a signal after the end
	DeviationNoStart  Deviation = "no-start"  // completed without a start step
)

var allDeviations = [...]Deviation{
	DeviationSkipped, DeviationOrder, DeviationRepeat, DeviationSurplus, DeviationAfterEnd, DeviationNoStart,
}

// Occurrence is what the fold needs of one signal that matched a step or a hold of a flow,
// or resolves an instance.
type Occurrence struct {
	Step     int    // position in the flow file (Flow.Positions): in Flow.Steps, or behind them
	At       Time   // when the step occurred: an event's time, a span's end
	Start    Time   // an event's time, a span's start
	Failed   bool   // a failed try: counts as an error, does not make the step occur
	Sampled  bool   // Signal.Sampled
	Source   string // with ID: the signal's Identity
	ID       string
	Sequence string
	System   string
	AsOf     Time   // Signal.AsOf
	Hash     uint64 // Signal.ContentHash: which of two copies counts
	Amount   Amount // set where the signal has amount and currency
	Currency string
	Segments []string // parallel to Flow.Segments, "" where absent; nil for none at all
	Child    string   // of a step with Each; "" is a child of its own
	Expect   []string // whole numbers, parallel to Flow.Expects, as Segments
}

// Waiting is a step that an instance waits for.
type Waiting struct {
	Step     int
	DueAt    Time
	Deadline Time // NoTime where the step has no limit, or a hold without an end pauses it
	Expected int  // children that are due, 1 of a plain step
	Seen     int  // distinct children that occurred
}

// Overdue says whether w is past its deadline at now.
func (w Waiting) Overdue(now Time) bool { return w.Deadline != NoTime && now > w.Deadline }

// StepFold is what the fold found of one step.
type StepFold struct {
	At       Time          // first occurrence, or that of the child that completed the count; NoTime for none
	Count    int           // signals, failed tries left out
	Errors   int           // failed tries
	Expected int           // children that are due, 1 of a plain step
	Seen     int           // distinct children; 0 or 1 of a plain step
	DueAt    Time          // NoTime where it never became due
	Deadline Time          // NoTime for none, as in Waiting
	Latency  time.Duration // At - DueAt, never negative; only where both are known
	Skipped  bool
	Passed   Time // earliest occurrence of a step downstream; NoTime for none
}

// Failure is one failed try of a step.
type Failure struct {
	Step int
	At   Time
}

// Instance is the state of one business case at an instant, derived by Flow.Fold from
// the set of its occurrences.
type Instance struct {
	State      State
	Reason     Reason
	ReasonStep int           // the step of Reason; -1 for none
	StuckSince Time          // the deadline that passed; NoTime while neither stuck nor unknown
	StuckFor   time.Duration // how long it was or is stuck, all told
	Recovered  bool          // was stuck, and a late signal cleared it
	Hold       string        // what holds it: a hold's id, or "downtime" of ReasonStep's system; "" while not held
	HeldSince  Time          // NoTime while not held
	HeldUntil  Time          // NoTime while not held, and where no end is known
	Reopened   bool          // had ended, and more children became expected at the end step
	StartedAt  Time          // earliest start of any step
	Began      bool          // has a signal of a step, if only failed tries: not of a hold alone
	FirstAt    Time          // earliest start of any signal, of a hold too
	LastAt     Time          // latest signal
	EndedAt    Time          // NoTime while in flight
	EndStep    int           // -1 while in flight, and where expired or resolved
	WaitingOn  []Waiting     // due steps in file order; empty when ended
	Steps      []StepFold    // parallel to Flow.Steps
	Path       []int         // steps in the order of their signals, repeats included
	Times      []Time        // parallel to Path
	Failures   []Failure     // failed tries, in order
	Deviations []Deviation   // without repeats, in the order of the constants
	Conforming bool          // completed, and no deviation
	Amount     Amount
	Currency   string
	Segments   []string // parallel to Flow.Segments
	NextChange Time     // when the verdict changes if nothing arrives; NoTime for never
	ExpiresAt  Time     // when it expires, or did, if nothing arrives; NoTime for never, and once it ended otherwise
}
