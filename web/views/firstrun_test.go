package views

import (
	"strings"
	"testing"
)

// TestFirstRunAsks: the first command that a person tries works, also where a token is asked for.
func TestFirstRunAsks(t *testing.T) {
	open := FirstRun{EventsURL: "http://127.0.0.1:8080/api/v1/events", OTLPHTTP: "127.0.0.1:4318"}
	asked := FirstRun{EventsURL: "https://tl.example.com/api/v1/events", OTLPHTTP: "tl.example.com:4318", Tokens: true}
	for _, c := range []struct {
		v     FirstRun
		otlp  string
		token bool
	}{{open, "http://127.0.0.1:4318", false}, {asked, "https://tl.example.com:4318", true}} {
		var page strings.Builder
		if err := c.v.Body().Render(t.Context(), &page); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), c.otlp) || strings.Contains(page.String(), "Authorization: Bearer $TOKEN") != c.token || strings.Contains(page.String(), "token create") != c.token {
			t.Errorf("%+v: %s", c, page.String())
		}
		for _, command := range []string{c.v.curl(), c.v.webhook(), c.v.exporter()} {
			if strings.Contains(command, "\\ ") || strings.Contains(command, "\n\n") || strings.Contains(command, "Bearer") != c.token {
				t.Errorf("no command of a shell: %s", command)
			}
		}
	}
}
