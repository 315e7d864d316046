package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"throughline/flows/store"
	"throughline/flows/store/chdb"
	"throughline/ingest/bus"
	"throughline/migrations"
)

// openStore opens ClickHouse, and has the schema applied in the background as soon as it
// answers: an absent ClickHouse keeps nothing else from starting.
func (a *app) openStore(ctx context.Context, lib string) error {
	if err := a.openClickHouse(ctx, lib); err != nil {
		return err
	}
	a.work.Go(a.migrate)
	return nil
}

// openClickHouse starts the embedded ClickHouse, or makes ready to connect to the
// external one.
func (a *app) openClickHouse(ctx context.Context, lib string) error {
	if err := os.MkdirAll(a.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	config, err := a.clickhouse(ctx, lib)
	if err != nil {
		return err
	}
	if a.store, err = store.Open(ctx, config); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	a.onClose("store", func(context.Context) error { return a.store.Close() })
	return nil
}

func (a *app) clickhouse(ctx context.Context, lib string) (store.Config, error) {
	c := a.config.ClickHouse
	if c.Mode == modeExternal {
		password, err := c.Password()
		if err != nil {
			return store.Config{}, err
		}
		config := store.Config{
			Addr: c.Addr, HTTP: c.Protocol == "http", Database: c.Database,
			Username: c.Username, Password: password, Cluster: c.Cluster,
		}
		if c.TLS {
			config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		return config, nil
	}
	path, err := chdb.FindLib(lib)
	if err != nil {
		return store.Config{}, err
	}
	startCtx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	a.engineDB, err = chdb.Start(startCtx, chdb.Options{Lib: path, Dir: filepath.Join(a.config.DataDir, "clickhouse"), Log: a.log})
	if err != nil {
		return store.Config{}, fmt.Errorf("start embedded ClickHouse: %w", err)
	}
	a.onClose("embedded ClickHouse", a.engineDB.Stop)
	return store.Config{
		Addr: []string{a.engineDB.Addr()}, HTTP: true, Database: c.Database, Username: chdb.User, Password: a.engineDB.Password,
	}, nil
}

// migrate tries until the schema is there, then lets those go on who need it.
func (a *app) migrate() error {
	attempt := func() ([]string, error) {
		applied, err := migrations.Up(a.ctx, a.store.Root(), migrations.Options{
			Database: a.store.Database(), Cluster: a.store.Cluster(),
		})
		if err == nil {
			r := a.config.Retention
			err = a.store.SetRetention(a.ctx, store.Retention{Spans: r.Spans, Signals: r.Signals, Instances: r.Instances})
		}
		if err == nil {
			err = a.erased.load(a.ctx, a.store)
		}
		if err != nil && !store.Retryable(err) {
			return nil, backoff.Permanent(err)
		}
		return applied, err
	}
	applied, err := backoff.Retry(a.ctx, attempt, backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		fault := err.Error()
		if a.storeFault.Swap(&fault) == nil {
			a.log.Warn("ClickHouse does not answer: signals are taken and kept on the bus until it does", "error", err)
		}
	}))
	if err != nil {
		if a.ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("apply schema: %w", err)
	}
	if len(applied) > 0 {
		a.log.Info("schema applied", "migrations", len(applied))
	}
	if err := a.store.SetMerges(a.ctx); err != nil { // it spares CPU, no more
		a.log.Warn("tables are merged as often as ClickHouse does by itself", "error", err)
	}
	a.storeFault.Store(nil)
	close(a.migrated)
	return nil
}

// awaitStore waits until the schema is there; false when the process ends first.
func (a *app) awaitStore() bool {
	select {
	case <-a.migrated:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// trim removes from the bus what is stored, and applied by the engine.
func (a *app) trim() error {
	if !a.awaitStore() {
		return nil
	}
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return nil
		}
		written, err := a.store.Checkpoint(a.ctx, engineName)
		if err == nil {
			err = errors.Join(a.bus.Trim(a.ctx, bus.Signals, written), a.bus.Trim(a.ctx, bus.Spans, everything))
		}
		if err != nil && a.ctx.Err() == nil {
			a.log.Warn("bus not trimmed; it is tried again", "error", err)
		}
	}
}

const everything = 1<<64 - 1
