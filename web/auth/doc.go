// Package auth answers two questions: who is it, and may they.
//
// A token is 256 random bits; only its SHA-256 is kept, in one file of the data folder, which
// is replaced whole and needs neither ClickHouse nor the process that serves. A change of the
// file, a revocation above all, is in force within a second. A browser exchanges a token for
// a session, a signed cookie that ends with the token.
//
// Guard asks for them on every route but the few that must be open; senders are asked at
// ingest's own door, by Tokens.Identify.
package auth
