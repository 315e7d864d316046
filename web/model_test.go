package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"throughline/flows"
)

func (h *house) submit(t *testing.T, target, accept string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	return h.do(r)
}

const goodFile = "flow: order-to-cash\ntitle: Orders\nkey: order_id\nsteps:\n  - {id: placed, match: {event: order.placed}, start: true}\n" +
	"  - {id: paid, match: {event: paid}, after: placed, within: 1m, end: completed}\n"

func TestModelChecksAsYouType(t *testing.T) {
	h := newHouse(t, nil)
	path := "/flows/order-to-cash/model/check"
	for name, c := range map[string]struct {
		text, want string
		status     int
	}{
		"good":  {goodFile, "No fault.", 200},
		"crlf":  {strings.ReplaceAll(goodFile, "\n", "\r\n"), "No fault.", 200},
		"bad":   {strings.Replace(goodFile, "after: placed", "after: placd", 1), "<code>placd</code>", 200},
		"empty": {"", "fault", 200},
		"evil":  {goodFile + "<script>alert(1)</script>: x\n", "would be refused", 200},
		"long":  {strings.Repeat("#\n", maxTrial), "At most", 413},
	} {
		w := h.submit(t, path, fragment, url.Values{"text": {c.text}})
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "<script>alert") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if c.status == 200 && !strings.HasPrefix(w.Body.String(), `<div id="model-check"`) {
			t.Errorf("%s: the answer is no part of the page: %.80s", name, w.Body)
		}
	}
	// Without a script it is a page with the text as it was typed.
	w := h.submit(t, path, "text/html", url.Values{"text": {goodFile + "# mine\n"}})
	if w.Code != 200 || !strings.Contains(w.Body.String(), "# mine") || !strings.Contains(w.Body.String(), "<h1>Flow model</h1>") {
		t.Errorf("without a script: %d %.300s", w.Code, w.Body)
	}
	if w := h.submit(t, "/flows/none/model/check", "text/html", url.Values{"text": {"x"}}); w.Code != http.StatusNotFound {
		t.Errorf("a flow that is not there: %d", w.Code)
	}
}

func TestModelVersions(t *testing.T) {
	h := newHouse(t, nil)
	h.history.texts = []flows.FlowText{{Version: "v2", Text: "a\nb\n", Loaded: noon}, {Version: "v1", Text: "a\nc\n", Loaded: noon}}
	h.rules.faults = []flows.Fault{{File: "flows/broken.yaml", Line: 2, Col: 1, Message: "unknown field `stepz`"}}
	f := func(target string, status int, wants ...string) {
		t.Helper()
		w := h.get(t, target)
		if w.Code != status {
			t.Errorf("%s: %d", target, w.Code)
		}
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s lacks %q", target, want)
			}
		}
	}
	f("/flows/order-to-cash/model", 200, "what it changed", "from=v1&amp;to=v2")
	f("/flows/order-to-cash/model?from=v1&to=v2", 200, "1\u00a0line added, 1\u00a0line removed", `class="del"`)
	f("/flows/order-to-cash/model?version=v1", 200, "Version v1", "The one that runs")
	f("/flows/order-to-cash/model?version=v9", 404, "v9")
	f("/flows/broken/model", 200, "is refused", "stepz", "no version of it has run")
	f("/flows/unknown/model", 404, "order-to-cash")
}
