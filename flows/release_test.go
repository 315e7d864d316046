package flows

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestReleasesBegin: a version begins once, however often it is seen, and again only where
// it was away while another one ran.
func TestReleasesBegin(t *testing.T) {
	var v ReleaseWatch
	for i, c := range []struct {
		minute  float64
		version string
		begins  bool
	}{
		{0, "1", true},
		{0, "1", false},
		{60, "1", false}, // a quiet hour is no deployment
		{61, "2", true},
		{61.5, "1", false}, // the roll-out goes on
		{62, "2", false},
		{62.5, "1", false},
		{61, "2", false}, // late
		{90, "2", false},
		{91, "1", true}, // rolled back
		{92, "2", false},
	} {
		if got := v.Saw("erp", nil, []byte(c.version), Time(c.minute*float64(minute))); got != c.begins {
			t.Errorf("row %d: version %s at minute %v: begins %v, want %v", i, c.version, c.minute, got, c.begins)
		}
	}
	if !v.Saw("erp", []byte("test"), []byte("1"), 0) || !v.Saw("shop", nil, []byte("1"), 0) {
		t.Error("a version of another environment or service is taken for the same one")
	}
	version := []byte("1")
	now := 92 * minute
	if n := testing.AllocsPerRun(100, func() { now += Time(time.Second); v.Saw("erp", nil, version, now) }); n != 0 {
		t.Errorf("a version that is known costs %v allocations", n)
	}
}

func TestReleaseWatchIsBounded(t *testing.T) {
	var v ReleaseWatch
	for i := range 5 * maxReleases {
		v.Saw(fmt.Sprint("service ", i), nil, []byte("1"), 0)
		v.Saw("erp", nil, []byte(fmt.Sprint(i)), Time(i)*minute)
	}
	held := 0
	for _, environments := range v.services {
		for _, r := range environments {
			held += 1 + len(r.last)
		}
	}
	if held > maxReleases+2 {
		t.Errorf("%d are held, of %d at most", held, maxReleases)
	}
}

// TestReleases: the order of what was seen, and seeing it again, change nothing.
func TestReleases(t *testing.T) {
	seen := []ReleaseSeen{
		{"erp", "", "1", 0 * minute},
		{"erp", "", "2", 5 * minute},
		{"erp", "", "1", 9 * minute},
		{"shop", "", "7", 3 * minute},
		{"erp", "test", "3", 1 * minute},
		{"erp", "test", "4", 7 * minute},
	}
	want := []Release{{seen[2], "2"}, {seen[5], "3"}, {seen[1], "1"}}
	for range 50 {
		again := slices.Concat(seen, []ReleaseSeen{{"erp", "", "2", 6 * minute}, {"shop", "", "7", 4 * minute}, seen[0]}) // after restarts
		rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if got := Releases(again); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if got := Releases(seen[:1]); len(got) != 0 {
		t.Errorf("the first version of all is a change: %v", got)
	}
}

func TestEachVersion(t *testing.T) {
	var p SpanPacker
	for i, resource := range []map[string]any{
		{"service.name": "erp", "service.version": "4.12", "deployment.environment.name": "test", "x": "y"},
		{"service.name": "erp"},
		{"service.version": "1"},
		{"a": int64(1), "service.name": "shop", "service.version": "2"},
	} {
		service, _ := resource["service.name"].(string)
		if err := p.Add(&SpanRecord{Origin: &SpanOrigin{Service: service, Resource: resource}, Start: Time(100 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []ReleaseSeen
	blocks := append(p.Blocks(), SpanBlock{})
	for i := range blocks {
		blocks[i].EachVersion(func(service string, environment, version []byte, at Time) {
			got = append(got, ReleaseSeen{service, string(environment), string(version), at})
		})
	}
	if want := []ReleaseSeen{{"erp", "test", "4.12", 100}, {"shop", "", "2", 100}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
