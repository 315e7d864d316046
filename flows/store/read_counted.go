package store

import (
	_ "embed" // the queries
	"strings"

	"throughline/flows"
)

var (
	//go:embed queries/instances_started.sql
	sqlInstancesStarted string
	//go:embed queries/instances_ended.sql
	sqlInstancesEnded string
)

// rowsOf are the rows of the instances that a number counts: an end's are in a state.
type rowsOf struct {
	state      flows.State
	conditions []string
}

// countedRows says how the instances that a number of now counts are told by their rows; ok is false where only
// their signals tell. It is what Counted.Counts says.
func countedRows(counted flows.Counted) (rows rowsOf, ok bool) {
	ended := func(state flows.State, more ...string) (rowsOf, bool) {
		return rowsOf{state, append([]string{strings.TrimSpace(sqlInstancesEnded)}, more...)}, true
	}
	switch counted {
	case flows.CountedStarted:
		return rowsOf{conditions: []string{strings.TrimSpace(sqlInstancesStarted)}}, true
	case flows.CountedCompleted:
		return ended(flows.Completed)
	case flows.CountedFailed:
		return ended(flows.Failed)
	case flows.CountedCancelled:
		return ended(flows.Cancelled)
	case flows.CountedResolved:
		return ended(flows.Resolved)
	case flows.CountedExpired:
		return ended(flows.Expired)
	case flows.CountedConforming:
		return ended(flows.Completed, "AND conforming")
	case flows.CountedDeviating:
		return ended(flows.Completed, "AND NOT conforming")
	}
	return rowsOf{}, false
}
