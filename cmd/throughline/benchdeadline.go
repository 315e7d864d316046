package main

import (
	"net/url"
	"time"

	"throughline/cmd/throughline/bench"
)

type benchDeadlineCmd struct {
	Server      string        `help:"URL of a running Throughline that has the flow." default:"http://127.0.0.1:8080"`
	Rate        float64       `help:"Signals a second, six a case." default:"10000"`
	Duration    time.Duration `help:"How long to send, at most 1h." default:"30s"`
	Batch       int           `help:"Signals a request, at most 10000." default:"100"`
	Missing     int           `help:"How many of so many cases as a request has signals miss the limit." default:"10"`
	Connections int           `help:"Connections, each with one request under way; at most 256." default:"8"`
	Token       string        `help:"Token of scope admin, where the server asks for one." env:"THROUGHLINE_TOKEN"`
	Print       bool          `help:"Print the flow file that the server needs in config_dir/flows, and end."`
	JSON        bool          `help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (benchDeadlineCmd) Help() string {
	return "Nothing else should send to that flow meanwhile; what earlier runs left in it is counted off. A limit is 5s.\n\n" +
		"Examples:\n  throughline bench deadline --print > config/flows/bench-late.yaml\n  throughline bench deadline --rate 10000 --duration 30s"
}

// Run is the command.
func (b *benchDeadlineCmd) Run(w *world) error {
	if b.Print {
		_, err := w.stdout.Write(bench.LateFile)
		return err //nolint:wrapcheck // writing to stdout
	}
	switch server, err := url.Parse(b.Server); {
	case err != nil || server.Host == "":
		return usage("--server %q: write it like http://127.0.0.1:8080", b.Server)
	case b.Rate <= 0 || b.Duration <= 0 || b.Duration > time.Hour:
		return usage("--rate must be above 0, --duration above 0 and at most 1h")
	case b.Batch < 2 || b.Batch > 10_000 || b.Missing < 1 || b.Missing >= b.Batch:
		return usage("--batch must be from 2 to 10000, --missing from 1 to one less than it")
	case b.Connections < 1 || b.Connections > 256:
		return usage("--connections must be from 1 to 256")
	}
	report, err := bench.Late(w.ctx, bench.LateConfig{
		HTTP: b.Server, Rate: b.Rate, Duration: b.Duration, Batch: b.Batch, Missing: b.Missing,
		Connections: b.Connections, Token: b.Token, Patience: 10 * time.Second,
	})
	if err != nil {
		return unreachable("%w", err)
	}
	return printReport(w, b.JSON, report)
}
