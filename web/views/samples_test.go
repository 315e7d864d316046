package views

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

// The story of the design's pictures: Thu 19 Nov 2026, 03:14:07, 214 orders worth €31,880
// are stuck at "Invoice posted" since 02:41.
var (
	sampleNow  = at("2026-11-19T02:14:07Z")
	stuckSince = at("2026-11-19T01:46:20Z")
)

func at(text string) flows.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return flows.At(t)
}

func sampleClock() Clock {
	return Clock{Now: sampleNow, Zone: time.FixedZone("CET", 3600)}
}

const orderFile = `flow: order-to-cash
title: Web order to cash
capability: order-fulfilment
owner: order-platform
runbook: https://wiki.example.com/o2c
key: order_id
value: {amount: total, currency: currency}
idle: 7d
steps:
  - {id: placed,      title: Order placed,       system: Web shop, match: {event: order.placed}, start: true}
  - {id: authorised,  title: Payment authorised, system: PSP,  match: {span: "POST /authorise"}, after: placed, within: 3s}
  - {id: verified,    title: Customer verified,  system: CRM,  match: {span: verify}, after: authorised, within: 10s}
  - {id: reserved,    title: Stock reserved,     system: WMS,  match: {span: reserve}, after: verified, within: 10s}
  - {id: backordered, title: Backordered,        system: WMS,  match: {event: order.backordered}, after: reserved, optional: true}
  - {id: packed,      title: Packed,             system: WMS,  match: {span: pack}, after: reserved, within: 2h}
  - {id: invoiced,    title: Invoice posted,     system: ERP,  match: {span: "POST /invoices"}, after: packed, within: 5m}
  - {id: shipped,     title: Shipped,            system: WMS,  match: {event: shipment.dispatched}, after: packed, within: 4h}
  - {id: captured,    title: Payment captured,   system: PSP,  match: {span: "POST /capture"}, after: [invoiced, shipped], within: 30s, end: completed}
  - {id: declined,    title: Declined,           system: PSP,  match: {event: payment.declined}, end: failed}
  - {id: cancelled,   title: Cancelled,          match: {event: order.cancelled}, end: cancelled}
`

func mustFlow(t testing.TB, file string) *flows.Flow {
	t.Helper()
	f, faults := flows.Parse("flows/sample.yaml", []byte(file))
	if len(faults) > 0 {
		t.Fatalf("sample flow: %v", faults)
	}
	return f
}

func p(f float64) *float64 { return &f }

func distribution(n int, p50, p90, p99 float64) flows.Distribution {
	if n == 0 {
		return flows.Distribution{}
	}
	return flows.Distribution{Count: n, Mean: p(p50 * 1.1), P50: p(p50), P90: p(p90), P99: p(p99), Max: p(p99 * 1.2)}
}

func wave(level, swing float64, phase float64) []float64 {
	var values []float64
	for i := range 30 {
		x := float64(i)
		values = append(values, level+swing*(math.Sin(x*1.3+phase)+math.Sin(x*0.7+2*phase)*0.6))
	}
	return values
}

func euros(amount string) flows.Money {
	return flows.Money{"EUR": decimal.RequireFromString(amount)}
}

func orders(t testing.TB) FlowNow {
	f := mustFlow(t, orderFile)
	h := flows.Health{
		Flow: f.Name, Version: f.Version, Health: flows.HealthStuck, AsOf: sampleNow, WindowSeconds: p(3600),
		Started: 474, Completed: 205, Failed: 21, Cancelled: 4, InFlight: 558, Stuck: 214,
		ValueInFlight: euros("81204.50"), ValueAtRisk: euros("31880"), ValueCoverage: p(0.83),
		Latency: distribution(205, 1980, 4320, 9660), Estimate: flows.Estimate{P50: p(2600)}, ComplianceRate: p(0.987), ThroughputPerMinute: 3.4,
	}
	h.Steps = []flows.StepHealth{
		{Step: "placed", Reached: 474},
		{Step: "authorised", Reached: 473, Waiting: 1, Errors: 2, Latency: distribution(473, 1.3, 2.2, 4.8)},
		{Step: "verified", Reached: 452, Latency: distribution(452, 1.1, 1.9, 3.4)},
		{Step: "reserved", Reached: 452, Latency: distribution(452, 0.7, 1.2, 2.6)},
		{Step: "backordered", Reached: 6, Latency: distribution(6, 32400, 111600, 158400)},
		{Step: "packed", Reached: 456, Waiting: 244, Latency: distribution(456, 1920, 3480, 6660)},
		{Step: "invoiced", Reached: 205, Waiting: 251, Overdue: 214, Stuck: 214, Errors: 1071, Latency: distribution(205, 2.1, 3.0, 9)},
		{Step: "shipped", Reached: 441, Waiting: 158, Latency: distribution(441, 1200, 2820, 4800)},
		{Step: "captured", Reached: 205, Latency: distribution(205, 1.6, 2.4, 3.9)},
		{Step: "declined", Reached: 21},
		{Step: "cancelled", Reached: 4},
	}
	h.Edges = []flows.EdgeHealth{
		{From: "placed", To: "authorised", Count: 473},
		{From: "authorised", To: "verified", Count: 452},
		{From: "authorised", To: "declined", Count: 21},
		{From: "verified", To: "reserved", Count: 452},
		{From: "reserved", To: "packed", Count: 446},
		{From: "reserved", To: "backordered", Count: 6},
		{From: "packed", To: "invoiced", Count: 205},
		{From: "invoiced", To: "shipped", Count: 205},
		{From: "shipped", To: "captured", Count: 205, Latency: distribution(205, 1.6, 2.4, 3.9)},
		{From: "reserved", To: "cancelled", Count: 4},
	}
	return FlowNow{Flow: f, Health: h, InFlight: wave(520, 40, 1), Stuck: wave(110, 90, 2), Usual: sampleUsual(f, 462)}
}

// sampleUsual is what is usual of a flow of which so many start and complete in an hour, and reach each step.
func sampleUsual(f *flows.Flow, perHour int) *Usual {
	u := &Usual{Usual: flows.UsualHoursAt(sampleNow, sampleClock().Zone).Usual(at("2026-09-01T00:00:00Z"), sampleNow), Clock: sampleClock()}
	for i := range u.Hours {
		h := &u.Hours[i]
		h.Started, h.Completed, h.Latency = perHour+i, perHour-i, p(1980+float64(60*i))
		for _, s := range f.Steps {
			h.Steps = append(h.Steps, flows.UsualStep{Step: s.ID, Reached: perHour - 2*i, Latency: p(2.1 + float64(i)/10)})
		}
	}
	return u
}

// simple is a flow of steps in a line.
func simple(t testing.TB, name, title, capability string, word flows.HealthWord, perHour, inFlight int, titles ...string) FlowNow {
	file := fmt.Sprintf("flow: %s\ntitle: %s\nkey: case_id\nsteps:\n", name, title)
	if capability != "" {
		file = fmt.Sprintf("flow: %s\ntitle: %s\ncapability: %s\nkey: case_id\nsteps:\n", name, title, capability)
	}
	h := flows.Health{Flow: name, Health: word, AsOf: sampleNow, WindowSeconds: p(3600), Started: perHour, InFlight: inFlight}
	for i, step := range titles {
		file += fmt.Sprintf("  - {id: s%d, title: %s, match: {event: e%d}", i, step, i)
		switch {
		case i == 0:
			file += ", start: true}\n"
		case i == len(titles)-1:
			file += fmt.Sprintf(", after: s%d, within: 3s, end: completed}\n", i-1)
		default:
			file += fmt.Sprintf(", after: s%d, within: 3s}\n", i-1)
		}
		sh := flows.StepHealth{Step: fmt.Sprintf("s%d", i), Reached: perHour, Latency: distribution(perHour, 0.9, 2.1, 2.8)}
		if word == flows.HealthLate && i == 2 {
			sh.Latency = distribution(perHour, 0.9, 2.1, 4.8)
		}
		h.Steps = append(h.Steps, sh)
	}
	if perHour > 0 {
		h.Completed, h.ComplianceRate, h.Latency = perHour, p(0.956), distribution(perHour, 660, 1440, 3120)
	}
	f := mustFlow(t, file)
	return FlowNow{Flow: f, Usual: sampleUsual(f, perHour), Health: h, InFlight: wave(float64(perHour)/60, float64(perHour)/600, float64(len(title)))}
}

func sampleFlows(t testing.TB) []FlowNow {
	supplier := simple(t, "purchase-to-pay", "Purchase order to payment", "procure-to-pay", flows.HealthStuck, 12, 1312, "Ordered", "Received", "Matched", "Approved", "Supplier paid")
	supplier.Health.Stuck, supplier.Health.ValueAtRisk = 3, euros("18940")
	supplier.Health.Steps[4].Overdue, supplier.Health.Steps[4].Stuck, supplier.Health.Steps[4].Waiting = 3, 3, 1312
	imported := simple(t, "receipt", "Receipt phase", "", flows.HealthOK, 30, 41, "Confirmation", "Check", "Advice", "Sent")
	imported.ImportedAsOf = at("2012-01-23T10:00:00Z")
	return []FlowNow{
		orders(t),
		simple(t, "card-authorisation", "Card authorisation", "payments", flows.HealthLate, 2496, 2, "Asked", "Scored", "Authorised", "Answered"),
		simple(t, "payout", "Payout settlement", "payments", flows.HealthOK, 24, 12, "Opened", "Summed", "Checked", "Sent", "Settled"),
		supplier,
		simple(t, "check-in", "Emergency admission", "patient-check-in", flows.HealthOK, 18, 9, "Arrived", "Triage", "Seen", "Admitted"),
		simple(t, "outpatient", "Outpatient check-in", "patient-check-in", flows.HealthQuiet, 0, 0, "Called", "Arrived", "Seen", "Left"),
		imported,
	}
}

func sampleAlerts() []Alert {
	return []Alert{
		{
			Cohort: flows.Cohort{
				Flow: "order-to-cash", Title: "Web order to cash", Capability: "order-fulfilment", Owner: "order-platform", Runbook: "https://wiki.example.com/o2c",
				Step: "invoiced", StepTitle: "Invoice posted", System: "ERP", Reason: flows.ReasonDeadline, Count: 214, Since: stuckSince,
				Oldest: at("2026-11-19T01:08:12Z"), AtRisk: euros("31880"), Keys: []string{"SO-104711"},
			},
			ID: "5f1c0a9b2e", StartsAt: stuckSince, Key: "order_id", Limit: 5 * time.Minute, Acts: true,
		},
		{
			Cohort: flows.Cohort{
				Flow: "purchase-to-pay", Title: "Purchase order to payment", Step: "s4", StepTitle: "Supplier paid", System: "Bank gateway",
				Reason: flows.ReasonDeadline, Count: 3, Since: at("2026-11-18T16:20:00Z"), AtRisk: euros("18940"),
			},
			ID: "77aa01cc", StartsAt: at("2026-11-18T16:20:00Z"), Key: "payment_id", Silenced: true, Acts: true,
			Silences: []flows.Silence{{ID: "s1", By: "Ben", Why: "Bank holiday at the gateway", From: at("2026-11-18T17:00:00Z"), Until: at("2026-11-19T07:00:00Z"), Own: true}},
		},
	}
}

// sampleAcked is the first sample alert once somebody has it.
func sampleAcked() Alert {
	a := sampleAlerts()[0]
	a.ID, a.Ack = "5f1c0a9b2f", flows.Ack{By: "Anna Weiss", Note: "Rolling back the 02:38 deploy", At: at("2026-11-19T02:12:03Z")}
	return a
}

func sampleInstance(key, amount string, due flows.Time) flows.InstanceRecord {
	return flows.InstanceRecord{
		Flow: "order-to-cash", Key: key, State: flows.Stuck, Reason: flows.ReasonDeadline, ReasonStep: "invoiced", System: "ERP",
		StuckSince: due.Add(5 * time.Minute), StartedAt: due.Add(-33 * time.Minute), LastAt: due, EndedAt: flows.NoTime,
		WaitingOn: []flows.WaitingRecord{{Step: "invoiced", System: "ERP", DueAt: due, Deadline: due.Add(5 * time.Minute)}},
		Amount:    flows.NewAmount(decimal.RequireFromString(amount)), Currency: "EUR", AsOf: sampleNow,
	}
}

func sampleInstances() *flows.InstancePage {
	page := &flows.InstancePage{AsOf: sampleNow, Next: "more"}
	for i, amount := range []string{"148.90", "1204", "86.40", "2390.5", "54.20", "319", "77.10"} {
		page.Instances = append(page.Instances, sampleInstance(fmt.Sprintf("SO-10%d", 4711+i*7), amount, at("2026-11-19T01:41:20Z").Add(time.Duration(i)*16*time.Second)))
	}
	return page
}

func sampleVariants() *flows.Variants {
	straight := []string{"placed", "authorised", "verified", "reserved", "packed", "invoiced", "shipped", "captured"}
	return &flows.Variants{Total: 42, Variants: []flows.Variant{
		{Steps: straight, Count: 4180, Share: 0.881, Median: 33 * time.Minute, Conforming: true},
		{Steps: []string{"placed", "authorised", "declined"}, Count: 209, Share: 0.044, Median: 2 * time.Second},
		{Steps: []string{"placed", "authorised", "verified", "reserved", "backordered", "packed", "invoiced", "shipped", "captured"}, Count: 161, Share: 0.034, Median: 11 * time.Hour, Conforming: true},
		{Steps: []string{"placed", "authorised", "reserved", "packed", "invoiced", "shipped", "captured"}, Count: 43, Share: 0.009, Median: 31 * time.Minute},
	}}
}

func sampleFlowDetail(t testing.TB) FlowDetail {
	return FlowDetail{
		Clock: sampleClock(), Now: orders(t), Variants: sampleVariants(), Stuck: sampleInstances(), Alerts: sampleAlerts()[:1], Series: sampleSeries("2026-11-19T01:15:00Z"),
		Releases: []flows.Release{{ReleaseSeen: flows.ReleaseSeen{Service: "ERP", Version: "4.12.0", At: at("2026-11-19T01:38:05Z")}, Before: "4.11.3"}},
	}
}

func sampleSeries(from string) *flows.Series {
	s := &flows.Series{From: at(from), Bucket: time.Minute, Ended: map[flows.State][]int{flows.Completed: {}, flows.Failed: {}}}
	for i := range 60 {
		s.Started = append(s.Started, 7+i%3)
		s.Ended[flows.Completed] = append(s.Ended[flows.Completed], max(0, 8-i/4))
		s.Ended[flows.Failed] = append(s.Ended[flows.Failed], i%4/3)
	}
	s.Left = []flows.LeftAt{{State: flows.Failed, Step: "declined", Count: 21}, {State: flows.Cancelled, Step: "cancelled", Count: 4}, {State: flows.Expired, Count: 1}}
	return s
}

func sampleChanges() []Change {
	over := sampleAcked()
	over.ResolvedAt = sampleNow
	return []Change{
		{At: sampleNow, Kind: ChangeResolved, Alert: over},
		{At: over.Ack.At, Kind: ChangeAcked, Alert: over},
		{At: stuckSince, Kind: ChangeOpened, Alert: sampleAlerts()[0]},
	}
}

// samplePlayed is the flow as it was at 02:30, in the hour from 02:00 on.
func samplePlayed(t testing.TB) FlowDetail {
	v := sampleFlowDetail(t)
	v.Clock.Now = at("2026-11-19T01:30:00Z")
	v.Now.At, v.Variants = v.Clock.Now, nil
	v.Series, v.Hour = sampleSeries("2026-11-19T00:30:00Z"), sampleSeries("2026-11-19T01:00:00Z")
	v.Player = &Player{From: at("2026-11-19T01:00:00Z"), To: at("2026-11-19T02:00:00Z")}
	v.Opened = sampleAlerts()[:1]
	return v
}

func sampleSignal(kind flows.Kind, system, name, when string, took time.Duration, keys ...flows.Key) flows.Signal {
	return flows.Signal{
		Kind: kind, Source: system, ID: "id-" + name, Name: name, System: system, Time: at(when), Duration: took,
		Keys: append([]flows.Key{{Type: "order_id", Value: "SO-104711"}}, keys...), Attributes: map[string]any{"service.version": "4.12.0"},
	}
}

func sampleTimeline(t testing.TB) InstanceTimeline {
	f := mustFlow(t, orderFile)
	d := flows.InstanceDetail{InstanceRecord: sampleInstance("SO-104711", "148.90", at("2026-11-19T01:41:18Z"))}
	d.StartedAt, d.LastAt = at("2026-11-19T01:08:12.1Z"), at("2026-11-19T02:02:44.6Z")
	d.Segments = map[string]string{"channel": "web", "region": "DE"}
	invoice := sampleSignal(flows.Span, "ERP", "POST /invoices", "2026-11-19T01:41:20Z", 410*time.Millisecond)
	invoice.Failed = true
	invoice.Attributes = map[string]any{"exception.message": "TaxCodeNotFound: STD", "service.version": "4.12.0"}
	retry := invoice
	retry.Time = at("2026-11-19T02:01:20Z")
	d.Signals = []flows.Signal{
		sampleSignal(flows.Event, "Web shop", "order.placed", "2026-11-19T01:08:12.1Z", 0, flows.Key{Type: "customer_id", Value: "C-20518"}),
		sampleSignal(flows.Span, "PSP", "POST /authorise", "2026-11-19T01:08:12.3Z", 1310*time.Millisecond, flows.Key{Type: "payment_id", Value: "PA-5521908"}),
		sampleSignal(flows.Span, "CRM", "verify", "2026-11-19T01:08:13.9Z", 1080*time.Millisecond),
		sampleSignal(flows.Span, "WMS", "reserve", "2026-11-19T01:08:15.2Z", 710*time.Millisecond),
		sampleSignal(flows.Span, "WMS", "pack", "2026-11-19T01:31:05Z", 10*time.Minute+13*time.Second),
		invoice, retry,
		sampleSignal(flows.Event, "WMS", "shipment.dispatched", "2026-11-19T02:02:44.6Z", 0, flows.Key{Type: "shipment_id", Value: "SH-88213"}),
	}
	for _, s := range f.Steps {
		r := flows.StepRecord{Step: s.ID, Title: s.Title, System: s.System, At: flows.NoTime, DueAt: flows.NoTime, Deadline: flows.NoTime}
		for _, signal := range d.Signals {
			if signal.Name == s.Match.Name && !signal.Failed {
				r.At, r.Count = signal.OccursAt(), 1
			}
		}
		if s.ID == "invoiced" {
			r.DueAt, r.Deadline, r.Errors = d.WaitingOn[0].DueAt, d.WaitingOn[0].Deadline, 6
		}
		d.Steps = append(d.Steps, r)
	}
	d.Held = []flows.HeldTime{{Hold: "credit-check", From: at("2026-11-19T01:20:00Z"), To: at("2026-11-19T01:24:00Z")}}
	usual := orders(t)
	return InstanceTimeline{
		Clock: sampleClock(), Flow: f, Detail: d, Alerts: []Alert{sampleAcked()}, Usual: &usual, Said: map[string]string{invoice.ID: "TaxCodeNotFound: STD"},
		Common: []flows.Key{{Type: "customer_id", Value: "C-20518"}}, Before: "SO-104655", After: "SO-104702", Resolves: true, Reader: "Ben",
	}
}

func sampleShell(place Place, title string) Shell {
	return Shell{
		Clock: sampleClock(), Title: title, Scope: "Halden Group", Place: place, Socket: "/ws?page=sample", AsOf: sampleNow, OpenAlerts: 2,
		Assets: Assets{CSS: "/assets/app.css", JS: "/assets/app.js", Icon: "/assets/icon.svg"}, Kind: "sample",
	}
}

// sampleAlertDetail is the first sample alert with all that is known of it.
func sampleAlertDetail(t testing.TB) AlertDetail {
	now := orders(t)
	a := sampleAlerts()[0]
	told := at("2026-11-19T01:46:22Z")
	a.Log = []flows.LogEntry{
		{At: told, What: flows.LogTold, By: "on-call", Note: "webhook", Until: flows.NoTime},
		{At: told.Add(10 * time.Minute), What: flows.LogAcknowledged, By: "Anna Weiss", Note: "Rolling back the 02:38 deploy", Until: flows.NoTime},
		{At: told.Add(11 * time.Minute), What: flows.LogTakenBack, By: "Anna Weiss", Until: flows.NoTime},
		{At: told.Add(12 * time.Minute), What: flows.LogSilenced, By: "Ben", Note: "planned", Until: told.Add(time.Hour)},
		{At: told.Add(13 * time.Minute), What: flows.LogSilenceEnded, By: "Ben", Until: flows.NoTime},
	}
	yesterday := at("2026-11-18T22:10:00Z")
	a.Earlier = []flows.Episode{{StartsAt: yesterday, ResolvedAt: yesterday.Add(12 * time.Minute), Ack: flows.Ack{By: "Ben", At: yesterday}}}
	waits := Waits{From: at("2026-11-19T01:14:00Z"), Every: 10 * time.Second}
	for i := range 360 {
		waits.Waiting, waits.Overdue = append(waits.Waiting, float64(max(0, i-160)*5/4)), append(waits.Overdue, float64(max(0, i-190)*6/5))
	}
	deploy := at("2026-11-19T01:38:05Z")
	return AlertDetail{
		Clock: sampleClock(), Alert: a, Now: &now, Instances: sampleInstances(), Waits: waits, Reader: "Ben",
		Tries: []flows.Tries{
			{After: true, Failed: true, Message: "TaxCodeNotFound: STD", Count: 1071, First: deploy, Last: sampleNow.Add(-300 * time.Millisecond)},
			{Count: 460, First: at("2026-11-19T00:41:21Z"), Last: at("2026-11-19T01:38:00Z")},
		},
		Changes: []Change{
			{At: deploy, Kind: ChangeReleased, Release: flows.Release{ReleaseSeen: flows.ReleaseSeen{Service: "ERP", Version: "4.12.0", At: deploy}, Before: "4.11.3"}},
			{At: deploy.Add(-9 * time.Minute), Kind: ChangeReleased, Release: flows.Release{ReleaseSeen: flows.ReleaseSeen{Service: "tax-codes", Environment: "test", Version: "7", At: deploy.Add(-9 * time.Minute)}, Before: "6"}},
			{At: deploy.Add(-46 * time.Minute), Kind: ChangeSilent, System: "Carrier feed"},
		},
		Shared: []flows.SharedValue{
			{Name: "channel", Value: "web", Stuck: 158, StuckAll: 214, Passed: 360, PassedAll: 500},
			{Name: "region", Value: "DE", Stuck: 214, StuckAll: 214, Passed: 305, PassedAll: 500},
			{Name: "region", Value: "FR", StuckAll: 214, Passed: 195, PassedAll: 500},
		},
		System: &SystemNow{
			Name: "ERP", Traffic: flows.SystemTraffic{System: "ERP", Signals: 2840, Last: sampleNow.Add(-14 * time.Second)},
			Steps: []SystemStep{{Flow: now.Flow, Step: 5}, {Flow: now.Flow, Step: 6, Overdue: 214}, {Flow: now.Flow, Step: 7, Overdue: 3}},
		},
	}
}

func sampleBacklog() []Backlog {
	return []Backlog{{Stream: "SIGNALS", Messages: 310, Bytes: 4_300_000, Limit: 8 << 30, Oldest: 3 * time.Minute}, {Stream: "SPANS", Messages: 1, Bytes: 900, Limit: 8 << 30, Oldest: 40 * time.Millisecond}}
}
