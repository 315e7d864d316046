package simulate

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// purchase is a purchase order: flow procure-to-pay.
type purchase struct {
	*story
	id, invoice      string
	net              float64
	region, category string
}

func tellPurchase(ctx context.Context, s *story) {
	least, most := 500, 9000
	if s.chance(0.35) {
		least, most = 40, 500
	}
	p := &purchase{
		story: s, id: s.key("PO"), invoice: s.key("SI"), net: s.cents(least, most),
		region: s.oneOf("DE", "AT", "FR"), category: s.oneOf("packaging", "it", "facility", "goods"),
	}
	if p.request(ctx) && p.order(ctx) && p.receive(ctx) && p.match(ctx) {
		p.pay(ctx)
	}
}

func (p *purchase) say(ctx context.Context, source, name string, more fields) bool {
	data := fields{"po_id": p.id}
	for k, v := range more {
		data[k] = v
	}
	p.story.say(ctx, source, name, data)
	return ctx.Err() == nil
}

// request asks, and a manager, or a rule for small amounts, approves.
func (p *purchase) request(ctx context.Context) bool {
	p.say(ctx, "procurement", "purchase.requested", fields{
		"region": p.region, "category": p.category,
		"purchase": fields{"net": p.net, "currency": "EUR"},
	})
	if p.net < 500 {
		return p.pause(ctx, 0.2, 0.5) && p.say(ctx, "procurement", "purchase.auto_approved", fields{"rule": "below 500"})
	}
	least, most := 2.0, 12.0
	if p.chance(0.05) { // the manager is at lunch
		least, most = 32, 60
	}
	if !p.pause(ctx, least, most) {
		return false
	}
	if p.chance(0.04) {
		p.say(ctx, "procurement", "purchase.refused", fields{"reason": "no budget"})
		return false
	}
	return p.say(ctx, "procurement", "purchase.approved", fields{"level": 1 + p.rand.IntN(2)})
}

func (p *purchase) order(ctx context.Context) bool {
	if !p.pause(ctx, 1, 4) || !p.say(ctx, "procurement", "purchase_order.sent", fields{"channel": p.oneOf("edi", "mail", "portal")}) {
		return false
	}
	return p.chance(0.3) || p.pause(ctx, 1, 5) && p.say(ctx, "supplier-portal", "purchase_order.confirmed", nil)
}

// receive takes the goods in, now and then in two deliveries, and the invoice.
func (p *purchase) receive(ctx context.Context) bool {
	deliveries := 1
	if p.chance(0.2) {
		deliveries = 2
	}
	for n := range deliveries {
		if !p.pause(ctx, 3, 8) || !p.say(ctx, "warehouse", "goods.received", fields{"delivery": n + 1, "of": deliveries}) {
			return false
		}
	}
	return p.pause(ctx, 0.5, 6) && p.say(ctx, "erp", "supplier_invoice.received", fields{"supplier_invoice_id": p.invoice, "net": p.net})
}

// match compares order, goods and invoice; a difference is settled by hand and tried again.
func (p *purchase) match(ctx context.Context) bool {
	for result := ""; result != "matched"; {
		if !p.pause(ctx, 1, 4) {
			return false
		}
		if result = "matched"; p.chance(0.1) {
			result = "price differs"
		}
		p.do(ctx, op{service: "erp", name: "three-way match", kind: trace.SpanKindConsumer, seconds: 0.1, attributes: []attribute.KeyValue{
			attribute.String("po_id", p.id), attribute.String("supplier_invoice_id", p.invoice), attribute.String("match.result", result),
		}})
	}
	return ctx.Err() == nil
}

// pay waits for the bank's next run; one payment in twenty slips two runs and is late. The
// bank speaks of the invoice only.
func (p *purchase) pay(ctx context.Context) {
	const run = 12 * time.Second
	until := run - p.since()%run
	if p.chance(0.05) {
		until += 2 * run
	}
	if wait(ctx, until) {
		p.story.say(ctx, "bank-gateway", "supplier_payment.executed", fields{"supplier_invoice_id": p.invoice, "run": int64(p.since() / run)})
	}
}
