// Package store turns rows of ClickHouse into the types of flows and back. The same code
// serves the embedded engine and an external server or cluster.
//
// Guarantees of the write side: a nil error means that the server has the rows. Every
// write may be repeated: raw rows carry a deduplication token, state rows replace each
// other by version. So a caller keeps a batch until it got nil, and sends it again, the
// same rows under the same token, while Retryable says so.
//
// Times of flows are nanoseconds, exact in DateTime64(9). Where flows.NoTime can occur the
// column is Nullable and NoTime is NULL; elsewhere a time is always there.
package store
