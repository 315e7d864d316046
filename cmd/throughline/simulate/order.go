package simulate

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// order is a web order: flow order-to-cash.
type order struct {
	*story
	id, invoice, shipment string
	total                 float64
	currency              string
	region, channel       string
}

func tellOrder(ctx context.Context, s *story) {
	o := &order{
		story: s, id: s.key("SO"), invoice: s.key("INV"), shipment: s.key("SH"),
		total: s.cents(15, 290), currency: s.oneOf("EUR", "EUR", "EUR", "CHF"),
		region: s.oneOf("DE", "DE", "AT", "FR", "NL"), channel: s.oneOf("web", "web", "app", "store"),
	}
	if !o.place(ctx) || !o.pack(ctx) {
		return
	}
	var branches sync.WaitGroup
	var charged, handedOver bool
	money, goods := *o, *o
	money.story, goods.story = s.branch(1), s.branch(2)
	branches.Go(func() { charged = money.charge(ctx) })
	branches.Go(func() { handedOver = goods.handOver(ctx) })
	branches.Wait()
	if !charged || !handedOver || !s.pause(ctx, 1, 4) {
		return
	}
	s.say(ctx, "bank-gateway", "payment.settled", fields{"invoice_id": o.invoice, "value_date": "today"})
}

// keys of the order, for a span.
func (o *order) keys(more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{
		attribute.String("order_id", o.id), attribute.String("region", o.region),
		attribute.String("channel", o.channel),
	}, more...)
}

// place is the checkout: the order, its payment's authorisation, and the stock.
func (o *order) place(ctx context.Context) bool {
	rejected := o.chance(0.06)
	checkout := op{
		service: "webshop", name: "POST /checkout", kind: trace.SpanKindServer, seconds: 0.02,
		attributes: append(o.keys(), attribute.String("http.request.method", "POST"), attribute.String("url.path", "/checkout")),
	}
	o.do(ctx, checkout, func(ctx context.Context) {
		o.say(ctx, "webshop", "order.placed", fields{
			"order_id": o.id, "customer_id": o.key("C"), "region": o.region, "channel": o.channel,
			"order": fields{"total": o.total, "currency": o.currency, "lines": 1 + o.rand.IntN(5)},
		})
		authorise := op{
			service: "payments", name: "POST /authorise", seconds: 0.3,
			attributes: o.keys(attribute.String("payment.method", o.oneOf("card", "card", "paypal", "invoice"))),
		}
		if rejected {
			authorise.fault = "CardDeclined: insufficient funds"
		}
		tries := 1
		if !rejected && o.chance(0.02) { // the button was pressed twice
			tries = 2
		}
		for range tries {
			o.call(ctx, "webshop", authorise, func(ctx context.Context) {
				o.do(ctx, op{service: "payments", name: "3-D Secure", kind: trace.SpanKindInternal, seconds: 0.1})
			})
		}
	})
	if rejected {
		o.say(ctx, "payments", "payment.rejected", fields{"order_id": o.id, "reason": "insufficient funds"})
		return false
	}
	if o.chance(0.03) && o.pause(ctx, 0.5, 2) {
		o.say(ctx, "webshop", "order.cancelled", fields{"order_id": o.id, "reason": o.oneOf("changed my mind", "ordered twice")})
		return false
	}
	o.call(ctx, "webshop", op{
		service: "warehouse", name: "ReserveStock", seconds: 0.05,
		attributes: o.keys(attribute.String("rpc.system", "grpc")),
	})
	return ctx.Err() == nil
}

// pack takes seconds, and now and then too many.
func (o *order) pack(ctx context.Context) bool {
	least, most := 2.0, 8.0
	if o.chance(0.03) {
		least, most = 24, 40
	}
	if !o.pause(ctx, least, most) {
		return false
	}
	o.say(ctx, "warehouse", "goods.packed", fields{"order_id": o.id, "shipment_id": o.shipment, "station": 1 + o.rand.IntN(6)})
	return ctx.Err() == nil
}

// charge posts the invoice, again and again while the ERP fails, and takes the money.
func (o *order) charge(ctx context.Context) bool {
	if !o.pause(ctx, 0.5, 2) {
		return false
	}
	for try := int64(1); ; try++ {
		post := op{
			service: "erp", name: "POST /invoices", seconds: 0.2,
			attributes: o.keys(attribute.Int64("try", try), attribute.String("http.request.method", "POST")),
		}
		if invoicing.at(o.since()) {
			post.fault = "TaxCodeNotFound: STD"
		} else {
			post.attributes = append(post.attributes, attribute.String("invoice_id", o.invoice))
		}
		o.call(ctx, "order-router", post, func(ctx context.Context) {
			o.do(ctx, op{service: "erp", name: "VatRateResolver.line", kind: trace.SpanKindInternal, seconds: 0.02, fault: post.fault})
		})
		if post.fault == "" {
			break
		}
		if !o.pause(ctx, 5, 12) {
			return false
		}
	}
	if !o.pause(ctx, 0.2, 1) {
		return false
	}
	o.call(ctx, "erp", op{
		service: "payments", name: "POST /capture", seconds: 0.3,
		attributes: o.keys(attribute.String("invoice_id", o.invoice)),
	})
	return ctx.Err() == nil
}

// handOver gives the goods to the carrier, who knows the shipment only and reports in
// batches, or to the customer in the store. One parcel in three hundred is lost.
func (o *order) handOver(ctx context.Context) bool {
	if o.channel == "store" {
		if !o.pause(ctx, 5, 15) {
			return false
		}
		o.say(ctx, "webshop", "order.collected", fields{"order_id": o.id, "store": o.oneOf("Köln", "Wien", "Basel")})
		return ctx.Err() == nil
	}
	if o.chance(1.0/300) || !o.pause(ctx, 2, 6) {
		return false
	}
	company := o.oneOf("DHL", "UPS", "GLS")
	o.carrier.add(ctx, o.event(ctx, "carrier", "shipment.dispatched", fields{"shipment_id": o.shipment, "carrier": company}))
	if !o.pause(ctx, 4, 10) {
		return false
	}
	o.carrier.add(ctx, o.event(ctx, "carrier", "shipment.delivered", fields{"shipment_id": o.shipment, "carrier": company}))
	return o.pause(ctx, 1, 2) // until the feed has sent it
}
