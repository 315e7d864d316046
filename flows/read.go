package flows

import (
	"errors"
	"time"
)

// ErrNotFound says that an instance, key or flow is not known.
var ErrNotFound = errors.New("not found")

// InputError says that a question cannot be answered as it was asked. Its text is for
// the asker and says what to write instead.
type InputError struct {
	Field  string // of the question, for example "cursor"
	Detail string
}

func (e *InputError) Error() string { return e.Detail }

// Window is the span of time [From, To) that numbers are asked for.
type Window struct {
	From Time // NoTime for all history
	To   Time
	// Hindsight says that To was asked for: only signals with time up to To exist, and
	// every instance is judged at To. Else To is the wall clock, everything that was heard
	// counts, and an instance of imported signals only is judged at its import's clock.
	Hindsight bool
	// Ages are those of all that is in flight, where the caller knows that; nil where not. Then only
	// what happened is asked for. Of very many instances it is told in as long a window of whole
	// minutes, until two minutes before To at most, and AsOf is its end. Read-only.
	Ages *Sketch
}

// Sort names an order of instances; ties go by key, bytewise.
type Sort string

// The orders of an instance list.
const (
	SortAge     Sort = "age"     // longest wait first: stuck since; for reason idle, and for the rest, last signal
	SortStarted Sort = "started" // latest first
	SortValue   Sort = "value"   // greatest first
	SortKey     Sort = "key"
)

// MaxListed is how many instances can be asked for at once.
const MaxListed = 20_000

// InstanceQuery selects instances of a flow. The zero value of a field does not restrict,
// but times must be NoTime for that.
type InstanceQuery struct {
	States []State
	Step   string // waiting on this step; with Counted, the step at which it is counted
	Since  Time   // last signal at or after
	At     Time   // in hindsight at this instant; NoTime for now
	Sort   Sort   // SortAge where empty
	Limit  int    // 1 to MaxListed
	Cursor string // InstancePage.Next of the page before
	// Counted restricts to the instances that this number counts in a window that ends at At,
	// or now; Over is its length, 0 for all history.
	Counted Counted
	Over    time.Duration
	// Path restricts to those whose steps occurred in just this order, as in InstanceRecord.Path; nil for any.
	Path []string
}

// InstancePage is one page of a list.
type InstancePage struct {
	Instances []InstanceRecord
	Next      string // "" at the end
	AsOf      Time   // instant that ages are measured at
}

// InstanceDetail is one instance with its steps and all its signals in order.
type InstanceDetail struct {
	InstanceRecord
	Steps   []StepRecord
	Signals []Signal
	Held    []HeldTime
}

// StepRecord is one step of one instance, in file order.
type StepRecord struct {
	Step     string
	Title    string
	System   string
	At       Time // NoTime where it did not occur
	DueAt    Time // NoTime where it never became due
	Deadline Time // NoTime for none
	Latency  time.Duration
	Count    int
	Errors   int
	Expected int // children that are due, 1 of a plain step
	Seen     int
	Skipped  bool
}

// Variants are the distinct paths of a flow's instances, most frequent first.
type Variants struct {
	Variants []Variant
	Total    int // distinct paths
}

// Variant is one path.
type Variant struct {
	Steps      []string
	Count      int
	Share      float64       // of the instances asked for
	Median     time.Duration // nearest rank, of first to last signal
	Conforming bool          // all its instances conform
}

// DirectlyFollows are the neighbouring pairs in the paths of a flow's instances.
type DirectlyFollows struct {
	Edges  []Edge
	Starts map[string]int // instances by first step
	Ends   map[string]int // instances by last step
}

// Edge is a pair of steps in which the second directly follows the first.
type Edge struct {
	From, To string
	Count    int
	Median   time.Duration // nearest rank
}

// Found is what a search found.
type Found struct {
	Flows     []string
	Instances []FoundInstance
	Keys      []Key
}

// FoundInstance is an instance whose key matches.
type FoundInstance struct {
	Flow, Key   string
	Environment string // of the key; "" is the default one
	State       State
}

// SeenSignal is a name that signals carried lately, whether or not a flow wants it.
type SeenSignal struct {
	Kind       Kind
	Name       string
	Source     string
	Count      int
	Last       Time     // latest reception
	First      Time     // earliest, by the time of the signals themselves
	Attributes []string // names of attributes and top-level data fields, sorted
}

// SystemTraffic is what arrived from one system in a window.
type SystemTraffic struct {
	System  string
	Signals int   // receptions in the window, wanted by a flow or not; 0 for one that was silent in it
	Buckets []int // of them, oldest first, the window in equal parts; nil for none
	Last    Time  // latest reception, also from before the window
	// LongestGap is the longest time between two receptions in the window. It is exact where
	// it is longer than Resolution, else 0.
	LongestGap, Resolution time.Duration
	// How long after its own time a signal arrived: of Judged signals the least, half of them,
	// and all but one in a hundred. A Least below zero says how far the system's clock is
	// ahead of ours, at least.
	Judged          int
	Least, P50, P99 time.Duration
	Skewed          int // arrived more than 1 h before or 1 y after their own time
}

// Series is what happened to a flow's instances in buckets of one length, oldest first.
type Series struct {
	From    Time
	Bucket  time.Duration
	Started []int
	Ended   map[State][]int // by the way in which they ended; a way that no one took is absent
	// Left are the ends that are not completion, most frequent first.
	Left []LeftAt
}

// LeftAt is where instances left a flow.
type LeftAt struct {
	State State
	Step  string // "" where no step ended it: resolved, expired
	Count int
}
