package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// world is what a command gets of its surroundings.
type world struct {
	ctx            context.Context
	getenv         func(string) string
	stdout, stderr io.Writer
}

// log writes to stderr, as text.
func (w *world) log(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: level}))
}

// cli is the command line; each command is one file.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Run Throughline: take signals, keep them, judge flows, serve the pages."`
	Demo     demoCmd     `cmd:"" help:"Run Throughline with simulated traffic of three example flows, faults included."`
	Check    checkCmd    `cmd:"" help:"Check flow files and the configuration; print file:line:col and what to write instead."`
	Test     testCmd     `cmd:"" help:"Run the test cases that stand in the flow files."`
	Import   importCmd   `cmd:"" help:"Load history from an event log (CSV or XES) or from traces and logs (OTLP/JSON), gzip too. The same file twice changes nothing."`
	Backfill backfillCmd `cmd:"" help:"Fold the ended instances of a flow by the version of its file that is in force."`
	Erase    eraseCmd    `cmd:"" help:"Forget a person or a case: its timeline is gone, the counts stay."`
	Token    tokenCmd    `cmd:"" help:"Create, list and revoke the tokens that auth.mode local asks for."`
	Migrate  migrateCmd  `cmd:"" help:"Apply the ClickHouse schema, or show what is applied."`
	Letters  lettersCmd  `cmd:"" name:"dead-letters" help:"List what was set aside because ClickHouse refused it for good, or send it again."`
	Bench    benchCmd    `cmd:"" help:"Measure a running Throughline with real clients."`
}

// run runs one command.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var commands cli
	exited := false
	parser, err := kong.New(&commands,
		kong.Name("throughline"),
		kong.Description("Throughline watches business flows end to end."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }), // after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return fmt.Errorf("build the command line: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return nil
	}
	if err != nil {
		var unknown *kong.ParseError
		if errors.As(err, &unknown) && unknown.Context != nil {
			return usage("%w; see throughline %s --help", err, unknown.Context.Command())
		}
		return usage("%w; see throughline --help", err)
	}
	return parsed.Run(&world{ctx: ctx, getenv: getenv, stdout: stdout, stderr: stderr})
}

// settingsFlags are the flags of commands that run on a configuration.
type settingsFlags struct {
	Config    string `help:"Configuration file (default: throughline.yaml where there is one)." type:"path"`
	DataDir   string `help:"Folder of all data (default: ./data)." type:"path"`
	ConfigDir string `help:"Folder with flows/*.yaml and alertmanager.yml (default: ./config)." type:"path"`
	HTTPAddr  string `name:"http-addr" help:"Address of the UI, API and event ingest (default: 127.0.0.1:8080)."`
}

func (f *settingsFlags) load(w *world) (Config, error) {
	c, err := Load(f.Config, withFlags(w.getenv, map[string]string{
		"data_dir": f.DataDir, "config_dir": f.ConfigDir, "http_addr": f.HTTPAddr,
	}))
	if err != nil {
		return c, &failure{exitInput, err}
	}
	return c, nil
}

type serveCmd struct {
	settingsFlags
	Verbose bool `help:"Log more."`
}

// Help is shown below the flags.
func (serveCmd) Help() string {
	return "Examples:\n  throughline serve\n  throughline serve --data-dir /var/lib/throughline --config throughline.yaml"
}

// Run is the command.
func (s *serveCmd) Run(w *world) error {
	c, err := s.load(w)
	if err != nil {
		return err
	}
	if w.getenv("GOGC") == "" && w.getenv("GOMEMLIMIT") == "" {
		defer paceGC()()
	}
	return serve(w.ctx, c, w.getenv, w.log(level(s.Verbose)), printReady(w.stdout))
}

func level(verbose bool) slog.Level {
	if verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

type checkCmd struct {
	Path string `arg:"" optional:"" help:"A flow file, a configuration folder, or throughline.yaml (default: throughline.yaml, where there is one, and its config_dir)."`
}

// Help is shown below the flags.
func (checkCmd) Help() string {
	return "Examples:\n  throughline check\n  throughline check config/flows/order-to-cash.yaml\n  throughline check /etc/throughline/throughline.yaml"
}

// Run is the command.
func (c *checkCmd) Run(w *world) error {
	path, faults := c.Path, 0
	if path == "" || filepath.Base(path) == configName {
		var err error
		if path, faults, err = checkConfig(path, w.getenv, w.stdout); err != nil {
			return err
		}
	}
	more, err := check([]string{path}, w.stdout)
	if err != nil {
		return err
	}
	if faults += more; faults > 0 {
		return fmt.Errorf("%d found", faults)
	}
	return nil
}
