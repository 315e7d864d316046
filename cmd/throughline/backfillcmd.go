package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"throughline/flows"
	"throughline/flows/store/chdb"
)

// serveBackfill is POST and GET /api/v1/flows/{flow}/backfill; the body of POST is
// {"since": T}, or empty for all.
func (a *app) serveBackfill(w http.ResponseWriter, r *http.Request) {
	flow, status := r.PathValue("flow"), http.StatusOK
	var answer any
	var err error
	if _, ok := a.rules.Set().Flow(flow); !ok {
		status, err = http.StatusNotFound, fmt.Errorf("no flow %q; GET /api/v1/flows lists what there is", flow)
	} else if r.Method == http.MethodGet {
		answer = a.backfills.state(flow)
	} else if since, bad := readSince(w, r); bad != nil {
		status, err = http.StatusBadRequest, bad
	} else {
		answer, err = a.startBackfill(r.Context(), flow, since)
		switch {
		case err == nil:
			status = http.StatusAccepted
		case errors.Is(err, errBackfillRuns):
			status = http.StatusConflict
		default:
			status = http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		answer = map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": err.Error()}
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.log.DebugContext(r.Context(), "answer backfill", "error", err)
	}
}

const maxBackfillBody = 4 << 10

func readSince(w http.ResponseWriter, r *http.Request) (flows.Time, error) {
	body := struct {
		Since flows.Time `json:"since"`
	}{flows.NoTime}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBackfillBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf(`the body is not what is asked for (%w); send {"since": "2026-11-01T00:00:00Z"}, or nothing for all`, err)
	}
	return body.Since, nil
}

type backfillCmd struct {
	settingsFlags
	Flow   string `arg:"" help:"Flow whose ended instances are folded by the version of its file in force."`
	Since  string `help:"Only instances that ended since then, as 2026-11-01 or 2026-11-01T08:00:00Z (default: all)."`
	Server string `help:"URL of a running Throughline; without it the data folder is opened here."`
}

// Help is shown below the flags.
func (backfillCmd) Help() string {
	return "When a flow file changes, instances that ended keep the version under which they did. This folds them by the version in force,\n" +
		"from their stored signals, while live traffic goes on. Interrupted, it goes on with the next start; done twice, it changes nothing.\n\n" +
		"Examples:\n  throughline backfill order-to-cash --server http://127.0.0.1:8080\n" +
		"  throughline backfill order-to-cash --since 2026-11-01"
}

// Run is the command.
func (b *backfillCmd) Run(w *world) error {
	since, err := parseSince(b.Since)
	if err != nil {
		return err
	}
	var done backfillState
	if b.Server != "" {
		done, err = b.ask(w, since)
	} else {
		done, err = b.here(w, since)
	}
	if err != nil {
		return err
	}
	if done.State != backfillDone {
		return fmt.Errorf("backfill %s: %s", b.Flow, done.Error)
	}
	fmt.Fprintf(w.stdout, "%s: %d ended instances are of version %s now", done.Flow, done.Done-done.Missing, done.Version)
	if done.Missing > 0 {
		fmt.Fprintf(w.stdout, "; %d stay as they are, since their signals are not kept any more", done.Missing)
	}
	fmt.Fprintln(w.stdout)
	return nil
}

func parseSince(text string) (flows.Time, error) {
	if text == "" {
		return flows.NoTime, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			if err := flows.CheckRange(at); err != nil {
				return 0, usage("--since %q: %w", text, err)
			}
			return flows.At(at), nil
		}
	}
	return 0, usage("--since %q: write a day or an instant, as 2026-11-01 or 2026-11-01T08:00:00Z", text)
}

// follow shows the progress until it has ended.
func (b *backfillCmd) follow(w *world, s backfillState, state func() (backfillState, error)) (backfillState, error) {
	bar := newBar(w.stderr, "folding "+b.Flow, int64(s.Total))
	defer bar.end()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for s.State == backfillRunning {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			return s, fmt.Errorf("backfill: %w", w.ctx.Err())
		}
		var err error
		if s, err = state(); err != nil {
			return s, err
		}
		bar.set(int64(s.Done))
	}
	return s, nil
}

// here opens the data folder for the time of the backfill.
func (b *backfillCmd) here(w *world, since flows.Time) (s backfillState, err error) {
	c, err := b.load(w)
	if err != nil {
		return s, err
	}
	a, err := open(w.ctx, c, w.getenv, w.log(level(false)+4))
	if errors.Is(err, chdb.ErrInUse) {
		return s, fmt.Errorf("%w; or ask the one that runs: --server URL", err)
	}
	if err != nil {
		return s, unreachable("%w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if _, ok := a.rules.Set().Flow(b.Flow); !ok {
		return s, fmt.Errorf("no flow %q in %s", b.Flow, a.config.ConfigDir)
	}
	// What was written by then is compared: a file may have changed since the last run.
	if err := a.await(w.ctx, func(r *runner) bool { return !r.restoring && r.engine.Owed() == 0 && !r.writer.busy }); err != nil {
		return s, err
	}
	if s, err = a.startBackfill(w.ctx, b.Flow, since); err != nil && !errors.Is(err, errBackfillRuns) {
		return s, unreachable("backfill: %w", err)
	}
	return b.follow(w, s, func() (backfillState, error) { return a.backfills.state(b.Flow), nil })
}

// ask has a running server do it.
func (b *backfillCmd) ask(w *world, since flows.Time) (backfillState, error) {
	server, err := url.Parse(b.Server)
	if err != nil || server.Host == "" {
		return backfillState{}, usage("--server %q: write it like http://127.0.0.1:8080", b.Server)
	}
	target := server.JoinPath("api/v1/flows", b.Flow, "backfill").String()
	body, err := json.Marshal(map[string]flows.Time{"since": since})
	if err != nil {
		return backfillState{}, fmt.Errorf("backfill: %w", err)
	}
	s, err := backfillCall(w, http.MethodPost, target, body)
	if err != nil {
		return s, err
	}
	return b.follow(w, s, func() (backfillState, error) { return backfillCall(w, http.MethodGet, target, nil) })
}

func backfillCall(w *world, method, target string, body []byte) (s backfillState, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return s, fmt.Errorf("backfill: %w", err)
	}
	w.authorize(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, unreachable("backfill: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // its end was read
	if response.StatusCode >= http.StatusBadRequest {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
			return s, fmt.Errorf("backfill: the server answered %s", response.Status)
		}
		return s, errors.New(problem.Detail)
	}
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("backfill: read the answer: %w", err)
	}
	return s, nil
}
