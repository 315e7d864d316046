package engine

import (
	"fmt"
	"strings"
	"testing"

	"throughline/flows"
)

// BenchmarkGrowth shows what a signal costs as one thing grows and all others stay: the
// flows that are loaded, of which one wants the signals; the steps of a flow that are all
// seen in turn; the children of one instance, which come together or one by one.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{1, 10, 100, 500} {
		files := []string{sixSteps}
		for i := 1; i < n; i++ {
			files = append(files, chain(fmt.Sprintf("other%d", i), 6))
		}
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			s := set(b, files...)
			grow(b, s, 500, func(at int) flows.Signal { return orderSignal(s, at/6, at%6, 0) })
		})
	}
	for _, n := range []int{3, 20, 100, 200} {
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			s := set(b, chain("long", n))
			grow(b, s, 500, func(at int) flows.Signal {
				return signal(s, fmt.Sprint(at), fmt.Sprintf("long.s%d", at/500%n), flows.Time(at/500%n), fmt.Sprintf("long_id:%d", at%500+at/(500*n)*500))
			})
		})
	}
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		for _, batch := range []int{1, 500} {
			b.Run(fmt.Sprintf("children=%d/batch=%d", n, batch), func(b *testing.B) {
				s := set(b, manyChildren)
				grow(b, s, batch, func(at int) flows.Signal {
					sig := signal(s, fmt.Sprint(at), "shipped", flows.Time(at%n), fmt.Sprintf("order_id:%d", at/n))
					sig.Data["line"] = fmt.Sprint(at % n)
					return sig
				})
			})
		}
	}
}

const manyChildren = `
flow: parts
key: order_id
steps:
  - {id: placed, system: webshop, match: {event: placed}, start: true}
  - {id: shipped, system: carrier, match: {event: shipped}, after: placed, each: line, within: 1h}
`

// chain is a flow of some steps, one after the other.
func chain(name string, steps int) string {
	var file strings.Builder
	fmt.Fprintf(&file, "flow: %s\nkey: %s_id\nidle: 7d\nsteps:\n", name, name)
	for i := range steps {
		fmt.Fprintf(&file, "  - {id: s%d, system: sys, match: {event: %s.s%d}", i, name, i)
		if i == 0 {
			file.WriteString(", start: true}\n")
		} else {
			fmt.Fprintf(&file, ", after: s%d, within: 1h}\n", i-1)
		}
	}
	return file.String()
}

// grow applies b.N signals in batches, made while the clock stands.
func grow(b *testing.B, s *flows.Set, batch int, make func(at int) flows.Signal) {
	e := New(s)
	e.Roll(10 * minute)
	b.ReportAllocs()
	b.ResetTimer()
	const ahead = 5000
	var signals []flows.Signal
	for at := 0; at < b.N; at += batch {
		if len(signals) < batch {
			b.StopTimer()
			for range ahead {
				signals = append(signals, make(at+len(signals)))
			}
			b.StartTimer()
		}
		e.Apply(signals[:batch], 10*minute)
		signals = signals[batch:]
		if e.Owed() > 20_000 {
			e.Reuse(e.Take())
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e9, "ns/signal")
}
