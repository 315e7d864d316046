package store

import (
	_ "embed" // the queries
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"throughline/flows"
)

var (
	//go:embed queries/instance_columns.sql
	sqlInstanceColumns string
	//go:embed queries/signal_columns.sql
	sqlSignalColumns string
)

func instanceQuery(query string) string {
	return strings.Replace(query, " /*columns*/", "\n"+strings.TrimRight(sqlInstanceColumns, "\n"), 1)
}

func signalQuery(query string) string {
	return strings.Replace(query, " /*columns*/", "\n"+strings.TrimRight(sqlSignalColumns, "\n"), 1)
}

// scanInstance reads a row of instance_columns.sql.
func scanInstance(rows driver.Rows) (flows.InstanceRecord, error) {
	var (
		r                                       flows.InstanceRecord
		state, reason, amount                   string
		stuckSince, started, last, ended, for64 int64
		asOf                                    int64
		steps, systems, deviations              []string
		due, deadlines                          []int64
		heldSince, heldUntil, first, pathFor    int64
		expected, seen                          []uint32
	)
	err := rows.Scan(
		&r.Flow, &r.Version, &r.Key, &state, &reason, &r.ReasonStep, &r.System, &stuckSince, &for64, &r.Recovered,
		&started, &last, &ended, &r.EndStep, &steps, &systems, &due, &deadlines, &r.Path, &deviations, &r.Conforming,
		&amount, &r.Currency, &r.Segments, &asOf, &r.Imported,
		&r.Hold, &heldSince, &heldUntil, &r.Reopened, &expected, &seen, &first, &pathFor,
	)
	if err != nil {
		return r, fmt.Errorf("scan an instance: %w", err)
	}
	r.Key, r.Environment = flows.SplitInstanceKey(r.Key)
	var known bool
	if r.State, known = flows.ParseState(state); !known {
		return r, fmt.Errorf("instance %s of %s has the state %q, which this program does not know", r.Key, r.Flow, state)
	}
	r.Reason, r.StuckSince, r.StuckFor = flows.Reason(reason), flows.Time(stuckSince), time.Duration(for64)
	r.StartedAt, r.LastAt, r.EndedAt, r.AsOf = flows.Time(started), flows.Time(last), flows.Time(ended), flows.Time(asOf)
	r.FirstAt, r.PathFor = flows.Time(first), time.Duration(pathFor)
	r.HeldSince, r.HeldUntil = flows.Time(heldSince), flows.Time(heldUntil)
	for i := range steps {
		r.WaitingOn = append(r.WaitingOn, flows.WaitingRecord{
			Step: steps[i], System: systems[i], DueAt: flows.Time(due[i]), Deadline: flows.Time(deadlines[i]),
			Expected: max(1, int(expected[i])), Seen: int(seen[i]),
		})
	}
	for _, d := range deviations {
		r.Deviations = append(r.Deviations, flows.Deviation(d))
	}
	if amount != "" {
		exact, err := decimal.NewFromString(amount)
		if err != nil {
			return r, fmt.Errorf("amount %q of instance %s of %s: %w", amount, r.Key, r.Flow, err)
		}
		r.Amount = flows.NewAmount(exact)
	}
	return r, nil
}

// collectSignals reads all rows of signal_columns.sql, which scanSignal knows.
func collectSignals(rows driver.Rows) ([]flows.Signal, error) {
	signals := []flows.Signal{}
	err := eachSignal(rows, func(g flows.Signal) error {
		signals = append(signals, g)
		return nil
	})
	return signals, err
}
