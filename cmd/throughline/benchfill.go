package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"throughline/cmd/throughline/bench"
	"throughline/flows"
	"throughline/flows/store"
	"throughline/flows/store/chdb"
	"throughline/migrations"
)

type benchFillCmd struct {
	settingsFlags
	Stored int64         `help:"Signals to make, five for each case." default:"100000000"`
	Over   time.Duration `help:"How long ago the first of them came." default:"720h"`
	Print  bool          `help:"Print the flow file of the history, for config_dir/flows, and end."`
}

// Help is shown below the flags.
func (benchFillCmd) Help() string {
	return "ClickHouse makes them itself, as if they had come, ended and left the engine's memory up to four hours ago: some 100 bytes of disk each.\n" +
		"For a data folder that nobody uses otherwise, in which the flow ran before. Begun again it goes on where it ended.\n\n" +
		"Examples:\n  throughline bench fill --print > config/flows/bench-stored.yaml\n  throughline serve --data-dir D   # with some events of `bench ingest events`; end it after 10 s\n" +
		"  throughline bench fill --data-dir D --stored 100000000"
}

const (
	fillCases = 200_000       // of one statement
	fillEnds  = 4 * time.Hour // before now: what is younger, a restart expects in the engine's state
)

// Run is the command.
func (b *benchFillCmd) Run(w *world) (err error) {
	if b.Print {
		_, err := w.stdout.Write(bench.StoredFile)
		return err //nolint:wrapcheck // writing to stdout
	}
	if b.Stored < 5 || b.Stored > 10_000_000_000 || b.Over <= 2*fillEnds {
		return usage("--stored must be from 5 to 10000000000, --over longer than %s", 2*fillEnds)
	}
	flow, faults := flows.Parse("bench-stored.yaml", bench.StoredFile)
	if len(faults) > 0 {
		return fmt.Errorf("bench fill: %v", faults)
	}
	c, err := b.load(w)
	if err != nil {
		return err
	}
	a := newApp(w.ctx, c, w.log(slog.LevelWarn))
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.openClickHouse(w.ctx, w.getenv(libVariable)); errors.Is(err, chdb.ErrInUse) {
		return err
	} else if err != nil {
		return unreachable("%w", err)
	}
	if _, err := migrations.Up(w.ctx, a.store.Root(), migrations.Options{Database: a.store.Database(), Cluster: a.store.Cluster()}); err != nil {
		return unreachable("apply schema: %w", err)
	}
	began := time.Now()
	generation, err := generationToFill(w.ctx, a, flow)
	if err != nil {
		return err
	}
	cases := b.Stored / 5
	bar := newBar(w.stderr, "filling", cases)
	defer bar.end()
	from, since, err := filled(w.ctx, a)
	if err != nil {
		return unreachable("bench fill: %w", err)
	}
	if since.Unix() == 0 {
		since = began.Add(-b.Over)
	}
	f := filling{a.store, flow, generation, cases, since.UnixNano(), (b.Over - fillEnds).Nanoseconds()}
	for ; from < cases; from += fillCases {
		n := min(fillCases, cases-from)
		if err := f.fill(w.ctx, from, n); err != nil {
			return unreachable("bench fill: %w", err)
		}
		bar.set(from + n)
	}
	fmt.Fprintf(w.stdout, "%d signals, %d cases in %s\n", 5*cases, cases, time.Since(began).Round(time.Second))
	return nil
}

// filling is what cases are made by.
type filling struct {
	store       *store.Store
	flow        *flows.Flow
	generation  uint64 // of the roll-ups that count
	cases       int64  // all
	since, span int64  // in nanoseconds: when the first begins, and for how long others do
}

// filled is how many cases are there already, and when the first began, 1970 for none: an end half-way is no loss.
func filled(ctx context.Context, a *app) (cases int64, since time.Time, err error) {
	query := "SELECT (SELECT toInt64(count()) FROM db.instances WHERE flow = 'bench-stored' AND state = 'completed')," +
		" (SELECT min(time) FROM db.signals WHERE name = 'bench.begun' AND time < {ends:DateTime64(9)})"
	ctx = driver.Context(ctx, driver.WithParameters(driver.Parameters{"ends": fmt.Sprint(time.Now().Add(-fillEnds).Unix())}))
	row := a.store.Root().QueryRow(ctx, strings.ReplaceAll(query, "db.", a.store.Database()+"."))
	if err := row.Scan(&cases, &since); err != nil {
		return 0, since, fmt.Errorf("look for what is there: %w", err)
	}
	return cases - cases%fillCases, since, nil
}

// fill makes count cases from the from-th on.
func (f *filling) fill(ctx context.Context, from, count int64) error {
	set := driver.Context(ctx, driver.WithSettings(driver.Settings{"max_threads": 1}), driver.WithParameters(driver.Parameters{
		"from": fmt.Sprint(from), "count": fmt.Sprint(count), "total": fmt.Sprint(f.cases), "version": f.flow.Version,
		"since": fmt.Sprint(f.since), "span": fmt.Sprint(f.span),
	}))
	for i, statement := range strings.Split(strings.ReplaceAll(bench.FillSQL, "/*database*/", f.store.Database()), ";") {
		if err := f.store.Root().Exec(set, statement); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		if i == 0 { // once signals say when the first began, and before instances say that it is done
			if err := f.roll(ctx, from, count); err != nil {
				return err
			}
		}
	}
	return nil
}
