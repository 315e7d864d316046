package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throughline/flows"
)

func try(id, version, message string, at flows.Time) flows.SpanRecord {
	s := flows.SpanRecord{
		TraceID: "trace-" + id, SpanID: id, Name: "POST /invoices", Start: at, StatusCode: "Unset",
		Origin: &flows.SpanOrigin{Service: "erp", Resource: map[string]any{"service.version": version}},
	}
	if message != "" {
		s.StatusCode, s.StatusMessage = "Error", message
	}
	return s
}

func TestTriesAndFailures(t *testing.T) {
	s := openStore(t)
	begin := epoch
	spans := packed(
		t, try("1", "4.11", "", begin.Add(time.Minute)), try("2", "4.12", "TaxCodeNotFound: STD", begin.Add(3*time.Minute)),
		try("3", "4.12", "TaxCodeNotFound: STD", begin.Add(4*time.Minute)), try("4", "4.12", "Timeout", begin.Add(5*time.Minute)),
		try("0", "4.10", "", begin.Add(-time.Hour)),
	)
	for range 2 { // a copy counts once
		if err := s.InsertSpans(t.Context(), "", spans, heard()); err != nil {
			t.Fatal(err)
		}
	}
	m := flows.Match{Kind: flows.Span, Name: "POST /invoices", Service: "erp"}
	got, err := s.Tries(t.Context(), m, begin, begin.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := []flows.Tries{
		{After: true, Failed: true, Message: "TaxCodeNotFound: STD", Count: 2, First: begin.Add(3 * time.Minute), Last: begin.Add(4 * time.Minute)},
		{Count: 1, First: begin.Add(time.Minute), Last: begin.Add(time.Minute)},
		{After: true, Failed: true, Message: "Timeout", Count: 1, First: begin.Add(5 * time.Minute), Last: begin.Add(5 * time.Minute)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tries: -want +got\n%s", diff)
	}
	for _, other := range []flows.Match{{Kind: flows.Span, Name: "POST /invoices", Service: "crm"}, {Kind: flows.Event, Name: "POST /invoices"}} {
		if got, err := s.Tries(t.Context(), other, begin, begin); err != nil || len(got) != 0 {
			t.Errorf("%+v: %v, %v", other, got, err)
		}
	}
	said, err := s.Failures(t.Context(), []string{"trace-1", "trace-2", "trace-9"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"trace-2:2": "TaxCodeNotFound: STD"}, said); diff != "" {
		t.Errorf("failures: -want +got\n%s", diff)
	}
}

func TestShared(t *testing.T) {
	s, f := openStore(t), parseFlow(t, []byte(orders))
	record := func(key, region string, state flows.State, path ...string) flows.InstanceRecord {
		r := flows.InstanceRecord{
			Flow: f.Name, Key: key, State: state, StartedAt: epoch, LastAt: epoch.Add(time.Hour), EndedAt: flows.NoTime, StuckSince: flows.NoTime,
			HeldSince: flows.NoTime, HeldUntil: flows.NoTime, Path: path, Segments: map[string]string{"region": region}, AsOf: epoch,
		}
		if state == flows.Stuck {
			r.ReasonStep, r.Reason = "paid", flows.ReasonDeadline
		}
		return r
	}
	err := s.WriteInstances(t.Context(), 1, []flows.InstanceRecord{
		record("a", "EU", flows.Stuck, "placed"), record("b", "EU", flows.Stuck, "placed"), record("c", "US", flows.Completed, "placed", "paid"),
		record("d", "EU", flows.Open, "placed", "paid"), record("e", "US", flows.Open, "placed"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Shared(t.Context(), f, "paid", epoch)
	if err != nil {
		t.Fatal(err)
	}
	want := []flows.SharedValue{
		{Name: "region", Value: "EU", Stuck: 2, StuckAll: 2, Passed: 1, PassedAll: 2},
		{Name: "region", Value: "US", StuckAll: 2, Passed: 1, PassedAll: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFlowTexts(t *testing.T) {
	s := openStore(t)
	for _, v := range []FlowVersion{{Flow: "orders", Version: "1", Definition: "flow: orders"}, {Flow: "orders", Version: "2", Definition: "flow: orders # two"}, {Flow: "other", Version: "3"}} {
		if err := s.SaveFlowVersion(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.FlowTexts(t.Context(), "orders", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Version != "2" || got[0].Text != "flow: orders # two" || got[1].Version != "1" || got[0].Loaded < got[1].Loaded {
		t.Errorf("got %+v", got)
	}
}
