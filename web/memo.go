package web

import (
	"context"
	"errors"
	"sync"
	"time"

	"throughline/flows"
)

const (
	// An answer from history serves all pages for so long, and ten times as long as it took:
	// pages spend at most a tenth of their time on asking.
	memoFor = time.Second
	// An older answer is no answer, not even while history is away.
	memoAtMost = 10 * time.Minute
	maxMemos   = 2000
	askWithin  = 10 * time.Second
	// After a failure, history is left alone for so long: a page must not wait for each part.
	retryAfter = 2 * time.Second
)

// past asks history for pages. Pages that show the same share one answer, and while history
// cannot answer they keep the last one. A page never waits longer than askWithin.
type past struct {
	ctx context.Context //nolint:containedctx // the owner's end: an answer serves more than the request that asked

	mu      sync.Mutex // guards all below
	memos   map[string]*memo
	failed  time.Time  // latest failure; zero while history answers
	staleAt flows.Time // latest answer before the failure, or the start of the process
}

// memo is one answer. asking holds a token while nobody asks.
type memo struct {
	asking chan struct{}

	value    any // guarded by past.mu, as are all below
	answered time.Time
	fresh    time.Time // until then nobody needs to ask again
}

func newPast(ctx context.Context) *past {
	return &past{ctx: ctx, memos: make(map[string]*memo), staleAt: flows.At(time.Now())}
}

// awaySince is when history last answered, if it does not now; NoTime while it does.
func (p *past) awaySince() flows.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.IsZero() {
		return flows.NoTime
	}
	return p.staleAt
}

// ask answers name from memory, or by load. ok is false where history cannot answer and
// never did; a *flows.InputError and flows.ErrNotFound are answers, and returned as err.
func ask[V any](ctx context.Context, p *past, name string, load func(context.Context) (V, error)) (value V, ok bool, err error) {
	m := p.memo(name)
	select {
	case <-m.asking:
		defer func() { m.asking <- struct{}{} }()
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
	if last, ok, fresh := remembered[V](p, m); fresh {
		return last, ok, nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, askWithin)
	defer cancel()
	began := time.Now()
	value, err = load(ctx)
	if p.note(m, value, began, err) {
		return value, err == nil, err
	}
	last, ok, _ := remembered[V](p, m)
	return last, ok, nil
}

// remembered is the last answer; fresh says that there is no use in asking again now.
func remembered[V any](p *past, m *memo) (value V, ok, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(m.answered) < memoAtMost {
		value, ok = m.value.(V)
	}
	return value, ok, now.Before(m.fresh) || now.Before(p.failed.Add(retryAfter))
}

// note remembers what came of asking; false where history could not answer.
func (p *past) note(m *memo, value any, began time.Time, err error) bool {
	now := time.Now()
	_, wrong := errors.AsType[*flows.InputError](err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !wrong && !errors.Is(err, flows.ErrNotFound) {
		if p.ctx.Err() == nil {
			p.failed = now
		}
		return false
	}
	p.failed, p.staleAt = time.Time{}, flows.At(now)
	if err == nil {
		m.value, m.answered, m.fresh = value, now, now.Add(max(memoFor, 10*now.Sub(began)))
	}
	return true
}

func (p *past) memo(name string) *memo {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.memos[name]
	if m != nil {
		return m
	}
	if len(p.memos) >= maxMemos {
		p.forgetLocked()
	}
	m = &memo{asking: make(chan struct{}, 1)}
	m.asking <- struct{}{}
	p.memos[name] = m
	return m
}

// forgetLocked makes room: what nobody needs any more, else everything.
func (p *past) forgetLocked() {
	now := time.Now()
	for name, m := range p.memos {
		if now.After(m.fresh.Add(time.Minute)) {
			delete(p.memos, name)
		}
	}
	if len(p.memos) >= maxMemos {
		clear(p.memos)
	}
}
