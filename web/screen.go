package web

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"throughline/flows"
)

// part is one live element of a page: its HTML is one element with that id.
type part struct {
	id   string
	html []byte
}

// screen says how the live elements of one page are made. Everyone who looks at the same
// page shares one screen: it is rendered once per change, whoever watches.
type screen struct {
	name string // of the page, the same for the same content
	flow string // whose numbers it shows; "" is all
	// render makes the elements. Where something newer is on its way, it has the channel told.
	render func(context.Context, chan struct{}) ([]part, error)
	// rest is the least time between two renderings; see screens.rest.
	rest time.Duration
	// poll renders also when nothing was published for so long; 0 is never. For what comes
	// from history, which says nothing by itself.
	poll time.Duration
}

// frame is one rendering of a screen, immutable. Messages are made when first asked for.
type frame struct {
	version uint64 // from 1
	parts   []part
	full    func() (*websocket.PreparedMessage, error)
	delta   func() (*websocket.PreparedMessage, error) // from version-1; nil for the first
}

// heardID is the element that says, of a frame, when the oldest signal was received that it is
// the first to show: the browser measures from there to the screen.
const heardID = "page-heard"

func heardPart(heard flows.Time) []part {
	if heard == flows.NoTime {
		return nil
	}
	return []part{{heardID, fmt.Appendf(nil, `<i id="%s" hidden data-heard="%.3f"></i>`, heardID, float64(heard)/1e6)}}
}

// since is the message for a socket that was last sent the frame last; nil for nothing new.
// heard is that of all frames since.
func (f *frame) since(last *frame, heard flows.Time) (*websocket.PreparedMessage, error) {
	switch {
	case last == nil:
		return f.full()
	case last.version == f.version:
		return nil, nil
	case last.version+1 == f.version:
		return f.delta()
	}
	if changed := changedParts(last.parts, f.parts); len(changed) > 0 {
		return partsMessage(append(changed, heardPart(heard)...))()
	}
	return nil, nil
}

func changedParts(last, next []part) []part {
	known := make(map[string][]byte, len(last))
	for _, p := range last {
		known[p.id] = p.html
	}
	var changed []part
	for _, p := range next {
		if !bytes.Equal(known[p.id], p.html) {
			changed = append(changed, p)
		}
	}
	return changed
}

// partsMessage is HTML that htmx morphs into the elements with these ids.
func partsMessage(parts []part) func() (*websocket.PreparedMessage, error) {
	return sync.OnceValues(func() (*websocket.PreparedMessage, error) {
		return websocket.NewPreparedMessage(websocket.TextMessage, partsHTML(parts))
	})
}

func partsHTML(parts []part) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, `<hx-partial hx-target="#%s" hx-swap="outerMorph">%s</hx-partial>`, html.EscapeString(p.id), p.html)
	}
	return b.Bytes()
}

// screens are the pages that someone looks at now.
type screens struct {
	hub    *Hub
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // the owner's own end: all screens end with it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // guards all below, and in open watchers and latest
	open     map[string]*shown
	watching int // in all
}

// What looking may cost, whoever looks: rendering a third of a core, and of one screen a tenth; sending
// 8,000 messages a second.
const (
	restOfOne  = 10                     // renderings' time between two of a screen
	restOfAll  = 3                      // the same, for each screen that is open
	restOfSend = 125 * time.Microsecond // for each socket that is open
	// Renderings that take long wait for history: no reason to show nothing.
	restAtMost = 150 * time.Millisecond
)

// againAfter is when a rendering that failed is tried again, though nothing is new.
const againAfter = time.Second

// rest is how long a screen rests after a rendering that took so long. What a rendering costs is
// what the shortest of the latest took: others waited for a processor.
func (s *screens) rest(at *shown, took time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at.took = append(at.took[max(0, len(at.took)-7):], took)
	dear := min(slices.Min(at.took)*time.Duration(max(restOfOne, restOfAll*len(s.open))), restAtMost)
	return max(at.rest, dear, restOfSend*time.Duration(s.watching))
}

// shown is a screen with its watchers.
type shown struct {
	screen
	stop     context.CancelFunc
	watchers map[*watcher]struct{}
	latest   *frame          // nil until the first rendering
	took     []time.Duration // the latest renderings, at most eight
	began    time.Time       // when the last rendering did
	good     time.Time       // when the last one that came off began
	tried    time.Time       // when the first one since that did not, or not yet, began; zero for none
}

// watcher is one socket's place at a screen. last belongs to the socket's writer.
type watcher struct {
	screens *screens
	shown   *shown
	wake    chan struct{} // one slot
	last    *frame
	heard   flows.Time // of the frames since the last pull, the earliest; guarded by screens.mu
}

func newScreens(hub *Hub, log *slog.Logger) *screens {
	ctx, cancel := context.WithCancel(context.Background())
	return &screens{hub: hub, log: log, ctx: ctx, cancel: cancel, open: make(map[string]*shown)}
}

// close ends all screens and waits for them. No watcher may join afterwards: close the
// sockets first.
func (s *screens) close() {
	s.cancel()
	s.wg.Wait()
}

// join adds a watcher; the first one of a screen starts it. The latest frame, and every
// later one, wakes the watcher.
func (s *screens) join(sc screen) *watcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.open[sc.name]
	if at == nil {
		ctx, stop := context.WithCancel(s.ctx)
		at = &shown{screen: sc, stop: stop, watchers: make(map[*watcher]struct{})}
		s.open[sc.name] = at
		s.wg.Go(func() { s.run(ctx, at) })
	}
	w := &watcher{screens: s, shown: at, wake: make(chan struct{}, 1), heard: flows.NoTime}
	at.watchers[w] = struct{}{}
	s.watching++
	if at.latest != nil {
		w.wake <- struct{}{}
	}
	return w
}

// leave takes the watcher away; the last one of a screen ends it. It may be called twice.
func (w *watcher) leave() {
	s := w.screens
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := w.shown.watchers[w]; !ok {
		return
	}
	delete(w.shown.watchers, w)
	s.watching--
	if len(w.shown.watchers) == 0 && s.open[w.shown.name] == w.shown {
		delete(s.open, w.shown.name)
		w.shown.stop()
	}
}

// pull is the feed of the watcher's socket.
func (w *watcher) pull() ([]*websocket.PreparedMessage, error) {
	w.screens.mu.Lock()
	latest, heard := w.shown.latest, w.heard
	w.heard = flows.NoTime
	w.screens.mu.Unlock()
	if latest == nil {
		return nil, nil
	}
	message, err := latest.since(w.last, heard)
	if err != nil || message == nil {
		return nil, err
	}
	w.last = latest
	return []*websocket.PreparedMessage{message}, nil
}

// run renders at once, then whenever something changed: right away after a quiet time, else when
// rest is over.
func (s *screens) run(ctx context.Context, at *shown) {
	sub := s.hub.watch(at.flow)
	defer sub.close()
	again := make(chan struct{}, 1)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		drain(sub.wake, again) // what is there by now is in this rendering
		heard := sub.takeHeard()
		began := s.begin(at)
		parts, err := at.render(ctx, again)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.WarnContext(ctx, "page cannot be rendered", "page", at.name, "error", err)
		default:
			s.show(at, parts, heard)
		}
		rest.Reset(s.rest(at, time.Since(began)))
		poll := at.poll
		if err != nil {
			poll = againAfter
		}
		if !somethingNew(ctx, sub.wake, again, poll) {
			return
		}
	}
}

func drain(wakes ...<-chan struct{}) {
	for _, wake := range wakes {
		select {
		case <-wake:
		default:
		}
	}
}

// somethingNew waits for numbers, an answer of history, or until poll is over; false when ctx ended.
func somethingNew(ctx context.Context, wake, again <-chan struct{}, poll time.Duration) bool {
	var due <-chan time.Time
	if poll > 0 {
		timer := time.NewTimer(poll)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-due:
	case <-again:
	case <-wake:
	}
	return true
}

func (s *screens) begin(at *shown) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at.began = time.Now()
	if at.tried.IsZero() {
		at.tried = at.began
	}
	return at.began
}

// asOf is up to when what the watcher shows tells of everything, where the numbers do until hub: no
// later than the last rendering that came off, once none does for as long as lagging.
func (w *watcher) asOf(hub flows.Time) flows.Time {
	w.screens.mu.Lock()
	defer w.screens.mu.Unlock()
	at := w.shown
	if hub == flows.NoTime || at.good.IsZero() || at.tried.IsZero() || time.Since(at.tried) <= lagging {
		return hub
	}
	return min(hub, flows.At(at.good))
}

// show makes parts the latest frame, unless they are what is shown already.
func (s *screens) show(at *shown, parts []part, heard flows.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at.good, at.tried = at.began, time.Time{}
	next := &frame{version: 1, parts: parts, full: partsMessage(parts)}
	if before := at.latest; before != nil {
		changed := changedParts(before.parts, parts)
		if len(changed) == 0 {
			return
		}
		next.version, next.delta = before.version+1, partsMessage(append(changed, heardPart(heard)...))
	}
	at.latest = next
	for w := range at.watchers {
		w.heard = earlierOf(w.heard, heard)
		token(w.wake)
	}
}
