package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"throughline/flows"
)

// TestUsualIsReadOnceAnHour holds that what is usual is read once an hour, for all pages and all readers whose clocks agree.
func TestUsualIsReadOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := furnished(t)
		defer h.past.close()
		shows := func(what, path, zone string, usual bool, asked int32) {
			t.Helper()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.AddCookie(&http.Cookie{Name: zoneCookie, Value: url.QueryEscape(zone)})
			body := h.do(r).Body.String()
			synctest.Wait()
			_, words, line := strings.Cut(body, `<span class="s usual">`)
			if words, _, _ = strings.Cut(words, "</span>"); !line || strings.Contains(words, "usual") != usual || h.history.usualAsked.Load() != asked {
				t.Errorf("%s: %q after %d questions, want %d", what, words, h.history.usualAsked.Load(), asked)
			}
		}
		time.Sleep(10 * time.Minute)
		shows("the first page", "/", "", false, 1)
		shows("the next", "/flows/order-to-cash", "", true, 1)
		for _, path := range []string{"/", "/flows/order-to-cash", "/flows/order-to-cash?range=15m", "/flows/order-to-cash/steps/paid"} {
			time.Sleep(9 * time.Minute)
			shows("another page", path, "", true, 1)
		}
		shows("in a zone of whole hours", "/flows/order-to-cash", "Asia/Tokyo", true, 1)
		shows("in one of half hours", "/flows/order-to-cash", "Asia/Kolkata", false, 2)
		shows("there again", "/flows/order-to-cash", "Asia/Kolkata", true, 2)
		time.Sleep(14 * time.Minute)
		shows("in the next hour", "/flows/order-to-cash", "", false, 3)
		shows("the next page in it", "/flows/order-to-cash", "", true, 3)
		if body := h.get(t, "/flows/order-to-cash?range=24h").Body.String(); strings.Contains(body, `class="s usual"`) || h.history.usualAsked.Load() != 3 {
			t.Error("a day stands beside what is usual of an hour")
		}
		h.history.usualSince = flows.At(time.Now()).Add(time.Minute) // no hour is whole in the next one
		time.Sleep(time.Hour)
		shows("where nothing is known", "/flows/order-to-cash", "", false, 4)
		time.Sleep(30 * time.Second)
		shows("soon after", "/flows/order-to-cash", "", false, 4)
		h.history.usualSince = 0
		time.Sleep(31 * time.Minute) // its fake says what holds ten minutes after the hour began
		shows("later", "/flows/order-to-cash", "", false, 5)
		shows("once it is known", "/flows/order-to-cash", "", true, 5)
	})
}

// TestNoPageWaitsForUsual holds that a page is there at once without it, and that its socket is told when it is known.
func TestNoPageWaitsForUsual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := furnished(t)
		defer h.past.close()
		known := make(chan struct{})
		h.history.usualWaits = known
		for _, path := range []string{"/", "/flows/order-to-cash", "/flows/order-to-cash/steps/paid"} {
			began := time.Now()
			body := h.get(t, path).Body.String()
			if took := time.Since(began); took > 0 || !strings.Contains(body, `<span class="s usual"></span>`) || strings.Contains(body, `http-equiv="refresh" content="2"`) {
				t.Errorf("%s: waited %s", path, took)
			}
		}
		again := make(chan struct{}, 1)
		page, fault := pageTarget(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), viewOverview)
		if fault != nil {
			t.Fatal(fault)
		}
		render := func() string {
			parts, err := h.asking(h.past.within(0, again)).render(t.Context(), page)
			if err != nil {
				t.Fatal(err)
			}
			return string(parts[len(h.shell(page.clock(), "", "").Parts())].html)
		}
		synctest.Wait()
		if html := render(); strings.Contains(html, ">usual") {
			t.Error(html)
		}
		synctest.Wait()
		select {
		case <-again:
			t.Fatal("told of what is not known yet")
		default:
		}
		close(known)
		synctest.Wait()
		select {
		case <-again:
		default:
			t.Fatal("not told")
		}
		if html := render(); !strings.Contains(html, `for Sat`) {
			t.Errorf("not shown: %.3000s", html)
		}
	})
}

// TestUsualsAreBounded fills them with more than there is room for.
func TestUsualsAreBounded(t *testing.T) {
	u := newUsuals()
	for i := range 3 * maxUsuals {
		read := noon.Add(time.Duration(i) * time.Minute)
		u.put(usualOf{hours: flows.UsualHours{Hour: read}}, flows.Usual{Read: read, Until: read.Add(time.Hour)})
		if len(u.kept) > maxUsuals {
			t.Fatalf("%d are kept", len(u.kept))
		}
		if _, ok := u.get(usualOf{hours: flows.UsualHours{Hour: read}}, read); !ok {
			t.Fatal("the last one is not there")
		}
	}
	for i := range 2 * maxUsuals { // all of one hour
		u.put(usualOf{flow: fmt.Sprint(i)}, flows.Usual{Read: noon, Until: noon.Add(1e6 * time.Hour)})
	}
	if len(u.kept) > maxUsuals {
		t.Errorf("%d are kept", len(u.kept))
	}
}
