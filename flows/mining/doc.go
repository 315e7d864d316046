// Package mining reads event logs, the tables that process-mining tools exchange, as
// signals of a flow.
//
// Reading streams: memory is bounded by the longest record, whatever the file is. The
// same file gives the same signals with the same identities each time.
package mining
