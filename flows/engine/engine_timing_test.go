package engine

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"throughline/flows"
)

// sixSteps is the flow of the figures: six steps, two linked keys.
const sixSteps = `
flow: order
key: order_id
links: [invoice_id, shipment_id]
value: {amount: total, currency: currency}
idle: 7d
steps:
  - {id: placed, system: webshop, match: {event: placed}, start: true}
  - {id: paid, system: payments, match: {event: paid}, after: placed, within: 15m}
  - {id: picked, system: warehouse, match: {event: picked}, after: placed, within: 1h}
  - {id: shipped, system: carrier, match: {event: shipped}, after: [paid, picked], within: 4h}
  - {id: billed, system: erp, match: {event: billed}, after: shipped, within: 1d}
  - {id: settled, system: erp, match: {event: settled}, after: billed, within: 2d, end: completed}
`

// sixOfSeven is the same flow with one more step, so that an order stays open after six.
var sixOfSeven = strings.Replace(sixSteps, ", end: completed}", "}", 1) +
	"  - {id: archived, system: archive, match: {event: archived}, after: settled, within: 30d, end: completed}\n"

// orderSignal is one step of one order; the last ones carry link keys only.
func orderSignal(s *flows.Set, order, step int, at flows.Time) flows.Signal {
	id := fmt.Sprintf("order_id:SO-%08d", order)
	invoice, shipment := fmt.Sprintf("invoice_id:I-%08d", order), fmt.Sprintf("shipment_id:S-%08d", order)
	names := []string{"placed", "paid", "picked", "shipped", "billed", "settled"}
	keys := [][]string{{id}, {id}, {id, shipment}, {shipment}, {shipment, invoice}, {invoice}}
	sig := signal(s, fmt.Sprintf("%08d-%d", order, step), names[step], 0, keys[step]...)
	sig.Time = at + flows.Time(step)*minute
	if step == 0 {
		sig.Data["total"], sig.Data["currency"] = 99.5, "EUR"
	}
	return sig
}

// orderSignals are the first steps of one order.
func orderSignals(s *flows.Set, order, steps int, at flows.Time) (all []flows.Signal) {
	for step := range steps {
		all = append(all, orderSignal(s, order, step, at))
	}
	return all
}

// BenchmarkApply is the engine alone: signals of interleaved orders in batches of 500. They
// are made while the clock stands, batch by batch, as they come. The processor's time tells
// more than the clock's where others use it too.
func BenchmarkApply(b *testing.B) {
	s := set(b, sixSteps)
	const orders, batch = 20_000, 500
	now := flows.Time(orders) * 1e6
	busy := time.Duration(0)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		e := New(s)
		e.Roll(now)
		for at := 0; at < 6*orders; at += batch {
			b.StopTimer()
			signals := make([]flows.Signal, 0, batch)
			for order := at % orders; order < at%orders+batch; order++ {
				signals = append(signals, orderSignal(s, order, at/orders, flows.Time(order)*1e6))
			}
			b.StartTimer()
			began := cpuTime()
			e.Apply(signals, now)
			if e.Owed() > 20_000 {
				e.Reuse(e.Take())
			}
			busy += cpuTime() - began
		}
	}
	b.ReportMetric(float64(b.N*6*orders)/b.Elapsed().Seconds(), "signals/s")
	b.ReportMetric(float64(busy.Nanoseconds())/float64(b.N*6*orders), "cpu-ns/signal")
}

// cpuTime is what this process has used of all processors.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkMemory reports what an open instance costs, and a signal: six steps seen, three
// keys. One in twenty-five has just changed, as when orders come for half an hour; the rest
// is saved, and at rest.
func BenchmarkMemory(b *testing.B) {
	s := set(b, sixOfSeven)
	for _, orders := range []int{10_000, 100_000, 500_000, 2_000_000} {
		b.Run(fmt.Sprint("instances=", orders), func(b *testing.B) {
			for range b.N {
				before := heapInUse()
				e := New(s)
				e.Roll(10 * minute)
				for order := range orders {
					e.Apply(orderSignals(s, order, 6, 0), 10*minute)
					if order%(orders/25) == 0 {
						saveAll(e)
						e.Rest(10*minute+restAfter, math.MaxInt)
					}
				}
				saveAll(e)
				b.ReportMetric(float64(heapInUse()-before)/float64(orders), "bytes/instance")
				runtime.KeepAlive(e)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N*orders*6)*1e9, "ns/signal")
		})
	}
}

// BenchmarkDeadlines is a limit that passes for all open orders in the same second: the
// verdicts, the live numbers and the cohort, without the rows.
func BenchmarkDeadlines(b *testing.B) {
	s := set(b, strings.Replace(sixOfSeven, "within: 30d", "within: 1h", 1))
	const orders = 200_000
	busy := time.Duration(0)
	for range b.N {
		b.StopTimer()
		e := New(s)
		e.Roll(0)
		for order := range orders {
			e.Apply(orderSignals(s, order, 6, 0), 0)
			if e.Owed() > maxRows {
				e.Reuse(e.Take())
			}
		}
		saveAll(e)
		e.Rest(10*minute+restAfter, math.MaxInt)
		runtime.GC()
		b.StartTimer()
		began := cpuTime()
		const now = 66 * minute
		e.Advance(now)
		h, _ := e.Health("order", now)
		if c := e.Cohorts(); h.Stuck != orders || len(c) != 1 || c[0].Count != orders {
			b.Fatalf("%d stuck", h.Stuck)
		}
		busy += cpuTime() - began
	}
	b.ReportMetric(float64(busy.Nanoseconds())/float64(b.N*orders), "cpu-ns/verdict")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N*orders)*1e9, "ns/verdict")
}

// saveAll saves what changed, and takes all that is owed.
func saveAll(e *Engine) Rows {
	e.BeginSave()
	e.Save(10*minute, math.MaxInt)
	return e.Take()
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkAdopt is a restart: the saved states of open orders, one a component.
func BenchmarkAdopt(b *testing.B) {
	s := set(b, sixOfSeven)
	const orders = 50_000
	e := New(s)
	e.Roll(10 * minute)
	for order := range orders {
		e.Apply(orderSignals(s, order, 6, 0), 10*minute)
	}
	rows, frame := saveAll(e), e.Frame()
	bytes := 0
	for _, state := range rows.States {
		bytes += len(state.Text)
	}
	b.ReportMetric(float64(bytes)/orders, "bytes/state")
	b.ResetTimer()
	for range b.N {
		e := NewFramed(s, frame)
		e.Roll(10 * minute)
		if err := e.Adopt(rows.States, 10*minute); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N*orders)*1e9, "ns/instance")
}
