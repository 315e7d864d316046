package flows

import (
	"sync"
	"time"
)

// Flow is a checked flow file: a business process and its steps in file order. It is
// read-only after Parse; everything that runs it may share it.
type Flow struct {
	Name       string // [a-z0-9-]+
	Title      string // Name where the file has none
	Capability string
	Owner      string
	Runbook    string
	Version    string   // hex hash of the file's bytes
	Key        string   // type of the primary key: one instance per value
	Links      []string // key types that lead to the primary
	Amount     string   // attribute names of the value; "" for none
	Currency   string
	Segments   []string      // attribute names
	Idle       time.Duration // 0 is none
	Expire     time.Duration // 0 is none
	Reopen     bool          // a start signal after the end begins another instance, key#2
	Sampling   bool          // verdicts may rest on the absence of spans of producers that sample
	Holds      []Hold
	Steps      []Step
	Cases      []Case  // the file's own tests
	Notes      []Fault // what is right in the file but not in use

	planOnce sync.Once
	planned  plan
}

// Step is one activity of a flow.
type Step struct {
	ID       string
	Title    string // ID where the file has none
	System   string // whom it waits for; a label
	Match    Match
	After    []int         // predecessors as positions in Flow.Steps; empty for none
	Any      bool          // one of After suffices, else all of them
	Choice   string        // steps with the same non-empty name are alternatives
	Within   time.Duration // 0 is none
	Calendar *Calendar     // Within is working time of it; nil is all the time
	Downtime []Interval    // planned, of System, in order and apart
	Sampled  bool          // System sends only some of its spans
	Each     string        // attribute that tells children apart; "" where the step occurs once
	Expect   string        // attribute that says how many children are due; "" for none
	Optional bool
	Repeat   bool
	Start    bool
	End      State // Completed, Failed, Cancelled; Open where the step ends nothing
}

// Hold is a way in which instances wait on purpose: deadlines pause between two signals.
type Hold struct {
	ID     string
	From   Match
	Until  Match         // of no name where only AtMost ends it
	AtMost time.Duration // 0 is no bound
}

// Match says which signals are this step.
type Match struct {
	Kind    Kind
	Name    string
	Service string // "" is any
	Source  string // "" is any
	Where   *Where // nil is always
}
