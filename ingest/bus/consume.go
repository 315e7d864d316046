package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"throughline/flows"
)

// Delivery is the content of the messages First to Last of a stream, in order. It is
// read-only. Its texts and spans are in memory that is used again: what Follow hands out
// when Free is called, what Ranges hands out when its handler has returned. Who keeps a
// text longer makes a copy of it (flows.Signal.Owned).
type Delivery struct {
	Stream       string
	First, Last  uint64
	LastReceived flows.Time // when the bus stored message Last
	Pending      uint64     // messages stored behind Last when it was sent to us
	flows.Batch
	// Refused are the parts of the range that its handler called so, in that order.
	Refused []Refusal

	epoch int64
	rooms [][]byte // that texts and spans are in, to be used again
}

// Token names the range for good: equal tokens are equal content, also over restarts, and
// other content never has the same one, also not after the bus's folder was thrown away
// (then numbers start again, at another time of creation).
func (d *Delivery) Token() string {
	return d.Stream + "@" + strconv.FormatInt(d.epoch, 36) + ":" +
		strconv.FormatUint(d.First, 10) + "-" + strconv.FormatUint(d.Last, 10)
}

// RefusedAs is the place of a part among those refused, -1 where it is not.
func (d *Delivery) RefusedAs(part string) int {
	return slices.IndexFunc(d.Refused, func(r Refusal) bool { return r.Part == part })
}

func (d *Delivery) items() int { return items(&d.Batch) }

func items(b *flows.Batch) int { return len(b.Signals) + b.SpanCount() + len(b.Logs) }

func (d *Delivery) add(m message) {
	if d.First == 0 {
		d.First = m.seq
	}
	d.Last, d.LastReceived, d.Pending = m.seq, m.stored, m.pending
	d.Signals = moved(d.Signals, m.batch.Signals)
	d.Spans = append(d.Spans, m.batch.Spans...)
	d.Logs = append(d.Logs, m.batch.Logs...)
	d.rooms = append(d.rooms, m.room)
}

// Free gives what a delivery of Follow is in to other deliveries. Nobody may look at it then,
// nor at a text of it.
func (d *Delivery) Free() {
	vacateSignals(d.Signals)
	d.vacate()
	d.Batch = flows.Batch{}
}

// vacate gives up the memory that texts and spans are in.
func (d *Delivery) vacate() {
	for _, room := range d.rooms {
		vacate(room)
	}
	d.rooms = nil
}

// message is one message as it came.
type message struct {
	seq     uint64
	stored  flows.Time
	pending uint64
	batch   flows.Batch
	room    []byte // that the batch refers to; nil where it is the message itself
}

// ErrPosition says that a position lies behind a stream's end, so it was taken from
// another one: the bus's folder was replaced, or the store's.
var ErrPosition = errors.New("position is beyond the end of the stream")

// FollowConfig says what Follow reads.
type FollowConfig struct {
	Stream   string
	From     uint64 // first message wanted; 0 and 1 are the first there is
	MaxItems int    // after which a delivery is closed; 10,000 where 0
}

// Follow hands out the messages of a stream in order from a position on, each as soon as
// it is there: a delivery is what had come when the handler became free. It keeps no
// position; a message is handed out once per call. Follow returns nil when ctx ends or
// the bus closes, and the handler's error when that fails.
func (b *Bus) Follow(ctx context.Context, cfg FollowConfig, handle func(context.Context, Delivery) error) error {
	ctx, cancel := b.running(ctx)
	defer cancel()
	feed, err := b.feed(ctx, cfg.Stream, max(cfg.From, 1), nil)
	if err != nil {
		return err
	}
	defer feed.close()
	limit := cfg.MaxItems
	if limit == 0 {
		limit = 10_000
	}
	var came []message // that a delivery is made of
	for {
		m, err := feed.next(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		came = append(came[:0], m)
		have, signals := items(&m.batch), len(m.batch.Signals)
		for more := true; more && have < limit; {
			select {
			case m, more = <-feed.messages:
				if more {
					came = append(came, m)
					have, signals = have+items(&m.batch), signals+len(m.batch.Signals)
				}
			default:
				more = false
			}
		}
		d := b.delivery(cfg.Stream)
		if len(came) > 1 && signals > 0 { // each signal is copied once; one message gives its own array
			d.Signals = signalRoom(signals)
		}
		for i := range came {
			d.add(came[i])
		}
		clear(came) // what waits for the next message keeps nothing
		if err := handle(ctx, d); err != nil {
			return ended(ctx, fmt.Errorf("handle %s: %w", d.Token(), err))
		}
	}
}

// ended turns an error that only says that ctx ended into the normal end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (b *Bus) delivery(stream string) Delivery {
	return Delivery{Stream: stream, epoch: b.epochs[stream]}
}

// burial puts away a message that cannot be read, with the reason.
type burial func(ctx context.Context, seq uint64, data []byte, reason error) error

// feed is the messages of a stream from a position on, decoded, without gaps.
type feed struct {
	messages chan message // closed at the end, then err says why
	err      error
	fault    error        // of decoding
	behind   atomic.Int64 // messages that have come and are not decoded yet
	stop     context.CancelFunc
	done     chan struct{}
}

const (
	// decodedAhead messages wait for their reader, who inserts meanwhile: as many spans as
	// come in a tenth of a second at full rate.
	decodedAhead = 12
	// receivedAhead messages wait to be decoded, so that a reader can tell whether it has
	// all there is.
	receivedAhead = 16
)

// feed reads a stream. Messages that cannot be read are given to bury, which returns when
// they are safe; without one they are left to those readers who have it. They then count as
// empty and hold nobody up.
func (b *Bus) feed(ctx context.Context, stream string, from uint64, bury burial) (*feed, error) {
	last, err := b.LastSeq(ctx, stream)
	if err != nil {
		return nil, err
	}
	if from > last+1 {
		return nil, fmt.Errorf("read %s from %d: it ends at %d: %w", stream, from, last, ErrPosition)
	}
	consumer, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   from,
		// Where it is not set the server forgets a consumer whose reader has not asked for
		// five minutes, which one that waits for ClickHouse does not: the next question makes
		// another one.
		InactiveThreshold: b.forget,
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	// At most this many messages of targetBody wait in memory for their reader.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{messages: make(chan message, decodedAhead), stop: cancel, done: make(chan struct{})}
	received := make(chan jetstream.Msg, receivedAhead)
	unhook := context.AfterFunc(ctx, messages.Stop) // frees Next at once
	var both sync.WaitGroup
	both.Go(func() { // both are ended and awaited by feed.close
		defer close(received)
		defer messages.Stop()
		defer unhook()
		f.err = f.receive(ctx, messages, received)
	})
	both.Go(func() {
		defer cancel()
		if err := b.pump(ctx, received, f, bury); err != nil {
			f.fault = err
		}
	})
	go func() { // ends with both
		both.Wait()
		f.err = cmp.Or(f.fault, f.err)
		close(f.messages)
		close(f.done)
	}()
	return f, nil
}

func (f *feed) receive(ctx context.Context, from jetstream.MessagesContext, to chan<- jetstream.Msg) error {
	for {
		raw, err := from.Next()
		if err != nil {
			return fmt.Errorf("next message: %w", err)
		}
		f.behind.Add(1)
		select {
		case to <- raw:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *feed) close() {
	f.stop()
	<-f.done
}

func (f *feed) next(ctx context.Context) (message, error) {
	select {
	case m, ok := <-f.messages:
		if !ok {
			return message{}, f.err
		}
		return m, nil
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

// pump decodes what was received.
func (b *Bus) pump(ctx context.Context, from <-chan jetstream.Msg, f *feed, bury burial) error {
	var d decoder
	for raw := range from {
		meta, err := raw.Metadata()
		if err != nil {
			return fmt.Errorf("next message: %w", err)
		}
		m := message{seq: meta.Sequence.Stream, stored: flows.At(meta.Timestamp), pending: meta.NumPending}
		if m.batch, err = d.decode(raw.Data()); err != nil {
			b.poisoned.Add(1)
			b.cfg.Log.Error("bus message cannot be read", "stream", meta.Stream, "message", m.seq, "reason", err)
			if bury != nil {
				if err := bury(ctx, m.seq, raw.Data(), err); err != nil {
					return err
				}
			}
		}
		m.room = d.room
		f.behind.Add(-1) // before it is handed on: who has got it must not wait for it
		select {
		case f.messages <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Poisoned is how often this process met a message that it could not read.
func (b *Bus) Poisoned() uint64 { return b.poisoned.Load() }

// LastSeq is the number of the last message of a stream; 0 for none so far. All that was
// acknowledged before the call has a number up to it.
func (b *Bus) LastSeq(ctx context.Context, stream string) (uint64, error) {
	state, err := b.state(ctx, stream)
	return state.LastSeq, err
}

func (b *Bus) state(ctx context.Context, stream string) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	return s.CachedInfo().State, nil
}

// Backlog is what a stream holds.
type Backlog struct {
	Messages uint64
	Bytes    uint64
	Limit    uint64        // of Bytes, at which Publish is refused
	Oldest   time.Duration // age of the first message at now
}

// Backlog of a stream: what Trim has not removed, that is, what some reader is owed.
func (b *Bus) Backlog(ctx context.Context, stream string, now time.Time) (Backlog, error) {
	state, err := b.state(ctx, stream)
	if err != nil {
		return Backlog{}, err
	}
	backlog := Backlog{Messages: state.Msgs, Bytes: state.Bytes, Limit: uint64(b.cfg.MaxBytes)}
	if state.Msgs > 0 {
		backlog.Oldest = now.Sub(state.FirstTime)
	}
	return backlog, nil
}

// Owed is what the reader of Ranges on a stream has not handled yet; without its bytes, which
// the stream knows only as a whole. Of several readers it is the one that moved last; Trim
// goes by the slowest.
func (b *Bus) Owed(ctx context.Context, stream string, now time.Time) (Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done := b.handled[stream].Load()
	if done == 0 { // it has not begun here
		var err error
		if done, err = b.Done(ctx, stream); err != nil {
			return Backlog{}, err
		}
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return Backlog{}, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	state := s.CachedInfo().State
	owed := Backlog{Limit: uint64(b.cfg.MaxBytes)}
	first := max(done+1, state.FirstSeq)
	if first > state.LastSeq {
		return owed, nil
	}
	owed.Messages = state.LastSeq - first + 1
	switch m, err := s.GetMsg(ctx, first); {
	case errors.Is(err, jetstream.ErrMsgNotFound): // handled and trimmed meanwhile, or removed by hand
	case err != nil:
		return Backlog{}, fmt.Errorf("look at message %d of %s: %w", first, stream, err)
	default:
		owed.Oldest = max(now.Sub(m.Time), 0)
	}
	return owed, nil
}
