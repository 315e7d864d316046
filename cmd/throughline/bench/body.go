package bench

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// body is a request that is written once, and then changed where one differs from the
// next: the client shares the machine with what it measures.
type body struct {
	bytes  []byte
	events bool
	run    uint64
	batch  uint64 // signals of a whole request: one of fewer lacks the last of them
	step   int    // of the events of a case; -1 where each begins one
	ids    []int  // where each signal's own number goes
	cases  []int  // where that of an event's case goes
	times  []int
}

// The widths of what differs.
const (
	hexNumber = 16 // of an event
	rfc3339   = "2006-01-02T15:04:05.000000000Z"
)

// newBodies are those that requests take in turns.
func newBodies(cfg *IngestConfig, run uint64) []*body {
	if !cfg.Events || !cfg.Steps {
		return []*body{newBody(cfg.Events, cfg.Batch, run, -1)}
	}
	all := make([]*body, len(benchSteps))
	for step := range all {
		all[step] = newBody(true, cfg.Batch, run, step)
	}
	return all
}

func newBody(events bool, batch int, run uint64, step int) *body {
	b := &body{events: events, run: run, batch: uint64(batch), step: step}
	if events {
		b.writeEvents(batch)
	} else {
		b.writeSpans(batch)
	}
	return b
}

// of is the n-th request of a run, sent at now. It is good until the next call.
func (b *body) of(n uint64, now time.Time) []byte {
	if b.events {
		text := now.UTC().Format(rfc3339)
		for _, at := range b.times {
			copy(b.bytes[at:], text)
		}
		block := n
		if b.step >= 0 { // the steps of a block of cases come one after the other
			block = n / uint64(len(benchSteps))
		}
		for i, at := range b.ids {
			b.number(at, n*b.batch+uint64(i))
		}
		for i, at := range b.cases {
			b.number(at, block*b.batch+uint64(i*len(b.ids)/len(b.cases)))
		}
		return b.bytes
	}
	for i, at := range b.ids {
		number := n*b.batch + uint64(i)
		binary.BigEndian.PutUint64(b.bytes[at+8:], number/spansOfTrace+1) // behind the run
		binary.BigEndian.PutUint64(b.bytes[at+18:], number+1)
	}
	for i, at := range b.times {
		start := uint64(now.UnixNano()) - uint64(i)*1000
		binary.LittleEndian.PutUint64(b.bytes[at:], start)
		binary.LittleEndian.PutUint64(b.bytes[at+9:], start+5e6)
	}
	return b.bytes
}

func (b *body) number(at int, number uint64) {
	var raw [hexNumber / 2]byte
	binary.BigEndian.PutUint64(raw[:], number)
	hex.Encode(b.bytes[at:], raw[:])
}

// benchSteps are the events of a case of bench/orders.yaml. That of linkStep has both keys,
// those before it the first, those behind it the second.
var benchSteps = [...]string{"placed", "paid", "picked", "packed", "shipped", "delivered"}

const linkStep = 3

func (b *body) writeEvents(batch int) {
	room := "0000000000000000"
	name, keys := "begun", []string{"bench_id"}
	if b.step >= 0 {
		name = benchSteps[b.step]
	}
	if b.step >= linkStep {
		keys = []string{"bench_id", "bench_parcel"}[min(b.step-linkStep, 1):]
	}
	b.bytes = append(b.bytes, '[')
	for i := range batch {
		if i > 0 {
			b.bytes = append(b.bytes, ',')
		}
		b.bytes = append(b.bytes, `{"specversion":"1.0","source":"bench","type":"bench.`+name+`","id":"`...)
		b.ids = append(b.ids, len(b.bytes))
		b.bytes = fmt.Appendf(b.bytes, `%s-%x","time":"`, room, b.run)
		b.times = append(b.times, len(b.bytes))
		b.bytes = append(b.bytes, rfc3339+`","datacontenttype":"application/json","data":{`...)
		for _, key := range keys {
			b.bytes = append(b.bytes, `"`+key+`":"`...)
			b.cases = append(b.cases, len(b.bytes))
			b.bytes = fmt.Appendf(b.bytes, `%s-%x",`, room, b.run)
		}
		b.bytes = append(b.bytes, `"region":"EU","channel":"web","order":{"total":149.90,"currency":"EUR"}}}`...)
	}
	b.bytes = append(b.bytes, ']')
}

const spansOfTrace = 6

// writeSpans writes an ExportTraceServiceRequest.
func (b *body) writeSpans(batch int) {
	text := func(to []byte, field byte, s string) []byte {
		return append(append(to, field<<3|2, byte(len(s))), s...)
	}
	attribute := func(to []byte, field byte, key, value string) []byte {
		v := text(nil, 1, value)
		kv := append(text(nil, 1, key), 2<<3|2, byte(len(v)))
		return text(to, field, string(append(kv, v...)))
	}
	var spans []byte
	for i := range batch {
		span := append([]byte{1<<3 | 2, 16}, binary.BigEndian.AppendUint64(nil, b.run)...)
		span = append(span, make([]byte, 8)...)
		span = append(append(span, 2<<3|2, 8), make([]byte, 8)...)
		span = text(span, 5, [...]string{"POST /checkout", "SELECT orders", "publish order.placed"}[i%3])
		span = append(span, 6<<3, byte(i%5+1))
		span = append(append(span, 7<<3|1), make([]byte, 8)...)
		span = append(append(span, 8<<3|1), make([]byte, 8)...)
		times := len(span) - 17
		for k, v := range benchAttributes {
			span = attribute(span, 9, v[0], fmt.Sprint(v[1], (i+k)%50))
		}
		spans = append(spans, 2<<3|2)
		spans = binary.AppendUvarint(spans, uint64(len(span)))
		b.ids = append(b.ids, len(spans)+2)
		b.times = append(b.times, len(spans)+times)
		spans = append(spans, span...)
	}
	resource := attribute(attribute(nil, 1, "service.name", "bench"), 1, "deployment.environment.name", "bench")
	head := append(append([]byte{1<<3 | 2}, byte(len(resource))), resource...)
	scope := binary.AppendUvarint([]byte{2<<3 | 2}, uint64(len(spans)))
	b.bytes = binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(head)+len(scope)+len(spans)))
	b.bytes = append(append(append(b.bytes, head...), scope...), spans...)
	for i := range b.ids {
		b.ids[i] += len(b.bytes) - len(spans)
		b.times[i] += len(b.bytes) - len(spans)
	}
}

var benchAttributes = [...][2]string{
	{"http.request.method", "POST"},
	{"url.path", "/api/orders/"},
	{"server.address", "shop-"},
	{"http.response.status_code", "20"},
	{"order.region", "EU-"},
	{"customer.tier", "gold"},
	{"cart.items", ""},
	{"payment.provider", "provider-"},
}
