package bus

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/VictoriaMetrics/easyproto"

	"throughline/flows"
)

// The fields of a signal. Attributes and data go as the text that ClickHouse gets of them,
// with the content's hash: nobody behind the door makes maps of them.
const (
	signalKind = iota + 1
	signalSource
	signalID
	signalName
	signalSystem
	signalEnvironment
	signalTime
	signalDuration
	signalFailed
	signalSequence
	signalReceived
	signalAsOf
	signalKey
	signalOldAttributes // as maps; not written any more
	signalOldData
	signalTraceID
	signalSpanID
	signalParentID
	signalAttributes
	signalData
	signalHash
	signalSampled

	keyType  = 1
	keyValue = 2
)

// The wire types of protobuf.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
)

func tag(field, wire int) uint64 { return uint64(field<<3 | wire) }

func appendTextField(b []byte, field int, s string) []byte {
	if s == "" {
		return b
	}
	b = binary.AppendUvarint(b, tag(field, wireBytes))
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTimeField(b []byte, field int, t flows.Time) []byte {
	if t == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(b, tag(field, wire64)), uint64(t))
}

func appendIntField(b []byte, field int, i int64) []byte {
	if i == 0 {
		return b
	}
	return binary.AppendVarint(binary.AppendUvarint(b, tag(field, wireVarint)), i) // zigzag, too
}

// appendSignal writes a signal as an item of a body.
func appendSignal(b []byte, s *flows.Signal) (_ []byte, err error) {
	b, start := openMessage(b, bodySignal)
	b = appendIntField(b, signalKind, int64(s.Kind))
	b = appendTextField(b, signalSource, s.Source)
	b = appendTextField(b, signalID, s.ID)
	b = appendTextField(b, signalName, s.Name)
	b = appendTextField(b, signalSystem, s.System)
	b = appendTextField(b, signalEnvironment, s.Environment)
	b = appendTimeField(b, signalTime, s.Time)
	b = appendIntField(b, signalDuration, int64(s.Duration))
	if s.Failed {
		b = append(binary.AppendUvarint(b, tag(signalFailed, wireVarint)), 1)
	}
	if s.Sampled {
		b = append(binary.AppendUvarint(b, tag(signalSampled, wireVarint)), 1)
	}
	b = appendTextField(b, signalSequence, s.Sequence)
	b = appendTimeField(b, signalReceived, s.Received)
	b = appendTimeField(b, signalAsOf, s.AsOf)
	for _, k := range s.Keys {
		b = binary.AppendUvarint(b, tag(signalKey, wireBytes))
		b = binary.AppendUvarint(b, uint64(textFieldSize(k.Type)+textFieldSize(k.Value)))
		b = appendTextField(appendTextField(b, keyType, k.Type), keyValue, k.Value)
	}
	b = appendTextField(b, signalTraceID, s.TraceID)
	b = appendTextField(b, signalSpanID, s.SpanID)
	b = appendTextField(b, signalParentID, s.ParentID)
	b = binary.AppendUvarint(b, tag(signalHash, wire64))
	b = binary.LittleEndian.AppendUint64(b, s.ContentHash())
	if b, err = appendObjectField(b, signalAttributes, s, (*flows.Signal).AppendAttributes); err != nil {
		return b, fmt.Errorf("attributes: %w", err)
	}
	if b, err = appendObjectField(b, signalData, s, (*flows.Signal).AppendData); err != nil {
		return b, fmt.Errorf("data: %w", err)
	}
	return closeMessage(b, start), nil
}

func appendObjectField(b []byte, field int, s *flows.Signal, add func(*flows.Signal, []byte) ([]byte, error)) (_ []byte, err error) {
	before := len(b)
	b, start := openMessage(b, field)
	if b, err = add(s, b); err != nil || len(b) == start {
		return b[:before], err //nolint:wrapcheck // the caller says which
	}
	return closeMessage(b, start), nil
}

func textFieldSize(s string) int {
	if s == "" {
		return 0
	}
	n := 2 // tag, length below 128
	for l := len(s) >> 7; l > 0; l >>= 7 {
		n++
	}
	return n + len(s)
}

// lengthBytes hold any length below 2^28.
const lengthBytes = 4

// openMessage begins a field of bytes whose length is not known yet, in as many bytes as the
// longest takes. start is where its content begins.
func openMessage(b []byte, field int) (_ []byte, start int) {
	b = append(binary.AppendUvarint(b, tag(field, wireBytes)), 0, 0, 0, 0)
	return b, len(b)
}

func closeMessage(b []byte, start int) []byte {
	n := len(b) - start
	for i := range lengthBytes {
		b[start-lengthBytes+i] = byte(n>>(7*i)) | 0x80
	}
	b[start-1] &^= 0x80
	return b
}

// signal reads a signal in a loop of its own, since signals are most of what is decoded.
func (d *decoder) signal(src []byte, s *flows.Signal) error {
	var fc easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		if err := d.signalField(&fc, s); err != nil {
			return err
		}
	}
	if p := &s.Packed; p.Hash == 0 && len(p.Attributes)+len(p.Data) > 0 {
		return errMalformed // nobody has to look through the text for it
	}
	return nil
}

func (d *decoder) signalField(fc *easyproto.FieldContext, s *flows.Signal) error {
	switch fc.FieldNum {
	case signalKind:
		return integer(fc, &s.Kind)
	case signalSource:
		return d.wordTo(fc, &s.Source)
	case signalID:
		return textTo(fc, &s.ID)
	case signalName:
		return d.wordTo(fc, &s.Name)
	case signalSystem:
		return d.wordTo(fc, &s.System)
	case signalEnvironment:
		return d.wordTo(fc, &s.Environment)
	case signalTime:
		return instant(fc, &s.Time)
	case signalDuration:
		return integer(fc, &s.Duration)
	case signalFailed:
		return truth(fc, &s.Failed)
	case signalSampled:
		return truth(fc, &s.Sampled)
	case signalSequence:
		return textTo(fc, &s.Sequence)
	case signalReceived:
		return instant(fc, &s.Received)
	case signalAsOf:
		return instant(fc, &s.AsOf)
	case signalKey:
		return d.keyTo(fc, &s.Keys)
	case signalOldAttributes:
		return d.mapTo(fc, &s.Attributes)
	case signalOldData:
		return d.mapTo(fc, &s.Data)
	case signalTraceID:
		return textTo(fc, &s.TraceID)
	case signalSpanID:
		return textTo(fc, &s.SpanID)
	case signalParentID:
		return textTo(fc, &s.ParentID)
	case signalAttributes:
		return textTo(fc, &s.Packed.Attributes)
	case signalData:
		return textTo(fc, &s.Packed.Data)
	case signalHash:
		hash, ok := fc.Fixed64()
		if s.Packed.Hash = hash; !ok {
			return errMalformed
		}
		return nil
	}
	return errMalformed
}

// textTo sets a text that shares the memory of what is decoded.
func textTo(fc *easyproto.FieldContext, to *string) error {
	s, ok := fc.String()
	if *to = s; !ok {
		return errMalformed
	}
	return nil
}

// wordTo sets a text that is nearly always that of the signal before.
func (d *decoder) wordTo(fc *easyproto.FieldContext, to *string) error {
	s, ok := fc.String()
	if !ok {
		return errMalformed
	}
	last := &d.last[fc.FieldNum]
	if *last != s {
		*last = s
	}
	*to = *last
	return nil
}

// keysTogether share an array, of whatever messages they are.
const keysTogether = 128

// keyTo adds a key.
func (d *decoder) keyTo(fc *easyproto.FieldContext, keys *[]flows.Key) error {
	src, ok := fc.MessageData()
	if !ok {
		return errMalformed
	}
	var k flows.Key
	var at easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = at.NextField(src); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		switch at.FieldNum {
		case keyType:
			k.Type, ok = at.String()
		case keyValue:
			k.Value, ok = at.String()
		default:
			ok = false
		}
		if !ok {
			return errMalformed
		}
	}
	if len(d.keys) == cap(d.keys) { // another array, beginning with those of this signal
		these := d.keys[len(d.keys)-len(*keys):]
		d.keys = append(make([]flows.Key, 0, len(these)+keysTogether), these...)
	}
	d.keys = append(d.keys, k)
	n := len(d.keys)
	*keys = d.keys[n-len(*keys)-1 : n : n]
	return nil
}

func truth(fc *easyproto.FieldContext, to *bool) error {
	is, ok := fc.Bool()
	if *to = is; !ok {
		return errMalformed
	}
	return nil
}

func integer[T flows.Kind | time.Duration | uint32 | int32](fc *easyproto.FieldContext, to *T) error {
	i, ok := fc.Sint64()
	if *to = T(i); !ok || int64(*to) != i {
		return errMalformed
	}
	return nil
}
