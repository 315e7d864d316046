package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throughline/flows"
)

// Refused is the error of a handler of Ranges for a part of a range that will never be
// handled, however often it is tried. Part is the handler's name for it.
type Refused struct {
	Part string
	Err  error
}

func (e *Refused) Error() string { return "refused for good: " + e.Part + ": " + e.Err.Error() }

// Unwrap is why it was refused.
func (e *Refused) Unwrap() error { return e.Err }

// Refusal is what is recorded of a Refused.
type Refusal struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Letter is something that was set aside.
type Letter struct {
	Seq     uint64 // its number among letters
	Stream  string // from which it was read
	From    string // the message of that stream, or the range and its part
	Reason  string
	At      flows.Time // when it was set aside
	Signals int        // how many of each; none where it cannot be read
	Spans   int
	Logs    int
	Fault   error // why it cannot be read; nil for a letter that Replay can send again
}

// The headers of a letter.
const (
	letterStream = "Throughline-Stream"
	letterFrom   = "Throughline-Message"
	letterReason = "Throughline-Reason"
)

// SetAside keeps a part of a range that was refused for good, until Replay sends it again
// or somebody discards it. The same part of the same range is kept once. It fails when
// letters have no room: nothing goes to make some.
func (b *Bus) SetAside(ctx context.Context, d *Delivery, batch flows.Batch, why Refusal) error {
	signals, err := encodeSignals(batch.Signals, b.itemLimit())
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	spans, err := encodeSpans(batch.Spans, batch.Logs, b.itemLimit())
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	from := d.Token() + ":" + why.Part
	for i, c := range append(signals, spans...) {
		if err := b.letter(ctx, d.Stream, fmt.Sprintf("%s#%d", from, i), frame([]chunk{c}), why.Reason); err != nil {
			return err
		}
	}
	b.cfg.Log.Error("refused for good by the store, put into "+deadLetters, "from", from, "reason", why.Reason,
		"signals", len(batch.Signals), "spans", batch.SpanCount(), "logs", len(batch.Logs))
	return nil
}

// bury puts a message that cannot be read aside, and tries until that is done.
func (r *ranger) bury(ctx context.Context, seq uint64, data []byte, reason error) error {
	return r.retry(ctx, "set aside an unreadable message", func(ctx context.Context) error {
		return r.bus.letter(ctx, r.cfg.Stream, fmt.Sprintf("%s:%d", r.cfg.Stream, seq), data, oneLine(reason.Error()))
	})
}

// letter stores a letter, once for each from.
func (b *Bus) letter(ctx context.Context, stream, from string, data []byte, reason string) error {
	m := nats.NewMsg(deadLetters + "." + subjectToken(from))
	m.Data = data
	m.Header.Set(letterStream, stream)
	m.Header.Set(letterFrom, from)
	m.Header.Set(letterReason, reason)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return nil // it is there
	}
	if err != nil {
		return fmt.Errorf("put into %s: %w", deadLetters, err)
	}
	return nil
}

// subjectToken is s with the characters that mean something in a subject replaced.
func subjectToken(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c <= ' ' || c == '.' || c == '*' || c == '>' || c >= 0x7f {
			b[i] = '_'
		}
	}
	return string(b)
}

// oneLine is a reason as a header can carry it.
func oneLine(s string) string {
	b := []byte(s[:min(len(s), 500)])
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// LetterBacklog is what was set aside and waits for somebody.
func (b *Bus) LetterBacklog(ctx context.Context, now time.Time) (Backlog, error) {
	backlog, err := b.Backlog(ctx, deadLetters, now)
	backlog.Limit = smallState / 2
	return backlog, err
}

// Letters hands what was set aside behind letter after to each, oldest first; an error of
// each ends it.
func (b *Bus) Letters(ctx context.Context, after uint64, each func(Letter) error) error {
	return b.letters(ctx, after, func(l Letter, _ []byte) error { return each(l) })
}

// Replay sends letters again to the streams they came from, where they are new messages, and
// removes each then; those that cannot be read stay. It returns how many it sent. A letter is
// sent twice when the process ends between the two.
func (b *Bus) Replay(ctx context.Context) (sent int, err error) {
	stream, err := b.js.Stream(ctx, deadLetters)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	err = b.letters(ctx, 0, func(l Letter, data []byte) error {
		if l.Fault != nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		// The server takes one of a number only once within some minutes.
		_, err := b.js.Publish(ctx, l.Stream, data, jetstream.WithMsgID(fmt.Sprintf("%s:%d:%d", deadLetters, b.epochs[deadLetters], l.Seq)))
		if err != nil {
			return fmt.Errorf("send letter %d to %s: %w", l.Seq, l.Stream, classify(err))
		}
		if err := stream.DeleteMsg(ctx, l.Seq); err != nil {
			return fmt.Errorf("remove letter %d: %w", l.Seq, err)
		}
		sent++
		return nil
	})
	return sent, err
}

// letters reads those that are there now.
func (b *Bus) letters(ctx context.Context, after uint64, each func(Letter, []byte) error) error {
	stream, err := b.js.Stream(ctx, deadLetters)
	if err != nil {
		return fmt.Errorf("read letters: %w", err)
	}
	for seq, last := after+1, stream.CachedInfo().State.LastSeq; seq <= last; seq++ {
		raw, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && raw.Sequence > last {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read letter %d: %w", seq, err)
		}
		seq = raw.Sequence
		if err := each(newLetter(raw), raw.Data); err != nil {
			return err
		}
	}
	return nil
}

func newLetter(raw *jetstream.RawStreamMsg) Letter {
	l := Letter{
		Seq: raw.Sequence, Stream: raw.Header.Get(letterStream), From: raw.Header.Get(letterFrom),
		Reason: raw.Header.Get(letterReason), At: flows.At(raw.Time),
	}
	var d decoder
	batch, err := d.decode(raw.Data)
	if err == nil && l.Stream != Signals && l.Stream != Spans {
		err = fmt.Errorf("%w: no stream %q", errMalformed, l.Stream)
	}
	l.Signals, l.Spans, l.Logs, l.Fault = len(batch.Signals), batch.SpanCount(), len(batch.Logs), err
	return l
}
