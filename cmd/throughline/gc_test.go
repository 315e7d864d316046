package main

import (
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
	f(152, 10, 162+18+10)
	f(1000, 20, 1520)
	for live := int64(1); live < 2000; live++ {
		if a, b := memoryLimit(live*mib, 10*mib), memoryLimit((live+1)*mib, 10*mib); b < a || a < (live+10)*mib+gcLeast {
			t.Fatalf("of %d MiB that live: %d, of one more: %d", live, a/mib, b/mib)
		}
	}
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
