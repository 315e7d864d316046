package main

import (
	"context"
	"fmt"
	"time"

	"throughline/flows"
	"throughline/flows/store"
)

// A server rolls up what it stores, so what `bench fill` stores is rolled up too, by the same
// code: as the engine does that has many cases come at once, after having been away.

// storedHandovers are by what the hand-overs of cases differ (bench/fill.sql).
var storedHandovers = [...]int64{48271, 69621, 40692, 16807}

// at is when the events of the n-th case are.
func (f *filling) at(n int64) (at [len(storedHandovers) + 1]flows.Time) {
	at[0] = flows.Time(f.since + n*(f.span/f.cases))
	for i, by := range storedHandovers {
		at[i+1] = at[i].Add(time.Duration(120_000+n*by%240_000) * time.Millisecond)
	}
	return at
}

// rolled are the roll-ups of count cases.
func (f *filling) rolled(from, count int64) []flows.RollUp {
	rolled := flows.NewRollUps(f.flow)
	var in flows.Instance
	var occurrences [len(storedHandovers) + 1]flows.Occurrence
	for n := from; n < from+count; n++ {
		for step, at := range f.at(n) {
			occurrences[step] = flows.Occurrence{Step: step, At: at, Start: at, System: f.flow.Steps[step].System}
		}
		rolled.Change(&in, nil, occurrences[:])
	}
	return rolled.Take()
}

// roll adds the roll-ups of count cases to the generation that counts, once however often it is called.
func (f *filling) roll(ctx context.Context, from, count int64) error {
	changes := f.rolled(from, count)
	rows := make([]store.RollUpRow, len(changes))
	for i, change := range changes {
		rows[i] = store.RollUpRow{Flow: f.flow.Name, Generation: f.generation, RollUp: change}
	}
	return f.store.WriteRollUps(ctx, fmt.Sprintf("rollups:fill:%d:%d", f.generation, from), rows) //nolint:wrapcheck // says what it did
}

// generationToFill is that of the roll-ups that count of a flow.
func generationToFill(ctx context.Context, a *app, f *flows.Flow) (uint64, error) {
	list, err := a.store.RollUpGenerations(ctx)
	if err != nil {
		return 0, fmt.Errorf("bench fill: %w", err)
	}
	for _, g := range list {
		if g.Flow == f.Name && g.Version == f.Version && g.Whole {
			return g.Generation, nil
		}
	}
	return 0, usage("%s did not run here as `throughline bench fill --print` writes it: serve this data folder with that file, send it some events, end it after 10 s", f.Name)
}
