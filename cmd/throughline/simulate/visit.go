package simulate

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// visit is a patient at the door: flow patient-checkin.
type visit struct {
	*story
	id, ticket    string
	clinic, payer string
}

func tellVisit(ctx context.Context, s *story) {
	v := &visit{
		story: s, id: s.key("V"), ticket: s.key("T"),
		clinic: s.oneOf("cardiology", "orthopaedics", "eye", "surgery"), payer: s.oneOf("statutory", "statutory", "private"),
	}
	if v.checkIn(ctx) && v.cover(ctx) && v.wait(ctx) {
		v.say(ctx, "ehr", "consultation.started", fields{"visit_id": v.id, "room": 1 + v.rand.IntN(20)})
	}
}

func (v *visit) keys(more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{attribute.String("visit_id", v.id)}, more...)
}

// checkIn is the kiosk's dialogue: one trace from the touch to the patient record.
func (v *visit) checkIn(ctx context.Context) bool {
	v.do(ctx, op{service: "checkin-kiosk", name: "check-in", kind: trace.SpanKindInternal, seconds: 0.1, attributes: v.keys()},
		func(ctx context.Context) {
			v.say(ctx, "checkin-kiosk", "patient.arrived", fields{"visit_id": v.id, "clinic": v.clinic, "payer": v.payer})
			v.pause(ctx, 0.5, 2)
			v.call(ctx, "checkin-kiosk", op{service: "ehr", name: "GET /patients/{id}", seconds: 0.05, attributes: v.keys()})
		})
	return ctx.Err() == nil
}

// cover asks the insurer, who times out at times; consent is signed meanwhile, or not.
func (v *visit) cover(ctx context.Context) bool {
	for try := int64(1); ; try++ {
		ask := op{
			service: "insurance-gateway", name: "VerifyCoverage", seconds: 0.4,
			attributes: v.keys(attribute.String("payer", v.payer), attribute.Int64("try", try)),
		}
		if v.chance(0.12) {
			ask.fault = "DeadlineExceeded: insurer did not answer"
		}
		v.call(ctx, "checkin-kiosk", ask)
		if ask.fault == "" {
			break
		}
		if !v.pause(ctx, 3, 7) {
			return false
		}
	}
	if v.chance(0.7) && v.pause(ctx, 0.5, 2) {
		v.say(ctx, "checkin-kiosk", "consent.signed", fields{"visit_id": v.id})
	}
	if !v.pause(ctx, 0.3, 1) {
		return false
	}
	v.say(ctx, "checkin-kiosk", "ticket.issued", fields{"visit_id": v.id, "ticket_id": v.ticket})
	return ctx.Err() == nil
}

// wait until the display, which knows tickets only, calls; some are called twice, some
// wait too long, some go home.
func (v *visit) wait(ctx context.Context) bool {
	least, most := 3.0, 15.0
	if v.chance(0.04) {
		least, most = 28, 45
	}
	if !v.pause(ctx, least, most) {
		return false
	}
	if v.chance(0.04) {
		v.say(ctx, "checkin-kiosk", "patient.left", fields{"visit_id": v.id})
		return false
	}
	v.say(ctx, "call-display", "ticket.called", fields{"ticket_id": v.ticket})
	if v.chance(0.08) && v.pause(ctx, 3, 6) {
		v.say(ctx, "call-display", "ticket.called", fields{"ticket_id": v.ticket})
	}
	return v.pause(ctx, 1, 5)
}
