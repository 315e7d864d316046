package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	Signals = "SIGNALS" // flows.Signal, for the store and the engine
	Spans   = "SPANS"   // flows.SpanBlock and flows.LogRecord, for the store
)

const (
	deadLetters = "DEAD_LETTERS" // what could not be read or stored, with the reason as a header
	positions   = "positions"    // key-value bucket: how far each reader of Ranges is
)

// defaultMaxBytes of each stream: an hour and more of what one machine takes in at full
// rate, while the store is away.
const defaultMaxBytes = 8 << 30

// defaultKeepFree is room for what is being written when the disk is found to be nearly
// full, and for positions, which must go on being written then.
const defaultKeepFree = 256 << 20

// requestTimeout bounds one question to JetStream. A cluster elects a leader in less.
const requestTimeout = 5 * time.Second

// Errors of Publish. ErrFull and ErrUnavailable pass: the sender should try again later.
var (
	ErrFull        = errors.New("bus is full")
	ErrUnavailable = errors.New("bus is not available")
	ErrTooLarge    = errors.New("too large for the bus")
	ErrInvalid     = errors.New("cannot be carried by the bus")
)

// Busy reports whether err passes, so that the same batch may be accepted later.
func Busy(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) }

// Config of a bus. Either Dir or URL must be set.
type Config struct {
	Dir             string // folder of the embedded server
	URL             string // external server or cluster; Dir is not used then
	CredentialsFile string // of the external server, "" for none
	Replicas        int    // of each stream on an external cluster; 1 where 0
	SyncAlways      bool   // embedded: fsync before each acknowledgement
	MaxBytes        int64  // of each stream on disk; 8 GiB where 0
	KeepFree        uint64 // bytes on the embedded server's disk, below which Publish is refused; 256 MiB where 0
	Log             *slog.Logger
}

// Bus is an open bus. Its methods may be called concurrently.
type Bus struct {
	cfg      Config
	server   *embedded // nil when external
	conn     *nats.Conn
	js       jetstream.JetStream
	kv       jetstream.KeyValue
	epochs   map[string]int64 // creation of each stream
	signals  *committer
	spans    *committer
	poisoned atomic.Uint64
	handled  map[string]*atomic.Uint64 // by stream: up to which its reader of Ranges in this process is done; 0 for none so far
	forget   time.Duration             // idle time after which the server forgets a reader; the client's default where 0

	gate   sync.RWMutex // guards closed, and committers' queues against being closed in use
	closed bool
	stop   context.Context // ends when Close begins
	ending context.CancelFunc
	done   chan struct{} // closed when Close has ended
	err    error         // of Close; read after done
}

// Open starts the embedded server or connects to the external one, and creates the streams
// where they do not exist. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return nil, errors.New("open bus: set either a folder (embedded) or a URL (external)")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.KeepFree == 0 {
		cfg.KeepFree = defaultKeepFree
	}
	cfg.Replicas = max(cfg.Replicas, 1)
	b := &Bus{cfg: cfg, done: make(chan struct{}), epochs: map[string]int64{}, handled: map[string]*atomic.Uint64{Signals: {}, Spans: {}}}
	b.stop, b.ending = context.WithCancel(context.Background())
	if err := b.connect(); err != nil {
		return nil, errors.Join(fmt.Errorf("open bus: %w", err), b.disconnect())
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open bus: %w", err), b.disconnect())
	}
	// fsync makes the commits long: with few of them under way, what comes meanwhile
	// gathers into the next one.
	inFlight := 8
	if cfg.SyncAlways {
		inFlight = 2
	}
	b.signals = newCommitter(b.js, Signals, inFlight)
	b.spans = newCommitter(b.js, Spans, inFlight)
	return b, nil
}

func (b *Bus) connect() error {
	url := b.cfg.URL
	options := []nats.Option{
		nats.Name("throughline"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectBufSize(-1), // what cannot be sent now must fail now, not later
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.cfg.Log.Warn("bus connection", "error", err)
		}),
	}
	if b.cfg.Dir != "" {
		var err error
		if b.server, err = startEmbedded(b.cfg); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(b.server))
		url = nats.DefaultURL // not dialled
	} else if b.cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(b.cfg.CredentialsFile))
	}
	var err error
	if b.conn, err = nats.Connect(url, options...); err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	b.js, err = jetstream.New(b.conn,
		jetstream.WithDefaultTimeout(requestTimeout), jetstream.WithPublishAsyncTimeout(requestTimeout))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	return nil
}

// prepare creates or updates what the bus keeps.
func (b *Bus) prepare(ctx context.Context) error {
	for _, name := range []string{Signals, Spans} {
		stream, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name:      name,
			Subjects:  []string{name},
			Storage:   jetstream.FileStorage,
			Retention: jetstream.LimitsPolicy, // without MaxAge: only Trim removes
			Discard:   jetstream.DiscardNew,   // full means refusal
			MaxBytes:  b.cfg.MaxBytes,
			Replicas:  b.cfg.Replicas,
		})
		if err != nil {
			return fmt.Errorf("create stream %s: %w", name, err)
		}
		b.epochs[name] = stream.CachedInfo().Created.UnixNano()
	}
	letters, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:     deadLetters,
		Subjects: []string{deadLetters, deadLetters + ".>"}, // the first is that of versions before
		Storage:  jetstream.FileStorage,
		Discard:  jetstream.DiscardNew, // full means that who sets aside waits, not that a letter goes
		MaxBytes: smallState / 2,
		Replicas: b.cfg.Replicas,
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", deadLetters, err)
	}
	b.epochs[deadLetters] = letters.CachedInfo().Created.UnixNano()
	b.kv, err = b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:   positions,
		Storage:  jetstream.FileStorage,
		MaxBytes: smallState / 8,
		Replicas: b.cfg.Replicas,
	})
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", positions, err)
	}
	return nil
}

// Close refuses new work, waits until what was taken is acknowledged or refused, ends
// readers, and stops the embedded server. It may be called again, and then waits for the
// first call. When ctx ends first, Close returns and the rest is done behind it.
func (b *Bus) Close(ctx context.Context) error {
	b.gate.Lock()
	if !b.closed {
		b.closed = true
		b.ending()
		close(b.signals.queue)
		close(b.spans.queue)
		go func() { // ends by itself: each wait in it is bounded by requestTimeout
			defer close(b.done)
			b.signals.wait()
			b.spans.wait()
			b.err = b.disconnect()
		}()
	}
	b.gate.Unlock()
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("close bus: %w", ctx.Err())
	}
}

func (b *Bus) disconnect() error {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		return b.server.stop()
	}
	return nil
}

// running is ctx, ended also when the bus closes.
func (b *Bus) running(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(b.stop, cancel)
	return ctx, func() { unhook(); cancel() }
}
