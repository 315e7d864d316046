package flows

import "testing"

func TestImportedHistoryCountsInItsFlowOnly(t *testing.T) {
	const steps = "\nkey: id\nidle: 1d\nsteps:\n  - {id: a, match: {event: a, source: /shop}}\n"
	var all []*Flow
	for _, name := range []string{"one", "two"} {
		f, faults := Parse(name, []byte("flow: "+name+steps))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		all = append(all, f)
	}
	set, err := NewSet(all)
	if err != nil {
		t.Fatal(err)
	}
	sig := Signal{Name: "a", Source: ImportSource + "two", AsOf: 1}
	if hits := set.Match(&sig, nil); len(hits) != 1 || hits[0].Flow.Name != "two" {
		t.Errorf("imported into two: %d hits", len(hits))
	}
	sig.AsOf = 0 // a live sender may call itself what it likes
	if hits := set.Match(&sig, nil); len(hits) != 0 {
		t.Errorf("live, of another source: %d hits", len(hits))
	}
	sig.Source = "/shop"
	if hits := set.Match(&sig, nil); len(hits) != 2 {
		t.Errorf("live: %d hits", len(hits))
	}
}

// An instance made of imports alone is judged at the greatest of their times, whatever the
// order; one with a live signal at now.
func TestClockIsTheLatestImport(t *testing.T) {
	imported := func(at, asOf Time) Occurrence { return Occurrence{At: at, AsOf: asOf} }
	f := func(want Time, occurrences ...Occurrence) {
		t.Helper()
		if got := Clock(occurrences, 1000); got != want {
			t.Errorf("judged at %d, not %d", got, want)
		}
	}
	f(70, imported(1, 70), imported(2, 50))
	f(70, imported(1, 50), imported(2, 70))
	f(1000, imported(1, 70), imported(2, 0))
	f(1000)
}
