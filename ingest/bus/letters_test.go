package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"throughline/flows"
)

// TestRefusedPartsAreRecorded lets a handler refuse parts of a range: it is called again
// with them, also by another process, until it takes the range.
func TestRefusedPartsAreRecorded(t *testing.T) {
	dir := t.TempDir()
	b := openAt(t, Config{Dir: dir})
	publish(t, b, numbered(0, 4))
	var seen []string
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(_ context.Context, d Delivery) error {
		seen = append(seen, fmt.Sprint(d.Refused))
		if len(d.Refused) == 2 {
			cancel() // the process ends before it has handled the range
			return errors.New("ended")
		}
		return fmt.Errorf("insert: %w", &Refused{Part: strconv.Itoa(len(d.Refused)), Err: errors.New("bad")})
	})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, b)
	b = openAt(t, Config{Dir: dir})
	publish(t, b, numbered(4, 1))
	var refused []string
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(_ context.Context, d Delivery) error {
		refused = append(refused, fmt.Sprint(d.First, d.Last, d.Refused))
		if d.Last == 2 {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"[]", "[{0 bad}]", "[{0 bad} {1 bad}]"}; !slices.Equal(seen, want) {
		t.Errorf("the first process was called with %q, want %q", seen, want)
	}
	if want := []string{"1 1 [{0 bad} {1 bad}]", "2 2 []"}; !slices.Equal(refused, want) {
		t.Errorf("the second was called with %q, want %q", refused, want)
	}
}

// TestSetAsideAndReplay sets signals and logs aside, twice under one name, and sends them again.
func TestSetAsideAndReplay(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	publish(t, b, numbered(0, 1))
	d := b.delivery(Signals)
	d.First, d.Last = 1, 1
	for range 2 {
		if err := b.SetAside(t.Context(), &d, numbered(7, 2), Refusal{"signals:0-1", oneLine("Code: 27\nbad")}); err != nil {
			t.Fatal(err)
		}
	}
	logs := flows.Batch{Logs: []flows.LogRecord{{Body: "x"}}}
	e := b.delivery(Spans)
	if err := b.SetAside(t.Context(), &e, logs, Refusal{"logs:0-1", "bad"}); err != nil {
		t.Fatal(err)
	}
	if err := b.letter(t.Context(), Signals, "SIGNALS:9", []byte("no frame"), "unreadable"); err != nil {
		t.Fatal(err)
	}
	list := func() (found []string) {
		if err := b.Letters(t.Context(), 0, func(l Letter) error {
			found = append(found, fmt.Sprintf("%s %d %d %d %v %s", l.Stream, l.Signals, l.Spans, l.Logs, l.Fault == nil, l.Reason))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	unreadable := Signals + " 0 0 0 false unreadable"
	want := []string{Signals + " 2 0 0 true Code: 27 bad", Spans + " 0 0 1 true bad", unreadable}
	if got := list(); !slices.Equal(got, want) {
		t.Fatalf("letters %q, want %q", got, want)
	}
	if n, err := b.Replay(t.Context()); n != 2 || err != nil {
		t.Fatalf("sent %d, %v", n, err)
	}
	if got := list(); !slices.Equal(got, []string{unreadable}) {
		t.Fatalf("letters after replay: %q", got)
	}
	if got := followed(t, b, 1, 3); !slices.Equal(got, []string{"0", "7", "8"}) {
		t.Fatalf("the stream has %v", got)
	}
	if n, err := b.Replay(t.Context()); n != 0 || err != nil {
		t.Fatalf("sent again: %d, %v", n, err)
	}
}

// TestFullLetters lets a message that cannot be read wait until there is room for it: its
// reader waits too, and neither it nor an older letter goes.
func TestFullLetters(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	if err := b.letter(t.Context(), Signals, "old", []byte("old"), "old"); err != nil {
		t.Fatal(err)
	}
	letters, err := b.js.Stream(t.Context(), deadLetters)
	if err != nil {
		t.Fatal(err)
	}
	config := letters.CachedInfo().Config
	config.MaxMsgs = 1
	if _, err := b.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), Signals, []byte("no frame")); err != nil {
		t.Fatal(err)
	}
	publish(t, b, numbered(1, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := make(chan string, 1)
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(_ context.Context, d Delivery) error {
			got <- d.Signals[0].ID
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	if ids := followed(t, b, 1, 1); !slices.Equal(ids, []string{"1"}) { // who does not store goes on
		t.Errorf("followed %v", ids)
	}
	select {
	case id := <-got:
		t.Errorf("%s was handed out, and the message before is nowhere", id)
	case <-time.After(time.Second):
	}
	if letters, err = b.js.Stream(t.Context(), deadLetters); err != nil || letters.CachedInfo().State.Msgs != 1 {
		t.Fatalf("letters %+v, %v", letters.CachedInfo().State, err)
	}
	if err := letters.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if id := <-got; id != "1" {
		t.Errorf("got %s", id)
	}
	if raw, err := letters.GetMsg(t.Context(), 2); err != nil || string(raw.Data) != "no frame" {
		t.Errorf("letter %v, %v", raw, err)
	}
	cancel()
}

// TestLettersOfAnOlderVersion opens a folder whose letters had one subject and went when full.
func TestLettersOfAnOlderVersion(t *testing.T) {
	dir := t.TempDir()
	b := openAt(t, Config{Dir: dir})
	if err := b.js.DeleteStream(t.Context(), deadLetters); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: deadLetters, Subjects: []string{deadLetters}, Discard: jetstream.DiscardOld, MaxBytes: smallState / 2,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), deadLetters, []byte("old")); err != nil {
		t.Fatal(err)
	}
	shut(t, b)
	b = openAt(t, Config{Dir: dir})
	if err := b.letter(t.Context(), Signals, "new", []byte("new"), "new"); err != nil {
		t.Fatal(err)
	}
	if held, err := b.LetterBacklog(t.Context(), time.Now()); err != nil || held.Messages != 2 {
		t.Fatalf("%+v, %v", held, err)
	}
}
