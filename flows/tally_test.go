package flows

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// healthAt folds histories of one instance each and counts them at a minute.
func healthAt(f *Flow, now Time, histories ...[]Occurrence) Health {
	tally, gauges := NewTally(f), NewGauges(f)
	for _, h := range histories {
		in := f.Fold(slices.Clone(h), now)
		CountInstance(&in, 1, func(Time) *Tally { return tally })
		gauges.Count(&in, now, 1)
	}
	return f.Health(tally, gauges, now, time.Hour, time.Hour)
}

func TestHealthWordIsTheWorstThatHolds(t *testing.T) {
	f := order()
	inTime := []Occurrence{at(0, 0), at(1, 5), at(2, 5)}
	slow := []Occurrence{at(0, 0), at(1, 16), at(2, 17)}
	for _, c := range []struct {
		want      HealthWord
		now       Time
		histories [][]Occurrence
	}{
		{HealthQuiet, 20 * minute, nil},
		{HealthOK, 20 * minute, [][]Occurrence{inTime}},
		{HealthLate, 20 * minute, [][]Occurrence{inTime, slow}},
		{HealthStuck, 20 * minute, [][]Occurrence{slow, {at(0, 0)}}},
	} {
		if got := healthAt(f, c.now, c.histories...).Health; got != c.want {
			t.Errorf("%d instances: %s, want %s", len(c.histories), got, c.want)
		}
	}
}

func TestHealthCountsMoneyExactly(t *testing.T) {
	f := order()
	paid := at(0, 0)
	paid.Currency = "EUR"
	paid.Amount.Valid = true
	paid.Amount.Decimal = paid.Amount.Decimal.Add(dec("0.1"))
	h := healthAt(f, 20*minute, []Occurrence{paid}, []Occurrence{paid}, []Occurrence{paid}, []Occurrence{at(0, 19)})
	if got := inText(h.ValueInFlight); got != `{"EUR":"0.30"}` {
		t.Errorf("in flight %s", got)
	}
	if got := inText(h.ValueAtRisk); got != `{"EUR":"0.30"}` || *h.ValueCoverage != 0.75 || h.Stuck != 3 {
		t.Errorf("at risk %s of %d stuck, coverage %v", got, h.Stuck, *h.ValueCoverage)
	}
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func inText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
