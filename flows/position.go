package flows

import (
	"iter"
	"slices"
	"strings"
)

// ResolvedName is the name of the event by which a person says that an instance was
// fixed by hand. It belongs to the flow that its data field "flow" names.
const ResolvedName = "throughline.resolved"

// ResolvedSource is the source of those events: other senders resolve nothing.
const ResolvedSource = "throughline"

// A flow's positions order its signals of one time and number what a signal may be:
// its steps, then from and until of each hold, then the resolution.

func (f *Flow) fromPosition(hold int) int { return len(f.Steps) + 2*hold }

func (f *Flow) resolvedPosition() int { return len(f.Steps) + 2*len(f.Holds) }

// Positions are the ids of all positions: of the steps, then "from:" and "until:" with the
// id of each hold, then "resolved:". None but those of steps is a step's id.
func (f *Flow) Positions() []string {
	ids := make([]string, 0, f.resolvedPosition()+1)
	for i := range f.Steps {
		ids = append(ids, f.Steps[i].ID)
	}
	for i := range f.Holds {
		ids = append(ids, "from:"+f.Holds[i].ID, "until:"+f.Holds[i].ID)
	}
	return append(ids, "resolved:")
}

// Position is the id of one position.
func (f *Flow) Position(p int) string {
	switch hold := p - len(f.Steps); {
	case hold < 0:
		return f.Steps[p].ID
	case hold >= 2*len(f.Holds):
		return "resolved:"
	case hold%2 == 0:
		return "from:" + f.Holds[hold/2].ID
	default:
		return "until:" + f.Holds[hold/2].ID
	}
}

// at is the position of an id; -1 where the flow does not have it.
func (f *Flow) at(id string) int {
	if !strings.Contains(id, ":") {
		for i := range f.Steps {
			if f.Steps[i].ID == id {
				return i
			}
		}
		return -1
	}
	for p := len(f.Steps); p <= f.resolvedPosition(); p++ {
		if f.Position(p) == id {
			return p
		}
	}
	return -1
}

// match is what makes a signal that of a position below the resolution.
func (f *Flow) match(p int) *Match {
	hold := p - len(f.Steps)
	switch {
	case hold < 0:
		return &f.Steps[p].Match
	case hold%2 == 0:
		return &f.Holds[hold/2].From
	default:
		return &f.Holds[hold/2].Until
	}
}

// ConditionFaults yields the positions with a `where` that could not be evaluated, and how
// often since the flow was read.
func (f *Flow) ConditionFaults() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		for p := range f.resolvedPosition() {
			if w := f.match(p).Where; w != nil && w.Faults() > 0 && !yield(p, w.Faults()) {
				return
			}
		}
	}
}

// TakesAs says whether this version of a flow makes the same occurrences of the same signals
// as another, so that a change of one to the other needs no signals: no more than deadlines,
// ends, order, titles and the like differ. Of a flow with `reopen` it never says so.
func (f *Flow) TakesAs(other *Flow) bool {
	if f.Key != other.Key || f.Amount != other.Amount || f.Currency != other.Currency || f.Reopen || other.Reopen ||
		!slices.Equal(f.Links, other.Links) || !slices.Equal(f.Segments, other.Segments) ||
		!slices.Equal(f.Positions(), other.Positions()) || !slices.Equal(f.Expects(), other.Expects()) {
		return false
	}
	for s := range f.Steps {
		if f.Steps[s].Each != other.Steps[s].Each || f.Steps[s].Expect != other.Steps[s].Expect {
			return false
		}
	}
	for p := range f.resolvedPosition() {
		if !f.match(p).equal(other.match(p)) {
			return false
		}
	}
	return true
}

func (m *Match) equal(other *Match) bool {
	if m.Kind != other.Kind || m.Name != other.Name || m.Service != other.Service || m.Source != other.Source {
		return false
	}
	if m.Where == nil || other.Where == nil {
		return m.Where == other.Where
	}
	return m.Where.source == other.Where.source
}

// SignalName is the name of the signals that are one position.
func (f *Flow) SignalName(p int) string {
	if p == f.resolvedPosition() {
		return ResolvedName
	}
	return f.match(p).Name
}

// SignalNames are the names of all signals that are something in this flow, in the order
// of positions, repeats included.
func (f *Flow) SignalNames() []string {
	names := make([]string, 0, f.resolvedPosition()+1)
	for p := range f.resolvedPosition() {
		if name := f.match(p).Name; name != "" {
			names = append(names, name)
		}
	}
	return append(names, ResolvedName)
}

// Exists says whether occurrences make an instance: one of them is a step or a hold's. A
// resolution alone resolves nothing.
func (f *Flow) Exists(occurrences []Occurrence) bool {
	for i := range occurrences {
		if occurrences[i].Step < f.resolvedPosition() {
			return true
		}
	}
	return false
}
