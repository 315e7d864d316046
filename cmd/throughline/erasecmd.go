package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"throughline/flows"
	"throughline/flows/store/chdb"
)

// eraseAnswer is what DELETE /api/v1/keys/{key} says.
type eraseAnswer struct {
	State   string `json:"state"`   // done, or running: ask again
	Erased  string `json:"erased"`  // what the key is called now; "" while running
	Signals int    `json:"signals"` // that carried it
}

// eraseAnswersWithin is how long a caller waits before it is told that it goes on.
const eraseAnswersWithin = 45 * time.Second

// serveErase is DELETE /api/v1/keys/{key}, where key is type:value.
func (a *app) serveErase(w http.ResponseWriter, r *http.Request) {
	key, err := a.rules.Set().ErasableKey(r.PathValue("key"))
	if err == nil {
		err = a.rules.Set().Erasable(key)
	}
	if err != nil {
		problem(w, r, http.StatusBadRequest, err.Error())
		return
	}
	by := ""
	if a.guard != nil {
		by = a.guard.Name(r)
	}
	running := a.erase(key, by)
	late := time.NewTimer(eraseAnswersWithin)
	defer late.Stop()
	answer, status := eraseAnswer{State: backfillRunning}, http.StatusAccepted
	select {
	case <-running.done:
		if running.err != nil {
			status, detail := eraseProblem(key, running.err)
			problem(w, r, status, detail)
			return
		}
		answer, status = eraseAnswer{backfillDone, flows.Key{Type: key.Type, Value: running.erasure.Token}.String(), running.erasure.Signals}, http.StatusOK
	case <-late.C:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.log.DebugContext(r.Context(), "answer erase", "error", err)
	}
}

func eraseProblem(key flows.Key, err error) (status int, detail string) {
	switch {
	case errors.Is(err, flows.ErrNotFound):
		return http.StatusNotFound, fmt.Sprintf("No signal carries a key %s of that value. GET /api/v1/search?q= finds keys.", key.Type)
	case errors.Is(err, errCommonKey), errors.Is(err, errBackfilling):
		return http.StatusConflict, err.Error() + "."
	case errors.Is(err, errEraseBusy):
		return http.StatusServiceUnavailable, err.Error() + "."
	}
	return http.StatusServiceUnavailable, "It goes on after the next start: " + err.Error() + "."
}

type eraseCmd struct {
	settingsFlags
	Key    string `arg:"" name:"key" help:"What is to be forgotten, as type:value: customer_id:4711, order_id:A-17."`
	Server string `help:"URL of a running Throughline (THROUGHLINE_TOKEN: a token of scope admin); without it the data folder is opened here."`
}

// Help is shown below the flags.
func (eraseCmd) Help() string {
	return "Its timeline is gone; every count, sum and latency stays what it was. A word that says nothing takes the place of the value, and what\n" +
		"its signals carried besides what flows count by is removed. It cannot be undone. Backups are not changed.\n\n" +
		"Examples:\n  throughline erase customer_id:4711 --server http://127.0.0.1:8080\n  throughline erase order_id:A-17"
}

// Run is the command.
func (c *eraseCmd) Run(w *world) error {
	if _, err := flows.ParseKey(c.Key); err != nil {
		return usage("%w", err)
	}
	var answer eraseAnswer
	var err error
	if c.Server != "" {
		answer, err = c.ask(w)
	} else {
		answer, err = c.here(w)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "erased: it is %s now, in %d signals\n", answer.Erased, answer.Signals)
	return nil
}

// here opens the data folder for the time of it.
func (c *eraseCmd) here(w *world) (answer eraseAnswer, err error) {
	config, err := c.load(w)
	if err != nil {
		return answer, err
	}
	a, err := open(w.ctx, config, w.getenv, w.log(level(false)+4))
	if errors.Is(err, chdb.ErrInUse) {
		return answer, fmt.Errorf("%w; or ask the one that runs: --server URL", err)
	}
	if err != nil {
		return answer, unreachable("%w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	key, err := a.rules.Set().ErasableKey(c.Key)
	if err == nil {
		err = a.rules.Set().Erasable(key)
	}
	if err != nil {
		return answer, usage("%w", err)
	}
	if err := a.await(w.ctx, func(r *runner) bool { return !r.restoring }); err != nil {
		return answer, err
	}
	running := a.erase(key, "")
	select {
	case <-running.done:
	case <-w.ctx.Done():
		return answer, fmt.Errorf("erase: %w; what was begun goes on with the next start", w.ctx.Err())
	}
	if running.err != nil {
		_, detail := eraseProblem(key, running.err)
		return answer, errors.New(detail)
	}
	return eraseAnswer{backfillDone, flows.Key{Type: key.Type, Value: running.erasure.Token}.String(), running.erasure.Signals}, nil
}

// ask has a running server do it.
func (c *eraseCmd) ask(w *world) (answer eraseAnswer, err error) {
	server, err := url.Parse(c.Server)
	if err != nil || server.Host == "" {
		return answer, usage("--server %q: write it like http://127.0.0.1:8080", c.Server)
	}
	target := server.String() + "/api/v1/keys/" + url.PathEscape(c.Key)
	for answer.State != backfillDone {
		if answer, err = eraseCall(w, target); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

func eraseCall(w *world, target string) (answer eraseAnswer, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, 2*eraseAnswersWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, target, nil)
	if err != nil {
		return answer, fmt.Errorf("erase: %w", err)
	}
	w.authorize(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, unreachable("erase: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // its end was read
	if response.StatusCode >= http.StatusBadRequest {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
			return answer, fmt.Errorf("erase: the server answered %s", response.Status)
		}
		if response.StatusCode == http.StatusServiceUnavailable {
			return answer, unreachable("%s", problem.Detail)
		}
		return answer, errors.New(problem.Detail)
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("erase: read the answer: %w", err)
	}
	return answer, nil
}
