package flows

// Tries are the spans of one step's name that had one outcome, from one version of the
// service, before or after an instant: evidence of why a step does not come.
type Tries struct {
	After   bool // at or after the instant
	Failed  bool
	Message string // of the failure, shortened; "" for none
	Count   int    // distinct spans
	First   Time
	Last    Time
}

// SharedValue says how many of an alert's instances have one value of a segment, beside
// those that passed the same step.
type SharedValue struct {
	Name, Value string
	Stuck       int // of StuckAll
	StuckAll    int
	Passed      int // of PassedAll
	PassedAll   int
}

// FlowText is a version of a flow file that ran.
type FlowText struct {
	Version string
	Text    string
	Loaded  Time // when it was put in force the last time
}
