package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	f := func(live, beside, pointers, want int64) {
		t.Helper()
		if got := (memory{live: live * mib, beside: beside * mib, pointers: pointers * mib}).limit(); got/mib != want {
			t.Errorf("of %d MiB that live, %d of them to look through, and %d beside: %d, want %d", live, pointers, beside, got/mib, want)
		}
	}
	f(10, 10, 5, 170)
	f(142, 10, 32, 170)
	f(143, 10, 5, math.MaxInt64/mib)
	f(100, 53, 5, math.MaxInt64/mib)
	f(1000, 20, 5, math.MaxInt64/mib)
	f(100, 20, 33, math.MaxInt64/mib)
}

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	f := func(live, pointers, allocated int64, want int) {
		t.Helper()
		if got := (memory{live: live * mib, pointers: pointers * mib}).percent(allocated * mib); got != want {
			t.Errorf("of %d MiB that live, %d of them to look through, and %d allocated a second: %d, want %d", live, pointers, allocated, got, want)
		}
	}
	f(0, 0, 100, 50)
	f(100, 32, 300, 50)
	f(100, 33, 10, 50)
	f(100, 60, 100, 200)
	f(100, 60, 1000, 306)
	f(1000, 600, 200, 50)
	f(1000, 600, 1000, 75)
}

func TestPaceGC(t *testing.T) {
	if m := memoryNow(); m.live < 0 || m.beside <= 0 || m.beside > 1<<30 || m.pointers <= 0 || m.allocated < m.pointers {
		t.Errorf("%+v", m)
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
