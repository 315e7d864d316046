package flows

// Counted names one of the numbers of Health that counts instances in a window; a list of
// instances can be asked for those that it counts.
type Counted string

// What can be asked for.
const (
	CountedStarted    Counted = "started"
	CountedCompleted  Counted = "completed"
	CountedFailed     Counted = "failed"
	CountedCancelled  Counted = "cancelled"
	CountedResolved   Counted = "resolved"
	CountedExpired    Counted = "expired"
	CountedConforming Counted = "conforming" // of the completed
	CountedDeviating  Counted = "deviating"  // the other completed ones
	CountedReached    Counted = "reached"    // at a step
	CountedSkipped    Counted = "skipped"    // at a step, or at any
	CountedErrors     Counted = "errors"     // at least one failed try, at a step or at any
)

// AllCounted are all of them.
var AllCounted = []Counted{
	CountedStarted, CountedCompleted, CountedFailed, CountedCancelled, CountedResolved, CountedExpired,
	CountedConforming, CountedDeviating, CountedReached, CountedSkipped, CountedErrors,
}

// Counts says whether an instance is among those that c counts in [from, to), by the same
// instants as CountInstance. step is a position, -1 for any; an end's is the step that ended it.
func (c Counted) Counts(in *Instance, step int, from, to Time) bool {
	inside := func(t Time) bool { return t != NoTime && t >= from && t < to }
	ended := func(state State) bool {
		return in.State == state && inside(in.EndedAt) && (step < 0 || in.EndStep == step)
	}
	switch c {
	case CountedStarted:
		return in.Began && inside(in.StartedAt)
	case CountedCompleted:
		return ended(Completed)
	case CountedFailed:
		return ended(Failed)
	case CountedCancelled:
		return ended(Cancelled)
	case CountedResolved:
		return ended(Resolved)
	case CountedExpired:
		return ended(Expired)
	case CountedConforming:
		return ended(Completed) && in.Conforming
	case CountedDeviating:
		return ended(Completed) && !in.Conforming
	case CountedErrors:
		for _, failure := range in.Failures {
			if inside(failure.At) && (step < 0 || failure.Step == step) {
				return true
			}
		}
		return false
	}
	for s := range in.Steps {
		if step >= 0 && s != step {
			continue
		}
		if c == CountedReached && inside(in.Steps[s].At) || c == CountedSkipped && in.Steps[s].Skipped && inside(in.LastAt) {
			return true
		}
	}
	return false
}
