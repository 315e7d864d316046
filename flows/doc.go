// Package flows holds the words and the rules of Throughline: signals, keys, flow
// definitions, and the fold that turns the signals of one business case into the state
// of an instance, with its reason.
//
// Everything here is pure: no I/O and no clock. What depends on time takes it as a value,
// so the same code answers live, in imports, in tests of flow files and in hindsight.
// Every result is derived from a set of signals: it does not depend on the order, the
// doubling or the batching of their arrival.
package flows
