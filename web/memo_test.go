package web

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"throughline/flows"
)

// teller counts questions and answers with their number, or with err, after takes.
type teller struct {
	asked int
	takes time.Duration
	err   error
}

func (l *teller) load(ctx context.Context) (int, error) {
	l.asked++
	n, err := l.asked, l.err
	if l.takes > 0 {
		timer := time.NewTimer(l.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return n, err
}

func TestPastSharesAndKeepsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		var history teller
		f := func(what string, want int, wantOK bool, asked int) {
			t.Helper()
			n, ok, err := ask(t.Context(), p, "n", history.load)
			if n != want || ok != wantOK || err != nil || history.asked != asked {
				t.Errorf("%s: %d %v %v after %d questions, want %d %v after %d", what, n, ok, err, history.asked, want, wantOK, asked)
			}
		}
		f("first", 1, true, 1)
		time.Sleep(memoFor - time.Nanosecond)
		f("shared", 1, true, 1)
		time.Sleep(time.Nanosecond)
		f("anew", 2, true, 2)
		begin := time.Now()
		time.Sleep(memoFor)
		history.err = errors.New("away")
		f("kept while away", 2, true, 3)
		if p.awaySince() != flows.At(begin) {
			t.Errorf("away since %s, want the latest answer %s", p.awaySince(), flows.At(begin))
		}
		f("left alone", 2, true, 3)
		time.Sleep(retryAfter)
		history.err = nil
		f("back", 4, true, 4)
		if p.awaySince() != flows.NoTime {
			t.Error("history is back, but nobody is told")
		}
		history.err = errors.New("away")
		time.Sleep(memoAtMost + time.Nanosecond)
		f("too old", 0, false, 5)
	})
}

func TestLivePagesDoNotWaitForSlowHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		history := teller{}
		if n, _, _ := ask(t.Context(), p, "n", history.load); n != 1 {
			t.Errorf("%d", n)
		}
		history.takes = 4 * time.Second
		time.Sleep(memoFor)
		for range 3 { // all share the one question
			begin := time.Now()
			if n, ok, _ := ask(t.Context(), p, "n", history.load); n != 1 || !ok || time.Since(begin) != waitLittle {
				t.Errorf("%d %v after %v", n, ok, time.Since(begin))
			}
		}
		time.Sleep(4 * time.Second)
		if n, _, _ := ask(t.Context(), p, "n", history.load); n != 2 || history.asked != 2 {
			t.Errorf("%d after %d questions", n, history.asked)
		}
		time.Sleep(39 * time.Second) // what took 4 s is asked once in 40 s
		if n, _, _ := ask(t.Context(), p, "n", history.load); n != 2 || history.asked != 2 {
			t.Errorf("%d after %d questions", n, history.asked)
		}
		history.takes = time.Hour
		begin := time.Now()
		if _, ok, _ := ask(t.Context(), p, "another", history.load); ok || time.Since(begin) != askWithin || p.awaySince() == flows.NoTime {
			t.Errorf("%v after %v", ok, time.Since(begin))
		}
		begin = time.Now()
		if _, ok, _ := ask(t.Context(), p, "a third", history.load); ok || time.Since(begin) != 0 {
			t.Errorf("%v after %v", ok, time.Since(begin))
		}
	})
}

func TestFaultsOfTheQuestionAreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		history := teller{err: fmt.Errorf("instance x: %w", flows.ErrNotFound)}
		if _, ok, err := ask(t.Context(), p, "n", history.load); ok || !errors.Is(err, flows.ErrNotFound) || p.awaySince() != flows.NoTime {
			t.Errorf("%v %v", ok, err)
		}
	})
}

func TestPastIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		var history teller
		for i := range maxMemos + 10 {
			if _, _, err := ask(t.Context(), p, fmt.Sprint(i), history.load); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.memos) > maxMemos {
			t.Errorf("%d answers are kept", len(p.memos))
		}
	})
}

func TestPastLooksWhetherHistoryIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		looks, err := 0, errors.New("away")
		look := func() {
			p.look(func(context.Context) error { looks++; return err })
			synctest.Wait()
		}
		look()
		if looks != 0 {
			t.Error("looked right after an answer")
		}
		time.Sleep(lookEvery + time.Nanosecond)
		look()
		look()
		if looks != 1 || p.awaySince() == flows.NoTime {
			t.Errorf("%d looks, away since %s", looks, p.awaySince())
		}
		time.Sleep(retryAfter)
		err = nil
		look()
		if looks != 2 || p.awaySince() != flows.NoTime {
			t.Errorf("%d looks, away since %s", looks, p.awaySince())
		}
	})
}

// TestScreenDoesNotWaitForHistory gets no answer where none is there soon, then the older one, and is told
// when the newer has come.
func TestScreenDoesNotWaitForHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		again, history := make(chan struct{}, 1), teller{takes: time.Second}
		render := func(want int, wait time.Duration) {
			t.Helper()
			live, begin := p.within(waitFirst, again), time.Now()
			for range 3 { // they share one moment of patience
				if n, ok, _ := ask(t.Context(), live, "n", history.load); n != want || ok != (want > 0) {
					t.Errorf("%d %v, want %d", n, ok, want)
				}
			}
			if took := time.Since(begin); took != wait {
				t.Errorf("waited %v, want %v", took, wait)
			}
		}
		toldIn := func(d time.Duration) {
			t.Helper()
			time.Sleep(d - time.Nanosecond)
			synctest.Wait()
			if len(again) != 0 {
				t.Error("told too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if len(again) != 1 {
				t.Error("not told")
			}
			<-again
		}
		render(0, waitFirst)
		toldIn(time.Second - waitFirst)
		render(1, 0)
		time.Sleep(20 * time.Second)
		render(1, 0)
		toldIn(time.Second)
		render(2, 0)
		if history.asked != 2 {
			t.Errorf("asked %d times", history.asked)
		}
	})
}

// TestOneHardQuestionIsNoAbsence asks something that takes too long while others are answered.
func TestOneHardQuestionIsNoAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		hard, easy := teller{takes: time.Hour}, teller{}
		go ask(t.Context(), p, "hard", hard.load)
		time.Sleep(askWithin / 2)
		if _, ok, _ := ask(t.Context(), p, "easy", easy.load); !ok {
			t.Error("no answer")
		}
		time.Sleep(askWithin)
		if _, ok, _ := ask(t.Context(), p, "hard", hard.load); ok || p.awaySince() != flows.NoTime || hard.asked != 1 {
			t.Errorf("%v, away since %v, asked %d times", ok, p.awaySince(), hard.asked)
		}
		time.Sleep(10*askWithin - askWithin/2)
		go ask(t.Context(), p, "hard", hard.load)
		synctest.Wait()
		if hard.asked != 2 {
			t.Errorf("asked %d times", hard.asked)
		}
	})
}

// TestHardQuestionIsGivenMoreTime asks something that takes longer than most may: it is answered in the end.
func TestHardQuestionIsGivenMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast()
		defer p.close()
		hard, easy := teller{takes: 3 * askWithin}, teller{}
		for range 3 {
			go ask(t.Context(), p, "hard", hard.load)
			time.Sleep(askWithin / 2)
			if _, ok, _ := ask(t.Context(), p, "easy", easy.load); !ok {
				t.Error("no answer")
			}
			time.Sleep(11 * 4 * askWithin)
		}
		if last := p.last("hard"); last.value == nil || hard.asked != 3 {
			t.Errorf("asked %d times, the answer is %v", hard.asked, last.value)
		}
	})
}

// TestPageDoesNotWaitForWhatStandsBeside asks what a page is about and what stands beside it: the latter is waited for a moment
// longer than the former, and for no longer than for a page.
func TestPageDoesNotWaitForWhatStandsBeside(t *testing.T) {
	for _, c := range []struct {
		about, beside, want time.Duration
		unread              bool
	}{
		{200 * time.Millisecond, 4 * time.Second, 200*time.Millisecond + waitFirst, true},
		{200 * time.Millisecond, 200*time.Millisecond + waitFirst/2, 200*time.Millisecond + waitFirst/2, false},
		{300 * time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond, false},
		{waitWhole - waitFirst/2, time.Minute, waitWhole, true},
		{time.Minute, time.Minute, waitWhole, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &Server{past: newPast()}
			defer s.past.close()
			began, about, beside := time.Now(), teller{takes: c.about}, teller{takes: c.beside}
			s.past = s.past.within(waitWhole, nil)
			other, known := s.beside()
			var ok bool
			atOnce(
				func() { _, _, _ = ask(t.Context(), s.past, "about", about.load); known() },
				func() { _, ok, _ = ask(t.Context(), other.past, "beside", beside.load) },
			)
			if took := time.Since(began); took != c.want || s.past.unread.Load() != c.unread || ok == c.unread {
				t.Errorf("about %s, beside %s: waited %s, unread %v, want %s, %v", c.about, c.beside, took, s.past.unread.Load(), c.want, c.unread)
			}
		})
	}
}
