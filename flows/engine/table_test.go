package engine

import (
	"math/rand/v2"
	"testing"
)

// A table holds what a map would, whatever is added and removed.
func TestTable(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var tab table
		want := map[uint32]uint64{} // by ref, which is unique
		for ref := range uint32(1 + rng.IntN(400)) {
			hash := 1 + rng.Uint64N(3)<<62 + rng.Uint64N(40) // many of one hash, many near the end
			tab.add(entry{hash: hash, ref: ref})
			want[ref] = hash
			if rng.IntN(2) == 0 {
				gone := rng.Uint32N(ref + 1)
				is := func(e *entry) bool { return e.ref == gone }
				e := tab.find(want[gone], is)
				if _, ok := want[gone]; (e != nil) != ok {
					t.Fatalf("seed %d: %d found: %v", seed, gone, e)
				}
				if e != nil {
					tab.remove(e)
					delete(want, gone)
				}
			}
		}
		if tab.used != len(want) {
			t.Fatalf("seed %d: %d used, want %d", seed, tab.used, len(want))
		}
		for ref, hash := range want {
			if tab.find(hash, func(e *entry) bool { return e.ref == ref }) == nil {
				t.Fatalf("seed %d: %d is lost", seed, ref)
			}
		}
	}
}
