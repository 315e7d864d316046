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
