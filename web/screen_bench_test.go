package web

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"throughline/flows"
)

// BenchmarkScreen renders a page's live elements after a change of numbers, and packs what changed: what one tick
// costs, however many look. cpu-us is of the whole process, which a busy machine does not change much.
func BenchmarkScreen(b *testing.B) {
	for _, socket := range []string{"/ws?view=overview", "/ws?flow=order-to-cash&view=flow", "/ws?view=flows", "/ws?flow=order-to-cash&step=paid&view=step"} {
		b.Run(socket, func(b *testing.B) {
			h := newHouse(b, nil)
			t, fault := socketTarget(httptest.NewRequestWithContext(b.Context(), http.MethodGet, socket, nil))
			if fault != nil {
				b.Fatal(fault)
			}
			var last *frame
			began := cpuTime(b)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				h.hub.Show(Update{Health: orderHealth(n, n%7), Heard: flows.NoTime})
				parts, err := h.asking(h.past.within(waitFirst, make(chan struct{}, 1))).render(b.Context(), t)
				if err != nil {
					b.Fatal(err)
				}
				next := &frame{version: 1, parts: parts}
				if last != nil {
					message, err := partsMessage(changedParts(last.parts, parts))()
					if err != nil || message == nil {
						b.Fatal(err)
					}
				}
				last = next
			}
			b.ReportMetric(float64((cpuTime(b)-began).Microseconds())/float64(n), "cpu-us/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
