package flows

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
)

// ContentHash is a hash of the canonical content, the same for equal signals whenever
// and by whatever way they arrived. Of copies that differ the one with the smallest
// (time, hash) counts.
func (s *Signal) ContentHash() uint64 {
	buffer := hashBuffers.Get().(*[]byte)
	defer hashBuffers.Put(buffer)
	b := append((*buffer)[:0], byte(s.Kind), truth(s.Failed))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Time))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Duration))
	for _, text := range [...]string{
		s.Source, s.ID, s.Name, s.System, s.Environment, s.Sequence, s.TraceID, s.SpanID, s.ParentID,
	} {
		b = canonicalText(b, text)
	}
	b = canonicalMap(canonicalMap(b, s.Attributes), s.Data)
	sum := sha256.Sum256(b)
	*buffer = b
	return binary.BigEndian.Uint64(sum[:8])
}

// hashBuffers keep the canonical form from being allocated for each signal (see
// BenchmarkContentHash).
var hashBuffers = sync.Pool{New: func() any { return new([]byte) }}

func truth(t bool) byte {
	if t {
		return 1
	}
	return 0
}

func canonicalText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func canonicalMap(b []byte, m map[string]any) []byte {
	b = binary.AppendUvarint(append(b, 'm'), uint64(len(m)))
	var few [16]string // most signals have no more, and need no memory here
	sorted := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.Sort(sorted)
	for _, name := range sorted {
		b = canonicalValue(canonicalText(b, name), m[name])
	}
	return b
}

// canonicalValue appends a value of the kinds that DecodeObject names. A whole number is
// the same as int64 and as float64, as it is in JSON.
func canonicalValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case bool:
		return append(b, 'b', truth(v))
	case string:
		return canonicalText(append(b, 's'), v)
	case int64:
		return binary.LittleEndian.AppendUint64(append(b, 'i'), uint64(v))
	case float64:
		if i := int64(v); float64(i) == v && math.Abs(v) < 1<<53 {
			return canonicalValue(b, i)
		}
		return binary.LittleEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
	case json.Number:
		return canonicalText(append(b, 'd'), string(v))
	case map[string]any:
		return canonicalMap(b, v)
	case []any:
		b = binary.AppendUvarint(append(b, 'l'), uint64(len(v)))
		for _, e := range v {
			b = canonicalValue(b, e)
		}
		return b
	}
	return canonicalText(append(b, 'x'), fmt.Sprint(v))
}
