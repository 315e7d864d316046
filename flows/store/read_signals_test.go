package store

import (
	"errors"
	cmdline "flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

var update = cmdline.Bool("update", false, "write the golden files anew")

// lately is when signals were received: a table forgets by reception.
var lately = flows.At(time.Now().Truncate(time.Second))

// story is an order, its invoice (shared with another order), a span of its trace without
// a key, and copies.
func story(t *testing.T, s *Store, f *flows.Flow) []flows.Signal {
	t.Helper()
	order, other, invoice := flows.Key{Type: "order_id", Value: "A:1"}, flows.Key{Type: "order_id", Value: "B"}, flows.Key{Type: "invoice_id", Value: "9"}
	event := func(id, name string, minute int, sequence string, keys ...flows.Key) flows.Signal {
		return flows.Signal{
			Source: "/shop", ID: id, Name: name, System: "shop", Time: epoch.Add(time.Duration(minute) * time.Minute), Sequence: sequence,
			Received: lately, Keys: keys, Data: map[string]any{"total": int64(3), "note": "x\ty"},
		}
	}
	span := event("t1:s1", "order.paid", 1, "")
	span.Kind, span.TraceID, span.SpanID, span.Source, span.Duration = flows.Span, "t1", "s1", "bank", time.Minute
	differs := event("1", "order.placed", 0, "", order)
	differs.Time = epoch.Add(30 * time.Minute)
	signals := []flows.Signal{
		event("1", "order.placed", 0, "", order),
		span,
		event("10", "order.noted", 3, "-12", order),
		event("9", "order.noted", 3, "-5", order),
		event("4", "order.noted", 3, "9", order),
		event("3", "invoice.created", 3, "10", invoice, order),
		event("5", "order.noted", 3, "x", order),
		event("2", "order.noted", 3, "", order),
		event("6", "invoice.posted", 4, "", invoice),
		event("7", "invoice.created", 5, "", invoice, other),
	}
	stranger := event("8", "order.placed", 6, "", other)
	if err := s.InsertSignals(t.Context(), "story", append(slices.Clone(signals), stranger, signals[0], differs)); err != nil {
		t.Fatal(err)
	}
	var rows []flows.OccurrenceRecord
	for i, step := range map[int]int{0: 0, 1: 1} {
		rows = append(rows, f.OccurrenceRecord(order.Value, occurrence(t, &signals[i], step)))
	}
	in := f.Fold([]flows.Occurrence{rows[0].Occurrence, rows[1].Occurrence}, epoch.Add(time.Hour))
	if err := errors.Join(
		s.WriteOccurrences(t.Context(), 1, rows),
		s.WriteInstances(t.Context(), 1, []flows.InstanceRecord{f.Record(order.Value, &in, epoch.Add(time.Hour))}),
	); err != nil {
		t.Fatal(err)
	}
	return signals
}

func names(signals []flows.Signal) (list []string) {
	for i := range signals {
		list = append(list, signals[i].ID)
	}
	return list
}

func TestTimeline(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	want := story(t, s, f)
	all := []*flows.Flow{f}
	key := flows.Key{Type: "order_id", Value: "A:1"}
	var got []flows.Signal
	cursor := ""
	for len(got) <= len(want) { // a page that comes again ends it, too
		page, next, err := s.Timeline(t.Context(), all, key, 1, cursor)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timeline of the order: -want +got\n%s", diff)
	}
	// From the invoice both orders are seen, whole.
	got, _, err := s.Timeline(t.Context(), all, flows.Key{Type: "invoice_id", Value: "9"}, 100, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "10", "9", "4", "3", "5", "2", "6", "7", "8"}, names(got)); diff != "" {
		t.Errorf("timeline of the invoice: -want +got\n%s", diff)
	}
	if got, _, err = s.Timeline(t.Context(), all, flows.Key{Type: "order_id", Value: "none"}, 100, ""); err != nil || len(got) != 0 {
		t.Errorf("timeline of nothing: %v, %v", got, err)
	}
}

// TestTimelineOfACommonKey has more linked keys, and longer ones, than are followed.
func TestTimelineOfACommonKey(t *testing.T) {
	s := openStore(t)
	customer := flows.Key{Type: "customer_id", Value: "7"}
	for _, length := range []int{10, flows.MaxKeyBytes - 10} {
		signals := make([]flows.Signal, 1200)
		for i := range signals {
			parcel := flows.Key{Type: "parcel_id", Value: fmt.Sprintf("%d-%s", i, strings.Repeat("#", length))}
			signals[i] = flows.Signal{
				Source: "/shop", ID: parcel.Value, Name: "sent", Time: epoch.Add(time.Duration(i)), Received: lately,
				Keys: []flows.Key{customer, parcel},
			}
		}
		if err := s.InsertSignals(t.Context(), fmt.Sprint(length), signals); err != nil {
			t.Fatal(err)
		}
	}
	got, next, err := s.Timeline(t.Context(), nil, customer, maxPage, "")
	if err != nil {
		t.Fatal(err)
	}
	rest, next2, err := s.Timeline(t.Context(), nil, customer, maxPage, next)
	if err != nil {
		t.Fatal(err)
	}
	last, end, err := s.Timeline(t.Context(), nil, customer, maxPage, next2)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "signals", len(got)+len(rest)+len(last), 2400)
	equal(t, "next", end, "")
}

func TestInstance(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	signals := story(t, s, f)
	for _, at := range []flows.Time{flows.NoTime, epoch.Add(time.Hour)} {
		d, err := s.Instance(t.Context(), f, "A:1", at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(signals[:2], d.Signals); diff != "" {
			t.Errorf("signals: -want +got\n%s", diff)
		}
		paid := epoch.Add(2 * time.Minute) // the end of the span
		want := []flows.StepRecord{
			{Step: "placed", Title: "placed", At: epoch, DueAt: flows.NoTime, Deadline: flows.NoTime, Count: 1, Expected: 1, Seen: 1},
			{
				Step: "paid", Title: "paid", System: "bank", At: paid, DueAt: epoch, Deadline: epoch.Add(time.Hour),
				Latency: 2 * time.Minute, Count: 1, Expected: 1, Seen: 1,
			},
			{Step: "shipped", Title: "shipped", System: "carrier", At: flows.NoTime, DueAt: paid, Deadline: paid.Add(2 * time.Hour), Expected: 1},
			{Step: "cancelled", Title: "cancelled", At: flows.NoTime, DueAt: flows.NoTime, Deadline: flows.NoTime, Expected: 1},
		}
		if diff := cmp.Diff(want, d.Steps); diff != "" {
			t.Errorf("steps: -want +got\n%s", diff)
		}
		equal(t, "state", d.State, flows.Open)
		equal(t, "as of", d.AsOf, epoch.Add(time.Hour))
	}
	d, err := s.Instance(t.Context(), f, "A:1", epoch.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "signals a minute in", len(d.Signals), 1)
	for key, at := range map[string]flows.Time{"A:1": epoch - 1, "none": flows.NoTime} {
		if _, err := s.Instance(t.Context(), f, key, at); !errors.Is(err, flows.ErrNotFound) {
			t.Errorf("%s at %v: %v, want ErrNotFound", key, at, err)
		}
	}
}

func TestSignalNames(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	story(t, s, f)
	got, err := s.SignalNames(t.Context(), epoch, 3)
	if err != nil {
		t.Fatal(err)
	}
	fields, last := []string{"note", "total"}, lately
	want := []flows.SeenSignal{
		{Name: "invoice.created", Source: "/shop", Count: 2, Last: last, First: epoch.Add(3 * time.Minute), Attributes: fields},
		{Name: "invoice.posted", Source: "/shop", Count: 1, Last: last, First: epoch.Add(4 * time.Minute), Attributes: fields},
		{Name: "order.noted", Source: "/shop", Count: 5, Last: last, First: epoch.Add(3 * time.Minute), Attributes: fields},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, err = s.SignalNames(t.Context(), last+1, 3); err != nil || len(got) != 0 {
		t.Errorf("after the last: %v, %v", got, err)
	}
}

// TestQueryText holds the queries that are put together, as they are sent.
func TestQueryText(t *testing.T) {
	f := parseFlow(t, []byte(orders))
	all, _ := occurrencesQuery(lensesOf(&flows.Flow{Name: "plain", Steps: f.Steps}), 0, "")
	between, _ := occurrencesQuery(lensesOf(f), 0, sqlOccurrencesBetween)
	list := func(query, keys string, q flows.InstanceQuery) string {
		text, _ := listOfRows{flow: f, q: q, near: query == sqlInstancesPlaces}.query(query, keys, nil, 51)
		return instanceQuery(text)
	}
	for name, got := range map[string]string{
		"occurrences": all, "occurrences_between": between, "instances": list(sqlInstances, "", flows.InstanceQuery{}),
		"instances_of_keys":   list(sqlInstancesOfKeys, ofWantedKeys, flows.InstanceQuery{Counted: flows.CountedStarted}),
		"instances_in_flight": list(sqlInstances, sqlInstancesOfStates, flows.InstanceQuery{States: []flows.State{flows.Stuck}, Step: "paid"}),
		"instances_places":    list(sqlInstancesPlaces, "", flows.InstanceQuery{Sort: flows.SortKey, Counted: flows.CountedDeviating, Step: "paid"}),
		"instances_started":   list(sqlInstancesPlaces, "", flows.InstanceQuery{Counted: flows.CountedStarted, Step: "paid", States: []flows.State{flows.Open}}), "timeline": timelineQuery(sqlTimelineMany), "timeline_known": timelineQuery(sqlTimelineKnown),
	} {
		path := filepath.Join("testdata", fmt.Sprintf("query_%s.sql", name))
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
