package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"throughline/flows"
	"throughline/ingest/bus"
)

// lettersPath is where the API has the dead letters: what could not be read from the bus,
// or was refused for good by ClickHouse.
const lettersPath = "/api/v1/dead-letters"

type (
	lettersAnswer struct {
		Letters []letterAnswer `json:"letters"`
		Next    string         `json:"next"`
	}
	letterAnswer struct {
		Number  uint64     `json:"number"`
		Stream  string     `json:"stream"`
		From    string     `json:"from"`
		Reason  string     `json:"reason"`
		At      flows.Time `json:"at"`
		Signals int        `json:"signals"`
		Spans   int        `json:"spans"`
		Logs    int        `json:"logs"`
		Fault   string     `json:"fault"` // why it cannot be sent again; "" for one that can
	}
	replayAnswer struct {
		Sent int `json:"sent"`
	}
)

// errEnough ends a list.
var errEnough = errors.New("enough")

// letters lists up to limit letters behind cursor, a number.
func letters(ctx context.Context, b *bus.Bus, cursor uint64, limit int) (lettersAnswer, error) {
	a := lettersAnswer{Letters: []letterAnswer{}}
	err := b.Letters(ctx, cursor, func(l bus.Letter) error {
		if len(a.Letters) == limit {
			a.Next = strconv.FormatUint(a.Letters[limit-1].Number, 10)
			return errEnough
		}
		one := letterAnswer{
			Number: l.Seq, Stream: l.Stream, From: l.From, Reason: l.Reason, At: l.At, Signals: l.Signals, Spans: l.Spans, Logs: l.Logs,
		}
		if l.Fault != nil {
			one.Fault = l.Fault.Error()
		}
		a.Letters = append(a.Letters, one)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return a, fmt.Errorf("list dead letters: %w", err)
	}
	return a, nil
}

// serveLetters is GET lettersPath?limit&cursor and POST lettersPath/replay.
func (a *app) serveLetters(w http.ResponseWriter, r *http.Request) {
	var answer any
	var err error
	status := http.StatusServiceUnavailable
	switch limit, cursor, bad := letterPage(r.URL.Query()); {
	case r.Method == http.MethodPost:
		var done replayAnswer
		done.Sent, err = a.bus.Replay(r.Context())
		answer = done
	case bad != nil:
		status, err = http.StatusBadRequest, bad
	default:
		answer, err = letters(r.Context(), a.bus, cursor, limit)
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		answer = map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": err.Error()}
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.log.DebugContext(r.Context(), "answer dead letters", "error", err)
	}
}

func letterPage(q url.Values) (limit int, cursor uint64, err error) {
	limit = 50
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return 0, 0, fmt.Errorf("limit %q: give a number from 1 to 1000", text)
		}
	}
	if text := q.Get("cursor"); text != "" {
		if cursor, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("cursor %q: give `next` of the answer before", text)
		}
	}
	return limit, cursor, nil
}

type lettersCmd struct {
	settingsFlags
	Server string `help:"URL of a running Throughline; without it the data folder is opened here."`
	Replay bool   `help:"Send them again to where they came from, after what was wrong is mended."`

	authorize func(*http.Request) // of the world that Run was given
}

// Help is shown below the flags.
func (lettersCmd) Help() string {
	return "A dead letter is data that was accepted, and that ClickHouse then refused for good, or that could not be read from the bus.\n" +
		"It is kept on the bus until it is sent again.\n\n" +
		"Examples:\n  throughline dead-letters --server http://127.0.0.1:8080\n  throughline dead-letters --server http://127.0.0.1:8080 --replay"
}

// Run is the command.
func (l *lettersCmd) Run(w *world) error {
	l.authorize = w.authorize
	list, replay := l.asked, l.askedToReplay
	if l.Server == "" {
		c, err := l.load(w)
		if err != nil {
			return err
		}
		a := newApp(w.ctx, c, w.log(level(false)))
		if err := a.openBus(w.ctx); err != nil {
			return unreachable("dead letters: %w", errors.Join(err, a.close()))
		}
		defer func() {
			if err := a.close(); err != nil {
				fmt.Fprintln(w.stderr, err)
			}
		}()
		list = func(ctx context.Context, cursor string) (lettersAnswer, error) {
			after, _ := strconv.ParseUint(cursor, 10, 64) // our own; "" is 0
			return letters(ctx, a.bus, after, 1000)
		}
		replay = a.bus.Replay
	}
	if l.Replay {
		n, err := replay(w.ctx)
		fmt.Fprintf(w.stdout, "%d sent again\n", n)
		if err != nil {
			return unreachable("replay dead letters: %w", err)
		}
		return nil
	}
	return printLetters(w, list)
}

func printLetters(w *world, list func(context.Context, string) (lettersAnswer, error)) error {
	n := 0
	for cursor := ""; ; {
		a, err := list(w.ctx, cursor)
		if err != nil {
			return unreachable("%w", err)
		}
		for _, one := range a.Letters {
			n++
			fmt.Fprintf(w.stdout, "%d  %s  %s: %d signals, %d spans, %d log records: %s\n", one.Number,
				one.At.Std().UTC().Format(time.RFC3339), one.From, one.Signals, one.Spans, one.Logs, one.Reason)
			if one.Fault != "" {
				fmt.Fprintf(w.stdout, "    cannot be sent again: %s\n", one.Fault)
			}
		}
		if cursor = a.Next; cursor == "" {
			break
		}
	}
	fmt.Fprintf(w.stdout, "%d dead letters\n", n)
	return nil
}

// asked is the list of a running server.
func (l *lettersCmd) asked(ctx context.Context, cursor string) (lettersAnswer, error) {
	var a lettersAnswer
	err := l.call(ctx, http.MethodGet, lettersPath+"?limit=1000&cursor="+url.QueryEscape(cursor), &a)
	return a, err
}

func (l *lettersCmd) askedToReplay(ctx context.Context) (int, error) {
	var a replayAnswer
	err := l.call(ctx, http.MethodPost, lettersPath+"/replay", &a)
	return a.Sent, err
}

func (l *lettersCmd) call(ctx context.Context, method, path string, answer any) error {
	server, err := url.Parse(l.Server)
	if err != nil || server.Host == "" {
		return usage("--server %q: write it like http://127.0.0.1:8080", l.Server)
	}
	r, err := http.NewRequestWithContext(ctx, method, server.Scheme+"://"+server.Host+path, nil)
	if err != nil {
		return fmt.Errorf("ask for dead letters: %w", err)
	}
	l.authorize(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask for dead letters: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var problem struct{ Detail string }
		_ = json.NewDecoder(response.Body).Decode(&problem) // the status says it too
		return fmt.Errorf("%s: %s", response.Status, problem.Detail)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
