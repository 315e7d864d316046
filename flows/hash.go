package flows

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
)

// ContentHash is a hash of the canonical content, the same for equal signals whenever
// and by whatever way they arrived. Of copies that differ the one with the smallest
// (time, hash) counts. It tells copies apart that differ by accident, not those that
// somebody made to collide: of these, which are copies of one sender's one signal, either
// may count.
func (s *Signal) ContentHash() uint64 {
	if s.Packed.Hash != 0 {
		return s.Packed.Hash
	}
	h := contentHash(truth(s.Sampled)<<2 | uint64(s.Kind)<<1 | truth(s.Failed))
	h = h.pair(uint64(s.Time), uint64(s.Duration))
	h = h.text(s.Source).text(s.ID).text(s.Name).text(s.System).text(s.Environment).text(s.Sequence)
	h = h.text(s.TraceID).text(s.SpanID).text(s.ParentID)
	return h.part(s.Packed.Attributes, s.Attributes).part(s.Packed.Data, s.Data).sum()
}

func truth(t bool) uint64 {
	if t {
		return 1
	}
	return 0
}

// contentHash mixes words by folding the two halves of a product with odd constants: a
// few nanoseconds a word, where SHA-256 of the same content took three times as long as
// all the rest (see BenchmarkContentHash).
type contentHash uint64

const (
	hashWord  = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	hashText  = 0xd1342543de82ef95 // constants of no structure, with about half of the bits set
	hashEntry = 0xaf251af3b0f025b5
)

func folded(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func (h contentHash) pair(a, b uint64) contentHash {
	return contentHash(folded(uint64(h)^a^hashWord, b^hashText))
}

// sum has 40 bits, which suffice to tell the copies of one signal apart, and are kept of
// each signal for as long as it may come again.
func (h contentHash) sum() uint64 { return folded(uint64(h)^hashEntry, hashWord) >> 24 }

// text takes the length too, so that text cannot move from one field to the next.
func (h contentHash) text(s string) contentHash {
	n := uint64(len(s))
	for ; len(s) > 16; s = s[16:] {
		h = h.pair(eight(s), eight(s[8:]))
	}
	var a, b uint64
	switch {
	case len(s) >= 8:
		a, b = eight(s), eight(s[len(s)-8:])
	case len(s) >= 4:
		a, b = four(s), four(s[len(s)-4:])
	case len(s) > 0:
		a = uint64(s[0]) | uint64(s[len(s)/2])<<8 | uint64(s[len(s)-1])<<16
	}
	return h.pair(a, b).pair(n, 't')
}

func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func four(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

func (h contentHash) part(packed string, m map[string]any) contentHash {
	if packed != "" {
		h, _ = h.packedObject(packed, 0)
		return h
	}
	return h.object(m)
}

// object adds up the hashes of its entries, which needs no order.
func (h contentHash) object(m map[string]any) contentHash {
	var all uint64
	if len(m) == 0 {
		return h.pair(0, 'm')
	}
	for name, v := range m {
		all += contentHash(hashEntry).text(name).value(v).sum()
	}
	return h.pair(all, uint64(len(m))<<8|'m')
}

// value takes a value of the kinds that DecodeObject names. A whole number is the same as
// int64 and as float64, as it is in JSON.
func (h contentHash) value(v any) contentHash {
	switch v := v.(type) {
	case nil:
		return h.pair(0, 'n')
	case bool:
		return h.pair(truth(v), 'b')
	case string:
		return h.text(v)
	case int64:
		return h.pair(uint64(v), 'i')
	case float64:
		if i := int64(v); float64(i) == v && math.Abs(v) < 1<<53 {
			return h.pair(uint64(i), 'i')
		}
		return h.pair(math.Float64bits(v), 'f')
	case json.Number:
		return h.text(string(v)).pair(0, 'd')
	case map[string]any:
		return h.object(v)
	case []any:
		for _, e := range v {
			h = h.value(e)
		}
		return h.pair(uint64(len(v)), 'l')
	}
	return h.text(fmt.Sprint(v)).pair(0, 'x')
}
