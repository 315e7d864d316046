package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPagesAreInTheReadersZone holds that the zone of the cookie is that of the page and of its
// socket, and that what is no zone is UTC.
func TestPagesAreInTheReadersZone(t *testing.T) {
	h := newHouse(t, nil)
	publish(t, h.hub, orderHealth(12, 2))
	f := func(cookie, zone, named, socket string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/flows/order-to-cash", nil)
		r.Header.Set("Cookie", "zone="+cookie)
		body := h.do(r).Body.String()
		for _, want := range []string{`data-zone="` + zone + `"`, `<abbr class="zone">` + named + `</abbr>`, `hx-ws:connect="/ws?flow=order-to-cash&amp;view=flow` + socket + `"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page has no %s", cookie, want)
			}
		}
	}
	f("Asia%2FKolkata", "Asia/Kolkata", "IST", "&amp;zone=Asia%2FKolkata")
	f("America%2FSao_Paulo", "America/Sao_Paulo", "UTC-03", "&amp;zone=America%2FSao_Paulo")
	for _, none := range []string{"UTC", "", "..%2F..%2Fetc%2Fpasswd", "Local", "Mars%2FBase", strings.Repeat("a", 100), "%zz"} {
		f(none, "UTC", "UTC", "")
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws?view=flow&flow=order-to-cash&zone=Asia%2FKolkata", nil)
	if target, fault := socketTarget(r); fault != nil || target.clock().Zone.String() != "Asia/Kolkata" {
		t.Errorf("socket: %+v, %v", target, fault)
	}
}

// TestEveryPageNamesTheReadersZone holds that those that are not live do, too.
func TestEveryPageNamesTheReadersZone(t *testing.T) {
	h := newHouse(t, nil)
	publish(t, h.hub, orderHealth(12, 2))
	for _, path := range []string{"/", "/flows", "/flows/order-to-cash", "/flows/order-to-cash/model", "/flows/none", "/nothing", "/alerts/none", "/search?q=x", "/systems", "/alerts?range=absurd", "/_/components"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Cookie", "zone=Asia%2FKolkata")
		if body := h.do(r).Body.String(); !strings.Contains(body, `<abbr class="zone">IST</abbr>`) {
			t.Errorf("%s does not name the zone", path)
		}
	}
}

// TestNumbersAreTheReaders holds that the page, its socket and the frames of a player write
// numbers as the reader's language does, and that no mark of ours is sent.
func TestNumbersAreTheReaders(t *testing.T) {
	h := newHouse(t, nil)
	publish(t, h.hub, orderHealth(1234, 2))
	f := func(language, want, socket string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/flows/order-to-cash", nil)
		r.Header.Set("Accept-Language", language)
		body := h.do(r).Body.String()
		for _, want := range []string{">" + want + "<", `hx-ws:connect="/ws?flow=order-to-cash` + socket + `&amp;view=flow"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page has no %s", language, want)
			}
		}
		target, fault := socketTarget(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws?view=flow&flow=order-to-cash"+strings.ReplaceAll(socket, "&amp;", "&"), nil))
		if fault != nil {
			t.Fatal(fault)
		}
		parts, err := h.render(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		if all := string(partsHTML(parts)); !strings.Contains(all, ">"+want+"<") || strings.Contains(all, "\xef\xb7") {
			t.Errorf("%s: the socket does not say %s", language, want)
		}
		if strings.Contains(body, "\xef\xb7") {
			t.Errorf("%s: a mark is on the page", language)
		}
	}
	f("en-GB", "1,234", "")
	f("de-DE,de;q=0.9,en;q=0.5", "1.234", "&amp;numbers=de")
	f("fr", "1\u202f234", "&amp;numbers=fr")
}
