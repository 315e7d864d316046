package bus

import (
	"math/bits"
	"sync"

	"throughline/flows"
)

// rooms are the buffers of bodies and messages that are done with, by their size. Without
// them two thirds of all garbage at full rate would be such buffers (docs/performance.md).
var rooms [4 * 32]sync.Pool

const (
	leastRoom = 4 << 10 // a smaller one costs the collector nothing
	mostRoom  = 2 << 20 // a larger one is rare, and not kept
)

// class is the number of the sizes of a room, which grow by a fifth to a quarter, and the
// largest of them.
func class(n int) (number, size int) {
	step := bits.Len(uint(n-1)) - 3 // n is in (4, 8] steps of so many bits
	steps := (n + 1<<step - 1) >> step
	return 4*step + steps - 5, steps << step
}

// room is an empty buffer for n bytes.
func room(n int) []byte {
	if n < leastRoom || n > mostRoom {
		return make([]byte, 0, n)
	}
	number, size := class(n)
	if b, ok := rooms[number].Get().([]byte); ok {
		return b
	}
	return make([]byte, 0, size)
}

// vacate gives a buffer to the next one who wants such a room. Nobody may look at it then.
func vacate(b []byte) {
	if cap(b) < leastRoom || cap(b) > mostRoom {
		return
	}
	if number, size := class(cap(b)); size == cap(b) { // others have grown
		rooms[number].Put(b[:0]) //lint:ignore SA6002 its head is nothing beside it
	}
}

// signalRooms are the arrays of signals that are done with, by their size. They would be a
// sixth of all garbage at full rate of events.
var signalRooms [4 * 16]sync.Pool

const (
	leastSignals = 1 << 6
	mostSignals  = 1 << 14 // some 4 MB; a larger array is rare, and not kept
)

// signalRoom is an empty array for n signals.
func signalRoom(n int) []flows.Signal {
	if n > mostSignals {
		return make([]flows.Signal, 0, n)
	}
	number, size := class(max(n, leastSignals))
	if kept, ok := signalRooms[number].Get().(*[]flows.Signal); ok {
		return *kept
	}
	return make([]flows.Signal, 0, size)
}

// vacateSignals gives an array to who wants one next. Nobody may look at it then.
func vacateSignals(signals []flows.Signal) {
	if cap(signals) < leastSignals || cap(signals) > mostSignals {
		return
	}
	if number, size := class(cap(signals)); size == cap(signals) {
		clear(signals) // it would keep what they refer to
		signals = signals[:0]
		signalRooms[number].Put(&signals)
	}
}

// moved puts more signals behind those that a reader has; both arrays are its own.
func moved(have, more []flows.Signal) []flows.Signal {
	if cap(have) == 0 {
		return more
	}
	if n := len(have) + len(more); n > cap(have) {
		all := append(signalRoom(max(n, cap(have)+cap(have)/2)), have...)
		vacateSignals(have)
		have = all
	}
	have = append(have, more...)
	vacateSignals(more)
	return have
}
