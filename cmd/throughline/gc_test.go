package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	f := func(live, beside, want int64) {
		t.Helper()
		if got := memoryLimit(live*mib, beside*mib); got/mib != want {
			t.Errorf("of %d MiB that live and %d beside: %d, want %d", live, beside, got/mib, want)
		}
	}
	f(10, 10, 170)
	f(142, 10, 170)
	f(143, 10, math.MaxInt64/mib)
	f(100, 53, math.MaxInt64/mib)
	f(1000, 20, math.MaxInt64/mib)
}

func TestPaceGC(t *testing.T) {
	if live, beside := memoryNow(); live < 0 || beside <= 0 || beside > 1<<30 {
		t.Errorf("%d bytes live, %d beside", live, beside)
	}
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	stop := paceGC()
	if got := debug.SetMemoryLimit(-1); got != gcRoom {
		t.Errorf("the limit is %d", got)
	}
	stop()
}
