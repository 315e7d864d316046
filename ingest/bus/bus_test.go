package bus

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"throughline/flows"
)

// The test binary starts itself as the process that gets killed.
var (
	childRole = flag.String("child", "", "publish or ranges: be the child of a test")
	childDir  = flag.String("child-dir", "", "folder of the child's bus")
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch *childRole {
	case "publish":
		childPublish()
	case "ranges":
		childRanges()
	default:
		goleak.VerifyTestMain(m)
	}
}

func openAt(t testing.TB, cfg Config) *Bus {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, b) })
	return b
}

func shut(t testing.TB, b *Bus) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func numbered(from, n int) flows.Batch {
	var b flows.Batch
	for i := range n {
		b.Signals = append(b.Signals, flows.Signal{Source: "shop", ID: strconv.Itoa(from + i)})
	}
	return b
}

func publish(t testing.TB, b *Bus, batch flows.Batch) {
	t.Helper()
	if err := b.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// followed reads a stream until n signals came, and returns their ids.
func followed(t testing.TB, b *Bus, from uint64, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var ids []string
	err := b.Follow(ctx, FollowConfig{Stream: Signals, From: from}, func(_ context.Context, d Delivery) error {
		for i := range d.Signals {
			ids = append(ids, d.Signals[i].ID)
		}
		if len(ids) >= n {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestFollowGetsWhatWasPublished(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	var want []string
	for i := range 50 {
		publish(t, b, numbered(i*3, 3))
		want = append(want, strconv.Itoa(i*3), strconv.Itoa(i*3+1), strconv.Itoa(i*3+2))
	}
	if got := followed(t, b, 0, len(want)); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
	if last, err := b.LastSeq(t.Context(), Signals); err != nil || last != 50 {
		t.Fatalf("last %d, %v", last, err)
	}
	if got := followed(t, b, 50, 3); !slices.Equal(got, want[147:]) {
		t.Fatalf("from 50: %v", got)
	}
}

func TestSpansAndLogsGoToTheirStream(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	var spans flows.SpanPacker
	if err := spans.Add(&flows.SpanRecord{Name: "POST /capture"}); err != nil {
		t.Fatal(err)
	}
	publish(t, b, flows.Batch{Spans: spans.Blocks(), Logs: []flows.LogRecord{{Body: "hello"}}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := b.Ranges(ctx, RangesConfig{Stream: Spans, Name: "store"}, func(_ context.Context, d Delivery) error {
		if !slices.Contains(d.Spans[0].Words, "POST /capture") || d.Logs[0].Body != "hello" {
			t.Errorf("got %+v", d)
		}
		cancel()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last, err := b.LastSeq(t.Context(), Signals); err != nil || last != 0 {
		t.Fatalf("signals end at %d, %v", last, err)
	}
}

func TestConcurrentPublish(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	const callers, each = 16, 40
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if err := b.Publish(t.Context(), numbered(c*1000+i, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := followed(t, b, 0, callers*each)
	if len(got) != callers*each {
		t.Fatalf("%d signals", len(got))
	}
	last := map[int]int{}
	for _, id := range got {
		n, err := strconv.Atoi(id)
		if err != nil {
			t.Fatal(err)
		}
		if c := n / 1000; n%1000 != last[c] {
			t.Fatalf("caller %d: %d came in the place of %d", c, n%1000, last[c])
		}
		last[n/1000]++
	}
}

func TestFullStreamRefusesAndRecovers(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20})
	random := func(i int) flows.Batch { // bytes that do not pack
		s := sample{newRand(uint64(i))}
		raw := make([]byte, 64<<10)
		for j := range raw {
			raw[j] = byte(s.Uint32())
		}
		return flows.Batch{Signals: []flows.Signal{{ID: strconv.Itoa(i), Sequence: string(raw)}}}
	}
	accepted := 0
	var err error
	for ; accepted < 100 && err == nil; accepted++ {
		err = b.Publish(t.Context(), random(accepted))
	}
	accepted--
	if !errors.Is(err, ErrFull) || !Busy(err) {
		t.Fatalf("after %d: %v", accepted, err)
	}
	if held, err := b.Backlog(t.Context(), Signals, time.Now()); err != nil || held.Messages != uint64(accepted) || held.Limit != 1<<20 {
		t.Fatalf("backlog %+v, %v", held, err)
	}
	if err := b.Trim(t.Context(), Signals, 1<<60); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), random(1000)); !errors.Is(err, ErrFull) {
		t.Fatalf("nothing was read, yet there was room after a trim: %v", err)
	}
	read := readRanges(t, b, "store", accepted)
	if len(read) != accepted {
		t.Fatalf("%d read, %d accepted", len(read), accepted)
	}
	if err := b.Trim(t.Context(), Signals, 1<<60); err != nil {
		t.Fatal(err)
	}
	publish(t, b, random(1001))
	if last, err := b.LastSeq(t.Context(), Signals); err != nil || last != uint64(accepted)+1 {
		t.Fatalf("last %d, %v", last, err)
	}
}

// readRanges reads n signals by Ranges and returns their ids once their ranges are recorded.
func readRanges(t testing.TB, b *Bus, name string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	recorded, err := b.kv.Watch(ctx, Signals+"."+name)
	if err != nil {
		t.Fatal(err)
	}
	var last atomic.Uint64 // of the messages that hold n signals
	last.Store(math.MaxUint64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for entry := range recorded.Updates() {
			var at position
			if entry != nil && json.Unmarshal(entry.Value(), &at) == nil && at.Done >= last.Load() {
				break
			}
		}
		cancel()
	})
	var ids []string
	err = b.Ranges(ctx, RangesConfig{Stream: Signals, Name: name}, func(_ context.Context, d Delivery) error {
		for i := range d.Signals {
			ids = append(ids, d.Signals[i].ID)
		}
		if len(ids) >= n {
			last.Store(d.Last)
		}
		return nil
	})
	cancel()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestOwed: owed is what the reader has not handled, whatever stands on the stream: before it
// begins, while it handles, once it is done, and after a restart.
func TestOwed(t *testing.T) {
	dir := t.TempDir()
	b := openAt(t, Config{Dir: dir})
	expect := func(what string, messages uint64, least, most time.Duration) {
		t.Helper()
		owed, err := b.Owed(t.Context(), Signals, time.Now().Add(time.Minute)) // all is a minute older
		if err != nil || owed.Messages != messages || owed.Oldest < least || owed.Oldest > most {
			t.Errorf("%s: %+v, %v; want %d messages", what, owed, err, messages)
		}
	}
	expect("nothing was sent", 0, 0, 0)
	publish(t, b, numbered(0, 1))
	publish(t, b, numbered(1, 1))
	expect("nobody reads", 2, time.Minute, 2*time.Minute)
	store := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var reader sync.WaitGroup
		reader.Go(func() {
			if err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(context.Context, Delivery) error { return nil }); err != nil {
				t.Error(err)
			}
		})
		for ctx.Err() == nil {
			if owed, err := b.Owed(ctx, Signals, time.Now()); err == nil && owed.Messages == 0 {
				break
			}
		}
		cancel()
		reader.Wait()
	}
	store()
	expect("read, and not trimmed", 0, 0, 0)
	publish(t, b, numbered(2, 1))
	expect("one more", 1, time.Minute, 2*time.Minute)
	shut(t, b)
	b = openAt(t, Config{Dir: dir})
	expect("after a restart, before the reader is there", 1, time.Minute, 2*time.Minute)
	store()
	if err := b.Trim(t.Context(), Signals, 1<<60); err != nil {
		t.Fatal(err)
	}
	expect("read and trimmed", 0, 0, 0)
}

func TestRestartKeepsAll(t *testing.T) {
	dir := t.TempDir()
	b := openAt(t, Config{Dir: dir})
	publish(t, b, numbered(0, 10))
	shut(t, b)
	if err := b.Publish(t.Context(), numbered(0, 1)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("published after Close: %v", err)
	}
	b = openAt(t, Config{Dir: dir})
	publish(t, b, numbered(10, 1))
	if got := followed(t, b, 1, 11); got[0] != "0" || got[10] != "10" {
		t.Fatalf("got %v", got)
	}
}

func TestSecondProcessIsToldSo(t *testing.T) {
	dir := t.TempDir()
	openAt(t, Config{Dir: dir})
	b, err := Open(t.Context(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		shut(t, b)
		t.Fatal("two opened one folder")
	}
}

func TestPositionOfAnotherStream(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	publish(t, b, numbered(0, 1))
	err := b.Follow(t.Context(), FollowConfig{Stream: Signals, From: 7}, nil)
	if !errors.Is(err, ErrPosition) {
		t.Fatal(err)
	}
}

func TestPoisonIsBuried(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	publish(t, b, numbered(0, 1))
	if _, err := b.js.Publish(t.Context(), Signals, []byte("no frame")); err != nil {
		t.Fatal(err)
	}
	publish(t, b, numbered(1, 1))
	if got := readRanges(t, b, "store", 2); !slices.Equal(got, []string{"0", "1"}) {
		t.Fatalf("got %v", got)
	}
	if got := followed(t, b, 0, 2); !slices.Equal(got, []string{"0", "1"}) {
		t.Fatalf("got %v", got)
	}
	letters, err := b.js.Stream(t.Context(), deadLetters)
	if err != nil {
		t.Fatal(err)
	}
	letter, err := letters.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if string(letter.Data) != "no frame" || letter.Header.Get("Throughline-Message") != "SIGNALS:2" ||
		letter.Header.Get("Throughline-Reason") == "" || letters.CachedInfo().State.LastSeq != 1 || b.Poisoned() != 2 {
		t.Fatalf("letter %d %q %v, met %d", letter.Sequence, letter.Data, letter.Header, b.Poisoned())
	}
}

func TestCloseDuringPublish(t *testing.T) {
	dir := t.TempDir()
	b := openAt(t, Config{Dir: dir})
	var acked sync.Map
	var wg sync.WaitGroup
	started := make(chan struct{})
	var once sync.Once
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := b.Publish(t.Context(), numbered(c*100_000+i, 1)); err != nil {
					if !Busy(err) {
						t.Error(err)
					}
					return
				}
				acked.Store(strconv.Itoa(c*100_000+i), true)
				once.Do(func() { close(started) })
			}
		})
	}
	<-started
	for range 3 {
		wg.Go(func() { shut(t, b) })
	}
	wg.Wait()
	b = openAt(t, Config{Dir: dir})
	n := 0
	acked.Range(func(any, any) bool { n++; return true })
	for _, id := range followed(t, b, 0, n) {
		acked.Delete(id)
	}
	acked.Range(func(id, _ any) bool { t.Errorf("%v was accepted and is lost", id); return true })
}

// startChild runs this test binary in a role and returns its output, line by line.
func startChild(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-child="+role, "-child-dir="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func openChild() *Bus {
	b, err := Open(context.Background(), Config{Dir: *childDir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return b
}

// childPublish publishes until it is killed, and prints each id once it is acknowledged.
func childPublish() {
	b := openChild()
	for i := 0; ; i++ {
		if err := b.Publish(context.Background(), numbered(i, 1)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func TestAcknowledgedOutlivesKill(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, "publish", dir)
	for range 500 {
		lines.Scan()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	last := lines.Text()
	for lines.Scan() { // what it had printed before it died
		last = lines.Text()
	}
	_ = cmd.Wait() // says that it was killed
	acked, err := strconv.Atoi(last)
	if err != nil {
		t.Fatal(err)
	}
	b := openAt(t, Config{Dir: dir})
	got := followed(t, b, 0, acked+1)
	for i := range acked + 1 {
		if got[i] != strconv.Itoa(i) {
			t.Fatalf("message %d holds %s", i+1, got[i])
		}
	}
}

// childRanges hands out one range, prints its token, and never gets done with it.
func childRanges() {
	b := openChild()
	for i := range 10 {
		if err := b.Publish(context.Background(), numbered(i, 1)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	err := b.Ranges(context.Background(), RangesConfig{Stream: Signals, Name: "store", MaxItems: 7, Pause: time.Minute},
		func(_ context.Context, d Delivery) error {
			fmt.Println(d.Token(), len(d.Signals))
			select {}
		})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestRangeIsTheSameAfterKill(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, "ranges", dir)
	lines.Scan()
	first := lines.Text()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	b := openAt(t, Config{Dir: dir})
	publish(t, b, numbered(10, 5))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	failed := false
	err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(_ context.Context, d Delivery) error {
		if !failed { // and the same once more after an error
			failed = true
			got = append(got, fmt.Sprint(d.Token(), " ", len(d.Signals)))
			return errors.New("the store is away")
		}
		got = append(got, fmt.Sprint(d.Token(), " ", len(d.Signals)))
		if d.Last == 11 {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 3 || got[0] != first || got[1] != first { // the rest may come in pieces
		t.Fatalf("first %q, then %q", first, got)
	}
}

func TestSecondReaderOfOneName(t *testing.T) {
	b := openAt(t, Config{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handled := make(chan string, 100)
	errs := make(chan error, 2)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			errs <- b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store"}, func(_ context.Context, d Delivery) error {
				for i := range d.Signals {
					handled <- d.Signals[i].ID
				}
				return nil
			})
		})
	}
	var err error
	for i := 0; err == nil; i++ {
		publish(t, b, numbered(i, 1))
		select {
		case err = <-errs:
		case <-handled:
		}
	}
	if !errors.Is(err, ErrTaken) {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
}
