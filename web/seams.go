package web

import (
	"context"
	"time"

	"throughline/flows"
)

// History answers from what is stored. Its errors: flows.ErrNotFound, *flows.InputError,
// and everything else for "cannot answer now".
type History interface {
	// Health are the numbers of f for a window; segment is "" or "name:value".
	Health(ctx context.Context, f *flows.Flow, w flows.Window, segment string) (flows.Health, error)
	Instances(ctx context.Context, f *flows.Flow, q flows.InstanceQuery) (flows.InstancePage, error)
	// Instance judges at an instant in hindsight, or now where at is NoTime.
	Instance(ctx context.Context, f *flows.Flow, key string, at flows.Time) (flows.InstanceDetail, error)
	// Variants and DirectlyFollows take NoTime for "no bound".
	Variants(ctx context.Context, f *flows.Flow, from, to flows.Time, limit int) (flows.Variants, error)
	DirectlyFollows(ctx context.Context, f *flows.Flow, from, to flows.Time) (flows.DirectlyFollows, error)
	// Timeline lists the signals of a key and its linked keys by time, with a cursor for the
	// next page. Links do not lead through the primary keys of all flows.
	Timeline(ctx context.Context, all []*flows.Flow, key flows.Key, limit int, cursor string) ([]flows.Signal, string, error)
	// Search finds instances and keys of all flows; flows are found here, by those who know them.
	Search(ctx context.Context, all []*flows.Flow, text string, limit int) (flows.Found, error)
	// SignalNames lists the names that signals received since then carried, latest first.
	SignalNames(ctx context.Context, since flows.Time, limit int) ([]flows.SeenSignal, error)

	// Tries, Shared and Failures are evidence of why a step does not come.
	Tries(ctx context.Context, m flows.Match, from, since flows.Time) ([]flows.Tries, error)
	Shared(ctx context.Context, f *flows.Flow, step string, since flows.Time) ([]flows.SharedValue, error)
	Failures(ctx context.Context, traces []string) (map[string]string, error) // by flows.Signal.ID of a span
	// Releases are the versions that services came to send as, the latest first.
	Releases(ctx context.Context) ([]flows.Release, error)
	// FlowTexts are the versions of a flow's file that ran, the last loaded first.
	FlowTexts(ctx context.Context, flow string, limit int) ([]flows.FlowText, error)
	// Systems tells what arrived from each system in [from, to), and when those of asked that
	// were silent were heard last.
	Systems(ctx context.Context, asked []string, from, to flows.Time) ([]flows.SystemTraffic, error)
	SystemNames(ctx context.Context, system string, since flows.Time, limit int) ([]flows.SeenSignal, error)
	// Series counts what started and ended in each bucket of [from, to).
	Series(ctx context.Context, f *flows.Flow, from, to flows.Time, bucket time.Duration) (flows.Series, error)
	// Usual is how f usually is in an hour.
	Usual(ctx context.Context, f *flows.Flow, hours flows.UsualHours) (flows.Usual, error)
}

// Rules are the flow files as they are in force now.
type Rules interface {
	Set() *flows.Set       // never nil
	Faults() []flows.Fault // of the files that were refused
	// System is what systems.yaml says of a system; nil for nothing.
	System(name string) *flows.System
	Source(flow string) string // text of the flow's file; "" where there is none
	File(flow string) string   // its name below the config folder; "" where there is none
	// Draft is the file of a flow as it stands, where it is refused; of a file that never ran
	// the flow is named as the file. Empty where nothing is refused.
	Draft(flow string) (file, text string)
	// Check says what would be wrong with a text of at most flows.MaxFlowBytes.
	Check(file string, text []byte) []flows.Fault
}

// Part is one part of the process as /readyz tells of it.
type Part struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"` // false makes the whole not ready to take signals
	State  string `json:"state"` // a word: ok, restoring, away
	Detail string `json:"detail"`
}

// Intake is what was ever accepted, for the first-run page and the live indicator.
type Intake struct {
	Accepted uint64     // signals since the data folder was made
	Last     flows.Time // when the last one arrived; NoTime for never or not known
}
