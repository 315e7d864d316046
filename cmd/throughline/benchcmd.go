package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"throughline/cmd/throughline/bench"
)

type benchCmd struct {
	Live benchLiveCmd `cmd:"" help:"Measure the time from sending an event to seeing it on a websocket."`
}

type benchLiveCmd struct {
	Server   string        `help:"URL of a running Throughline that has the flow." default:"http://127.0.0.1:8080"`
	Rate     float64       `help:"Events a second." default:"1000"`
	Duration time.Duration `help:"How long to send." default:"20s"`
	Batch    int           `help:"Events a request." default:"1"`
	Print    bool          `help:"Print the flow file that the server needs in config_dir/flows, and end."`
	JSON     bool          `help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (benchLiveCmd) Help() string {
	return "Examples:\n  throughline bench live --print > config/flows/bench.yaml\n  throughline bench live --rate 1000 --duration 20s"
}

// Run is the command.
func (b *benchLiveCmd) Run(w *world) error {
	if b.Print {
		_, err := w.stdout.Write(bench.FlowFile)
		return err //nolint:wrapcheck // writing to stdout
	}
	server, err := url.Parse(b.Server)
	if err != nil || server.Host == "" {
		return usage("--server %q: write it like http://127.0.0.1:8080", b.Server)
	}
	report, err := bench.Live(w.ctx, bench.LiveConfig{HTTP: server.Host, Rate: b.Rate, Duration: b.Duration, Batch: b.Batch})
	if err != nil {
		return unreachable("bench: %w", err)
	}
	if b.JSON {
		return json.NewEncoder(w.stdout).Encode(report)
	}
	fmt.Fprintln(w.stdout, report)
	return nil
}
