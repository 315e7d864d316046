package web

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"throughline/flows"
)

const (
	// An answer from history serves all pages for so long, and ten times as long as it took:
	// pages spend at most a tenth of their time on asking.
	memoFor = time.Second
	// Below that age an answer is shown while a newer one is on its way.
	memoMeanwhile = time.Minute
	// An older answer is no answer, not even while history is away.
	memoAtMost = 10 * time.Minute
	maxMemos   = 2000

	askWithin  = 10 * time.Second       // for an answer; twice as long each time that this was too short
	askAtMost  = time.Minute            // but no longer
	waitFirst  = 80 * time.Millisecond  // for all answers of a page that is live without them
	waitWhole  = 3 * time.Second        // for those of any other page: what is not there by then comes after it
	waitLittle = 100 * time.Millisecond // where there is an older one
	lookEvery  = 5 * time.Second        // whether history is there, while nobody asks it anything
	retryAfter = 3 * time.Second        // history that failed is left alone for so long
)

// past asks history for pages. Pages that show the same share one answer, and while history
// cannot answer they keep the last one. What is live never waits for a newer answer.
type past struct {
	*memory
	// again is told when an answer is there that was on its way when an older one was given. Of
	// a screen: it does not wait at all where there is an older one. Nil for a request.
	again chan struct{}
	// until is how long an answer is waited for where there is none yet; zero is as long as it takes.
	until time.Time
	// known is closed once what the page is about is there: what stands beside that is not waited for longer than waitFirst
	// from then on. Nil for what a page is about.
	known <-chan struct{}
	// unread is set where an answer was not waited for to its end, and there was no older one.
	unread *atomic.Bool
}

// within asks for one page, or one rendering of a screen: all answers together are waited for so
// long at most, as long as they take where wait is 0.
func (p *past) within(wait time.Duration, again chan struct{}) *past {
	own := &past{memory: p.memory, again: again, unread: new(atomic.Bool)}
	if wait > 0 {
		own.until = time.Now().Add(wait)
	}
	return own
}

// alone is the same past, which knows of its own questions whether they were answered.
func (p *past) alone() *past {
	own := *p
	own.unread = new(atomic.Bool)
	return &own
}

// beside is the same past, for what stands beside what the page is about.
func (p *past) beside(known <-chan struct{}) *past {
	own := *p
	own.known = known
	return &own
}

// memory is what all share who ask.
type memory struct {
	ctx    context.Context //nolint:containedctx // the owner's end: an answer serves more than the request that asked
	cancel context.CancelFunc
	wg     sync.WaitGroup // of questions under way

	mu       sync.Mutex // guards all below, and wg.Go against wg.Wait
	closed   bool
	memos    map[string]*memo
	answered time.Time // latest answer of any kind, or the start
	failed   time.Time // latest failure; zero while history answers
}

// memo is one answer: a value, or a fault that is an answer too. Guarded by memory.mu.
type memo struct {
	value    any
	fault    error
	answered time.Time       // zero for no answer yet
	fresh    time.Time       // until then nobody needs to ask again
	within   time.Duration   // for the next answer, where askWithin was too short; else zero
	told     []chan struct{} // once the question under way ends
	asking   chan struct{}   // closed when the question under way ends; nil for none
}

func newPast() *past {
	ctx, cancel := context.WithCancel(context.Background())
	return &past{memory: &memory{ctx: ctx, cancel: cancel, memos: make(map[string]*memo), answered: time.Now()}, unread: new(atomic.Bool)}
}

// close ends questions under way and waits for them.
func (p *memory) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// awaySince is when history last answered, if it does not now; NoTime while it does.
func (p *memory) awaySince() flows.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.IsZero() {
		return flows.NoTime
	}
	return flows.At(p.answered)
}

// ask answers name from memory, or by load. ok is false where history cannot answer and did
// not lately. A *flows.InputError and flows.ErrNotFound are answers, and returned as err.
func ask[V any](ctx context.Context, p *past, name string, load func(context.Context) (V, error)) (value V, ok bool, err error) {
	return askWaiting(ctx, p, name, waitLittle, load)
}

// lately is ask for what stands beside live numbers: where there is an older answer, no page
// waits for a newer one, which the next rendering has.
func lately[V any](ctx context.Context, p *past, name string, load func(context.Context) (V, error)) (value V, ok bool, err error) {
	return askWaiting(ctx, p, name, 0, load)
}

func askWaiting[V any](ctx context.Context, p *past, name string, little time.Duration, load func(context.Context) (V, error)) (value V, ok bool, err error) {
	last, asking := p.question(name, func(ctx context.Context) (any, error) { return load(ctx) })
	if asking != nil {
		wait := askWithin + waitLittle // the question ends by then, and says why
		if !p.until.IsZero() {
			wait = max(time.Until(p.until), 0)
		}
		if time.Since(last.answered) < memoMeanwhile {
			if wait = min(wait, little); p.again != nil {
				wait = 0
			}
		}
		if p.again != nil {
			p.tell(name, p.again)
		}
		answered, err := p.await(ctx, asking, wait)
		if err != nil {
			return value, false, err
		}
		if !answered && (last.answered.IsZero() || last.value == nil && last.fault == nil) {
			p.unread.Store(true)
		}
		last = p.last(name)
	}
	if last.fault != nil {
		return value, false, last.fault
	}
	value, ok = last.value.(V)
	return value, ok, nil
}

// await waits for the end of a question; false where that took too long. The error is that of ctx.
func (p *past) await(ctx context.Context, asking <-chan struct{}, wait time.Duration) (bool, error) {
	end, known := time.Now().Add(wait), p.known
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-asking:
			return true, nil
		case <-known:
			known = nil
			timer.Reset(min(time.Until(end), waitFirst))
		case <-timer.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// look notices when history goes and comes back while nobody asks it anything; it does not wait.
func (p *memory) look(load func(context.Context) error) {
	p.mu.Lock()
	due := time.Since(p.answered) > lookEvery
	p.mu.Unlock()
	if due {
		p.question("is it there", func(ctx context.Context) (any, error) { return struct{}{}, load(ctx) })
	}
}

// question returns the last answer of name, and where that will not do, the end of the
// question that is on its way.
func (p *memory) question(name string, load func(context.Context) (any, error)) (memo, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.memos[name]
	if m == nil {
		p.makeRoomLocked()
		m = &memo{}
		p.memos[name] = m
	}
	now := time.Now()
	if now.Sub(m.answered) > memoAtMost {
		m.value, m.fault = nil, nil
	}
	if m.asking == nil {
		if p.closed || now.Before(m.fresh) || now.Before(p.failed.Add(retryAfter)) {
			return *m, nil
		}
		m.asking = make(chan struct{})
		p.wg.Go(func() { p.put(m, load) })
	}
	return *m, m.asking
}

// tell has again told when the question that is on its way ends; at once if it has ended.
func (p *memory) tell(name string, again chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := p.memos[name]; {
	case m == nil || m.asking == nil:
		token(again)
	case !slices.Contains(m.told, again):
		m.told = append(m.told, again)
	}
}

// token leaves a token in a channel of one slot, where none waits already.
func token(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (p *memory) put(m *memo, load func(context.Context) (any, error)) {
	within := max(m.within, askWithin) // it is the only question to m
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	began := time.Now()
	value, err := load(ctx)
	now := time.Now()
	_, wrong := errors.AsType[*flows.InputError](err)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil, wrong, errors.Is(err, flows.ErrNotFound):
		m.value, m.fault, m.answered = value, err, now
		m.fresh = now.Add(max(memoFor, 10*now.Sub(began)))
		p.answered, p.failed = now, time.Time{}
	case p.closed:
	case errors.Is(err, context.DeadlineExceeded) && p.answered.After(began):
		m.fresh, m.within = now.Add(10*now.Sub(began)), min(2*within, askAtMost) // history is there: this question was too much for it
	default:
		p.failed = now
	}
	close(m.asking)
	m.asking = nil
	for _, again := range m.told {
		token(again)
	}
	m.told = nil
}

// forget drops all answers; those on their way serve only who waits for them now.
func (p *memory) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memos = make(map[string]*memo)
}

func (p *memory) last(name string) memo {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.memos[name]; m != nil {
		return *m
	}
	return memo{}
}

// makeRoomLocked forgets what nobody needs any more, and all that is at rest where that is
// not enough.
func (p *memory) makeRoomLocked() {
	if len(p.memos) < maxMemos {
		return
	}
	now := time.Now()
	for _, keep := range []time.Duration{memoMeanwhile, -1} {
		for name, m := range p.memos {
			if m.asking == nil && (keep < 0 || now.Sub(m.answered) > keep) {
				delete(p.memos, name)
			}
		}
		if len(p.memos) < maxMemos {
			return
		}
	}
}
