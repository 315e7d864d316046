package ingest

import "time"

// Limits of what comes in. flows has those of a single signal: the length of names and
// keys, and the number of attributes.
const (
	// MaxBody bounds one request's body, after decompression too. An OpenTelemetry SDK
	// sends up to 512 spans a request and the collector up to 8,192, which is 2 to 8 MiB.
	MaxBody = 16 << 20

	// maxBodies bounds the bytes of all bodies in flight. Decoded signals take up to ten
	// times the bytes of a body made to hurt; this keeps the worst case below 1 GiB.
	maxBodies = 64 << 20

	// maxRequests bounds the requests at work at once. Each waits for the bus for some
	// milliseconds, so this is above 10,000 requests a second.
	maxRequests = 256

	// MaxEvents bounds the events of one CloudEvents batch, so that the answer to a batch
	// of nothing but faults stays a few megabytes.
	MaxEvents = 50_000

	// MaxDepth bounds the nesting of attributes and data. Real documents have less than
	// ten levels; each level costs stack in every decoder downstream.
	MaxDepth = 32

	// RetryAfter is what a refused sender is asked to wait. Senders add their own jitter.
	RetryAfter = time.Second
)
