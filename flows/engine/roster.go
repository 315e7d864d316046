package engine

import (
	"hash/maphash"
	"iter"
)

// roster finds the instances of a flow by their keys: 16 bytes for 14 of 16 to 14 of 18 of
// its slots, half of what a map takes, which keeps the keys a second time. The zero value is
// ready.
type roster struct {
	parts [][]seat // so that growing one is short
	used  []int32
	all   int
}

// seat is one slot; without an instance it is free.
type seat struct {
	hash uint64
	in   *instance
}

const (
	rosterBits  = 6
	leastRoster = 4
)

var rosterSeed = maphash.MakeSeed()

func rosterHash(key string) (hash uint64, part int) {
	hash = maphash.String(rosterSeed, key)
	return hash, int(hash >> (64 - rosterBits))
}

// get is the instance of a key; nil for none.
func (r *roster) get(key string) *instance {
	if r.all == 0 {
		return nil
	}
	hash, part := rosterHash(key)
	seats := r.parts[part]
	if len(seats) == 0 {
		return nil
	}
	for i := homeOf(uint32(hash), len(seats)); seats[i].in != nil; i = after(i, len(seats)) {
		if s := &seats[i]; s.hash == hash && s.in.key == key {
			return s.in
		}
	}
	return nil
}

// put adds an instance whose key is not there.
func (r *roster) put(in *instance) {
	if r.parts == nil {
		r.parts, r.used = make([][]seat, 1<<rosterBits), make([]int32, 1<<rosterBits)
	}
	hash, part := rosterHash(in.key)
	if old := r.parts[part]; int(r.used[part]) >= len(old)*7/8 {
		grown := make([]seat, len(old)+max(leastRoster, len(old)/8))
		for _, s := range old {
			if s.in != nil {
				sit(grown, s)
			}
		}
		r.parts[part] = grown
	}
	sit(r.parts[part], seat{hash, in})
	r.used[part]++
	r.all++
}

func sit(seats []seat, s seat) {
	i := homeOf(uint32(s.hash), len(seats))
	for seats[i].in != nil {
		i = after(i, len(seats))
	}
	seats[i] = s
}

// remove takes out an instance that is there, by the key it was put in with, and closes the gap.
func (r *roster) remove(in *instance) {
	if r.all == 0 {
		return
	}
	hash, part := rosterHash(in.key)
	seats := r.parts[part]
	if len(seats) == 0 {
		return
	}
	gap := homeOf(uint32(hash), len(seats))
	for ; seats[gap].in != in; gap = after(gap, len(seats)) {
		if seats[gap].in == nil {
			return
		}
	}
	r.used[part]--
	r.all--
	for i := after(gap, len(seats)); seats[i].in != nil; i = after(i, len(seats)) {
		// What may stand anywhere from its home to i may move into a gap between.
		home := homeOf(uint32(seats[i].hash), len(seats))
		if between := home <= gap && gap < i || i < home && (home <= gap || gap < i); between {
			seats[gap] = seats[i]
			gap = i
		}
	}
	seats[gap] = seat{}
}

// each yields all instances, in no order. None may be removed meanwhile; those that are added
// may or may not be among them.
func (r *roster) each() iter.Seq[*instance] {
	return func(yield func(*instance) bool) {
		for _, seats := range r.parts {
			for _, s := range seats {
				if s.in != nil && !yield(s.in) {
					return
				}
			}
		}
	}
}

// len is how many there are.
func (r *roster) len() int { return r.all }
