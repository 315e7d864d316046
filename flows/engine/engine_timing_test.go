package engine

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

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

// BenchmarkApply is the engine alone: signals of interleaved orders in batches of 500, as the
// bus gives them. Its clock runs while the engine has them, and the processor's time tells more
// where others use it too.
func BenchmarkApply(b *testing.B) {
	s := set(b, sixSteps)
	const orders, batch = 20_000, 500
	now := flows.Time(orders) * 1e6
	busy, took := time.Duration(0), time.Duration(0)
	m := message{set: s}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		e := New(s)
		e.Roll(now)
		for at := 0; at < 6*orders; at += batch {
			signals := m.of(at%orders, batch, at/orders)
			began, beganCPU := time.Now(), cpuTime()
			e.Apply(signals, now)
			if e.Owed() > 20_000 {
				e.Reuse(e.Take())
			}
			busy, took = busy+cpuTime()-beganCPU, took+time.Since(began)
		}
	}
	b.ReportMetric(float64(b.N*6*orders)/took.Seconds(), "signals/s")
	b.ReportMetric(float64(busy.Nanoseconds())/float64(b.N*6*orders), "cpu-ns/signal")
}

// message holds signals as one of the bus does: what they carry is text, with the hash of
// their content, all their texts are in one buffer, and the next ones are put in its place.
type message struct {
	set     *flows.Set
	signals []flows.Signal
	keys    []flows.Key
	texts   []byte
}

// roomOf each signal, for its texts.
const roomOf = 256

// of are signals of one step, of some orders from the first on: those of orderSignal.
func (m *message) of(first, orders, step int) []flows.Signal {
	if m.texts == nil {
		m.texts, m.keys, m.signals = make([]byte, 0, orders*roomOf), make([]flows.Key, 0, 2*orders), make([]flows.Signal, orders)
	}
	m.texts, m.keys = m.texts[:0], m.keys[:0]
	types, prefixes := [...]string{"invoice_id", "order_id", "shipment_id"}, [...]string{"I-", "SO-", "S-"}
	carries := [...][]int{{1}, {1}, {1, 2}, {2}, {0, 2}, {0}}
	names := [...]string{"placed", "paid", "picked", "shipped", "billed", "settled"}
	for i := range orders {
		order := first + i
		sig := &m.signals[i]
		*sig = flows.Signal{Source: "test", Name: names[step], System: "test", Time: flows.Time(order)*1e6 + flows.Time(step)*minute}
		sig.ID = m.text("", order, "-"+string(byte('0'+step)))
		from, data := len(m.keys), len(m.texts)
		if m.texts = append(m.texts, '{'); step == 0 {
			m.texts = append(m.texts, `"currency":"EUR",`...)
		}
		for _, k := range carries[step] {
			m.texts = append(append(append(m.texts, '"'), types[k]...), `":"`...)
			m.keys = append(m.keys, flows.Key{Type: types[k], Value: m.text(prefixes[k], order, "")})
			m.texts = append(m.texts, `",`...)
		}
		if m.texts[len(m.texts)-1] = '}'; step == 0 {
			m.texts = append(m.texts[:len(m.texts)-1], `,"total":99.5}`...)
		}
		sig.Keys = m.keys[from:len(m.keys):len(m.keys)]
		sig.Packed.Data = unsafe.String(&m.texts[data], len(m.texts)-data)
		sig.Packed.Hash = sig.ContentHash()
	}
	return m.signals
}

// text appends a number of eight digits with what stands around it to the texts.
func (m *message) text(before string, n int, after string) string {
	from := len(m.texts)
	m.texts = append(append(m.texts, before...), "00000000"...)
	for i := len(m.texts) - 1; n > 0; i, n = i-1, n/10 {
		m.texts[i] += byte(n % 10)
	}
	m.texts = append(m.texts, after...)
	return unsafe.String(&m.texts[from], len(m.texts)-from)
}

// What BenchmarkApply applies is what the others make of the same orders.
func TestMessage(t *testing.T) {
	m := message{set: set(t, sixSteps)}
	for step := range 6 {
		for i, sig := range m.of(4097, 500, step) {
			want := orderSignal(m.set, 4097+i, step, flows.Time(4097+i)*1e6)
			if sig.ContentHash() != want.ContentHash() || !slices.Equal(sig.Keys, want.Keys) || sig.Identity() != want.Identity() {
				t.Fatalf("got %+v, want %+v", sig, want)
			}
			if err := sig.Unpack(); err != nil || sig.ContentHash() != want.ContentHash() {
				t.Fatalf("got %+v, want %+v: %v", sig, want, err)
			}
		}
	}
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
