package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"throughline/cmd/throughline/simulate"
)

type demoCmd struct {
	settingsFlags
	Rate    float64 `help:"Cases begun a second, all flows together." default:"3"`
	Seed    uint64  `help:"Same seed, same decisions." default:"1"`
	Verbose bool    `help:"Log more."`
}

// Help is shown below the flags.
func (demoCmd) Help() string {
	return "Without --data-dir the data lives in a folder that is removed at the end.\nExample:\n  throughline demo"
}

// Run is the command.
func (d *demoCmd) Run(w *world) (err error) {
	if d.DataDir == "" {
		if d.DataDir, err = os.MkdirTemp("", "throughline-demo-"); err != nil {
			return fmt.Errorf("make demo folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.DataDir)) }()
	}
	if d.ConfigDir == "" {
		d.ConfigDir = filepath.Join(d.DataDir, "config")
	}
	c, err := d.load(w)
	if err != nil {
		return err
	}
	if c.Auth.Mode != authNone || c.TLS.on() {
		return usage("the demo sends without a token and in the clear, to loopback addresses; leave auth.mode at none, and tls out")
	}
	if err := installExamples(c.ConfigDir); err != nil {
		return err
	}
	log := w.log(slog.LevelWarn)
	if d.Verbose {
		log = w.log(slog.LevelInfo)
	}
	// The traffic ends first: it sends what is under way to a server that still listens.
	ctx, stop := context.WithCancel(context.WithoutCancel(w.ctx))
	defer stop()
	trafficCtx, stopTraffic := context.WithCancel(w.ctx)
	defer stopTraffic()
	var traffic sync.WaitGroup
	var simulated error
	err = serve(ctx, c, w.getenv, log, func(line readyLine) error {
		fmt.Fprintf(w.stderr, "\nThroughline is running a demo at http://%s\n"+
			"Orders, purchases and patients are on their way; faults come within two minutes. Ctrl-C ends it.\n\n", line.HTTP)
		traffic.Go(func() {
			defer stop()
			simulated = simulate.Run(trafficCtx, simulate.Config{
				HTTP: line.HTTP, OTLPGRPC: line.OTLPGRPC, Rate: d.Rate, Seed: d.Seed, Log: log,
			})
		})
		return printReady(w.stdout)(line)
	})
	stopTraffic()
	traffic.Wait()
	return errors.Join(err, simulated)
}

// installExamples puts the example flows into config_dir, beside what is there.
func installExamples(configDir string) error {
	dir := filepath.Join(configDir, "flows")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("install example flows: %w", err)
	}
	examples, err := simulate.Flows()
	if err != nil {
		return fmt.Errorf("install example flows: %w", err)
	}
	entries, err := fs.ReadDir(examples, ".")
	if err != nil {
		return fmt.Errorf("install example flows: %w", err)
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(examples, entry.Name())
		if err != nil {
			return fmt.Errorf("install example flows: %w", err)
		}
		if err := writeNew(filepath.Join(dir, entry.Name()), content); err != nil {
			return fmt.Errorf("install example flows: %w", err)
		}
	}
	return nil
}

// writeNew writes a file unless it is there: a person may have changed it.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // names the file already
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}
