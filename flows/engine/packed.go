package engine

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

// packed are the occurrences of an instance, in order, in as few bytes as it takes: about
// 45 each instead of 250. An instance at rest is little else. The form lives in memory
// only and may change with every build.
//
// Each occurrence is: flags, step, time since the one before, [how long it took], source,
// system, hash, id, [what is rare].
type packed string

// Flags of a packed occurrence.
const (
	packFailed = 1 << iota
	packSpan   // Start differs from At
	packRare   // has a rare part
	packSpanID // id is "traceid:spanid" in hex, kept as 24 bytes
	packSampled
)

const spanIDText = 32 + 1 + 16 // characters of "traceid:spanid"

// names number texts that many signals share.
type names struct {
	numbers map[string]uint64
	texts   []string
	recent  [recentNames]uint32 // numbers by recentOf, to spare looking them up
}

const recentNames = 64

// recentOf is the place in recent of a text that is not empty.
func recentOf(s string) int {
	return (int(s[0]) + 7*int(s[len(s)-1]) + 31*int(s[len(s)/2]) + len(s)) % recentNames
}

// maxNames bounds the texts that are numbered; what comes later is written out.
const maxNames = 1 << 16

func newNames() names { return names{numbers: map[string]uint64{"": 1}, texts: []string{"", ""}} }

// number is the number of a text; 0 where there are too many.
func (n *names) number(s string) uint64 {
	if number := n.known(s); number > 0 || len(n.texts) == maxNames {
		return number
	}
	s = strings.Clone(s)
	number := uint64(len(n.texts))
	n.numbers[s] = number
	n.texts = append(n.texts, s)
	return number
}

// known is the number of a text that has one; 0 where it has none.
func (n *names) known(s string) uint64 {
	if s == "" {
		return 1
	}
	recent := &n.recent[recentOf(s)]
	if n.texts[*recent] == s {
		return uint64(*recent)
	}
	number, ok := n.numbers[s]
	if ok {
		*recent = uint32(number)
	}
	return number
}

// kept is a copy of a text that shares no memory with the message it came in.
func (n *names) kept(s string) string {
	if number := n.number(s); number > 0 {
		return n.texts[number]
	}
	return strings.Clone(s)
}

func (n *names) append(b []byte, s string) []byte {
	number := n.number(s)
	b = binary.AppendUvarint(b, number)
	if number == 0 {
		b = appendText(b, s)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// pack puts occurrences, in order, into b.
func (n *names) pack(b []byte, occurrences []flows.Occurrence) []byte {
	return n.packAfter(b, occurrences, 0)
}

// packAfter is pack for occurrences that follow one of some time.
func (n *names) packAfter(b []byte, occurrences []flows.Occurrence, before flows.Time) []byte {
	for i := range occurrences {
		b = n.packOne(b, &occurrences[i], before)
		before = occurrences[i].At
	}
	return b
}

func (n *names) packOne(b []byte, o *flows.Occurrence, before flows.Time) []byte {
	flags, id := packFlags(o)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(o.Step))
	b = binary.AppendVarint(b, int64(o.At-before))
	if flags&packSpan != 0 {
		b = binary.AppendVarint(b, int64(o.At-o.Start))
	}
	b = n.append(n.append(b, o.Source), o.System)
	b = appendHash(b, o.Hash)
	if flags&packSpanID != 0 {
		b = append(b, id[:]...)
	} else {
		b = appendText(b, o.ID)
	}
	if flags&packRare != 0 {
		b = n.appendRare(b, o)
	}
	return b
}

func packFlags(o *flows.Occurrence) (flags byte, id [24]byte) {
	id, isSpan := packSpanIdentity(o.ID)
	return flag(o.Failed, packFailed) | flag(o.Start != o.At, packSpan) | flag(isRare(o), packRare) | flag(isSpan, packSpanID) | flag(o.Sampled, packSampled), id
}

// isRare says whether an occurrence has a rare part.
func isRare(o *flows.Occurrence) bool {
	return o.Sequence != "" || o.AsOf != 0 || o.Amount.Valid || o.Currency != "" || o.Segments != nil || o.Child != "" || o.Expect != nil
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// packSpanIdentity is "traceid:spanid" in hex as 24 bytes; false for another id.
func packSpanIdentity(id string) (packed [24]byte, ok bool) {
	if len(id) != spanIDText || id[32] != ':' || !lowerHex(id[:32]) || !lowerHex(id[33:]) {
		return packed, false
	}
	// Both are hex, as was just seen.
	_, _ = hex.Decode(packed[:16], []byte(id[:32]))
	_, _ = hex.Decode(packed[16:], []byte(id[33:]))
	return packed, true
}

func spanIdentity(packed string) string {
	var bytes [24]byte
	var text [spanIDText]byte
	copy(bytes[:], packed)
	hex.Encode(text[:], bytes[:16])
	text[32] = ':'
	hex.Encode(text[33:], bytes[16:])
	return string(text[:])
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (n *names) appendRare(b []byte, o *flows.Occurrence) []byte {
	b = appendText(b, o.Sequence)
	b = binary.AppendVarint(b, int64(o.AsOf))
	b = n.append(b, o.Currency)
	if o.Amount.Valid {
		b = appendAmount(b, o.Amount)
	} else {
		b = append(b, 0)
	}
	b = n.appendList(n.appendSegments(b, o.Segments), o.Expect)
	return appendText(b, o.Child)
}

// hashBytes is the width of Signal.ContentHash.
const hashBytes = 5

func appendHash(b []byte, hash uint64) []byte {
	return append(b, byte(hash), byte(hash>>8), byte(hash>>16), byte(hash>>24), byte(hash>>32))
}

func (r *unpacker) hash() uint64 {
	h := r.take(hashBytes)
	return uint64(h[0]) | uint64(h[1])<<8 | uint64(h[2])<<16 | uint64(h[3])<<24 | uint64(h[4])<<32
}

func appendAmount(b []byte, amount flows.Amount) []byte {
	units, exponent, small := amount.Small()
	if !small {
		exact := amount.Decimal()
		b = binary.AppendVarint(append(b, byte(exact.Sign()+2)), int64(exact.Exponent()))
		return appendText(b, string(exact.Coefficient().Bytes()))
	}
	b = binary.AppendVarint(append(b, byte(cmp.Compare(units, 0)+2)), int64(exponent)) // 1 to 3; 0 is no amount
	var digits [8]byte
	binary.BigEndian.PutUint64(digits[:], uint64(max(units, -units)))
	text := digits[:]
	for len(text) > 0 && text[0] == 0 {
		text = text[1:]
	}
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

func (n *names) appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		b = n.append(b, v)
	}
	return b
}

// appendSegments is appendList that numbers nothing anew: see own.
func (n *names) appendSegments(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		number := n.known(v)
		b = binary.AppendUvarint(b, number)
		if number == 0 {
			b = appendText(b, v)
		}
	}
	return b
}

// unpack appends the occurrences to those in into. Their texts live as long as p does.
func (n *names) unpack(p packed, into []flows.Occurrence) []flows.Occurrence {
	r := unpacker{names: n, rest: string(p)}
	before := flows.Time(0)
	for len(r.rest) > 0 {
		flags := r.byte()
		into = append(into, flows.Occurrence{})
		o := &into[len(into)-1]
		o.Failed, o.Sampled, o.Step = flags&packFailed != 0, flags&packSampled != 0, int(r.uvarint())
		o.At = before + flows.Time(r.varint())
		before, o.Start = o.At, o.At
		if flags&packSpan != 0 {
			o.Start -= flows.Time(r.varint())
		}
		o.Source, o.System = r.name(), r.name()
		o.Hash = r.hash()
		if flags&packSpanID != 0 {
			o.ID = spanIdentity(r.take(24))
		} else {
			o.ID = r.text()
		}
		if flags&packRare != 0 {
			r.rare(o)
		}
	}
	return into
}

// maxExponent is more than an amount has: to add one with a greater would fill memory.
const maxExponent = 1000

// unpacker reads what pack wrote, which is memory of our own and cannot be malformed, and
// what write wrote, which came from the store: bad says that it is.
type unpacker struct {
	names *names
	rest  string
	bad   bool

	unhashed bool // hashes of signals are not asked for
}

const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // 24, the most that is taken unseen

func (r *unpacker) take(n int) string {
	if n > len(r.rest) {
		r.bad, r.rest = true, ""
		return zeros[:n]
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *unpacker) byte() byte { return r.take(1)[0] }

func (r *unpacker) uvarint() (v uint64) {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // as most are
		v, r.rest = uint64(r.rest[0]), r.rest[1:]
		return v
	}
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *unpacker) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *unpacker) text() string { return r.take(r.count()) }

func (r *unpacker) name() string {
	if number := r.uvarint(); number > 0 && number < uint64(len(r.names.texts)) {
		return r.names.texts[number]
	} else if number > 0 {
		r.bad = true
		return ""
	}
	return r.text()
}

func (r *unpacker) rare(o *flows.Occurrence) {
	o.Sequence = r.text()
	o.AsOf = flows.Time(r.varint())
	o.Currency = r.name()
	if sign := r.byte(); sign > 0 {
		exponent := int32(r.varint())
		if exponent < -maxExponent || exponent > maxExponent {
			exponent, r.bad = 0, true
		}
		o.Amount = amountOf(r.text(), sign == 1, exponent)
	}
	o.Segments, o.Expect, o.Child = r.list(), r.list(), r.text()
}

// amountOf is the way back from appendAmount.
func amountOf(digits string, negative bool, exponent int32) flows.Amount {
	sign := int64(1)
	if negative {
		sign = -1
	}
	units := uint64(0)
	for i := 0; i < len(digits) && len(digits) <= 8; i++ {
		units = units<<8 | uint64(digits[i])
	}
	if len(digits) <= 8 && units < flows.MaxUnits {
		return flows.SmallAmount(sign*int64(units), exponent)
	}
	coefficient := new(big.Int).SetBytes([]byte(digits))
	return flows.NewAmount(decimal.NewFromBigInt(coefficient.Mul(coefficient, big.NewInt(sign)), exponent))
}

func (r *unpacker) list() (list []string) {
	if n := r.count(); n > 0 {
		list = make([]string, n)
		for i := range list {
			list[i] = r.name()
		}
	}
	return list
}
