package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows/store/chdb"
)

// tile is a number of a page with the query that it names.
type tile struct{ label, value, query string }

var (
	tileLabel = regexp.MustCompile(`(?s)<span class="dt">(.*?)</span>.*?<span class="v">(.*?)<`)
	tileQuery = regexp.MustCompile(`(?s)<pre class="sql"[^>]*>(.*?)</pre>`)
)

func (h *house) tiles(path string) (tiles []tile) {
	h.t.Helper()
	status, page := h.call(http.MethodGet, path, "", nil)
	if status != http.StatusOK {
		h.t.Fatalf("GET %s: %d", path, status)
	}
	for _, part := range strings.Split(string(page), `<div class="stat `)[1:] {
		label, query := tileLabel.FindStringSubmatch(part), tileQuery.FindStringSubmatch(part)
		if label == nil {
			h.t.Fatalf("%s: no number in %.200s", path, part)
		}
		one := tile{label: html.UnescapeString(label[1]), value: html.UnescapeString(label[2])}
		if query != nil {
			one.query = html.UnescapeString(query[1])
		}
		tiles = append(tiles, one)
	}
	return tiles
}

// ask has ClickHouse answer a query, in tab-separated values.
func ask(t *testing.T, server *chdb.Server, query string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr()+"/?database=throughline", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(chdb.User, server.Password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%d %s, %v", query, response.StatusCode, answer, err)
	}
	return strings.TrimSpace(string(answer))
}

// TestTilesNameTheirQuery holds that the query which a tile names is one that ClickHouse answers,
// with the tile's number.
func TestTilesNameTheirQuery(t *testing.T) {
	server := clickhouse(t, t.TempDir())
	h := startWith(t, map[string]string{"orders": ordersFlow}, external(t, server.Addr(), server.Password))
	h.awaitClickHouse()
	began := time.Now().Add(-2 * time.Minute)
	var events []cloudEvent
	for i := range 10 { // three paid and shipped, two paid, five wait in vain
		id := fmt.Sprintf("O-%d", i)
		at := func(d time.Duration) string { return began.Add(d).UTC().Format(time.RFC3339Nano) }
		data := map[string]any{"order_id": id, "total": 10.5 + float64(i), "currency": "EUR"}
		events = append(events, cloudEvent{ID: id + "a", Type: "order.placed", Time: at(0), Data: data})
		if i < 5 {
			events = append(events, cloudEvent{ID: id + "b", Type: "order.paid", Time: at(time.Second), Data: data})
		}
		if i < 3 {
			events = append(events, cloudEvent{ID: id + "c", Type: "order.shipped", Time: at(20 * time.Second), Data: data})
		}
	}
	h.send(events...)
	h.eventually("five are stuck, in the tables too", 30*time.Second, func() bool {
		return h.stuck("orders", "1h") == 5 && ask(t, server, "SELECT count() FROM instances FINAL WHERE state = 'stuck'") == "5" && ask(t, server, "SELECT count() FROM instances FINAL") == "10"
	})
	alert := ""
	h.eventually("there is an alert", 20*time.Second, func() bool {
		var alerts []struct{ Fingerprint string }
		h.get("/api/v1/alerts", &alerts)
		if len(alerts) == 1 {
			alert = alerts[0].Fingerprint
		}
		return alert != ""
	})
	for path, want := range map[string]map[string]string{
		"/":                           {"Started, all flows": "10", "In flight": "7", "Stuck instances": "5", "Completed": "3", "Conforming": "1"},
		"/flows/orders":               {"Started": "10", "In flight": "7", "Stuck": "5", "Completed": "3", "End to end p50": "20", "Conforming": "1", "Errors": "0"},
		"/flows/orders?range=24h":     {"Started": "10", "Completed": "3"},
		"/flows/orders?range=all":     {"Started": "10", "Completed": "3"},
		"/flows/orders/steps/paid":    {"Reached": "5", "Waiting": "5", "Stuck": "5", "Errors": "0"},
		"/flows/orders/steps/shipped": {"Reached": "3", "Waiting": "2", "Stuck": "0"},
		"/alerts/" + alert:            {"Stuck orders": "5", "Value at risk": "EUR\t87.5", "Waiting for the step": "5"},
		"/systems":                    {"Signals": "18", "Waits for a system": "carrier\t2\npayments\t5", "Far off in time": "0"},
		"/systems/" + "%2Ftest":       {"Signals": "18"},
		"/flows/orders/instances":     {},
		"/flows/orders?at=" + began.UTC().Format(time.RFC3339): {},
	} {
		found := map[string]bool{}
		for _, one := range h.tiles(path) {
			if one.query == "" {
				continue
			}
			got := ask(t, server, one.query)
			if expected, ok := want[one.label]; ok && sortedLines(got) != expected {
				t.Errorf("%s: %s is %s on the page; its query says %q:\n%s", path, one.label, one.value, got, one.query)
			}
			found[one.label] = true
		}
		for label := range want {
			if !found[label] {
				t.Errorf("%s: %s names no query", path, label)
			}
		}
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
