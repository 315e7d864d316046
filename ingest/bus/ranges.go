package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"throughline/flows"
)

// RangesConfig says what Ranges reads.
type RangesConfig struct {
	Stream   string
	Name     string        // of the reader; its position is kept under it
	Pause    time.Duration // at least, from one range to the next; what comes meanwhile goes into that one
	Stretch  time.Duration // more of it for each item of the range before, up to a second in all
	MaxItems int           // after which a range is closed; 50,000 where 0
}

// ErrTaken says that another process reads the same stream under the same name.
var ErrTaken = errors.New("another reader of that name is at work")

// Ranges hands out the messages of a stream in fixed ranges. A range is recorded before it
// is handed out; when the handler fails, or the process dies, the same range, with the same
// Token, is handed out again before any other. It counts as done, and is not handed out
// again, once the handler returned nil and that was recorded.
//
// A failing handler is tried again with growing, jittered pauses for as long as ctx lives.
// One that returns a Refused is called again at once, when that is recorded, with a delivery
// that says so: a handler that takes a range in parts comes to the same parts after a crash.
// A handler keeps nothing of a delivery: its memory is used again. Ranges returns nil when ctx ends or the bus closes, else ErrTaken or ErrPosition.
func (b *Bus) Ranges(ctx context.Context, cfg RangesConfig, handle func(context.Context, Delivery) error) error {
	if cfg.MaxItems == 0 {
		cfg.MaxItems = 50_000
	}
	ctx, cancel := b.running(ctx)
	defer cancel()
	r := ranger{bus: b, cfg: cfg, handle: handle, owner: rand.Text()}
	if err := r.retry(ctx, "read position", r.load); err != nil {
		return ended(ctx, fmt.Errorf("read %s as %s: %w", cfg.Stream, cfg.Name, err))
	}
	r.tell()
	var err error
	if r.feed, err = b.feed(ctx, cfg.Stream, r.at.Done+1, r.bury); err != nil {
		return ended(ctx, fmt.Errorf("read %s as %s: %w", cfg.Stream, cfg.Name, err))
	}
	defer r.feed.close()
	for {
		if err := r.step(ctx); err != nil {
			return ended(ctx, fmt.Errorf("read %s as %s: %w", cfg.Stream, cfg.Name, err))
		}
	}
}

// position is what the bucket keeps for a reader.
type position struct {
	Done uint64 `json:"done"` // up to here all is handled
	Last uint64 `json:"last"` // Done+1 to Last is handed out; nothing is where Last is not above Done
	// Owner is drawn by each call of Ranges: it tells a write of ours whose answer was lost
	// from one of another reader.
	Owner string `json:"owner"`
	// Refused are the parts of the range that is handed out which its handler called so.
	Refused []Refusal `json:"refused,omitempty"`
}

type ranger struct {
	bus      *Bus
	cfg      RangesConfig
	handle   func(context.Context, Delivery) error
	feed     *feed
	at       position
	revision uint64
	owner    string
	signals  []flows.Signal // the array for the next range; nil where it gets one of its own
	over     *message       // read, but belongs to the next range
	gathered time.Time      // the last range
	pause    time.Duration
}

// step hands out one range.
func (r *ranger) step(ctx context.Context) error {
	var d Delivery
	var err error
	if r.at.Last > r.at.Done {
		d, err = r.again(ctx)
	} else {
		d, err = r.gather(ctx)
	}
	if err != nil {
		return err
	}
	if d.Last > r.at.Last {
		if err := r.record(ctx, position{Done: r.at.Done, Last: d.Last}); err != nil {
			return err
		}
	}
	calls := 0
	for d.items() > 0 {
		d.Refused = r.at.Refused
		err := r.retry(ctx, "handle "+d.Token(), func(ctx context.Context) error {
			calls++
			return r.call(ctx, d)
		})
		refused, ok := errors.AsType[*Refused](err)
		if err != nil && !ok {
			return err
		}
		if !ok {
			break
		}
		at := r.at
		at.Refused = append(slices.Clone(at.Refused), Refusal{refused.Part, oneLine(refused.Err.Error())})
		if err := r.record(ctx, at); err != nil {
			return err
		}
	}
	if calls == 1 { // a request that was given up may still be read from
		d.vacate()
		r.keep(d.Signals)
	}
	return r.record(ctx, position{Done: r.at.Last, Last: r.at.Last})
}

// keep keeps an array for the next range, where this one took a good part of it.
func (r *ranger) keep(signals []flows.Signal) {
	if r.signals = nil; cap(signals) <= 4*len(signals) {
		clear(signals)
		r.signals = signals[:0]
	}
}

// delivery begins one.
func (r *ranger) delivery() Delivery {
	d := r.bus.delivery(r.cfg.Stream)
	d.Signals, r.signals = r.signals, nil
	return d
}

func (r *ranger) call(ctx context.Context, d Delivery) error {
	err := r.handle(ctx, d)
	if refused, ok := errors.AsType[*Refused](err); ok && d.RefusedAs(refused.Part) < 0 {
		return backoff.Permanent(err)
	}
	return err
}

func (r *ranger) next(ctx context.Context) (message, error) {
	if m := r.over; m != nil {
		r.over = nil
		return *m, nil
	}
	return r.feed.next(ctx)
}

// again reads the recorded range.
func (r *ranger) again(ctx context.Context) (Delivery, error) {
	d := r.delivery()
	for d.Last < r.at.Last {
		m, err := r.next(ctx)
		if err != nil {
			return d, err
		}
		if m.seq > r.at.Last { // someone removed messages by hand: the rest of the range is gone
			r.over = &m
			break
		}
		d.add(m)
	}
	d.First, d.Last = r.at.Done+1, r.at.Last
	return d, nil
}

// gather reads a new range: what is there, and what comes before the pause is over. The
// first message after a quiet time waits for nobody, and a reader that is behind gets
// full ranges.
func (r *ranger) gather(ctx context.Context) (Delivery, error) {
	const onItsWay = time.Second // what the stream has already; bounded, since someone may remove it by hand
	d := r.delivery()
	m, err := r.next(ctx)
	if err != nil {
		return d, err
	}
	d.add(m)
	d.First = r.at.Done + 1
	timer := time.NewTimer(0)
	defer timer.Stop()
	for d.items() < r.cfg.MaxItems {
		wait := r.pause - time.Since(r.gathered)
		if d.Pending > 0 || r.feed.behind.Load() > 0 {
			wait = max(wait, onItsWay)
		}
		timer.Reset(wait)
		select { // what is there already does not wait for the timer
		case m, ok := <-r.feed.messages:
			if !ok {
				return d, nil // the next call says why
			}
			d.add(m)
			continue
		default:
		}
		select {
		case m, ok := <-r.feed.messages:
			if !ok {
				return d, nil
			}
			d.add(m)
		case <-timer.C:
			r.rest(&d)
			return d, nil
		case <-ctx.Done():
			return d, ctx.Err()
		}
	}
	r.rest(&d)
	return d, nil
}

// rest sets the pause behind a range: where much comes, fewer and larger ones are cheaper.
func (r *ranger) rest(d *Delivery) {
	r.gathered = time.Now()
	r.pause = max(r.cfg.Pause, min(r.cfg.Pause+time.Duration(d.items())*r.cfg.Stretch, time.Second))
}

func (r *ranger) key() string { return r.cfg.Stream + "." + r.cfg.Name }

func (r *ranger) load(ctx context.Context) error {
	entry, err := r.bus.kv.Get(ctx, r.key())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		r.at, r.revision = position{}, 0
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(entry.Value(), &r.at); err != nil {
		return fmt.Errorf("position %q: %w", entry.Value(), err)
	}
	r.revision = entry.Revision()
	return nil
}

// tell lets Owed know how far the reader is.
func (r *ranger) tell() {
	if handled := r.bus.handled[r.cfg.Stream]; handled != nil {
		handled.Store(r.at.Done)
	}
}

// record stores a position. Each one is based on the one before, so that a second reader
// is found out before it does harm.
func (r *ranger) record(ctx context.Context, at position) error {
	at.Owner = r.owner
	value, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	return r.retry(ctx, "store position", func(ctx context.Context) error {
		revision, err := r.bus.kv.Update(ctx, r.key(), value, r.revision)
		if wrongRevision(err) {
			entry, getErr := r.bus.kv.Get(ctx, r.key())
			if getErr != nil {
				return getErr
			}
			if string(entry.Value()) != string(value) {
				return backoff.Permanent(ErrTaken)
			}
			revision, err = entry.Revision(), nil
		}
		if err != nil {
			return err
		}
		r.at, r.revision = at, revision
		r.tell()
		return nil
	})
}

// wrongRevision reports whether a key has another revision than expected. Replicated
// buckets have a code of their own for it.
func wrongRevision(err error) bool {
	const codeReplicated = 10164
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && api.ErrorCode == codeReplicated
}

// retry calls do until it succeeds, fails for good, or ctx ends.
func (r *ranger) retry(ctx context.Context, what string, do func(context.Context) error) error {
	pauses := backoff.NewExponentialBackOff() // from 0.5 s, times 1.5, jittered
	pauses.MaxInterval = 15 * time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, do(ctx) },
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			if ctx.Err() == nil {
				r.bus.cfg.Log.Warn("bus reader waits", "stream", r.cfg.Stream, "reader", r.cfg.Name, "for", what, "pause", pause, "error", err)
			}
		}))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Done is the last message that the readers of Ranges on a stream have all handled; 0 when
// there is no such reader.
func (b *Bus) Done(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout) // a server that goes away meanwhile leaves the list open
	defer cancel()
	keys, err := b.kv.ListKeysFiltered(ctx, stream+".*")
	if err != nil {
		return 0, fmt.Errorf("list positions: %w", err)
	}
	lowest := uint64(math.MaxUint64)
	for key := range keys.Keys() {
		reader := ranger{bus: b, cfg: RangesConfig{Stream: stream, Name: strings.TrimPrefix(key, stream+".")}}
		if err := reader.load(ctx); err != nil {
			return 0, errors.Join(fmt.Errorf("read position of %s: %w", key, err), keys.Stop())
		}
		lowest = min(lowest, reader.at.Done)
	}
	if ctx.Err() != nil { // the list may have ended early
		return 0, fmt.Errorf("list positions: %w", ctx.Err())
	}
	if lowest == math.MaxUint64 {
		return 0, nil
	}
	return lowest, nil
}

// Trim removes the messages of a stream up to upTo, but none that a reader of Ranges has
// not handled, and never the stream's last one (so that numbers cannot start again). A
// caller that reads with Follow passes the position it has made safe; one that has no such
// reader passes math.MaxUint64. The position of a reader that is no
// longer used keeps counting.
func (b *Bus) Trim(ctx context.Context, stream string, upTo uint64) error {
	done, err := b.Done(ctx, stream)
	if err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	state := s.CachedInfo().State
	keep := min(done, upTo, max(state.LastSeq, 1)-1) + 1 // first that stays
	if keep <= state.FirstSeq || state.Msgs == 0 {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	return nil
}
