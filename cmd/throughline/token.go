package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"throughline/web/auth"
)

// tokenVariable holds the token with which commands ask a server that wants one.
const tokenVariable = "THROUGHLINE_TOKEN"

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token, and print it: once, it is kept nowhere."`
	List   tokenListCmd   `cmd:"" help:"List the tokens, without their secrets."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token, and the sessions that began with it."`
}

// tokenPlace says where the tokens are: on a running server, or in a data folder, where a
// server that runs sees a change within a second.
type tokenPlace struct {
	settingsFlags
	Server string `help:"URL of a running Throughline (THROUGHLINE_TOKEN: a token of scope admin); without it the data folder is used, running or not."`
}

type tokenCreateCmd struct {
	tokenPlace
	Name   string `help:"Who or what will use it." required:""`
	Scope  string `help:"What it is for: ingest (send), read (look), operate (read; acknowledge, resolve, import), admin (all)." required:"" enum:"ingest,read,operate,admin"`
	System string `help:"Scope ingest: the one system (service.name, source) whose signals it may send."`
	Rate   int    `help:"Scope ingest: signals a second that it may send; 0 for no limit."`
}

// Help is shown below the flags.
func (tokenCreateCmd) Help() string {
	return "Examples:\n  throughline token create --name webshop --scope ingest\n" +
		"  throughline token create --name carrier --scope ingest --system carrier --rate 500\n" +
		"  throughline token create --name anna --scope operate --server https://throughline.example.com"
}

// Run is the command. The token alone is on stdout, for scripts.
func (c *tokenCreateCmd) Run(w *world) error {
	want := auth.Token{Name: c.Name, Scope: auth.Scope(c.Scope), System: c.System, Rate: c.Rate}
	if err := want.Check(); err != nil {
		return usage("%w", err)
	}
	var made auth.Created
	if c.Server != "" {
		if err := c.ask(w, http.MethodPost, "", want, &made); err != nil {
			return err
		}
	} else {
		tokens, err := c.open(w)
		if err != nil {
			return err
		}
		if made.Plain, made.Token, err = tokens.Create(want, time.Now()); err != nil {
			return err //nolint:wrapcheck // a sentence for the user
		}
	}
	fmt.Fprintf(w.stderr, "token %s (%s), scope %s. Keep it now: it is shown this once.\n", made.Name, made.ID, made.Scope)
	fmt.Fprintln(w.stdout, made.Plain)
	return nil
}

type tokenListCmd struct {
	tokenPlace
	JSON bool `help:"Print JSON."`
}

// Help is shown below the flags.
func (tokenListCmd) Help() string { return "Example:\n  throughline token list" }

// Run is the command.
func (c *tokenListCmd) Run(w *world) error {
	var answer struct {
		Tokens []auth.Token `json:"tokens"`
	}
	if c.Server != "" {
		if err := c.ask(w, http.MethodGet, "", nil, &answer); err != nil {
			return err
		}
	} else {
		tokens, err := c.open(w)
		if err != nil {
			return err
		}
		answer.Tokens = tokens.List()
	}
	if c.JSON {
		return json.NewEncoder(w.stdout).Encode(answer) //nolint:wrapcheck // writing to stdout
	}
	table := tabwriter.NewWriter(w.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tID\tSCOPE\tSYSTEM\tSIGNALS/S\tCREATED")
	for _, t := range answer.Tokens {
		rate := "any"
		if t.Rate > 0 {
			rate = strconv.Itoa(t.Rate)
		}
		system := t.System
		if system == "" {
			system = "any"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.ID, t.Scope, system, rate, t.Created.UTC().Format(time.RFC3339))
	}
	return table.Flush() //nolint:wrapcheck // writing to stdout
}

type tokenRevokeCmd struct {
	tokenPlace
	Token string `arg:"" help:"Name or id of the token."`
}

// Help is shown below the flags.
func (tokenRevokeCmd) Help() string { return "Example:\n  throughline token revoke webshop" }

// Run is the command.
func (c *tokenRevokeCmd) Run(w *world) error {
	var gone auth.Token
	if c.Server != "" {
		if err := c.ask(w, http.MethodDelete, c.Token, nil, &gone); err != nil {
			return err
		}
	} else {
		tokens, err := c.open(w)
		if err != nil {
			return err
		}
		if gone, err = tokens.Revoke(c.Token); err != nil {
			return err //nolint:wrapcheck // a sentence for the user
		}
	}
	fmt.Fprintf(w.stdout, "token %s (%s) is revoked\n", gone.Name, gone.ID)
	return nil
}

func (p *tokenPlace) open(w *world) (*auth.Tokens, error) {
	c, err := p.load(w)
	if err != nil {
		return nil, err
	}
	return auth.OpenTokens(c.DataDir) //nolint:wrapcheck // says what it was doing
}

// ask makes one call of /api/v1/tokens.
func (p *tokenPlace) ask(w *world, method, token string, body, to any) error {
	server, err := url.Parse(p.Server)
	if err != nil || server.Host == "" {
		return usage("--server %q: write it like http://127.0.0.1:8080", p.Server)
	}
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	target := server.JoinPath("api/v1/tokens")
	if token != "" {
		target = target.JoinPath(url.PathEscape(token))
	}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(sent))
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	w.authorize(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return unreachable("token: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // its end was read
	if response.StatusCode >= http.StatusMultipleChoices {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || problem.Detail == "" {
			return fmt.Errorf("token: the server answered %s", response.Status)
		}
		if response.StatusCode == http.StatusUnauthorized {
			problem.Detail += " Put one of scope admin into " + tokenVariable + "."
		}
		return errors.New(problem.Detail)
	}
	if err := json.NewDecoder(response.Body).Decode(to); err != nil {
		return fmt.Errorf("token: read the answer: %w", err)
	}
	return nil
}

// authorize puts the user's token, where there is one, on a request to a server.
func (w *world) authorize(r *http.Request) {
	if token := w.getenv(tokenVariable); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
}
