package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"throughline/flows"
)

// Sender is who sends, as Deps.Who tells. The zero Sender is anybody.
type Sender struct {
	ID     string // of its token; "" for nobody in particular
	Name   string // for sentences
	System string // what it sends must be of this system; "" for any
	Rate   int    // signals a second that it may send; 0 for no limit
}

// Visit is a Door as one request passes it.
type Visit struct {
	*Door
	sender  Sender
	account *account // nil for anybody
}

// Enter asks who sends, by the Authorization header or metadata, and whether they may send
// more now; nothing of the request was read yet. The error is a Refusal.
func (d *Door) Enter(authorization string) (*Visit, error) {
	if d.deps.Who == nil {
		return &Visit{Door: d}, nil
	}
	sender, err := d.deps.Who(authorization)
	if err != nil {
		return nil, err
	}
	v := &Visit{Door: d, sender: sender}
	if sender.ID == "" {
		return v, nil
	}
	v.account = d.accounts.of(sender)
	if wait := v.account.wait(d.deps.Now()); wait > 0 {
		detail := fmt.Sprintf("the token %q may send %d signals a second and has sent more; send it again later, or ask for a token with a higher --rate", sender.Name, sender.Rate)
		return nil, &Refusal{Class: OverRate, Detail: detail, After: wait}
	}
	return v, nil
}

// Rules are the rules in force now, under which a signal of another system than the sender's
// is at fault.
func (v *Visit) Rules() Rules {
	rules := v.deps.Rules()
	if v.sender.System != "" {
		return limited{rules, v.sender}
	}
	return rules
}

// Read is the request's body, decompressed and bounded. The caller frees it.
func (v *Visit) Read(w http.ResponseWriter, r *http.Request) (*Body, error) {
	if r.Method != http.MethodPost {
		return nil, Refuse(NoMethod, "send data with POST")
	}
	b := v.body()
	var err error
	if b.Bytes, err = b.read(w, r, v.zstd); err != nil {
		b.Free()
		return nil, err
	}
	v.counters.bytes(r.Context(), len(b.Bytes))
	return b, nil
}

// Expect is a Body that is still to come by a protocol's library, with a first part of the
// budget, so that no more are read at once than there is room for.
func (v *Visit) Expect() (*Body, error) {
	b := v.body()
	return b, b.Grow(expected)
}

// Hold takes the budget for what a library has read instead of what was expected.
func (v *Visit) Hold(ctx context.Context, b *Body, bytes []byte) error {
	b.Free()
	b.Bytes = bytes
	if err := b.Grow(len(bytes)); err != nil {
		return err
	}
	v.counters.bytes(ctx, len(bytes))
	return nil
}

func (v *Visit) body() *Body {
	b := &Body{budget: v.memory}
	if v.account != nil {
		b.share = v.account.share
	}
	return b
}

// Publish makes the batch durable and counts it, and what was rejected beside it. After an
// error nothing was accepted. A sender that leaves does not end it: what is on its way to
// the bus gets there, and is counted.
func (v *Visit) Publish(ctx context.Context, b flows.Batch, rejected Rejected) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishWithin)
	defer cancel()
	items := len(b.Signals) + b.SpanCount() + len(b.Logs)
	if items > 0 {
		if err := v.deps.Publisher.Publish(ctx, b); err != nil {
			return v.unpublished(ctx, err)
		}
	}
	v.counters.took(ctx, b, rejected)
	if v.account != nil {
		v.account.charge(v.deps.Now(), items+rejected.Total())
	}
	return nil
}

func (v *Visit) unpublished(ctx context.Context, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return Refuse(TooLarge, "one signal of the request is larger than the bus carries; shorten its data")
	}
	// A full bus is counted for every request; a line each would fill the disk too.
	if !errors.Is(err, ErrBusy) {
		v.deps.Log.ErrorContext(ctx, "batch not published", "error", err)
	}
	return Refuse(Unavailable, "the data could not be stored now; send it again")
}

// limited are rules for a sender that may speak for one system only.
type limited struct {
	Rules
	sender Sender
}

// AssignKeys implements Rules.
func (l limited) AssignKeys(s *flows.Signal) error {
	return cmp.Or(l.of(s.System), l.Rules.AssignKeys(s))
}

func (l limited) of(system string) error {
	if system == l.sender.System {
		return nil
	}
	return Faultf(ReasonSystem, "system: the token %s may send for %s only, this is of %s", Excerpt(l.sender.Name), Excerpt(l.sender.System), Excerpt(system))
}

// CheckSystem refuses what a sender may not say of a system under rules that a Visit gave.
// Protocols ask it once for many records of one system; of events, AssignKeys asks it.
func CheckSystem(r Rules, system string) error {
	if l, ok := r.(limited); ok {
		return l.of(system)
	}
	return nil
}

// account is what one sender has used of its limits.
type account struct {
	limiter *rate.Limiter // nil for no limit
	share   *semaphore.Weighted
}

// wait is how long it is until the sender may send again; 0 for now. A batch is taken whole,
// however much is left, and paid for until it is made good.
func (a *account) wait(now time.Time) time.Duration {
	if a.limiter == nil {
		return 0
	}
	left := a.limiter.TokensAt(now)
	if left > 0 {
		return 0
	}
	return time.Duration((1 - left) / float64(a.limiter.Limit()) * float64(time.Second))
}

func (a *account) charge(now time.Time, n int) {
	if a.limiter == nil {
		return
	}
	for burst := a.limiter.Burst(); n > 0; n -= burst {
		a.limiter.ReserveN(now, min(n, burst))
	}
}

// accounts are those of all senders that came.
type accounts struct {
	mu   sync.Mutex // guards byID
	byID map[string]*account
}

// maxAccounts is above the number of tokens. Beyond it, of tokens that came and went, all
// accounts begin anew.
const maxAccounts = 20_000

func (a *accounts) of(s Sender) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.byID[s.ID]; one != nil {
		return one
	}
	if a.byID == nil || len(a.byID) >= maxAccounts {
		a.byID = make(map[string]*account)
	}
	one := &account{share: semaphore.NewWeighted(maxShare)}
	if s.Rate > 0 {
		one.limiter = rate.NewLimiter(rate.Limit(s.Rate), s.Rate) // a second's worth at once
	}
	a.byID[s.ID] = one
	return one
}
