// Package bus is the durable way between ingest and what reads it: NATS JetStream,
// embedded in the process or the user's own server or cluster, with the same code.
//
// Publish returns nil only after every message it wrote is acknowledged as stored: against
// a killed process by default, against power loss with SyncAlways. A stream that is full
// refuses (ErrFull); nothing is dropped to make room. Messages leave a stream only through
// Trim, which never removes what a reader of Ranges has not finished.
//
// There are two ways to read. Ranges hands out fixed ranges of a stream that are the same
// again after a crash, for a writer that must not insert twice. Follow hands out what is
// there, at once and in order, from a position the reader keeps itself.
//
// Delivery is at least once; a message keeps its sequence number for good. Signals of one
// Publish keep their order; those of concurrent calls may interleave.
package bus
