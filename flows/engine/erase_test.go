package engine

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"throughline/flows"
)

// erased are signals with a key erased, one copy of each that carried it: that which counts.
func erased(t *testing.T, s *flows.Set, key flows.Key, signals []flows.Signal) (all, changed []flows.Signal) {
	t.Helper()
	eraser := flows.NewEraser(s, key, "gone", nil)
	counts := map[flows.Identity]flows.Signal{}
	carried := map[flows.Identity]bool{}
	for _, sig := range signals {
		id := sig.Identity()
		other, known := counts[id]
		if !known || sig.Time < other.Time || sig.Time == other.Time && sig.ContentHash() < other.ContentHash() {
			counts[id] = sig
		}
		carried[id] = carried[id] || eraser.Carries(&sig)
	}
	for _, sig := range signals {
		if !carried[sig.Identity()] {
			all = append(all, sig)
		}
	}
	for id := range maps.Keys(carried) {
		sig := counts[id]
		switch {
		case !carried[id]:
		case !eraser.Carries(&sig):
			all = append(all, sig)
		default:
			if err := eraser.Erase(&sig); err != nil {
				t.Fatal(err)
			}
			all, changed = append(all, sig), append(changed, sig)
		}
	}
	return all, changed
}

// renamed are records with a key's token instead of its value.
func renamed(all []flows.InstanceRecord, typeOf map[string]string, key flows.Key) []flows.InstanceRecord {
	all = slices.Clone(all)
	for i := range all {
		if typeOf[all[i].Flow] == key.Type && all[i].Key == key.Value {
			all[i].Key = "gone"
		}
	}
	sortRecords(all)
	return all
}

func sortRecords(all []flows.InstanceRecord) {
	slices.SortFunc(all, func(a, b flows.InstanceRecord) int {
		return strings.Compare(a.Flow+" "+flows.InstanceKey(a.Key, a.Environment), b.Flow+" "+flows.InstanceKey(b.Key, b.Environment))
	})
}

// A key is erased: every instance and every number is what it was, and all is as if the
// signals had come as they are now, over rests, saves and restarts.
func TestErasedKeysChangeNoNumber(t *testing.T) {
	expiring := strings.NewReplacer("idle: 2h", "expire: 2h", "links: [parcel, order]", "links: [parcel, order]\nexpire: 2h")
	for name, c := range map[string]struct {
		keys      string
		conflicts bool
		leaving   bool
		files     []string
	}{
		"conflicts":   {lawKeys, true, false, []string{lawFile, lawLines, lawTwin}},
		"common keys": {lawKeys + "invoice: {partners: 2}\nparcel: {partners: 1}\n", false, false, []string{lawFile, lawLines, lawTwin}},
		"leaving":     {lawKeys, false, true, []string{expiring.Replace(lawFile), expiring.Replace(lawLines)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := keyedSet(t, c.keys, c.files...)
			typeOf := map[string]string{"law": "order", "lines": "line", "twin": "order"}
			changedAll, left := 0, 0
			for seed := range uint64(600) {
				rng := rand.New(rand.NewPCG(seed, 71))
				signals := lawHistory(t, rng, s, c.conflicts)
				now := flows.Time(rng.IntN(300)) * minute
				key := []flows.Key{
					{Type: "order", Value: "P"},
					{Type: "order", Value: "q"},
					{Type: "line", Value: "P:0"},
					{Type: "line", Value: "L"},
					{Type: "invoice", Value: "1"},
					{Type: "parcel", Value: "2"},
					{Type: "order", Value: "Q"},
				}[rng.IntN(7)]
				e := NewFramed(s, Frame{Key: [2]uint64{seed, 1}})
				e.Roll(now)
				store := &saved{states: map[uint64]State{}, begun: -1, frame: Frame{Key: e.Frame().Key}, rolled: RolledSums{}}
				if c.leaving {
					store.evicted = map[uint64]Evicted{}
				}
				for i := range signals {
					if missing := e.Missing(signals[i : i+1]); missing != nil {
						store.comeBack(t, e, missing, now)
					}
					e.Apply(signals[i:i+1], now)
					if rng.IntN(3) == 0 {
						store.step(e, rng, i+1, now)
					}
				}
				e.Advance(now)
				before, numbers := records(e), health(e, "law", now)
				all, changed := erased(t, s, key, signals)
				changedAll += len(changed)
				store.comeBack(t, e, append(e.Missing(changed), e.KeyHashes(key, changed)...), now)
				left += store.left
				e.Erase(key, "gone", changed, now)
				e.Erase(key, "gone", changed, now) // again, as after a crash
				after := records(e)
				sortRecords(after)
				if diff := gocmp.Diff(renamed(before, typeOf, key), after); diff != "" && !c.leaving {
					t.Fatalf("seed %d, %s: -before +after\n%s", seed, key, diff)
				}
				if !c.leaving { // here instances leave before the live window has
					equal(t, numbers, health(e, "law", now))
				}
				store.comeBack(t, e, nil, now)
				if diff := gocmp.Diff(newReference(s, all).instances(), found(e)); diff != "" {
					t.Fatalf("seed %d, %s: -definition +engine\n%s", seed, key, diff)
				}
				stats := e.Stats()
				e.Apply(changed, now) // as the stored ones are read again
				if again := e.Stats(); again.Conflicts != stats.Conflicts || again.Inserted != stats.Inserted {
					t.Errorf("seed %d, %s: read again they are others: %+v, %+v", seed, key, stats, again)
				}
				if c.leaving {
					continue
				}
				for store.begun = -1; store.at <= len(signals); {
					store.step(e, rng, len(signals)+1, now)
				}
				again := store.reopen(t, s, now)
				equal(t, recounted(again), store.rolled.Clean())
				if diff := gocmp.Diff(found(e), found(again)); diff != "" {
					t.Fatalf("seed %d, %s: -state +saved\n%s", seed, key, diff)
				}
				for _, state := range store.states {
					if key.Value == "P:0" && strings.Contains(state.Text, key.Value) {
						t.Fatalf("seed %d: %s is saved still", seed, key)
					}
				}
				checkBooks(t, again)
				if t.Failed() {
					t.Fatalf("seed %d, %s", seed, key)
				}
			}
			if changedAll < 500 || c.leaving && left < 300 {
				t.Errorf("only %d signals were changed, and %d left memory: this test shows too little", changedAll, left)
			}
		})
	}
}
