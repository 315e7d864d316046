package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Created is the answer to the creation of a token. Token is shown here once.
type Created struct {
	Token
	Plain string `json:"token"`
}

// API serves GET and POST /api/v1/tokens, and DELETE /api/v1/tokens/{token} by name or id.
// Guard keeps it for admins. problem answers what is refused.
func (t *Tokens) API(log func(r *http.Request, err error), problem func(w http.ResponseWriter, r *http.Request, status int, detail string)) http.Handler {
	mux := http.NewServeMux()
	answer := func(do func(w http.ResponseWriter, r *http.Request) (int, any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			status, v, err := do(w, r)
			var body []byte
			if err == nil {
				body, err = json.Marshal(v)
			}
			if fault, ok := errors.AsType[*InputError](err); ok {
				problem(w, r, http.StatusBadRequest, sentence(fault.Detail))
				return
			}
			if err != nil {
				log(r, err)
				problem(w, r, http.StatusServiceUnavailable, "The tokens could not be read or kept. Try again; the server's log says what is wrong.")
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(status)
			w.Write(body) //nolint:errcheck // the client is gone, nobody is left to tell
		}
	}
	mux.HandleFunc("GET /api/v1/tokens", answer(func(http.ResponseWriter, *http.Request) (int, any, error) {
		_, err := t.Look()
		return http.StatusOK, document{t.List()}, err
	}))
	mux.HandleFunc("POST /api/v1/tokens", answer(func(w http.ResponseWriter, r *http.Request) (int, any, error) {
		var want Token
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&want); err != nil {
			return 0, nil, input(`the body is not what is asked for (%v); send {"name": "webshop", "scope": "ingest"}`, err)
		}
		plain, made, err := t.Create(want, time.Now())
		return http.StatusCreated, Created{made, plain}, err
	}))
	mux.HandleFunc("DELETE /api/v1/tokens/{token}", answer(func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
		gone, err := t.Revoke(r.PathValue("token"))
		return http.StatusOK, gone, err
	}))
	return mux
}
