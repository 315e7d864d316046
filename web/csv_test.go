package web

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

func table(t *testing.T, h *house, target string) (rows []map[string]string, header http.Header) {
	t.Helper()
	w := h.get(t, target)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Fatalf("%s: %d %s %s", target, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	all, err := csv.NewReader(w.Body).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows, w.Header()
}

func TestInstancesAsFile(t *testing.T) {
	h := filled(t)
	evil := stuckRecord()
	evil.Key = `=HYPERLINK("http://evil.example")`
	h.history.page.Instances = append(h.history.page.Instances, evil)
	h.history.page.Next = ""
	for _, target := range []string{"/flows/order-to-cash/instances.csv?state=stuck&sort=value", "/flows/order-to-cash/instances?format=csv&state=stuck&sort=value"} {
		rows, header := table(t, h, target)
		if len(rows) != 3 || header.Get("Link") != "" || header.Get("Content-Disposition") != `attachment; filename="order-to-cash-instances.csv"` {
			t.Fatalf("%d rows, %v", len(rows), header)
		}
		for name, want := range map[string]string{
			"key": "SO-1", "state": "stuck", "reason": "deadline", "waits_for": "paid", "system": "payments", "value": "400.40", "currency": "EUR",
			"started_at": "2026-11-19T11:00:00Z", "age_seconds": "3660", "stuck_seconds": "2760", "ended_at": "", "conforming": "false",
		} {
			if rows[0][name] != want {
				t.Errorf("%s is %q, want %q", name, rows[0][name], want)
			}
		}
		if rows[1]["deviations"] != "skipped" || rows[1]["waits_for"] != "" || rows[1]["age_seconds"] != "3540" {
			t.Errorf("the completed one is %v", rows[1])
		}
		if rows[2]["key"] != "'"+evil.Key {
			t.Errorf("a formula gets through: %s", rows[2]["key"])
		}
		if q := h.history.query; q.Sort != flows.SortValue || len(q.States) != 1 || q.Limit != flows.MaxListed {
			t.Errorf("asked %+v", q)
		}
	}
}

func TestLongFilesSayWhereTheyGoOn(t *testing.T) {
	h := filled(t) // its page has two instances, and always a next one
	rows, header := table(t, h, "/flows/order-to-cash/instances.csv?limit=5&since=2026-11-01")
	if len(rows) != 2 || h.history.query.Limit != 5 || header.Get("Link") != `</flows/order-to-cash/instances.csv?cursor=abc&limit=5&since=2026-11-01>; rel="next"` {
		t.Errorf("%d rows, %s", len(rows), header.Get("Link"))
	}
}

func TestListsAsFiles(t *testing.T) {
	h := furnished(t)
	acked := stuckAlert()
	acked.Ack = flows.Ack{By: "Anna", Note: "-1 on it", At: noon}
	if err := h.Server.hub.PublishAlerts([]Alert{acked}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/alerts.csv", "/alerts?format=csv"} {
		rows, _ := table(t, h, target)
		if len(rows) != 1 || rows[0]["acknowledged_by"] != "Anna" || rows[0]["note"] != "'-1 on it" || rows[0]["value_at_risk"] != "EUR 31880.00" || rows[0]["resolved_at"] != "" {
			t.Errorf("%v", rows)
		}
	}
	for _, target := range []string{"/flows.csv", "/flows?format=csv"} {
		rows, _ := table(t, h, target)
		if len(rows) != 1 || rows[0]["flow"] != "order-to-cash" || rows[0]["in_flight"] != "12" || rows[0]["stuck"] != "2" || rows[0]["compliance_rate"] != "" {
			t.Errorf("%v", rows)
		}
	}
}

func TestListsRefuse(t *testing.T) {
	h := filled(t)
	for _, query := range []string{"state=lost", "step=nope", "since=yesterday", "since=0s", "sort=size", "limit=0", "limit=5000", "at=x", "state=open&state=stuck"} {
		page := h.get(t, "/flows/order-to-cash/instances?"+query)
		if page.Code != http.StatusBadRequest || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
			t.Errorf("page, %s: %d", query, page.Code)
		}
		if file := h.get(t, "/flows/order-to-cash/instances.csv?"+query); file.Code != http.StatusBadRequest {
			t.Errorf("file, %s: %d", query, file.Code)
		}
	}
	h.answered().err = &flows.InputError{Field: "cursor", Detail: "This cursor is of another list."}
	if w := h.get(t, "/flows/order-to-cash/instances?cursor=x"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "another list") {
		t.Errorf("a foreign cursor: %d", w.Code)
	}
	for _, target := range []string{"/flows/nope/instances", "/flows/nope/instances.csv"} {
		if w := h.get(t, target); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

func TestListAsksWhatItShows(t *testing.T) {
	h := filled(t)
	h.get(t, "/flows/order-to-cash/instances?state=open,stuck&step=paid&since=60m&sort=key&limit=7&cursor=abc")
	q := h.history.query
	if ago := time.Since(q.Since.Std()); q.Step != "paid" || q.Sort != flows.SortKey || q.Limit != 7 || q.Cursor != "abc" || len(q.States) != 2 || ago < time.Hour-time.Second || ago > time.Hour+5*time.Second {
		t.Errorf("asked %+v", q)
	}
	// The first page is live, later ones and past ones stand still.
	for target, live := range map[string]bool{"?state=stuck": true, "?cursor=abc": false, "?at=2026-11-19T12:00:00Z": false} {
		body := h.get(t, "/flows/order-to-cash/instances"+target).Body.String()
		if strings.Contains(body, `id="socket"`) != live {
			t.Errorf("%s: live is not %t", target, live)
		}
	}
}
