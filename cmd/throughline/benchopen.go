package main

import (
	"os"
	"time"

	"throughline/cmd/throughline/bench"
)

type benchOpenCmd struct {
	Instances int           `help:"How many instances are open at once, at most 5000000." default:"100000"`
	Batch     int           `help:"Events a request, at most 10000." default:"500"`
	Deadline  time.Duration `help:"When all are late, from the start; 0 is enough for 8,000 signals/s and two minutes."`
	JSON      bool          `help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (benchOpenCmd) Help() string {
	return "Starts a server of its own in a temporary folder, opens instances of six signals each, waits until a limit passes for all in the same instant,\n" +
		"stops the server and starts it again. A million instances take some ten minutes and 2 GB of disk.\n\n" +
		"Examples:\n  throughline bench open\n  throughline bench open --instances 1000000"
}

// Run is the command.
func (b *benchOpenCmd) Run(w *world) error {
	if b.Batch < 1 || b.Batch > 10_000 || b.Instances < b.Batch || b.Instances > 5_000_000 || b.Instances%b.Batch != 0 {
		return usage("--batch must be from 1 to 10000, --instances a multiple of it and at most 5000000")
	}
	if b.Deadline == 0 {
		b.Deadline = 2*time.Minute + time.Duration(6*b.Instances/8000)*time.Second
	}
	exe, err := os.Executable()
	if err != nil {
		return err //nolint:wrapcheck // it says what failed
	}
	report, err := bench.Open(w.ctx, bench.OpenConfig{
		Serve: []string{exe, "serve"}, Instances: b.Instances, Batch: b.Batch, Deadline: b.Deadline, Log: w.stderr,
	})
	if err != nil {
		return unreachable("%w", err)
	}
	return printReport(w, b.JSON, report)
}
