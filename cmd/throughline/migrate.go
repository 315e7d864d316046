package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"throughline/flows/store/chdb"
	"throughline/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is missing."`
	Status migrateStatusCmd `cmd:"" help:"List what is applied."`
}

type migrateUpCmd struct{ settingsFlags }

// Help is shown below the flags.
func (migrateUpCmd) Help() string {
	return "serve applies the schema by itself. Example:\n  throughline migrate up --config throughline.yaml"
}

// Run is the command.
func (m *migrateUpCmd) Run(w *world) error {
	return withSchema(w, &m.settingsFlags, func(ctx context.Context, a *app, o migrations.Options) error {
		applied, err := migrations.Up(ctx, a.store.Root(), o)
		if err != nil {
			return unreachable("apply schema: %w", err)
		}
		for _, name := range applied {
			fmt.Fprintln(w.stdout, "applied", name)
		}
		fmt.Fprintf(w.stdout, "%d applied, the schema is current\n", len(applied))
		return nil
	})
}

type migrateStatusCmd struct{ settingsFlags }

// Help is shown below the flags.
func (migrateStatusCmd) Help() string {
	return "Example:\n  throughline migrate status --config throughline.yaml"
}

// Run is the command.
func (m *migrateStatusCmd) Run(w *world) error {
	return withSchema(w, &m.settingsFlags, func(ctx context.Context, a *app, o migrations.Options) error {
		list, err := migrations.Status(ctx, a.store.Root(), o)
		if err != nil {
			return unreachable("read schema: %w", err)
		}
		table := tabwriter.NewWriter(w.stdout, 0, 8, 2, ' ', 0)
		for _, one := range list {
			state := "missing"
			if !one.Applied.IsZero() {
				state = one.Applied.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(table, "%s\t%s\n", one.Name, state)
		}
		return table.Flush()
	})
}

// withSchema opens ClickHouse alone, embedded or external, and closes it again.
func withSchema(w *world, flags *settingsFlags, do func(context.Context, *app, migrations.Options) error) (err error) {
	c, err := flags.load(w)
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
	return do(w.ctx, a, migrations.Options{Database: a.store.Database(), Cluster: a.store.Cluster()})
}
