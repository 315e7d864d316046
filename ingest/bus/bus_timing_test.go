package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"throughline/flows"
)

// business is n signals of about 200 bytes as a webshop sends them.
func business(n int) flows.Batch {
	r := rand.New(rand.NewPCG(1, 1))
	var b flows.Batch
	for range n {
		order := "A-" + strconv.Itoa(r.IntN(1_000_000))
		b.Signals = append(b.Signals, flows.Signal{
			Source: "webshop", ID: strconv.FormatUint(r.Uint64(), 36), Name: "order.placed", System: "webshop",
			Time: flows.At(time.Now()), Received: flows.At(time.Now()),
			Data: map[string]any{"order_id": order, "region": "EU", "channel": "web", "order": map[string]any{"total": 149.9, "currency": "EUR"}},
			Keys: []flows.Key{{Type: "order_id", Value: order}},
		})
	}
	return b
}

func BenchmarkEncode(b *testing.B) {
	batch := business(100)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		chunks, err := encodeSignals(batch.Signals, testLimit)
		if err != nil {
			b.Fatal(err)
		}
		size = len(frame(chunks))
	}
	b.ReportMetric(float64(size)/100, "B/signal")
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "signals/s")
}

func BenchmarkDecode(b *testing.B) {
	chunks, err := encodeSignals(business(100).Signals, testLimit)
	if err != nil {
		b.Fatal(err)
	}
	message := frame(chunks)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(message); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "signals/s")
}

// BenchmarkPublishFollow is the way of signals from concurrent senders to a reader.
func BenchmarkPublishFollow(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint("batch", size), func(b *testing.B) {
			bus := openAt(b, Config{Dir: b.TempDir()})
			batch := business(size)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			seen, followed := 0, make(chan error, 1)
			const senders = 16
			rounds := max(b.N/senders, 1)
			b.ResetTimer()
			go func() {
				followed <- bus.Follow(ctx, FollowConfig{Stream: Signals}, func(_ context.Context, d Delivery) error {
					if seen += len(d.Signals); seen == rounds*senders*size {
						cancel()
					}
					return nil
				})
			}()
			var wg sync.WaitGroup
			for range senders {
				wg.Go(func() {
					for range rounds {
						if err := bus.Publish(b.Context(), batch); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if err := <-followed; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(rounds*senders*size)/b.Elapsed().Seconds(), "signals/s")
		})
	}
}

// BenchmarkOne is one signal on an idle bus, until it is stored and in the reader's hands.
func BenchmarkOne(b *testing.B) {
	for _, always := range []bool{false, true} {
		b.Run(fmt.Sprint("sync=", always), func(b *testing.B) {
			bus := openAt(b, Config{Dir: b.TempDir(), SyncAlways: always})
			batch := business(1)
			ctx, cancel := context.WithCancel(b.Context())
			got, followed := make(chan struct{}, 1), make(chan error, 1)
			go func() {
				followed <- bus.Follow(ctx, FollowConfig{Stream: Signals}, func(context.Context, Delivery) error {
					got <- struct{}{}
					return nil
				})
			}()
			for b.Loop() {
				if err := bus.Publish(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				<-got
			}
			cancel()
			if err := <-followed; err != nil {
				b.Fatal(err)
			}
		})
	}
}
