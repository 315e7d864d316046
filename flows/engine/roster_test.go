package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A roster holds what a map holds, whatever is put in and taken out.
func TestRosterIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		var r roster
		want := map[string]*instance{}
		keys := 1 + rng.IntN(3000)
		for range 4 * keys {
			key := fmt.Sprint("key", rng.IntN(keys))
			if have := r.get(key); have != want[key] {
				t.Fatalf("%s: got %p, want %p", key, have, want[key])
			}
			switch in := want[key]; {
			case in == nil:
				in = &instance{key: key}
				want[key] = in
				r.put(in)
			case rng.IntN(2) == 0:
				delete(want, key)
				r.remove(in)
				r.remove(in) // is not there
			}
		}
		got := 0
		for in := range r.each() {
			if got++; want[in.key] != in {
				t.Fatalf("%s is in it", in.key)
			}
		}
		if got != len(want) || r.len() != len(want) {
			t.Fatalf("%d in it, it says %d, want %d", got, r.len(), len(want))
		}
	}
}
