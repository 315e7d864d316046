package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"throughline/flows/store/chdb"
)

// tile is a number of a page with the query that it names.
type tile struct{ label, value, query, usual, usualQuery string }

var (
	tileLabel = regexp.MustCompile(`(?s)<span class="dt">(.*?)</span>.*?<span class="v">(.*?)<`)
	tileQuery = regexp.MustCompile(`(?s)<pre class="sql"[^>]*"SQL">(.*?)</pre>`)
	tileUsual = regexp.MustCompile(`(?s)<span class="s usual">usual (.*?)</span>.*"SQL of what is usual">(.*?)</pre>`)
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
		if usual := tileUsual.FindStringSubmatch(part); usual != nil {
			one.usual, one.usualQuery = strings.Trim(html.UnescapeString(usual[1]), " "), html.UnescapeString(usual[2])
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
	h.send(append(events, weekBefore(time.Now())...)...)
	h.eventually("five are stuck, in the tables too", 30*time.Second, func() bool {
		return h.stuck("orders", "1h") == 5 && ask(t, server, "SELECT count() FROM instances FINAL WHERE state = 'stuck'") == "5" && ask(t, server, "SELECT count() FROM instances FINAL") == "23" &&
			ask(t, server, "SELECT sum(count) FROM rollups WHERE span = 3600 AND measure = 'completed'") == "16"
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
		"/flows/orders?range=all":     {"Started": "23", "Completed": "16"},
		"/flows/orders/steps/paid":    {"Reached": "5", "Waiting": "5", "Stuck": "5", "Errors": "0"},
		"/flows/orders/steps/shipped": {"Reached": "3", "Waiting": "2", "Stuck": "0"},
		"/alerts/" + alert:            {"Stuck orders": "5", "Value at risk": "EUR\t87.5", "Waiting for the step": "5"},
		"/systems":                    {"Signals": "57", "Waits for a system": "carrier\t2\npayments\t5", "Far off in time": "0"},
		"/systems/" + "%2Ftest":       {"Signals": "57"},
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
	h.usualTiles(server)
}

// weekBefore are orders that began eight days ago, one, and in this hour of a week ago and the one after it, six each.
func weekBefore(now time.Time) (events []cloudEvent) {
	order := func(began time.Time) {
		id := fmt.Sprintf("W-%d", len(events))
		for i, name := range []string{"order.placed", "order.paid", "order.shipped"} {
			events = append(events, cloudEvent{ID: id + name, Type: name, Time: began.Add(time.Duration(i) * 10 * time.Second).UTC().Format(time.RFC3339Nano), Data: map[string]any{"order_id": id}})
		}
	}
	order(now.AddDate(0, 0, -8))
	start := now.AddDate(0, 0, -7).Truncate(time.Hour)
	for i := range 12 {
		order(start.Add(time.Duration(5+10*i) * time.Minute))
	}
	return events
}

// usualTiles holds that what stands beside a number as usual is what its query answers, within 1 % where it is a duration.
func (h *house) usualTiles(server *chdb.Server) {
	t := h.t
	var tiles []tile
	h.eventually("pages show what is usual", 20*time.Second, func() bool {
		flow, step := h.tiles("/flows/orders"), h.tiles("/flows/orders/steps/paid")
		tiles = slices.Concat(flow, step)
		return flow[0].usual != "" && step[0].usual != ""
	})
	found := 0
	for _, one := range tiles {
		want := map[string]struct {
			said  string
			value float64
		}{"Started": {"0.1", 6}, "Completed": {"6", 6}, "End to end p50": {"20\u00a0s", 20}, "Reached": {"6", 6}, "p50": {"10\u00a0s", 10}}[one.label]
		if want.said == "" {
			continue
		}
		found++
		answer := ask(t, server, one.usualQuery)
		_, value, _ := strings.Cut(answer, "\t")
		got, err := strconv.ParseFloat(value, 64)
		if one.usual != want.said || err != nil || math.Abs(got-want.value) > 0.011*want.value {
			t.Errorf("%s is usually %q; the query says %q:\n%s", one.label, one.usual, answer, one.usualQuery)
		}
	}
	if found != 5 {
		t.Errorf("%d numbers stand beside a usual one", found)
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
