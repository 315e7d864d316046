package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"throughline/ingest"
	"throughline/web"
	"throughline/web/auth"
)

// openAuth reads the tokens. In mode local nobody comes in without one; in mode none they
// can be created, and wait.
func (a *app) openAuth(context.Context) (err error) {
	if a.tokens, err = auth.OpenTokens(a.config.DataDir); err != nil {
		return err //nolint:wrapcheck // says what it was doing
	}
	if a.config.Auth.Mode == authNone {
		return nil
	}
	a.guard, err = auth.NewGuard(auth.Options{
		Tokens: a.tokens, Dir: a.config.DataDir, Log: a.log, Meter: a.telemetry.meters.Meter("throughline/auth"), Problem: problem, As: web.AsReader,
	})
	if err != nil {
		return fmt.Errorf("open auth: %w", err)
	}
	a.work.Go(func() error { a.guard.Run(a.ctx); return nil })
	if len(a.tokens.List()) == 0 {
		a.log.Warn("auth.mode is local and there is no token yet: nobody can send or look; `throughline token create` makes one")
	}
	return nil
}

func problem(w http.ResponseWriter, r *http.Request, status int, detail string) {
	web.WriteProblem(w, r, web.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}

// tokensAPI serves /api/v1/tokens.
func (a *app) tokensAPI() http.Handler {
	return a.tokens.API(func(r *http.Request, err error) {
		a.log.ErrorContext(r.Context(), "tokens", "error", err)
	}, problem)
}

// sender tells ingest who sends. The error is an ingest.Refusal.
func (a *app) sender(authorization string) (ingest.Sender, error) {
	plain, err := auth.Bearer(authorization)
	var token auth.Token
	if err == nil {
		token, err = a.tokens.Identify(plain)
	}
	switch {
	case errors.Is(err, auth.ErrNoToken):
		return ingest.Sender{}, ingest.Refuse(ingest.Unauthenticated, auth.ErrNoToken.Error())
	case err != nil:
		return ingest.Sender{}, ingest.Refuse(ingest.Unauthenticated, auth.ErrUnknown.Error())
	case !token.Scope.Allows(auth.Ingest):
		return ingest.Sender{}, ingest.Refuse(ingest.Forbidden, fmt.Sprintf(
			"the token %s has scope %s, and sending needs ingest; `throughline token create --scope ingest` makes one", ingest.Excerpt(token.Name), token.Scope))
	}
	return ingest.Sender{ID: token.ID, Name: token.Name, System: token.System, Rate: token.Rate}, nil
}
