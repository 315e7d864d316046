package ingest

import "time"

// Limits of what comes in. flows has those of a single signal: the length of names and
// keys, and the number of attributes.
const (
	// MaxBody bounds one request's body, after decompression too. An OpenTelemetry SDK
	// sends up to 512 spans a request and the collector up to 8,192, which is 2 to 8 MiB.
	MaxBody = 16 << 20

	// maxInFlight bounds the memory of all requests at work: the bytes of bodies, and what
	// they decode to, by the estimates below. It holds a few of the largest requests, or
	// hundreds of usual ones.
	maxInFlight = 256 << 20

	// maxShare is what one token may hold of maxInFlight, so that one does not keep all
	// others out.
	maxShare = maxInFlight / 2

	// expected is held of maxInFlight for a gRPC message that is not here yet: at most
	// 1,024 are read at once. What a stream may send unasked is less (64 KiB).
	expected = 256 << 10

	// A body that is silent for silentWithin, or is not here after bodyWithin, is given up.
	// At the least, 16 MiB take 2.3 Mbit/s.
	silentWithin = 10 * time.Second
	bodyWithin   = time.Minute

	// publishWithin bounds the wait for the bus; it is below the time for an answer.
	publishWithin = 30 * time.Second

	// Estimates of decoded memory, without the texts, which the body's bytes stand for.
	SignalCost    = 1 << 10 // a span as record and as signal, with its maps
	AttributeCost = 64      // an entry of a map
	JSONValueCost = 64      // what encoding/json keeps of a value until it is mapped

	// maxRequests bounds the requests at work at once, from the end of their bodies on. Each
	// waits for the bus for some milliseconds, so this is above 10,000 requests a second.
	maxRequests = 256

	// MaxSignals bounds the events, spans or log records of one request, so that one made
	// of nothing but faults costs little time, and its answer stays a few megabytes.
	MaxSignals = 50_000

	// MaxDepth bounds the nesting of attributes and data. Real documents have less than
	// ten levels; each level costs stack in every decoder downstream.
	MaxDepth = 32

	// RetryAfter is what a refused sender is asked to wait. Senders add their own jitter.
	RetryAfter = time.Second
)
