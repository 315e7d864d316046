package engine

import (
	"slices"
	"testing"

	"throughline/flows"
)

// A signal that several imports bring has the clock of the latest of them, and that of now once
// it came live, in whatever order they come: in an instance, and while it waits for a link.
func TestASignalOfSeveralImportsHasTheLatestClock(t *testing.T) {
	const now = 500 * minute
	for _, c := range []struct {
		clocks []flows.Time
		want   flows.Time
	}{
		{[]flows.Time{50 * minute, 70 * minute}, 70 * minute},
		{[]flows.Time{70 * minute, 50 * minute}, 70 * minute},
		{[]flows.Time{50 * minute, 70 * minute, 60 * minute}, 70 * minute},
		{[]flows.Time{50 * minute, 0}, now},
		{[]flows.Time{0, 70 * minute}, now},
	} {
		for _, waits := range []bool{false, true} {
			s := keyedSet(t, "", spillFile)
			e := New(s)
			e.Roll(now)
			sold, sent := parcelSold(1, 1), parcelSent(1, 2)
			if sold.AsOf = minute; !waits {
				sent = event("sent", "sent", 2, map[string]any{"order": "1"})
			}
			var signals []flows.Signal
			for _, sent.AsOf = range c.clocks {
				signals = append(signals, sent)
			}
			signals = slices.Insert(signals, len(signals)*int(flag(waits, 1)), sold) // last where what is sent waits for it
			for i := range signals {
				if err := s.AssignKeys(&signals[i]); err != nil {
					t.Fatal(err)
				}
				e.Apply(signals[i:i+1], now)
			}
			if r := one(t, e, "1"); r.AsOf != c.want || len(r.Path) != 2 {
				t.Errorf("clocks %v, waits %v: judged at %v, not %v; %v", c.clocks, waits, r.AsOf, c.want, r.Path)
			}
		}
	}
}

// Values of segments are numbered where they are few, as those of a region, and written out
// where they are those of keys: names are never forgotten, and keys can be erased.
func TestValuesOfKeysAreNotNumbered(t *testing.T) {
	s := keyedSet(t, "", "flow: sale\nkey: order\nsegments: [customer, region]\nlinks: [customer]\nsteps:\n  - {id: sold, match: {event: sold}}\n")
	l := newLeavingScene(t, s)
	l.send(event("1", "sold", 0, map[string]any{"order": "p", "customer": "Ada", "region": "north"}))
	check := func(what string) {
		t.Helper()
		if texts := l.e.names.texts; slices.Contains(texts, "Ada") || slices.Contains(texts, "p") || !slices.Contains(texts, "north") {
			t.Errorf("%s: numbered are %q", what, texts)
		}
	}
	check("applied")
	l.rest()
	check("at rest")
	l.e = l.store.reopen(t, s, l.now)
	l.send(event("2", "sold", 1, map[string]any{"order": "p"}))
	check("woken")
	if in := l.e.flows["sale"].find("p"); !slices.Equal(l.e.occurrences(in)[0].Segments, []string{"Ada", "north"}) {
		t.Errorf("segments are %q", l.e.occurrences(in)[0].Segments)
	}
}
