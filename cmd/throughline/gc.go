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
// of the engine is mostly pointers, each of which is work in each run: with more of them than
// gcPointers there is no limit, and room for what becomes garbage in gcSpan.
const (
	gcPercent  = 50
	gcRoom     = 170 << 20 // bytes of all that the Go runtime maps
	gcLeast    = 18 << 20  // of garbage, before it runs
	gcPointers = 32 << 20  // bytes of what lives that it has to look through
	gcMore     = 256 << 20 // of garbage beyond gcPercent, at most
	gcSpan     = 2 * time.Second
	gcEvery    = time.Second
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
		percent, before := gcPercent, memoryNow()
		for {
			select {
			case <-tick.C:
				now := memoryNow()
				debug.SetMemoryLimit(now.limit())
				want := now.percent(now.allocated - before.allocated)
				before = now
				if off := max(want-percent, percent-want); off > percent/4 || off > 0 && want == gcPercent { // each change stops the process for a moment
					percent = want
					debug.SetGCPercent(percent)
				}
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

// memory is what the Go runtime has, in bytes.
type memory struct {
	live      int64 // in the heap
	beside    int64 // what is mapped beside the heap
	pointers  int64 // of the heap, what the collector has to look through
	allocated int64 // in the heap, since the process began
}

func memoryNow() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/heap:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	m := memory{live: value(0), pointers: value(1), allocated: value(2), beside: value(3)}
	for heap := 4; heap < len(samples); heap++ {
		m.beside -= value(heap)
	}
	return m
}

func (m memory) limit() int64 {
	if m.live+m.beside+gcLeast > gcRoom || m.pointers > gcPointers {
		return math.MaxInt64
	}
	return gcRoom
}

// percent of what lives that may be garbage, where so many bytes were allocated in gcEvery.
func (m memory) percent(allocated int64) int {
	if m.pointers <= gcPointers || m.live == 0 {
		return gcPercent
	}
	room := min(allocated*int64(gcSpan/gcEvery), m.live*gcPercent/100+gcMore)
	return max(gcPercent, int(100*room/m.live))
}
