package views

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// curl sends one CloudEvent in the structured form.
func (v FirstRun) curl() string {
	token := ""
	if v.Tokens {
		token = ` -H "Authorization: Bearer $TOKEN" \
 `
	}
	return `curl -sS ` + v.EventsURL + ` \
 ` + token + ` -H 'Content-Type: application/cloudevents+json' \
  -d '{
    "specversion": "1.0",
    "type": "order.placed",
    "source": "webshop",
    "id": "first-1",
    "data": { "order_id": "SO-1", "total": 148.90, "currency": "EUR" }
  }'`
}

// webhook sends the second event of that order as a CloudEvent in the binary form: headers say what it is.
func (v FirstRun) webhook() string {
	token := ""
	if v.Tokens {
		token = ` -H "Authorization: Bearer $TOKEN"`
	}
	return `curl -sS ` + v.EventsURL + token + ` \
  -H 'Content-Type: application/json' -H 'ce-specversion: 1.0' \
  -H 'ce-type: payment.captured' -H 'ce-source: payments' -H 'ce-id: first-2' \
  -d '{ "order_id": "SO-1", "method": "card" }'`
}

// exporter are the variables that every OpenTelemetry SDK reads.
func (v FirstRun) exporter() string {
	lines := []string{"export OTEL_SERVICE_NAME=webshop"}
	if v.OTLPHTTP != "" {
		lines = append(lines, "export OTEL_EXPORTER_OTLP_ENDPOINT="+v.otlp(), "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	} else {
		scheme, _, _ := strings.Cut(v.EventsURL, "://")
		lines = append(lines, "export OTEL_EXPORTER_OTLP_ENDPOINT="+scheme+"://"+v.OTLPGRPC, "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	}
	if v.Tokens {
		lines = append(lines, `export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$TOKEN"`)
	}
	return strings.Join(lines, "\n")
}

// otlp is the URL of OTLP over HTTP, which speaks TLS where the pages do.
func (v FirstRun) otlp() string {
	scheme, _, _ := strings.Cut(v.EventsURL, "://")
	return scheme + "://" + v.OTLPHTTP
}

// flowsDir is where flow files go.
func (v FirstRun) flowsDir() string { return path.Join(cmp.Or(v.ConfigDir, "config"), "flows") }

func (v FirstRun) flowFile() string { return path.Join(v.flowsDir(), "order-to-cash.yaml") }

// flowText is a flow for the event above, with one step that will be missed.
func (v FirstRun) flowText() string {
	return `flow: order-to-cash
title: Order to cash
key: order_id
value: {amount: total, currency: currency}
steps:
  - {id: placed, title: Order placed, match: {event: order.placed}, start: true}
  - id: paid
    title: Payment taken
    system: payments
    match: {event: payment.captured}
    after: placed
    within: 1m
    end: completed`
}

// fieldNames are the names that could be keys: those that look like it first.
func fieldNames(names []string) string {
	likely := func(name string) bool {
		return strings.HasSuffix(name, "id") || strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "number") || strings.HasSuffix(name, "_no")
	}
	var first, rest []string
	for _, name := range names {
		if likely(name) {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	all := slices.Concat(first, rest)
	const most = 8
	if len(all) > most {
		return strings.Join(all[:most], ", ") + " and " + count(len(all)-most) + " more"
	}
	return strings.Join(all, ", ")
}

// lastWords ends the sentence that says how much has arrived.
func (v FirstRun) lastWords() string {
	if !known(v.Last) {
		return "."
	}
	return ", the last one at " + v.at(v.Last) + "."
}
