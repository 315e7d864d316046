package flows

import (
	"strings"

	"github.com/shopspring/decimal"
)

// SampleRate is the attribute by which tail samplers and Honeycomb's SDKs say how many spans
// one that they send stands for.
const SampleRate = "SampleRate"

// sampled says whether a span is one of those that its producer, or a collector on its way,
// chose to send, while others were left out: by its W3C tracestate, or by its attributes.
func sampled(traceState string, attributes map[string]any) bool {
	if traceState != "" && sampledState(traceState) {
		return true
	}
	rate, ok := attributes[SampleRate]
	if !ok {
		return false
	}
	n, ok := ParseAmount(rate)
	return ok && n.GreaterThan(decimal.NewFromInt(1))
}

// sampledState reads OpenTelemetry's entry of a tracestate, as "ot=th:c;rv:…,vendor=…". th is
// the part of all traces that is left out, in hex digits behind the point: 0 is none of
// them. Before there was th, p said the same as a power of two: p:0 is 1 in 1. Of a
// malformed entry it says nothing.
func sampledState(state string) bool {
	for state != "" {
		var member string
		member, state, _ = strings.Cut(state, ",")
		entry, ok := strings.CutPrefix(strings.Trim(member, " \t"), "ot=")
		if !ok {
			continue
		}
		for entry != "" {
			var field string
			field, entry, _ = strings.Cut(entry, ";")
			name, value, _ := strings.Cut(field, ":")
			switch name {
			case "th":
				return notNull(value, 14, "0123456789abcdef")
			case "p":
				return notNull(value, 2, "0123456789")
			}
		}
		return false // the entry stands once
	}
	return false
}

// notNull says whether a text is a number of at most so many digits, and not zero.
func notNull(text string, most int, digits string) bool {
	return len(text) <= most && strings.Trim(text, digits) == "" && strings.Trim(text, "0") != ""
}
