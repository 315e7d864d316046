package engine

import (
	"hash/maphash"
	"unsafe"

	"github.com/dchest/siphash"
)

// hasher makes hashes that are taken for the things themselves, and stored: 64 bits of
// SipHash-2-4, since who chooses ids and keys could make others collide.
type hasher struct{ k0, k1 uint64 }

func newHasher() hasher {
	seed := maphash.MakeSeed()
	return hasher{maphash.String(seed, "0"), maphash.String(seed, "1")}
}

// text is the hash of a text among those of one salt; never 0.
func (h hasher) text(salt uint64, s string) uint64 {
	return max(siphash.Hash(h.k0^salt, h.k1, unsafe.Slice(unsafe.StringData(s), len(s))), 1)
}
