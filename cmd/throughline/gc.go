package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector runs when half as much is garbage as lives, and earlier where that
// keeps the process to gcRoom: at full rate of spans some 100 MB are blocks of the bus, which
// are little work for it, and few other bytes are allocated (docs/performance.md). The state
// of the engine may be larger; a limit would then cost more than the memory that it keeps.
const (
	gcPercent = 50
	gcRoom    = 170 << 20 // bytes of all that the Go runtime maps
	gcLeast   = 18 << 20  // of garbage, before it runs
	gcEvery   = time.Second
)

// paceGC sets the collector's limits until the function that it returns is called. Who sets
// GOGC or GOMEMLIMIT has no use for it.
func paceGC() (stop func()) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(gcRoom)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ended and awaited by stop
		defer close(done)
		tick := time.NewTicker(gcEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				debug.SetMemoryLimit(memoryLimit(memoryNow()))
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// memoryNow is what lives in the heap, and what the runtime maps beside the heap, in bytes.
func memoryNow() (live, beside int64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	live, beside = int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
	for _, heap := range samples[2:] {
		beside -= int64(heap.Value.Uint64())
	}
	return live, beside
}

func memoryLimit(live, beside int64) int64 {
	if live+beside+gcLeast > gcRoom {
		return math.MaxInt64
	}
	return gcRoom
}
