package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"throughline/flows"
)

// Publish writes a batch and returns nil once all of it is stored. On an error some of it
// may be stored too; who sends it again makes duplicates, which its readers must know how
// to count once. The batch is not kept after Publish returns.
//
// Errors: ErrFull and ErrUnavailable pass; ErrTooLarge and ErrInvalid do not, and nothing
// of the batch is stored then.
func (b *Bus) Publish(ctx context.Context, batch flows.Batch) error {
	limit := b.itemLimit()
	signals, err := encodeSignals(batch.Signals, limit)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	spans, err := encodeSpans(batch.Spans, batch.Logs, limit)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	total := len(signals) + len(spans)
	acks := make(chan error, total) // holds all answers, so that nobody waits for a caller that left
	if err := b.enqueue(ctx, signals, spans, acks); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for range total {
		select {
		case ackErr := <-acks:
			if ackErr != nil && err == nil {
				err = fmt.Errorf("publish: %w", ackErr)
			}
		case <-ctx.Done():
			return fmt.Errorf("publish: %w: %w", ErrUnavailable, ctx.Err())
		}
	}
	return err
}

// itemLimit bounds one item in bytes: room stays for the frame, and for the headers with
// which it may be set aside.
func (b *Bus) itemLimit() int { return int(b.conn.MaxPayload()) - 4096 }

func (b *Bus) enqueue(ctx context.Context, signals, spans []chunk, acks chan error) error {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if b.closed {
		return fmt.Errorf("%w: closing", ErrUnavailable)
	}
	if b.server != nil && b.server.full() {
		return fmt.Errorf("%w: less than %d bytes are free on the disk of %s; make room", ErrFull, b.cfg.KeepFree, b.cfg.Dir)
	}
	for _, c := range signals {
		if err := b.signals.enqueue(ctx, job{c, acks}); err != nil {
			return err
		}
	}
	for _, c := range spans {
		if err := b.spans.enqueue(ctx, job{c, acks}); err != nil {
			return err
		}
	}
	return nil
}

// job is a chunk whose caller waits for an answer.
type job struct {
	chunk
	ack chan<- error
}

// commit is one message under way, with those who wait for it.
type commit struct {
	future  jetstream.PubAckFuture
	jobs    []job
	message []byte // the client's until it is acknowledged
}

// committer writes to one stream. Chunks that come while messages are under way are joined
// to the next one (group commit): many small requests cost little more than one large one,
// and a single request waits for nobody.
type committer struct {
	js      jetstream.JetStream
	subject string
	queue   chan job
	flying  chan commit
	running sync.WaitGroup
}

func newCommitter(js jetstream.JetStream, subject string, inFlight int) *committer {
	c := &committer{js: js, subject: subject, queue: make(chan job, 1024), flying: make(chan commit, inFlight)}
	c.running.Go(c.send)
	c.running.Go(c.answer)
	return c
}

func (c *committer) enqueue(ctx context.Context, j job) error {
	select {
	case c.queue <- j:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// wait returns when all that was queued is answered. The queue must be closed.
func (c *committer) wait() { c.running.Wait() }

func (c *committer) send() {
	defer close(c.flying)
	var next *job // read from the queue, did not fit
	for {
		if next == nil {
			j, ok := <-c.queue
			if !ok {
				return
			}
			next = &j
		}
		var jobs []job
		jobs, next = c.gather(*next)
		chunks := make([]chunk, len(jobs))
		for i, j := range jobs {
			chunks[i] = j.chunk
		}
		message := frame(chunks)
		for i, c := range chunks {
			vacate(c.body)
			jobs[i].body = nil
		}
		future, err := c.js.PublishAsync(c.subject, message)
		if err != nil {
			answer(jobs, err)
			continue
		}
		c.flying <- commit{future, jobs, message}
	}
}

// gather takes what is queued already, up to targetBody; next is one that did not fit.
func (c *committer) gather(first job) (jobs []job, next *job) {
	jobs = append(jobs, first)
	size, items := len(first.body), first.items
	for {
		select {
		case j, ok := <-c.queue:
			if !ok {
				return jobs, nil
			}
			if size += len(j.body); size > targetBody || items+j.items > maxItems {
				return jobs, &j
			}
			items += j.items
			jobs = append(jobs, j)
		default:
			return jobs, nil
		}
	}
}

// answer waits for acknowledgements in order: JetStream gives them in order, and each
// comes within requestTimeout or fails.
func (c *committer) answer() {
	for flying := range c.flying {
		select {
		case <-flying.future.Ok():
			vacate(flying.message)
			answer(flying.jobs, nil)
		case err := <-flying.future.Err():
			answer(flying.jobs, err)
		}
	}
}

func answer(jobs []job, err error) {
	err = classify(err)
	for _, j := range jobs {
		j.ack <- err
	}
}

// The codes by which JetStream says that it has no room: the stream's limit (which comes as
// a failure of its store), or the server's or account's.
const (
	codeStoreFailed     = 10077
	codeAccountExceeded = 10002
	codeResources       = 10023
	codeStorageExceeded = 10047
)

func classify(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeStoreFailed, codeAccountExceeded, codeResources, codeStorageExceeded:
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
