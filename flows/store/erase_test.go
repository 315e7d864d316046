package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

// texts are the answers of a query for one column of texts, sorted.
func texts(t *testing.T, s *Store, query string) (list []string) {
	t.Helper()
	rows, err := s.conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

// is compares what a query says with what it should.
func is(t *testing.T, s *Store, query string, want ...string) {
	t.Helper()
	if got := texts(t, s, query); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", query, got, want)
	}
}

// An erased key is nobody's in rows of instances, in all environments and parts; those of a
// longer value, of another flow and of what came since stay.
func TestEraseInstances(t *testing.T) {
	s := openStore(t)
	x := Erasure{Token: "erased-x", Key: flows.Key{Type: "order", Value: "SECRET-1"}, Cutoff: 100}
	write := func(version uint64, keys ...string) {
		t.Helper()
		for _, name := range []string{"orders", "visits"} {
			for _, stored := range keys {
				key, environment := flows.SplitInstanceKey(stored)
				r := instance(key)
				r.Flow, r.Environment, r.EndedAt, r.FirstAt = name, environment, at("2026-11-18T10:00:00Z"), at("2026-11-18T09:00:00Z")
				o := flows.OccurrenceRecord{Flow: name, Key: key, Environment: environment, StepID: "s", Occurrence: flows.Occurrence{ID: fmt.Sprint(stored, version), At: 1, Start: 1}}
				if err := s.WriteInstances(t.Context(), version, []flows.InstanceRecord{r}); err != nil {
					t.Fatal(err)
				}
				if err := s.WriteOccurrences(t.Context(), version, []flows.OccurrenceRecord{o}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	write(7, "SECRET-1", flows.InstanceKey("SECRET-1", "staging"), "SECRET-1#2", "SECRET-10", "A")
	write(9, "SECRET-1")
	f := ErasedFlow{Name: "orders", Parts: true}
	kept := []string{"A", "SECRET-10", "erased-x", "erased-x\x1fstaging", "erased-x#2"}
	for i := range 2 { // as after a crash
		if err := s.RenameInstances(t.Context(), x, f); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			is(t, s, "SELECT DISTINCT key FROM instances FINAL WHERE flow = 'orders'", kept...)
			write(101, "SECRET-1", "B") // since
			kept = append([]string{"A", "B", "SECRET-1"}, kept[1:]...)
		}
		is(t, s, "SELECT DISTINCT key FROM instances FINAL WHERE flow = 'orders'", kept...)
		is(t, s, "SELECT DISTINCT key FROM steps FINAL WHERE flow = 'orders'", kept...)
		if err := s.ForgetRenamed(t.Context(), x, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"instances", "instances_by_time", "steps", "steps_by_time"} {
		is(t, s, "SELECT DISTINCT key FROM "+table+" WHERE flow = 'orders'", kept...)
		if n := count(t, s, "SELECT count() FROM "+table+" WHERE flow = 'orders' AND row_version <= 100 AND startsWith(key, 'SECRET-1') AND key != 'SECRET-10'"); n != 0 {
			t.Errorf("%s has %d rows of before", table, n)
		}
		if n := count(t, s, "SELECT count(DISTINCT key) FROM "+table+" WHERE flow = 'visits' AND startsWith(key, 'SECRET')"); n != 4 {
			t.Errorf("%s: another flow has %d keys", table, n)
		}
	}
	if n := count(t, s, "SELECT count() FROM steps FINAL WHERE flow = 'orders' AND key = 'erased-x'"); n != 2 {
		t.Errorf("%d signals of the instance, not 2", n)
	}
	if n := count(t, s, "SELECT max(row_version) FROM instances WHERE flow = 'orders' AND key = 'erased-x'"); n != 9 {
		t.Errorf("the instance is of version %d", n)
	}
}

// Spans and log records that speak of an erased key say nothing of it, others all.
func TestEraseSpansAndLogs(t *testing.T) {
	s := openStore(t)
	x := Erasure{Token: "erased-x", Key: flows.Key{Type: "order", Value: "SECRET-1"}, Cutoff: 100}
	span := func(id, order string) flows.SpanRecord {
		return flows.SpanRecord{
			TraceID: "t" + id, SpanID: id, Name: "POST", Start: 1, StatusCode: "Error", StatusMessage: "refused " + order,
			Origin:     &flows.SpanOrigin{Service: "shop", Resource: map[string]any{"service.name": "shop", "service.version": "4", "who": order}},
			Attributes: []flows.Attribute{{Name: "order.id", Text: order}},
			Events:     []flows.SpanEvent{{Time: 1, Name: "exception", Attributes: map[string]any{"m": order}}},
			Links:      []flows.SpanLink{{TraceID: "aa", SpanID: "bb", Attributes: map[string]any{"d": order}}},
		}
	}
	if err := s.InsertSpans(t.Context(), "", packed(t, span("1", "SECRET-1"), span("2", "secret-1"), span("3", "SECRET-10")), heard()); err != nil {
		t.Fatal(err)
	}
	logs := []flows.LogRecord{
		{Time: 1, TraceID: "t1", SpanID: "1", Body: "in the span"},
		{Time: 2, Body: "order (SECRET-1) paid"},
		{Time: 3, Body: "order SECRET-10 paid"},
		{Time: 4, Body: "by attribute", Attributes: map[string]any{"order.id": "SECRET-1"}},
		{Time: 5, TraceID: "t1", SpanID: "9", Body: "beside the span"},
	}
	if err := s.InsertLogs(t.Context(), "", logs, heard()); err != nil {
		t.Fatal(err)
	}
	left := []flows.Signal{{Kind: flows.Span, ID: "t1:1", TraceID: "t1", SpanID: "1"}}
	for range 2 {
		if err := s.EraseSpans(t.Context(), x, left, []string{"order.id"}); err != nil {
			t.Fatal(err)
		}
	}
	is(t, s, "SELECT SpanId FROM spans WHERE positionCaseInsensitive(toString(tuple(*)), 'secret') > 0", "3")
	is(t, s, "SELECT concat(ResourceAttributes['service.name'], ResourceAttributes['service.version'], toString(length(Events.Name))) FROM spans WHERE SpanId = '1'", "shop41")
	is(t, s, "SELECT Body FROM logs", "", "", "", "beside the span", "order SECRET-10 paid")
	if n := count(t, s, "SELECT count() FROM logs WHERE notEmpty(LogAttributes)"); n != 0 {
		t.Errorf("%d log records have attributes", n)
	}
}

// A value that tells children or segments apart is the token there, and only there.
func TestEraseWords(t *testing.T) {
	s := openStore(t)
	x := Erasure{Token: "erased-x", Key: flows.Key{Type: "customer", Value: "SECRET-1"}, Cutoff: 100}
	occurrence := func(id, child, segment string) flows.OccurrenceRecord {
		return flows.OccurrenceRecord{
			Flow: "orders", Key: "A", StepID: "s", Occurrence: flows.Occurrence{Source: "shop", ID: id, At: 1, Start: 1, Child: child}, Segments: map[string]string{"who": segment, "region": "SECRET-1"},
		}
	}
	if err := s.WriteOccurrences(t.Context(), 7, []flows.OccurrenceRecord{occurrence("1", "SECRET-1", "SECRET-1"), occurrence("2", "x", "SECRET-1"), occurrence("3", "SECRET-1", "y")}); err != nil {
		t.Fatal(err)
	}
	one, other := instance("A"), instance("B")
	one.Segments, other.Segments = map[string]string{"who": "SECRET-1", "region": "SECRET-1"}, map[string]string{"who": "y"}
	if err := s.WriteInstances(t.Context(), 7, []flows.InstanceRecord{one, other}); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseWords(t.Context(), x, []flows.Signal{{Source: "shop", ID: "1"}, {Source: "shop", ID: "2"}}, []string{"who"}); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"steps", "steps_by_time"} {
		is(t, s, "SELECT concat(id, ' ', child, ' ', segments['who']) FROM "+table, "1 erased-x erased-x", "2 x erased-x", "3 SECRET-1 y")
	}
	is(t, s, "SELECT concat(key, ' ', segments['who'], ' ', segments['region']) FROM instances", "A erased-x SECRET-1", "B y ")
}

// Of all copies of a signal that carried the key one is left, however often it is done.
func TestEraseSignals(t *testing.T) {
	s := openStore(t)
	key, token := flows.Key{Type: "order", Value: "SECRET-1"}, flows.Key{Type: "order", Value: "erased-x"}
	x := Erasure{Token: token.Value, Key: key, Cutoff: 100}
	signal := func(id string, time flows.Time, keys ...flows.Key) flows.Signal {
		return flows.Signal{Source: "shop", ID: id, Name: "order.placed", Received: heard(), Time: time, Keys: keys, Data: map[string]any{"order": strings.Repeat("s", int(time))}}
	}
	if err := s.InsertSignals(t.Context(), "", []flows.Signal{
		signal("1", 1, key), signal("1", 2, key), signal("1", 3), signal("2", 1), signal("2", 2, key), signal("3", 1, flows.Key{Type: "order", Value: "SECRET-10"}),
	}); err != nil {
		t.Fatal(err)
	}
	copies, err := s.Carriers(t.Context(), key, x.Token, 10)
	if err != nil || len(copies) != 5 {
		t.Fatalf("%d copies: %v", len(copies), err)
	}
	left := signal("1", 1, token)
	left.Erased, left.Data = true, nil
	fresh := []flows.Signal{left}
	for range 2 {
		if err := s.EraseSignals(t.Context(), x, []flows.Signal{left}, fresh, []flows.Identity{{Source: "shop", ID: "2"}}); err != nil {
			t.Fatal(err)
		}
		fresh = nil
	}
	is(t, s, "SELECT concat(id, ' ', arrayStringConcat(keys, ','), ' ', toString(erased), ' ', data) FROM signals", `1 order:erased-x true `, `2  false {"order":"s"}`, `3 order:SECRET-10 false {"order":"s"}`)
}

// The log of erasures: what is under way has its value, what is done has none.
func TestErasures(t *testing.T) {
	s := openStore(t)
	x := Erasure{Token: "erased-x", Key: flows.Key{Type: "order", Value: "SECRET-1"}, By: "dpo", Began: flows.At(time.Unix(1_800_000_000, 5)), Signals: 3, Cutoff: 100}
	if err := s.SaveErasure(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Unerased(t.Context()); err != nil || len(got) != 1 || got[0] != x {
		t.Errorf("under way: %+v, %v", got, err)
	}
	x.Done, x.Key.Value = true, ""
	if err := s.SaveErasure(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context(), "erasures"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Unerased(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("done: %+v, %v", got, err)
	}
	is(t, s, "SELECT concat(by, ' ', type, ' ', value, ' ', toString(signals)) FROM erasures", "dpo order  3")
	id := HashIdentity(flows.Identity{Source: "shop", ID: "1"})
	if err := s.SaveErased(t.Context(), "erased-x", []IdentityHash{id}); err != nil {
		t.Fatal(err)
	}
	other := HashIdentity(flows.Identity{Source: "shop", ID: "2"})
	cancelled := Erasure{Token: "erased-y", Key: flows.Key{Type: "order"}, Done: true, Cutoff: 100}
	if err := errors.Join(s.SaveErased(t.Context(), "erased-y", []IdentityHash{other}), s.SaveErasure(t.Context(), cancelled), s.SaveErased(t.Context(), "erased-z", []IdentityHash{other})); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"": 1, "erased-x": 1, "erased-y": 0, "erased-z": 0} {
		n := 0
		if err := s.ErasedSignals(t.Context(), token, func(h IdentityHash) {
			if n++; h != id {
				t.Errorf("%x", h)
			}
		}); err != nil || n != want {
			t.Errorf("%q: %d, %v", token, n, err)
		}
	}
}
