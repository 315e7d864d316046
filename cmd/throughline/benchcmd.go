package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"throughline/cmd/throughline/bench"
)

type benchCmd struct {
	Live     benchLiveCmd     `cmd:"" help:"Measure the time from sending an event to seeing it on a websocket."`
	Pages    benchPagesCmd    `cmd:"" help:"Open the sockets of many pages at once; measure how old numbers are when they come, and the server's effort."`
	Ingest   benchIngestCmd   `cmd:"" help:"Send spans or events for a while; measure what is accepted, what becomes visible, and when."`
	Fill     benchFillCmd     `cmd:"" help:"Make stored history inside ClickHouse, to measure pages over it."`
	Deadline benchDeadlineCmd `cmd:"" help:"Send cases of which some miss a limit; measure the time from the limit to seeing the verdict on a websocket."`
	Open     benchOpenCmd     `cmd:"" help:"Open many instances in a server of its own; measure its memory, a limit that passes for all, and a restart."`
}

type benchIngestCmd struct {
	What        string        `arg:"" enum:"spans,events" help:"spans (OTLP over HTTP) or events (CloudEvents)."`
	Server      string        `help:"URL of a running Throughline." default:"http://127.0.0.1:8080"`
	OTLP        string        `name:"otlp" help:"URL of its OTLP over HTTP, for spans." default:"http://127.0.0.1:4318"`
	Rate        float64       `help:"Signals a second; 0 is as fast as they are answered."`
	Duration    time.Duration `help:"How long to send, at most 1h." default:"10s"`
	Batch       int           `help:"Signals a request, at most 10000." default:"100"`
	Connections int           `help:"Connections, each with one request under way; at most 256." default:"4"`
	Token       string        `help:"Token of scope admin, where the server asks for one: it sends and reads." env:"THROUGHLINE_TOKEN"`
	Flow        string        `help:"Count the instances that the events start in this flow, too (bench for that of bench live --print)."`
	Steps       bool          `help:"Events: six steps a case, the last two by a linked key, for the flow that --steps --print prints; else each event begins a case."`
	Print       bool          `help:"With --steps: print the flow file that the server needs in config_dir/flows, and end."`
	Poll        time.Duration `help:"How often to look at what is visible." default:"25ms"`
	JSON        bool          `help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (benchIngestCmd) Help() string {
	return "What is accepted is durable. What is visible is what ClickHouse has, by the server's metrics: nobody else should send meanwhile.\n\n" +
		"Examples:\n  throughline bench ingest spans --batch 500 --duration 30s\n  throughline bench ingest spans --rate 1000 --batch 50 --poll 10ms\n" +
		"  throughline bench live --print > config/flows/bench.yaml\n  throughline bench ingest events --flow bench --duration 30s\n" +
		"  throughline bench ingest events --steps --print > config/flows/bench-orders.yaml\n  throughline bench ingest events --steps --flow bench-orders --duration 30s"
}

// Run is the command.
func (b *benchIngestCmd) Run(w *world) error {
	if b.Steps && b.Print {
		_, err := w.stdout.Write(bench.OrdersFile)
		return err //nolint:wrapcheck // writing to stdout
	}
	switch {
	case (b.Steps || b.Print) && (b.What != "events" || b.Print):
		return usage("--steps is for events, and --print goes with --steps; bench live --print prints the other flow file")
	case b.Rate < 0 || b.Duration <= 0 || b.Duration > time.Hour:
		return usage("--rate must be 0 or more, --duration above 0 and at most 1h")
	case b.Batch < 1 || b.Batch > 10_000 || b.Connections < 1 || b.Connections > 256:
		return usage("--batch must be from 1 to 10000, --connections from 1 to 256")
	case b.Poll < time.Millisecond:
		return usage("--poll must be 1ms or more")
	case b.Flow != "" && b.What != "events":
		return usage("--flow counts events; leave it out for spans")
	}
	for flag, text := range map[string]string{"--server": b.Server, "--otlp": b.OTLP} {
		if u, err := url.Parse(text); err != nil || u.Host == "" {
			return usage("%s %q: write it like http://127.0.0.1:8080", flag, text)
		}
	}
	report, err := bench.Ingest(w.ctx, bench.IngestConfig{
		HTTP: b.Server, OTLP: b.OTLP, Events: b.What == "events", Rate: b.Rate, Duration: b.Duration, Batch: b.Batch,
		Connections: b.Connections, Token: b.Token, Flow: b.Flow, Steps: b.Steps, Poll: b.Poll, Patience: 30 * time.Second,
	})
	if err != nil {
		return unreachable("%w", err)
	}
	return printReport(w, b.JSON, report)
}

func printReport(w *world, asJSON bool, report any) error {
	if asJSON {
		return json.NewEncoder(w.stdout).Encode(report) //nolint:wrapcheck // writing to stdout
	}
	fmt.Fprintln(w.stdout, report)
	return nil
}

type benchLiveCmd struct {
	Server   string        `help:"URL of a running Throughline that has the flow." default:"http://127.0.0.1:8080"`
	Rate     float64       `help:"Events a second." default:"1000"`
	Duration time.Duration `help:"How long to send." default:"20s"`
	Batch    int           `help:"Events a request." default:"1"`
	Token    string        `help:"Token of scope admin, where the server asks for one." env:"THROUGHLINE_TOKEN"`
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
	report, err := bench.Live(w.ctx, bench.LiveConfig{HTTP: server.Host, Rate: b.Rate, Duration: b.Duration, Batch: b.Batch, Token: b.Token})
	if err != nil {
		return unreachable("bench: %w", err)
	}
	return printReport(w, b.JSON, report)
}

type benchPagesCmd struct {
	Server   string        `help:"URL of a running Throughline." default:"http://127.0.0.1:8080"`
	Sockets  int           `help:"How many pages are open at once, at most 20000." default:"1000"`
	Page     []string      `help:"Path of a page to look at, like /flows/bench; give it again for more. None is a mix of all kinds."`
	Duration time.Duration `help:"How long to look, at most 1h." default:"20s"`
	Token    string        `help:"Token to send with." env:"THROUGHLINE_TOKEN"`
	JSON     bool          `help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (benchPagesCmd) Help() string {
	return "Something else must make the numbers move. Each open page takes a file descriptor here and one in the server.\n\n" +
		"Examples:\n  throughline bench ingest events --flow bench --rate 10000 --duration 60s &\n  throughline bench pages --sockets 1000 --duration 40s\n" +
		"  throughline bench pages --sockets 5000 --page /flows/bench"
}

// Run is the command.
func (b *benchPagesCmd) Run(w *world) error {
	if b.Sockets < 1 || b.Sockets > 20_000 || b.Duration < 2*time.Second || b.Duration > time.Hour {
		return usage("--sockets must be from 1 to 20000, --duration from 2s to 1h")
	}
	if u, err := url.Parse(b.Server); err != nil || u.Host == "" {
		return usage("--server %q: write it like http://127.0.0.1:8080", b.Server)
	}
	report, err := bench.Pages(w.ctx, bench.PagesConfig{HTTP: b.Server, Paths: b.Page, Sockets: b.Sockets, Duration: b.Duration, Token: b.Token})
	if err != nil {
		return unreachable("%w", err)
	}
	return printReport(w, b.JSON, report)
}
