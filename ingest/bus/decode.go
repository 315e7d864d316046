package bus

import (
	"fmt"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/klauspost/compress/s2"

	"throughline/flows"
)

// maxBody bounds what a packed message may claim to unpack to: the largest item of an
// embedded server, and one target more.
const maxBody = embeddedMaxPayload + targetBody

// decode reads a message of the bus. What it returns refers to frame, or to d.room where
// that was unpacked. Its signals are in an array of their own, which may be given to
// vacateSignals.
func (d *decoder) decode(frame []byte) (flows.Batch, error) {
	var b flows.Batch
	d.room = nil
	if len(frame) < frameHeader || frame[0] != frameVersion {
		return b, fmt.Errorf("%w: no frame of version %d", errMalformed, frameVersion)
	}
	body := frame[frameHeader:]
	switch frame[1] {
	case packedNone:
	case packedS2:
		size, err := s2.DecodedLen(body)
		if err != nil {
			return b, fmt.Errorf("unpack message: %w", err)
		}
		if size > maxBody {
			return b, fmt.Errorf("%w: unpacks to %d bytes, at most %d are taken", errMalformed, size, maxBody)
		}
		d.room = room(size)
		if body, err = s2.Decode(d.room[:size], body); err != nil {
			return b, fmt.Errorf("unpack message: %w", err)
		}
	default:
		return b, fmt.Errorf("%w: packing %d is not known", errMalformed, frame[1])
	}
	b, err := d.body(body)
	if err != nil {
		vacate(d.room)
		d.room = nil
	}
	return b, err
}

func (d *decoder) body(body []byte) (flows.Batch, error) {
	var b flows.Batch
	d.last = [len(d.last)]string{} // they keep the message before
	items, signals := 0, count(body, bodySignal)
	if signals > maxItems {
		return b, fmt.Errorf("decode message: %w", errMalformed)
	}
	if signals > 0 {
		b.Signals = signalRoom(signals)
	}
	err := fields(body, func(fc *easyproto.FieldContext) error {
		item, ok := fc.MessageData()
		if items++; !ok || items > maxItems {
			return errMalformed
		}
		switch fc.FieldNum {
		case bodySignal:
			b.Signals = append(b.Signals, flows.Signal{})
			return d.signal(item, &b.Signals[len(b.Signals)-1])
		case bodySpans:
			block, err := flows.ParseSpanBlock(item)
			if err != nil {
				return fmt.Errorf("%w: %w", errMalformed, err)
			}
			b.Spans = append(b.Spans, block)
			return nil
		case bodyLog:
			b.Logs = append(b.Logs, flows.LogRecord{})
			return d.log(item, &b.Logs[len(b.Logs)-1])
		}
		return errMalformed
	})
	if err != nil {
		vacateSignals(b.Signals)
		return flows.Batch{}, fmt.Errorf("decode message: %w", err)
	}
	return b, nil
}

// count is how many fields of a number a message has, up to what cannot be read.
func count(src []byte, num uint32) (n int) {
	var fc easyproto.FieldContext
	for len(src) > 0 {
		var err error
		if src, err = fc.NextField(src); err != nil {
			return n
		}
		if fc.FieldNum == num {
			n++
		}
	}
	return n
}

func instant(fc *easyproto.FieldContext, to *flows.Time) error {
	i, ok := fc.Sfixed64()
	if !ok {
		return errMalformed
	}
	*to = flows.Time(i)
	return nil
}

func (d *decoder) mapTo(fc *easyproto.FieldContext, to *map[string]any) error {
	m, err := d.mapOf(fc, 0)
	*to = m
	return err
}

func (d *decoder) log(src []byte, l *flows.LogRecord) error {
	return fields(src, func(fc *easyproto.FieldContext) error {
		switch fc.FieldNum {
		case 1:
			return instant(fc, &l.Time)
		case 2:
			return textTo(fc, &l.TraceID)
		case 3:
			return textTo(fc, &l.SpanID)
		case 4:
			return integer(fc, &l.TraceFlags)
		case 5:
			return textTo(fc, &l.SeverityText)
		case 6:
			return integer(fc, &l.SeverityNumber)
		case 7:
			return textTo(fc, &l.Service)
		case 8:
			return textTo(fc, &l.Body)
		case 9:
			return d.mapTo(fc, &l.Resource)
		case 10:
			return d.mapTo(fc, &l.Attributes)
		case 11:
			return textTo(fc, &l.ScopeName)
		case 12:
			return textTo(fc, &l.ScopeVersion)
		}
		return errMalformed
	})
}
