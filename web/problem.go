package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"throughline/flows"
	"throughline/web/views"
)

// Problem is an error as the API answers it: RFC 9457, application/problem+json. Detail
// says what to do.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"` // the path that was asked for
	// A page says it so where Detail speaks to programs, and leads there first.
	page  string
	there []views.Link
}

func (p *Problem) Error() string { return p.Detail }

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// onPage is p with what a page says of it, "" for the same, and where it leads first.
func (p *Problem) onPage(text string, there ...views.Link) *Problem {
	p.page, p.there = text, there
	return p
}

// WriteProblem answers r with p. A 503 says when to come back.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	p.Instance = r.URL.Path
	body, err := json.Marshal(p)
	if err != nil { // five strings and a number always marshal
		http.Error(w, p.Detail, p.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		w.Write(append(body, '\n')) //nolint:errcheck // the client is gone, nobody is left to tell
	}
}

// asProblem is the one place where errors become answers. What a reader of history cannot
// do now is retryable; its own words stay in the log.
func asProblem(ctx context.Context, log *slog.Logger, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if input, ok := errors.AsType[*flows.InputError](err); ok {
		return problem(http.StatusBadRequest, "%s", input.Detail)
	}
	if errors.Is(err, flows.ErrNotFound) {
		return problem(http.StatusNotFound, "There is no such instance or key. Search for it with /api/v1/search?q=.").
			onPage("There is no such instance or key.", searchLink(""))
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return problem(499, "The client went away before the answer was ready.")
	}
	log.WarnContext(ctx, "history cannot be read", "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return problem(http.StatusServiceUnavailable,
			"Stored history took too long to answer. Ask for a shorter window, or try again; live numbers (health without at) go on.").
			onPage("Stored history took too long to answer. Choose a shorter range, or load the page again in a moment. What is live goes on.")
	}
	return problem(http.StatusServiceUnavailable,
		"Stored history cannot be read now. Try again in a moment; live numbers (health without at) go on, and /readyz says which part is away.").
		onPage("Stored history cannot be read now. Load the page again in a moment. What is live goes on; /readyz says which part is away.")
}

// listed joins names for a sentence, at most twenty of them.
func listed(names []string) string {
	const most = 20
	if len(names) == 0 {
		return "none"
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (s *Server) noFlow(name string) *Problem {
	all := s.rules.Set().Flows()
	if len(all) == 0 {
		return problem(http.StatusNotFound, "There is no flow %q: no flow is loaded. Put a flow file into the flows folder of config_dir.", shorten(name))
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Name
	}
	return problem(http.StatusNotFound, "There is no flow %q. Flows: %s.", shorten(name), listed(names))
}

// shorten keeps what a client sent from filling the answer that repeats it.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
