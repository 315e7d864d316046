package bus

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"
)

// TestHandlerAwayForLong: a handler fails, and then hangs, for several times as long as it
// takes the server to forget its reader, as with a ClickHouse that is gone for ten minutes.
// All that was published before and meanwhile is handed out, once, in order.
func TestHandlerAwayForLong(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the server forgets readers")
	}
	b := openAt(t, Config{Dir: t.TempDir()})
	b.forget = time.Second
	const messages = 400 // more than wait in all buffers
	for i := range messages {
		publish(t, b, numbered(i, 1))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var ids []string
	tries := 0
	away := errors.New("away")
	err := b.Ranges(ctx, RangesConfig{Stream: Signals, Name: "store", MaxItems: 10}, func(ctx context.Context, d Delivery) error {
		if tries++; len(ids) == 50 && tries < 12 { // refuses at first, for some seconds
			if tries == 11 { // and then hangs
				for i := range messages {
					publish(t, b, numbered(messages+i, 1))
				}
				select {
				case <-time.After(4 * b.forget):
				case <-ctx.Done():
				}
			}
			return away
		}
		for i := range d.Signals {
			ids = append(ids, d.Signals[i].ID)
		}
		if len(ids) >= 2*messages {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2*messages {
		t.Fatalf("%d came", len(ids))
	}
	for i, id := range ids {
		if id != strconv.Itoa(i) {
			t.Fatalf("in the place of %d came %s", i, id)
		}
	}
}
