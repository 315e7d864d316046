package web

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"throughline/flows"
)

// counter renders how often it was rendered, and a part that never changes.
func counter(renders *atomic.Int64) func(context.Context, chan struct{}) ([]part, error) {
	return func(context.Context, chan struct{}) ([]part, error) {
		n := renders.Add(1)
		return []part{{"same", []byte(`<p id="same"></p>`)}, {"n", fmt.Appendf(nil, `<p id="n">%d</p>`, n)}}, nil
	}
}

// pulled is the number of messages that a pull gives.
func pulled(t *testing.T, w *watcher) int {
	t.Helper()
	messages, err := w.pull()
	if err != nil {
		t.Fatal(err)
	}
	return len(messages)
}

func TestScreenIsRenderedOncePerChangeForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		all := newScreens(hub, slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		sc := screen{name: "/", render: counter(&renders), rest: 100 * time.Millisecond}
		watchers := []*watcher{all.join(sc), all.join(sc), all.join(sc)}
		synctest.Wait()
		for _, w := range watchers {
			if len(w.wake) != 1 || pulled(t, w) != 1 || pulled(t, w) != 0 {
				t.Error("the first frame comes once")
			}
			<-w.wake
		}
		publish(t, hub, orderHealth(1, 0))
		time.Sleep(100*time.Millisecond - time.Nanosecond)
		synctest.Wait()
		if n := renders.Load(); n != 1 {
			t.Errorf("rendered %d times before the rest was over", n)
		}
		for n := range 50 { // a burst is one rendering
			publish(t, hub, orderHealth(n, n))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := renders.Load(); n != 2 {
			t.Errorf("rendered %d times, want 2", n)
		}
		var shared *websocket.PreparedMessage
		for i, w := range watchers {
			messages, err := w.pull()
			if err != nil || len(messages) != 1 {
				t.Fatalf("%d messages, %v", len(messages), err)
			}
			if i > 0 && messages[0] != shared {
				t.Error("the same change was written twice")
			}
			shared = messages[0]
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := renders.Load(); n != 2 {
			t.Errorf("rendered %d times although nothing changed", n)
		}
	})
}

func TestScreenOfHistoryPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newScreens(NewHub(), slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		w := all.join(screen{name: "/x", render: counter(&renders), rest: time.Second, poll: 2 * time.Second})
		defer w.leave()
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if n := renders.Load(); n != 4 {
			t.Errorf("rendered %d times in 7 s, want 4", n)
		}
	})
}

func TestScreenEndsWithItsLastWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		all := newScreens(hub, slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		sc := screen{name: "/", render: counter(&renders), rest: time.Millisecond}
		first, second := all.join(sc), all.join(sc)
		synctest.Wait()
		first.leave()
		first.leave()
		publish(t, hub, orderHealth(1, 0))
		time.Sleep(time.Second)
		synctest.Wait()
		if n := renders.Load(); n != 2 || len(second.wake) != 1 {
			t.Errorf("rendered %d times for the one that stays", n)
		}
		second.leave()
		publish(t, hub, orderHealth(2, 0))
		time.Sleep(time.Second)
		synctest.Wait()
		if n := renders.Load(); n != 2 || len(all.open) != 0 || len(hub.subs) != 0 {
			t.Errorf("rendered %d times for nobody; %d screens, %d subscriptions left", n, len(all.open), len(hub.subs))
		}
		again := all.join(sc)
		synctest.Wait()
		if renders.Load() != 3 || pulled(t, again) != 1 {
			t.Error("a screen starts again")
		}
	})
}

func TestSlowWatcherGetsWhatChangedSinceItsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		all := newScreens(hub, slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		w := all.join(screen{name: "/", render: counter(&renders), rest: time.Millisecond})
		synctest.Wait()
		pulled(t, w)
		for n := range 5 {
			publish(t, hub, orderHealth(n, n+1))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if pulled(t, w) != 1 || w.last.version != 6 || pulled(t, w) != 0 {
			t.Errorf("at version %d", w.last.version)
		}
	})
}

func TestFailedRenderingKeepsTheFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		all := newScreens(hub, slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		var failing atomic.Bool
		render := counter(&renders)
		w := all.join(screen{name: "/", rest: time.Millisecond, render: func(ctx context.Context, again chan struct{}) ([]part, error) {
			parts, err := render(ctx, again)
			if failing.Load() {
				err = context.DeadlineExceeded
			}
			return parts, err
		}})
		synctest.Wait()
		good := flows.At(time.Now())
		asOf := func() flows.Time { return w.asOf(flows.At(time.Now())) } // the numbers themselves are never late here
		failing.Store(true)
		publish(t, hub, orderHealth(1, 1))
		time.Sleep(lagging)
		synctest.Wait()
		if pulled(t, w) != 1 || w.last.version != 1 {
			t.Error("the failed rendering was shown")
		}
		if now := flows.At(time.Now()); asOf() != now {
			t.Errorf("what fails for a moment is as of %v, not %v", asOf(), now)
		}
		time.Sleep(2 * againAfter)
		if asOf() != good {
			t.Errorf("a page that cannot be rendered is as of %v, not of its last rendering, %v", asOf(), good)
		}
		failing.Store(false) // nothing is published: it is tried again by itself
		time.Sleep(2 * againAfter)
		synctest.Wait()
		if pulled(t, w) != 1 || w.last.version != 2 {
			t.Error("the next rendering was not shown")
		}
		if now := flows.At(time.Now()); asOf() != now {
			t.Errorf("rendered again, it is as of %v, not %v", asOf(), now)
		}
	})
}

func TestPartsMessageTouchesOnlyWhatChanged(t *testing.T) {
	before := []part{{"a", []byte("<p id=a>1</p>")}, {"b", []byte("<p id=b>1</p>")}}
	after := []part{{"a", []byte("<p id=a>1</p>")}, {"b", []byte("<p id=b>2</p>")}, {"c", []byte("<p id=c></p>")}}
	changed := changedParts(before, after)
	if len(changed) != 2 || changed[0].id != "b" || changed[1].id != "c" {
		t.Errorf("%v", changed)
	}
}

// TestScreenShowsAtOnceAndNeverMissesTheLast moves numbers in bursts: the first after a quiet time is on
// the screen without a wait, and the last of a burst always comes, whenever it falls.
func TestScreenShowsAtOnceAndNeverMissesTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		all := newScreens(hub, slog.New(slog.DiscardHandler))
		defer all.close()
		var renders atomic.Int64
		w := all.join(screen{name: "/", rest: 50 * time.Millisecond, render: func(context.Context, chan struct{}) ([]part, error) {
			renders.Add(1)
			h, _ := hub.Health("order-to-cash")
			return []part{{"n", fmt.Appendf(nil, `<p id="n">%d</p>`, h.InFlight)}}, nil
		}})
		synctest.Wait()
		pulled(t, w)
		for gap := range 40 {
			time.Sleep(time.Second)
			n := 3 * gap
			publish(t, hub, orderHealth(n+1, 0))
			synctest.Wait()
			if pulled(t, w) != 1 || string(w.last.parts[0].html) != fmt.Sprintf(`<p id="n">%d</p>`, n+1) {
				t.Fatalf("after a quiet time: %s", w.last.parts[0].html)
			}
			publish(t, hub, orderHealth(n+2, 0))
			time.Sleep(time.Duration(gap) * 2 * time.Millisecond)
			publish(t, hub, orderHealth(n+3, 0))
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if pulled(t, w) != 1 || string(w.last.parts[0].html) != fmt.Sprintf(`<p id="n">%d</p>`, n+3) {
				t.Fatalf("the last of a burst, %d ms apart: %s", 2*gap, w.last.parts[0].html)
			}
		}
		if n := renders.Load(); n > 1+4*40 {
			t.Errorf("rendered %d times", n)
		}
	})
}

// TestManyWatchersRestLonger holds what looking may cost.
func TestManyWatchersRestLonger(t *testing.T) {
	f := func(screens, watching int, took, want time.Duration) {
		t.Helper()
		s := newScreens(NewHub(), slog.New(slog.DiscardHandler))
		for i := range screens {
			s.open[fmt.Sprint(i)] = nil
		}
		s.watching = watching
		at := &shown{screen: screen{rest: time.Millisecond}}
		if got := s.rest(at, took); got != want {
			t.Errorf("%d screens, %d watchers, %v a rendering: rests %v, want %v", screens, watching, took, got, want)
		}
		for n := range 9 { // one of eight waited for a processor; then all are dearer
			got := s.rest(at, 2*took)
			if dearer := s.rest(&shown{screen: at.screen}, 2*took); n < 7 && got != want || n == 8 && got != dearer {
				t.Errorf("%d screens, %d watchers, %v a rendering, then %d twice as dear: rests %v, want %v, in the end %v", screens, watching, took, n+1, got, want, dearer)
			}
		}
	}
	f(1, 1, 10*time.Microsecond, time.Millisecond)
	f(1, 1, 2*time.Millisecond, 20*time.Millisecond)
	f(25, 25, 2*time.Millisecond, 150*time.Millisecond)
	f(25, 25, 80*time.Millisecond, restAtMost) // it waited for history
	f(1, 200, time.Millisecond, 25*time.Millisecond)
	f(1, 5000, time.Millisecond, 625*time.Millisecond)
}
