package store

import (
	"slices"
	"testing"

	"throughline/flows"
)

// TestReleases: a version is written once when it begins, whichever insert brings it, and an
// insert that failed is made up for by the next one.
func TestReleases(t *testing.T) {
	s := openStore(t)
	now := heard()
	at := func(minute int) flows.Time { return now + flows.Time(minute)*flows.Time(60e9) }
	send := func(minute int, version string) error {
		var p flows.SpanPacker
		origin := &flows.SpanOrigin{Service: "erp", Resource: map[string]any{"service.name": "erp", "service.version": version}}
		if err := p.Add(&flows.SpanRecord{Origin: origin, TraceID: version, Start: at(minute)}); err != nil {
			t.Fatal(err)
		}
		return s.InsertSpans(t.Context(), "", p.Blocks(), at(minute))
	}
	for i, version := range []string{"4.11.3", "4.11.3", "4.12.0"} {
		if err := send(i, version); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, "SELECT count() FROM releases"); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if err := s.conn.Exec(t.Context(), "RENAME TABLE releases TO releases_away"); err != nil {
		t.Fatal(err)
	}
	if err := send(9, "4.13.0"); !Retryable(err) {
		t.Fatalf("without its table: %v", err)
	}
	if err := s.conn.Exec(t.Context(), "RENAME TABLE releases_away TO releases"); err != nil {
		t.Fatal(err)
	}
	if err := send(10, "4.13.0"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Releases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []flows.Release{
		{ReleaseSeen: flows.ReleaseSeen{Service: "erp", Version: "4.13.0", At: at(9)}, Before: "4.12.0"},
		{ReleaseSeen: flows.ReleaseSeen{Service: "erp", Version: "4.12.0", At: at(2)}, Before: "4.11.3"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
